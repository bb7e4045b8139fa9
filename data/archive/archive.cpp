// The home of libarchive.

#include "data/archive/archive.hpp"

#include <algorithm>
#include <archive.h>
#include <archive_entry.h>
#include <array>
#include <cerrno>
#include <cstdio>
#include <locale.h>
#include <sys/stat.h>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "base/printable.hpp"
#include "data/archive/byte_source.hpp"
#include "data/archive/entry_name.hpp"

namespace starling::data {

namespace {

constexpr std::size_t kBlockBytes = std::size_t{1} << 16U;
/// How much read() takes at first for an entry, whatever its stated size.
constexpr std::uint64_t kFirstBytes = std::uint64_t{1} << 20U;

const char* kind_name(unsigned type) {
    switch (type) {
        case AE_IFLNK:
            return "a symbolic link";
        case AE_IFIFO:
            return "a named pipe";
        case AE_IFCHR:
        case AE_IFBLK:
            return "a device";
        case AE_IFSOCK:
            return "a socket";
        default:
            return "neither a file nor a folder";
    }
}

std::string name_of(archive_entry* entry) {
    if (const char* name = archive_entry_pathname(entry); name != nullptr) return name;
    const char* name = archive_entry_pathname_utf8(entry);
    return name == nullptr ? "" : name;
}

/// Lets this thread read names as UTF-8 for a while: libarchive drops a name that the locale cannot
/// show, and the locale of a daemon shows ASCII alone.
class Utf8Locale {
public:
    Utf8Locale() : before_(uselocale(locale())) {}

    ~Utf8Locale() { uselocale(before_); }

    Utf8Locale(const Utf8Locale&) = delete;
    Utf8Locale& operator=(const Utf8Locale&) = delete;

private:
    /// Nothing on a machine without it, which leaves the locale as it is.
    static locale_t locale() {
        static const locale_t kept = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
        return kept;
    }

    locale_t before_;
};

}  // namespace

struct Archive::State {
    State(ByteSource bytes, std::string archive_name, const ArchiveLimits& archive_limits)
        : source(std::move(bytes)),
          name(std::move(archive_name)),
          limits(archive_limits) {}

    ByteSource source;
    std::string name;
    ArchiveLimits limits;
    ::archive* reader = nullptr;
    archive_entry* entry = nullptr;  ///< libarchive's, of the entry we are in
    std::optional<ArchiveEntry> current;
    std::string current_name;  ///< for messages, as it stands in the archive
    bool seekable = false;     ///< libarchive skips without reading: a plain tar or a zip
    bool ended = false;
    std::uint64_t taken = 0;     ///< bytes of the entry that were read
    std::uint64_t unpacked = 0;  ///< bytes of all entries
    std::uint64_t entries = 0;
    NameSet names;
    std::optional<Fault> source_fault;
    std::optional<Fault> broken;
    std::vector<std::byte> block = std::vector<std::byte>(kBlockBytes);
    std::vector<std::byte> scratch;
};

void Archive::Close::operator()(State* state) const {
    archive_read_free(state->reader);
    delete state;
}

Result<Archive> Archive::open(const std::filesystem::path& path, const ArchiveLimits& limits) {
    auto source = ByteSource::open(path);
    if (!source) {
        return fail(source.error().code, path.string() + ": " + source.error().message);
    }
    return start(std::unique_ptr<State, Close>(new State(std::move(*source), path.string(), limits))
    );
}

Result<Archive> Archive::over(
    ByteView bytes, const std::string& name, const ArchiveLimits& limits
) {
    return start(std::unique_ptr<State, Close>(new State(ByteSource::over(bytes), name, limits)));
}

namespace {

/// What libarchive calls to read, skip and seek. `client` is an Archive::State.
template <class State>
struct Callbacks {
    static la_ssize_t read(::archive* reader, void* client, const void** buffer) {
        auto& state = *static_cast<State*>(client);
        const auto got = state.source.read(state.block);
        if (!got) {
            state.source_fault = got.error();
            archive_set_error(reader, EIO, "the source cannot be read");
            return ARCHIVE_FATAL;
        }
        *buffer = state.block.data();
        return static_cast<la_ssize_t>(*got);
    }

    static la_int64_t skip(::archive* /*reader*/, void* client, la_int64_t request) {
        auto& source = static_cast<State*>(client)->source;
        const auto left = source.size() - std::min(source.size(), source.position());
        const auto skipped = std::clamp<la_int64_t>(request, 0, static_cast<la_int64_t>(left));
        source.seek(source.position() + static_cast<std::uint64_t>(skipped));
        return skipped;
    }

