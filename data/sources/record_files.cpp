#include "data/sources/record_files.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <map>
#include <span>
#include <string_view>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "base/check.hpp"
#include "data/reading.hpp"
#include "data/sources/name_arena.hpp"

namespace starling::data {

namespace {

constexpr std::size_t kCollectBytes = std::size_t{1} << 20U;

/// The bytes of a file of our own, which nobody else can shorten: no name leads to it. Records of a
/// table are small and read in any order, and a call of the system for each would take most of the time.
class Mapping {
public:
    Mapping() = default;

    Mapping(int descriptor, std::size_t size) {
        void* begin = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, descriptor, 0);
        if (begin != MAP_FAILED) bytes_ = {static_cast<const std::byte*>(begin), size};
    }

    ~Mapping() {
        if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
    }

    Mapping(Mapping&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

    Mapping& operator=(Mapping&& other) noexcept {
        std::swap(bytes_, other.bytes_);
        return *this;
    }

    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;

    [[nodiscard]] ByteView bytes() const { return bytes_; }

private:
    ByteView bytes_;
};

Result<void> write_all(int descriptor, ByteView bytes, std::uint64_t offset) {
    while (!bytes.empty()) {
        const auto written =
            ::pwrite(descriptor, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return system_fault("unpacked data", "cannot be written");
        bytes = bytes.subspan(static_cast<std::size_t>(written));
        offset += static_cast<std::uint64_t>(written);
    }
    return {};
}

/// A file that a source reads. There may be millions, so each takes few bytes.
struct File {
    FileState state;             ///< as it was scanned; of an unpacked one the size is that so far
    const char* name = nullptr;  ///< without its directory; null: an unpacked one
    std::uint32_t name_length = 0;  ///< in bytes
    std::uint32_t directory = 0;    ///< its place among the directories
};

/// What cannot be read in place, in a file without a name.
struct Unpacked {
    Descriptor descriptor;
    Bytes collected;  ///< bytes that are not written yet
    Mapping mapping;  ///< as large as the file was when it was last read

    /// Writes what is collected, to the end of a file that will have this size.
    Result<void> flush(std::uint64_t size) {
        if (collected.empty()) return {};
        const auto at = size - collected.size();
        if (auto done = write_all(descriptor.number(), collected, at); !done) return done;
        collected.clear();
        return {};
    }
};

}  // namespace

struct RecordFiles::State {
    std::vector<File> files;
    NameArena names;
    std::vector<std::string> directories;
    std::map<std::uint32_t, Unpacked> unpacked;  ///< by the number of the file
    // The file that was read last stays open: most sources have few files, or one record in each.
    mutable UserFile open;
    mutable std::uint32_t opened = 0;

    [[nodiscard]] std::string path(std::uint32_t number) const {
        const auto& file = files[number];
        if (file.name == nullptr) return {};
        return directories[file.directory] + std::string(file.name, file.name_length);
    }

    /// Returns the number of a directory, which ends with a slash. Files come directory by directory, or
    /// nearly so.
    std::uint32_t directory(const std::string& name) {
        if (directories.empty() || directories.back() != name) directories.push_back(name);
        return static_cast<std::uint32_t>(directories.size() - 1);
    }

