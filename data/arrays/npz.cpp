#include "data/arrays/npz.hpp"

#include <algorithm>
#include <limits>

#include "base/bytes.hpp"
#include "base/printable.hpp"

namespace starling::data {

namespace {

// Source    PKWARE's APPNOTE 6.3.10: 4.3.16 (end), 4.3.14 (zip64's end), 4.3.12 (directory)
constexpr std::uint32_t kEndMagic = 0x06054b50;
constexpr std::uint32_t kEnd64Magic = 0x06064b50;
constexpr std::uint32_t kLocator64Magic = 0x07064b50;
constexpr std::uint32_t kEntryMagic = 0x02014b50;
constexpr std::size_t kEndBytes = 22;
constexpr std::size_t kLocator64Bytes = 20;
constexpr std::size_t kEnd64Bytes = 56;
constexpr std::size_t kCommentMax = 65535;
constexpr std::uint32_t kIn64 = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint16_t kUnixLink = 0xa000;

/// Where the directory lies and how many entries it has.
struct Directory {
    std::uint64_t entries = 0;
    std::uint64_t bytes = 0;
    std::uint64_t offset = 0;
};

Result<std::string> read_text(const RandomBytes& bytes, std::uint64_t offset, std::size_t size) {
    std::string text(size, '\0');
    auto* room = reinterpret_cast<std::uint8_t*>(text.data());
    if (auto read = bytes.read_at(offset, {room, size}); !read) return read.error();
    return text;
}

/// Reads zip64's end, which lies before the other one when a number does not fit there.
Result<Directory> find_directory64(const RandomBytes& bytes, std::uint64_t end) {
    const auto damaged = bytes.bad(FaultCode::BadFormat, "zip64's end is damaged; fetch it again");
    if (end < kLocator64Bytes) return damaged;
    const auto locator = read_text(bytes, end - kLocator64Bytes, kLocator64Bytes);
    if (!locator) return locator.error();
    ByteReader in(as_byte_view(*locator));
    if (in.take<std::uint32_t>() != kLocator64Magic) return damaged;
    in.take_bytes(4);
    const auto record = read_text(bytes, in.take<std::uint64_t>(), kEnd64Bytes);
    if (!record) return damaged;
    ByteReader end64(as_byte_view(*record));
    if (end64.take<std::uint32_t>() != kEnd64Magic) return damaged;
    end64.take_bytes(28);
    Directory directory;
    directory.entries = end64.take<std::uint64_t>();
    directory.bytes = end64.take<std::uint64_t>();
    directory.offset = end64.take<std::uint64_t>();
    return directory;
}

Result<Directory> find_directory(const RandomBytes& bytes) {
    const auto tail_bytes = std::min<std::uint64_t>(bytes.size(), kEndBytes + kCommentMax);
    const auto start = bytes.size() - tail_bytes;
    const auto tail = read_text(bytes, start, static_cast<std::size_t>(tail_bytes));
    if (!tail) return tail.error();
    // The end is searched from behind; a comment of that length must follow it.
    for (std::size_t at = tail->size(); at-- > 0;) {
        if (tail->size() - at < kEndBytes || (*tail)[at] != 'P') continue;
        ByteReader in(as_byte_view(std::string_view(*tail).substr(at)));
        if (in.take<std::uint32_t>() != kEndMagic) continue;
        const auto disk = in.take<std::uint32_t>();
        in.take_bytes(2);
        Directory directory;
        directory.entries = in.take<std::uint16_t>();
        directory.bytes = in.take<std::uint32_t>();
        directory.offset = in.take<std::uint32_t>();
        const auto comment = in.take<std::uint16_t>();
        if (in.remaining() != comment) continue;
        if (disk == kIn64 || directory.entries == 0xffff || directory.bytes == kIn64 ||
            directory.offset == kIn64) {
            return find_directory64(bytes, start + at);
        }
        if (disk != 0) return bytes.bad(FaultCode::Unsupported, "a zip in several parts");
        return directory;
    }
    return bytes.bad(
        FaultCode::BadFormat, "not a zip: its end is missing; was it fetched completely?"
    );
}

/// Takes the numbers that did not fit, from the extra field of number 1.
bool read_extra64(ByteReader extra, ZipMember& member) {
    while (extra.remaining() > 0) {
        const auto id = extra.take<std::uint16_t>();
        ByteReader field(extra.take_bytes(extra.take<std::uint16_t>()));
        if (!extra.ok()) return false;
        if (id != 1) continue;
        for (auto* value : {&member.bytes, &member.packed_bytes, &member.offset}) {
            if (*value == kIn64) *value = field.take<std::uint64_t>();
        }
        return field.ok();
    }
    return true;
}

Result<void> check_name(const RandomBytes& bytes, std::string& name) {
    const auto shown = "the member '" + printable(name.substr(0, 64)) + "' ";
    const bool odd = name.find_first_of("/\\") != std::string::npos ||
                     name.find("..") != std::string::npos ||
                     std::any_of(name.begin(), name.end(), is_control);
    if (odd) return bytes.bad(FaultCode::BadFormat, shown + "has a name that no array has");
    if (!name.ends_with(".npy")) {
        return bytes.bad(FaultCode::Unsupported, shown + "is not a .npy; is it an .npz file?");
    }
    name.resize(name.size() - 4);
    return {};
}

Result<ZipMember> read_entry(const RandomBytes& bytes, ByteReader& in) {
    const auto damaged = bytes.bad(FaultCode::BadFormat, "the zip's directory is damaged");
    if (in.take<std::uint32_t>() != kEntryMagic) return damaged;
    in.take_bytes(4);
    const auto flags = in.take<std::uint16_t>();
    const auto method = in.take<std::uint16_t>();
    in.take_bytes(4);
    ZipMember member;
    member.checksum = in.take<std::uint32_t>();
    member.packed_bytes = in.take<std::uint32_t>();
    member.bytes = in.take<std::uint32_t>();
    const auto name_bytes = in.take<std::uint16_t>();
    const auto extra_bytes = in.take<std::uint16_t>();
    const auto comment_bytes = in.take<std::uint16_t>();
    in.take_bytes(4);
    const auto mode = static_cast<std::uint16_t>(in.take<std::uint32_t>() >> 16U);
    member.offset = in.take<std::uint32_t>();
    member.name = as_text(in.take_bytes(name_bytes));
    const ByteReader extra(in.take_bytes(extra_bytes));
    in.take_bytes(comment_bytes);
    if (!in.ok() || !read_extra64(extra, member)) return damaged;
    if (auto named = check_name(bytes, member.name); !named) return named.error();
    const auto unsupported = [&](const char* what) {
        return bytes.bad(
            FaultCode::Unsupported, "the member '" + member.name + "' " + what + "; save it anew"
        );
    };
    if ((flags & 1U) != 0) return unsupported("is encrypted");
    if ((mode & 0xf000U) == kUnixLink) return unsupported("is a symbolic link");
    if (method != 0 && method != 8) return unsupported("is neither stored nor deflated");
    member.deflated = method == 8;
    if (!member.deflated && member.bytes != member.packed_bytes) return damaged;
    return member;
}

}  // namespace

Result<NpzFile> NpzFile::open(const RandomBytes& bytes) {
    const auto directory = find_directory(bytes);
    if (!directory) return directory.error();
    if (directory->entries > kZipMembersMax || directory->bytes > kNpzDirectoryBytesMax) {
        return bytes.bad(FaultCode::Oversized, "more than 1024 members, or a directory over 1 MiB");
    }
    const auto size = static_cast<std::size_t>(directory->bytes);
    const auto content = read_text(bytes, directory->offset, size);
    if (!content) return content.error();
    ByteReader in(as_byte_view(*content));
    NpzFile file(bytes);
    for (std::uint64_t i = 0; i < directory->entries; ++i) {
        auto entry = read_entry(bytes, in);
        if (!entry) return entry.error();
        const auto same = [&](const ZipMember& other) { return other.name == entry->name; };
        if (std::any_of(file.members_.begin(), file.members_.end(), same)) {
            return bytes.bad(FaultCode::BadFormat, "two members are named '" + entry->name + "'");
        }
        file.members_.push_back(std::move(*entry));
    }
    if (in.remaining() > 0) {
        return bytes.bad(
            FaultCode::BadFormat, "more lies in the zip's directory than its end says"
        );
    }
    return file;
}

Result<const ZipMember*> NpzFile::member(std::string_view name) const {
    std::string names;
    for (const auto& member : members_) {
        if (member.name == name) return &member;
        if (names.size() < 1000) names += (names.empty() ? "" : ", ") + member.name;
    }
    return bytes_->bad(
        FaultCode::NotFound,
        "there is no array '" + printable(std::string(name.substr(0, 64))) + "'; the arrays are " +
            (names.empty() ? "none" : names)
    );
}

Result<std::unique_ptr<ByteStream>> NpzFile::content(std::string_view name) const {
    const auto found = member(name);
    if (!found) return found.error();
    return open_zip_member(*bytes_, **found);
}

Result<NpyReader> NpzFile::array(std::string_view name, ByteStream& content) const {
    const auto found = member(name);
    if (!found) return found.error();
    return NpyReader::open(content, (*found)->bytes);
}

}  // namespace starling::data