    static la_int64_t seek(::archive* /*reader*/, void* client, la_int64_t offset, int whence) {
        auto& source = static_cast<State*>(client)->source;
        const auto size = static_cast<la_int64_t>(source.size());
        const auto at = static_cast<la_int64_t>(source.position());
        const auto base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? at : size;
        if (offset < -base || offset > size - base) return ARCHIVE_FATAL;
        source.seek(static_cast<std::uint64_t>(base + offset));
        return base + offset;
    }
};

}  // namespace

Result<Archive> Archive::start(std::unique_ptr<State, Close> state) {
    Archive archive(std::move(state));
    auto& s = *archive.state_;
    s.reader = archive_read_new();
    STARLING_CHECK(s.reader != nullptr);
    archive_read_support_filter_zstd(s.reader);
    archive_read_support_format_tar(s.reader);
    archive_read_support_format_zip_seekable(s.reader);
    archive_read_set_callback_data(s.reader, &s);
    archive_read_set_read_callback(s.reader, Callbacks<State>::read);
    std::array<std::byte, 4> first{};
    if (!s.source.gzipped()) {
        archive_read_set_skip_callback(s.reader, Callbacks<State>::skip);
        archive_read_set_seek_callback(s.reader, Callbacks<State>::seek);
        const auto got = s.source.read(first);
        if (!got) return archive.bad(got.error().code, got.error().message);
        s.source.seek(0);
    }
    if (archive_read_open1(s.reader) == ARCHIVE_OK) return archive;
    if (s.source_fault) return archive.library_fault("opening");
    if (as_text(first) == std::string_view("PK\x03\x04")) {
        return archive.bad(
            FaultCode::Truncated, "a zip without the directory at its end; fetch the file again"
        );
    }
    return archive.bad(FaultCode::BadFormat, "neither tar nor zip; pack the files as one of them");
}

std::uint64_t Archive::position() const {
    return std::min(state_->source.position(), state_->source.size());
}

std::uint64_t Archive::size() const {
    return state_->source.size();
}

Fault Archive::bad(FaultCode code, const std::string& what) {
    auto& s = *state_;
    std::string where = s.name + ": ";
    if (!s.current_name.empty()) where += "entry '" + printable(s.current_name) + "': ";
    s.broken = fail(code, where + what);
    return *s.broken;
}

Fault Archive::library_fault(const std::string& doing) {
    auto& s = *state_;
    if (s.source_fault) return bad(s.source_fault->code, s.source_fault->message);
    const char* said = archive_error_string(s.reader);
    const std::string why = said == nullptr ? "damaged" : printable(said);
    const bool ends = why.find("runcated") != std::string::npos;
    return bad(
        ends ? FaultCode::Truncated : FaultCode::Corrupt,
        doing + " breaks before byte " + std::to_string(position()) + " of " +
            std::to_string(size()) + ": " + why + "; fetch the file again"
    );
}

Result<void> Archive::count_bytes(std::uint64_t more) {
    auto& s = *state_;
    const auto by_size =
        kArchiveFreeBytes + kArchiveRatioMax * std::min(size(), s.limits.bytes_max);
    const auto most = std::min(s.limits.bytes_max, by_size);
    if (more > most || s.unpacked > most - more) {
        return bad(
            FaultCode::Oversized,
            "the archive of " + std::to_string(size()) + " bytes unpacks to more than " +
                std::to_string(most) + "; split it, or give the unpacked files"
        );
    }
    s.unpacked += more;
    return {};
}

Result<std::optional<ArchiveEntry>> Archive::next() {
    auto& s = *state_;
    if (s.broken) return *s.broken;
    if (auto ok = skip_rest(); !ok) return ok.error();
    s.current.reset();
    s.current_name.clear();
    if (s.ended) return std::optional<ArchiveEntry>();
    const Utf8Locale utf8;
    const int state = archive_read_next_header(s.reader, &s.entry);
    if (state == ARCHIVE_EOF) {
        s.ended = true;
        // The checksum of gzip stands behind the end mark of tar.
        while (s.source.gzipped()) {
            const auto got = s.source.read(s.block);
            if (!got) return bad(got.error().code, got.error().message);
            if (*got == 0) break;
            if (auto ok = count_bytes(*got); !ok) return ok.error();
        }
        return std::optional<ArchiveEntry>();
    }
    // A warning tells of what we do not use, such as the owner's name.
    if (state != ARCHIVE_OK && state != ARCHIVE_WARN) return library_fault("the next entry");
    auto entry = examine_entry();
    if (!entry) return entry.error();
    s.current = *entry;
    s.taken = 0;
    return std::optional<ArchiveEntry>(std::move(*entry));
}

Result<ArchiveEntry> Archive::examine_entry() {
    auto& s = *state_;
    s.current_name = name_of(s.entry);
    if (++s.entries > kArchiveEntriesMax) {
        return bad(
            FaultCode::Oversized, "more than " + std::to_string(kArchiveEntriesMax) + " entries"
        );
    }
    if (archive_entry_hardlink(s.entry) != nullptr) {
        return bad(FaultCode::BadFormat, "a hard link; pack the file itself");
    }
    const auto type = archive_entry_filetype(s.entry);
    if (type != AE_IFREG && type != AE_IFDIR) {
        return bad(FaultCode::BadFormat, std::string(kind_name(type)) + "; pack plain files alone");
    }
    if (archive_entry_is_encrypted(s.entry) != 0) {
        return bad(FaultCode::Unsupported, "encrypted; pack it without a password");
    }
    auto name = plain_name(s.current_name);
    if (!name) return bad(name.error().code, name.error().message + "; pack it under another name");
    ArchiveEntry entry{std::move(*name), std::nullopt, type == AE_IFREG, std::nullopt};
    if (!entry.regular) return entry;
    if (entry.name.empty()) return bad(FaultCode::BadFormat, "a file without a name");
    if (!s.names.insert(entry.name)) {
        return bad(FaultCode::BadFormat, "two files have this name; pack each once");
    }
    if (archive_entry_size_is_set(s.entry) != 0) {
        entry.size =
            static_cast<std::uint64_t>(std::max<la_int64_t>(archive_entry_size(s.entry), 0));
    }
    const bool tar = (archive_format(s.reader) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_TAR;
    const bool filtered = s.source.gzipped() || archive_filter_count(s.reader) > 1;
    s.seekable = !filtered;
    if (tar && !filtered && entry.size && archive_entry_sparse_count(s.entry) == 0) {
        entry.offset = static_cast<std::uint64_t>(archive_filter_bytes(s.reader, 0));
        // libarchive would skip behind the end of the file, and take that for the archive's end.
        if (*entry.offset > size() || *entry.size > size() - *entry.offset) {
            return bad(
                FaultCode::Truncated,
                "needs " + std::to_string(*entry.size) + " bytes from byte " +
                    std::to_string(*entry.offset) + ", but the file ends at byte " +
                    std::to_string(size()) + "; fetch the file again"
            );
        }
    }
    return entry;
}

Result<void> Archive::skip_rest() {
    auto& s = *state_;
    if (!s.current || !s.current->regular) return {};
    if (s.seekable) {
        if (archive_read_data_skip(s.reader) != ARCHIVE_OK) return library_fault("skipping it");
        const auto size = s.current->size.value_or(0);
        return count_bytes(size - std::min(size, s.taken));
    }
    s.scratch.resize(kBlockBytes);
    while (true) {
        const auto got = read_some(s.scratch);
        if (!got) return got.error();
        if (*got == 0) return {};
    }
}

Result<std::size_t> Archive::read_some(std::span<std::byte> out) {
    auto& s = *state_;
    if (s.broken) return *s.broken;
    STARLING_CHECK(s.current && s.current->regular && !out.empty());
    const auto got = archive_read_data(s.reader, out.data(), out.size());
    if (got < 0) return library_fault("reading it");
    const auto count = static_cast<std::size_t>(got);
    s.taken += count;
    if (auto ok = count_bytes(count); !ok) return ok.error();
    return count;
}

Result<void> Archive::read(Bytes& out, std::uint64_t bytes_max) {
    auto& s = *state_;
    if (s.broken) return *s.broken;
    STARLING_CHECK(s.current && s.current->regular);
    out.clear();
    const auto stated = std::min(s.current->size.value_or(0), bytes_max);
    // One byte more than is stated shows the end in one call.
    auto room = static_cast<std::size_t>(std::min(stated, kFirstBytes) + 1);
    std::size_t done = 0;
    while (true) {
        out.resize(done + room);
        const auto got = read_some(std::span(out).subspan(done));
        if (!got) {
            out.clear();
            return got.error();
        }
        done += *got;
        if (*got == 0 || done > bytes_max) break;
        room = std::clamp<std::size_t>(done, kBlockBytes, kFirstBytes);
        if (done < out.size()) room = out.size() - done;
    }
    out.resize(done);
    if (done <= bytes_max) return {};
    out.clear();
    return fail(
        FaultCode::Oversized,
        s.name + ": entry '" + printable(s.current_name) + "': larger than " +
            std::to_string(bytes_max) + " bytes; leave it out"
    );
}

}  // namespace starling::data
