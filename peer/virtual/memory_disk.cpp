#include "peer/virtual/memory_disk.hpp"

#include <algorithm>
#include <set>
#include <string>

#include "base/check.hpp"
#include "peer/machine/files.hpp"

namespace starling::peer_virtual {

namespace fs = std::filesystem;

namespace {

Fault io_fault(const fs::path& path, const std::string& what) {
    return fail(FaultCode::Io, path.string() + ": " + what);
}

Fault not_found(const fs::path& path) {
    return fail(FaultCode::NotFound, path.string() + ": no such file");
}

Fault disk_full(const fs::path& path) {
    return fail(peer::kDiskFull, path.string() + ": the disk is full");
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
        if (auto room = disk_.take_room(path_); !room) return room.error();
        const auto fits = std::min<std::uint64_t>(bytes.size(), disk_.free_bytes());
        const auto part = bytes.first(static_cast<std::size_t>(fits));
        file_->bytes.insert(file_->bytes.end(), part.begin(), part.end());
        if (part.size() < bytes.size()) return disk_full(path_);
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

/// Returns a disk with these names, whose files are what `each` makes of ours.
template <class Each>
MemoryDisk MemoryDisk::next_life(Names kept, Each each) const {
    drop_lost_directories(names_, kept);
    MemoryDisk next;
    next.capacity_ = capacity_;
    next.links_ = links_;
    next.overwrites_ = overwrites_;
    next.full_ = full_;
    next.read_only_ = read_only_;
    std::map<const File*, std::shared_ptr<File>> made;  // two names of a file stay two names of one
    for (const auto& [path, file] : kept) {
        auto& left = made[file.get()];
        if (!left) left = std::make_shared<File>(each(*file));
        next.names_.emplace(path, left);
    }
    next.safe_names_ = next.names_;
    return next;
}

MemoryDisk MemoryDisk::crash(Rng& rng) const {
    Names kept = safe_names_;
    for (const NameChange& change : unsafe_changes_) {
        if (rng.chance(0.5)) apply(change, kept);
    }
    return next_life(std::move(kept), [&rng](const File& file) { return after_crash(file, rng); });
}

std::vector<MemoryDisk> MemoryDisk::crashes() const {
    constexpr std::size_t kChangesMax = 16;
    STARLING_CHECK(unsafe_changes_.size() <= kChangesMax);
    std::vector<MemoryDisk> found;
    const std::uint64_t choices = std::uint64_t{1} << unsafe_changes_.size();
    for (std::uint64_t choice = 0; choice < choices; ++choice) {
        Names kept = safe_names_;
        for (std::size_t i = 0; i < unsafe_changes_.size(); ++i) {
            if ((choice >> i & 1U) != 0) apply(unsafe_changes_[i], kept);
        }
        for (const auto damage : {Damage::Torn, Damage::Halved, Damage::Garbage, Damage::None}) {
            found.push_back(next_life(kept, [damage](const File& file) {
                return damaged(file, damage);
            }));
        }
    }
    return found;
}

/// Takes away what lies in a directory that was made and whose name is lost.
void MemoryDisk::drop_lost_directories(const Names& all, Names& names) {
    for (const auto& [path, file] : all) {
        if (!file->directory || names.contains(path)) continue;
        const auto inside = path.string() + "/";
        for (auto it = names.begin(); it != names.end();) {
            it = it->first.string().starts_with(inside) ? names.erase(it) : std::next(it);
        }
    }
}

MemoryDisk::File MemoryDisk::damaged(const File& file, Damage damage) {
    File left = file;
    left.old.reset();
    if (file.old && damage != Damage::None) left.bytes = *file.old;
    const auto loose = file.bytes.size() - file.safe;
    if (damage == Damage::Torn) left.bytes.resize(file.safe);
    if (damage == Damage::Halved) left.bytes.resize(file.safe + loose / 2);
    if (damage == Damage::Garbage) {
        const auto from = static_cast<std::ptrdiff_t>(file.safe);
        std::fill(left.bytes.begin() + from, left.bytes.end(), std::byte{0});
    }
    left.safe = left.bytes.size();
    return left;
}

/// Of the bytes that are not safe, a part has been written, and garbage stands in the rest of it.
MemoryDisk::File MemoryDisk::after_crash(const File& file, Rng& rng) {
    if (file.old) return damaged(file, rng.chance(0.5) ? Damage::Torn : Damage::None);
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

Result<std::unique_ptr<peer::InputFile>> MemoryDisk::open(
    const fs::path& path, std::uint64_t limit
) {
    if (!has_power()) return io_fault(path, "no power");
    const auto found = names_.find(path);
    if (found == names_.end()) return not_found(path);
    if (found->second->directory) return io_fault(path, "not a regular file");
    if (found->second->bytes.size() > limit) {
        return fail(FaultCode::Oversized, path.string() + ": more bytes than the limit");
    }
    return std::make_unique<Input>(*this, found->second, path);
}

Result<std::unique_ptr<peer::OutputFile>> MemoryDisk::create(
    const fs::path& path, unsigned /*mode*/
) {
    remove(path);
    if (auto room = take_room(path); !room) return room.error();
    auto file = std::make_shared<File>();
    if (auto made = change_names({{path, file}}); !made) return made.error();
    return std::make_unique<Output>(*this, std::move(file), path);
}

Result<void> MemoryDisk::rename(const fs::path& from, const fs::path& to) {
    STARLING_CHECK(peer::directory_of(from) == peer::directory_of(to));
    const auto found = names_.find(from);
    if (found == names_.end()) return not_found(from);
    const auto over = names_.find(to);
    // As POSIX has it: two names of one file both stay.
    if (over != names_.end() && over->second == found->second) return {};
    return change_names({{from, nullptr}, {to, found->second}});
}

Result<void> MemoryDisk::link(const fs::path& from, const fs::path& to) {
    STARLING_CHECK(peer::directory_of(from) == peer::directory_of(to));
    const auto found = names_.find(from);
    if (found == names_.end()) return not_found(from);
    if (!links_) return io_fault(from, "no second names here");
    if (names_.contains(to)) return io_fault(to, "there is such a file");
    if (auto room = take_room(from); !room) return room.error();
    return change_names({{to, found->second}});
}

Result<void> MemoryDisk::overwrite(const fs::path& path, ByteView bytes) {
    STARLING_CHECK(bytes.size() <= peer::kOverwriteBytesMax);
    const auto found = names_.find(path);
    if (found == names_.end()) return not_found(path);
    auto& file = *found->second;
    STARLING_CHECK(file.bytes.size() == bytes.size());
    if (!overwrites_) return disk_full(path);
    if (auto noted = note_change(path); !noted) return noted.error();
    if (!file.old) file.old = file.bytes;
    file.bytes.assign(bytes.begin(), bytes.end());
    if (auto noted = note_change(path); !noted) return noted.error();
    file.old.reset();
    return {};
}

void MemoryDisk::remove(const fs::path& path) {
    if (names_.contains(path)) (void)change_names({{path, nullptr}});
}

Result<void> MemoryDisk::make_directory(const fs::path& directory, unsigned /*mode*/) {
    if (exists(directory)) return {};
    if (auto room = take_room(directory); !room) return room.error();
    auto file = std::make_shared<File>();
    file->directory = true;
    return change_names({{directory, std::move(file)}});
}

bool MemoryDisk::exists(const fs::path& path) {
    if (!has_power()) return false;
    // A directory that nobody has made exists as soon as something lies in it.
    const auto inside = path.string() + "/";
    return names_.contains(path) ||
           std::any_of(names_.begin(), names_.end(), [&inside](const Names::value_type& name) {
               return name.first.string().starts_with(inside);
           });
}

std::vector<fs::path> MemoryDisk::list(const fs::path& directory) {
    std::vector<fs::path> paths;
    if (!has_power()) return paths;
    for (const auto& [path, file] : names_) {
        if (peer::directory_of(path) == directory) paths.push_back(path);
    }
    return paths;
}

Result<void> MemoryDisk::sync_directory(const fs::path& directory) {
    if (auto noted = note_change(directory); !noted) return noted.error();
    std::vector<NameChange> elsewhere;
    for (NameChange& change : unsafe_changes_) {
        if (peer::directory_of(change.front().first) == directory) {
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
    if (read_only_) return io_fault(path, "the disk is read-only");
    if (changes_left_ != ~std::uint64_t{0}) --changes_left_;
    return {};
}

Result<void> MemoryDisk::take_room(const fs::path& path) {
    if (room_left_ == 0 || full_) return disk_full(path);
    if (room_left_ != ~std::uint64_t{0}) --room_left_;
    return {};
}

Result<void> MemoryDisk::corrupt(const fs::path& path) {
    const auto found = names_.find(path);
    if (found == names_.end() || found->second->bytes.empty()) return not_found(path);
    auto& bytes = found->second->bytes;
    bytes[bytes.size() / 2] ^= std::byte{0x55};
    return {};
}

Result<void> MemoryDisk::change_names(NameChange change) {
    if (auto noted = note_change(change.front().first); !noted) return noted.error();
    apply(change, names_);
    unsafe_changes_.push_back(std::move(change));
    return {};
}

std::uint64_t MemoryDisk::free_bytes() const {
    std::set<const File*> files;
    std::uint64_t used = 0;
    for (const auto& [path, file] : names_) {
        if (files.insert(file.get()).second) used += file->bytes.size();
    }
    return capacity_ - std::min(capacity_, used);
}

}  // namespace starling::peer_virtual
