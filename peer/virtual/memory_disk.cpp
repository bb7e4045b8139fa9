#include "peer/virtual/memory_disk.hpp"

#include <algorithm>
#include <string>

#include "base/check.hpp"

namespace starling::peer_virtual {

namespace fs = std::filesystem;

namespace {

Fault io_fault(const fs::path& path, const std::string& what) {
    return fail(FaultCode::Io, path.string() + ": " + what);
}

Fault not_found(const fs::path& path) {
    return fail(FaultCode::NotFound, path.string() + ": no such file");
}

fs::path directory_of(const fs::path& path) {
    return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

}  // namespace

class MemoryDisk::Input final : public peer::InputFile {
public:
    Input(const MemoryDisk& disk, std::shared_ptr<const File> file, fs::path path)
        : disk_(disk),
          file_(std::move(file)),
          path_(std::move(path)) {}

    [[nodiscard]] std::uint64_t size() const override { return file_->bytes.size(); }

    Result<void> read(std::span<std::byte> out) override {
        if (!disk_.has_power()) return io_fault(path_, "no power");
        if (out.size() > file_->bytes.size() - at_) {
            return fail(FaultCode::Truncated, path_.string() + ": it ends too early");
        }
        std::copy_n(file_->bytes.data() + at_, out.size(), out.data());
        at_ += out.size();
        return {};
    }

private:
    const MemoryDisk& disk_;
    std::shared_ptr<const File> file_;
    fs::path path_;
    std::size_t at_ = 0;
};

class MemoryDisk::Output final : public peer::OutputFile {
public:
    Output(MemoryDisk& disk, std::shared_ptr<File> file, fs::path path)
        : disk_(disk),
          file_(std::move(file)),
          path_(std::move(path)) {}

    Result<void> append(ByteView bytes) override {
        if (auto noted = disk_.note_change(path_); !noted) return noted.error();
        const auto fits = std::min<std::uint64_t>(bytes.size(), disk_.free_bytes());
        const auto part = bytes.first(static_cast<std::size_t>(fits));
        file_->bytes.insert(file_->bytes.end(), part.begin(), part.end());
        if (part.size() < bytes.size()) return io_fault(path_, "the disk is full");
        return {};
    }

    Result<void> sync() override {
        if (auto noted = disk_.note_change(path_); !noted) return noted.error();
        file_->safe = file_->bytes.size();
        return {};
    }

private:
    MemoryDisk& disk_;
    std::shared_ptr<File> file_;
    fs::path path_;
};

MemoryDisk MemoryDisk::crash(Rng& rng) const {
    Names kept = safe_names_;
    for (const NameChange& change : unsafe_changes_) {
        if (rng.chance(0.5)) apply(change, kept);
    }
    MemoryDisk next;
    next.capacity_ = capacity_;
    for (const auto& [path, file] : kept) {
        next.names_.emplace(path, std::make_shared<File>(after_crash(*file, rng)));
    }
    next.safe_names_ = next.names_;
    return next;
}

/// Of the bytes that are not safe, a part has been written, and garbage stands in the rest of it.
MemoryDisk::File MemoryDisk::after_crash(const File& file, Rng& rng) {
    File left = file;
    const auto kept = file.safe + rng.below(file.bytes.size() - file.safe + 1);
    const auto written = file.safe + rng.below(kept - file.safe + 1);
    left.bytes.resize(kept);
    if (rng.chance(0.5)) {
        for (auto at = written; at < kept; ++at) {
            left.bytes[at] = static_cast<std::byte>(rng.below(256));
        }
    }
    left.safe = kept;
    return left;
}

std::vector<fs::path> MemoryDisk::files() const {
    std::vector<fs::path> paths;
    for (const auto& [path, file] : names_) paths.push_back(path);
    return paths;
}

Result<std::unique_ptr<peer::InputFile>> MemoryDisk::open(
    const fs::path& path, std::uint64_t limit
) {
    if (!has_power()) return io_fault(path, "no power");
    const auto found = names_.find(path);
    if (found == names_.end()) return not_found(path);
    if (found->second->bytes.size() > limit) {
        return fail(FaultCode::Oversized, path.string() + ": more bytes than the limit");
    }
    return std::make_unique<Input>(*this, found->second, path);
}

Result<std::unique_ptr<peer::OutputFile>> MemoryDisk::create(
    const fs::path& path, unsigned /*mode*/
) {
    remove(path);
    auto file = std::make_shared<File>();
    if (auto made = change_names({{path, file}}); !made) return made.error();
    return std::make_unique<Output>(*this, std::move(file), path);
}

Result<void> MemoryDisk::rename(const fs::path& from, const fs::path& to) {
    STARLING_CHECK(directory_of(from) == directory_of(to));
    const auto found = names_.find(from);
    if (found == names_.end()) return not_found(from);
    return change_names({{from, nullptr}, {to, found->second}});
}

void MemoryDisk::remove(const fs::path& path) {
    if (names_.contains(path)) (void)change_names({{path, nullptr}});
}

Result<void> MemoryDisk::sync_directory(const fs::path& directory) {
    if (auto noted = note_change(directory); !noted) return noted.error();
    std::vector<NameChange> elsewhere;
    for (NameChange& change : unsafe_changes_) {
        if (directory_of(change.front().first) == directory) {
            apply(change, safe_names_);
        } else {
            elsewhere.push_back(std::move(change));
        }
    }
    unsafe_changes_ = std::move(elsewhere);
    return {};
}

void MemoryDisk::apply(const NameChange& change, Names& names) {
    for (const auto& [path, file] : change) {
        if (file) {
            names.insert_or_assign(path, file);
        } else {
            names.erase(path);
        }
    }
}

Result<void> MemoryDisk::note_change(const fs::path& path) {
    if (!has_power()) return io_fault(path, "no power");
    if (changes_left_ != ~std::uint64_t{0}) --changes_left_;
    return {};
}

Result<void> MemoryDisk::change_names(NameChange change) {
    if (auto noted = note_change(change.front().first); !noted) return noted.error();
    apply(change, names_);
    unsafe_changes_.push_back(std::move(change));
    return {};
}

std::uint64_t MemoryDisk::free_bytes() const {
    std::uint64_t used = 0;
    for (const auto& [path, file] : names_) used += file->bytes.size();
    return capacity_ - std::min(capacity_, used);
}

}  // namespace starling::peer_virtual