    /// Opens a file if it is not open, and checks that it is the one that was scanned.
    Result<const UserFile*> opened_file(std::uint32_t number) const {
        if (!open.is_open() || opened != number) {
            auto fresh = UserFile::open(path(number));
            if (!fresh) return fresh.error();
            open = std::move(*fresh);
            opened = number;
        }
        if (auto same = open.check(files[number].state); !same) return same.error();
        return &open;
    }
};

RecordFiles::RecordFiles() : state_(std::make_unique<State>()) {}

RecordFiles::~RecordFiles() = default;
RecordFiles::RecordFiles(RecordFiles&&) noexcept = default;
RecordFiles& RecordFiles::operator=(RecordFiles&&) noexcept = default;

Result<std::uint32_t> RecordFiles::add(const std::filesystem::path& path) {
    struct stat now {};

    if (::stat(path.c_str(), &now) != 0) return system_fault(path.string(), "cannot be read");
    if (!S_ISREG(now.st_mode)) {
        return fail(FaultCode::Usage, path.string() + ": not a regular file");
    }
    if (::access(path.c_str(), R_OK) != 0) return system_fault(path.string(), "cannot be read");
    const auto whole = path.string();
    const auto cut = whole.rfind('/') + 1;  // 0 where there is none
    const auto name = state_->names.keep(std::string_view(whole).substr(cut));
    File file;
    file.state = state_of(now);
    file.name = name.data();
    file.name_length = static_cast<std::uint32_t>(name.size());
    file.directory = state_->directory(whole.substr(0, cut));
    state_->files.push_back(file);
    return static_cast<std::uint32_t>(state_->files.size() - 1);
}

std::uint64_t RecordFiles::size(std::uint32_t file) const {
    return state_->files[file].state.size;
}

Result<std::uint32_t> RecordFiles::add_unpacked() {
    std::error_code error;
    const auto directory = std::filesystem::temp_directory_path(error);
    if (error) return fail(FaultCode::Io, "no directory for temporary files: " + error.message());
    std::string name = (directory / "starling-XXXXXX").string();
    Descriptor made(::mkostemp(name.data(), O_CLOEXEC));
    if (!made.open()) return system_fault(name, "cannot be made");
    // A process that is killed leaves no file behind if the file has no name.
    (void)::unlink(name.c_str());
    const auto number = static_cast<std::uint32_t>(state_->files.size());
    state_->files.emplace_back();
    state_->unpacked[number].descriptor = std::move(made);
    return number;
}

Result<std::uint64_t> RecordFiles::append(std::uint32_t number, ByteView bytes) {
    auto& file = state_->files[number];
    const auto at = state_->unpacked.find(number);
    STARLING_CHECK(at != state_->unpacked.end());
    auto& unpacked = at->second;
    const auto begin = file.state.size;
    unpacked.collected.insert(unpacked.collected.end(), bytes.begin(), bytes.end());
    file.state.size += bytes.size();
    if (unpacked.collected.size() < kCollectBytes) return begin;
    if (auto done = unpacked.flush(file.state.size); !done) return done.error();
    return begin;
}

std::optional<FileExtent> RecordFiles::file_extent(const RecordPlace& place) const {
    const auto& file = state_->files[place.file];
    if (file.name == nullptr) return std::nullopt;
    std::error_code error;
    auto path = std::filesystem::absolute(state_->path(place.file), error);
    if (error) return std::nullopt;
    return FileExtent{path.string(), file.state, place.offset, place.length};
}

Result<void> RecordFiles::read(const RecordPlace& place, Bytes& out) const {
    const auto& file = state_->files[place.file];
    if (file.name != nullptr) {
        const auto open = state_->opened_file(place.file);
        if (!open) return open.error();
        if (auto read = (*open)->read(place.offset, place.length, out); !read) return read;
        // Which part of the file this is says nothing about how far the reading is.
        return Reading::advance("", 0, 0, 0);
    }
    const auto size = file.state.size;
    auto& unpacked = state_->unpacked.at(place.file);
    if (auto done = unpacked.flush(size); !done) return done;
    const auto end = place.offset + place.length;
    if (unpacked.mapping.bytes().size() < end && end <= size) {
        unpacked.mapping = Mapping(unpacked.descriptor.number(), static_cast<std::size_t>(size));
    }
    if (end > unpacked.mapping.bytes().size()) {
        auto read =
            read_piece(unpacked.descriptor, "unpacked data", place.offset, place.length, out);
        if (!read) return read;
    } else {
        const auto record = unpacked.mapping.bytes().subspan(place.offset, place.length);
        out.insert(out.end(), record.begin(), record.end());
    }
    return Reading::advance("", 0, 0, 0);
}

}  // namespace starling::data
