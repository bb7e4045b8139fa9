#include "data/shard_extents.hpp"

#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <vector>

#include "base/check.hpp"
#include "base/checked.hpp"
#include "data/manifest.hpp"

namespace starling::data {

namespace {

constexpr std::uint32_t kMagic = 0x544e5458;  // "XTNT" in little-endian order
constexpr std::uint16_t kVersion = 1;
constexpr std::size_t kExtentBytes = 16;
constexpr std::size_t kFileBytes = 24;

template <class T>
T number_at(ByteView bytes, std::size_t at) {
    T number{};
    std::memcpy(&number, bytes.data() + at, sizeof(T));
    return number;
}

}  // namespace

Bytes encode_extents(ByteView head, std::span<const FileExtent> extents) {
    std::unordered_map<std::string, std::uint32_t> numbers;
    std::vector<const FileExtent*> files;
    std::uint32_t names = 0;
    Bytes written;
    ByteWriter writer(written);
    std::uint32_t begin = 0;
    for (const auto& extent : extents) {
        const auto [at, fresh] =
            numbers.try_emplace(extent.path, static_cast<std::uint32_t>(files.size()));
        if (fresh) {
            files.push_back(&extent);
            names += static_cast<std::uint32_t>(extent.path.size());
        }
        writer.put(at->second);
        writer.put(begin);
        writer.put(extent.offset);
        begin += extent.length;
    }
    STARLING_CHECK(head.size() + begin <= kShardBytesMax);
    Bytes list;
    ByteWriter out(list);
    out.put(kMagic);
    out.put(kVersion);
    out.put(std::uint16_t{0});
    out.put(static_cast<std::uint32_t>(head.size()));
    out.put(static_cast<std::uint32_t>(extents.size()));
    out.put(static_cast<std::uint32_t>(files.size()));
    out.put(names);
    out.put_bytes(head);
    out.put_bytes(written);
    out.put(begin);
    out.put(std::uint32_t{0});
    std::uint32_t end = 0;
    for (const auto* file : files) {
        end += static_cast<std::uint32_t>(file->path.size());
        out.put(file->state.size);
        out.put(file->state.changed);
        out.put(end);
        out.put(std::uint32_t{0});
    }
    for (const auto* file : files) out.put_bytes(as_byte_view(file->path));
    return list;
}

Result<std::shared_ptr<const ShardExtents>> ShardExtents::open(SharedBytes list) {
    const auto bad = fail(FaultCode::BadFormat, "a list of extents is damaged");
    ByteReader reader(list.view);
    const bool known =
        reader.take<std::uint32_t>() == kMagic && reader.take<std::uint16_t>() == kVersion;
    (void)reader.take<std::uint16_t>();
    const std::uint64_t head = reader.take<std::uint32_t>();
    const std::uint64_t extents = reader.take<std::uint32_t>();
    const std::uint64_t files = reader.take<std::uint32_t>();
    const std::uint64_t names = reader.take<std::uint32_t>();
    if (!known || !reader.ok() || extents == 0) return bad;
    // Each count is below 2^32, so these sums fit 64 bits.
    const auto wanted = head + extents * kExtentBytes + 8 + files * kFileBytes + names;
    if (wanted != reader.remaining()) return bad;
    // The constructor is nobody else's.
    std::shared_ptr<ShardExtents> made(new ShardExtents);
    made->head_ = reader.take_bytes(head);
    made->extents_ = reader.take_bytes(extents * kExtentBytes);
    made->body_ = reader.take<std::uint32_t>();
    (void)reader.take<std::uint32_t>();
    made->files_ = reader.take_bytes(files * kFileBytes);
    made->names_ = reader.take_bytes(names);
    made->list_ = std::move(list);
    if (!made->sound()) return bad;
    return std::shared_ptr<const ShardExtents>(std::move(made));
}

/// Returns whether extents follow each other and lie in their files, and names in the names.
bool ShardExtents::sound() const {
    const auto count = extents_.size() / kExtentBytes;
    const auto files = files_.size() / kFileBytes;
    if (size() > kShardBytesMax) return false;
    std::uint32_t before = 0;
    for (std::size_t i = 0; i < files; ++i) {
        const auto end = name_end(i);
        if (end <= before || end > names_.size()) return false;
        before = end;
    }
    for (std::size_t i = 0; i < count; ++i) {
        const auto one = extent(i);
        if (one.file >= files || one.begin > end(i) || (i == 0 && one.begin != 0)) return false;
        const auto size = number_at<std::uint64_t>(files_, one.file * kFileBytes);
        if (!lies_within(one.offset, std::uint64_t{end(i) - one.begin}, size)) return false;
    }
    return true;
}

ShardExtents::Extent ShardExtents::extent(std::size_t number) const {
    const auto at = number * kExtentBytes;
    return {
        number_at<std::uint32_t>(extents_, at),
        number_at<std::uint32_t>(extents_, at + 4),
        number_at<std::uint64_t>(extents_, at + 8)};
}

/// Returns where an extent's bytes end, behind the head.
std::uint32_t ShardExtents::end(std::size_t number) const {
    const auto next = (number + 1) * kExtentBytes;
    return next < extents_.size() ? number_at<std::uint32_t>(extents_, next + 4)
                                  : static_cast<std::uint32_t>(body_);
}

std::uint32_t ShardExtents::name_end(std::size_t file) const {
    return number_at<std::uint32_t>(files_, file * kFileBytes + 16);
}

ShardExtents::File ShardExtents::file(std::size_t number) const {
    const auto at = number * kFileBytes;
    const auto begin = number == 0 ? 0 : name_end(number - 1);
    const auto name = as_text(names_.subspan(begin, name_end(number) - begin));
    return {
        {number_at<std::uint64_t>(files_, at), number_at<std::int64_t>(files_, at + 8)},
        std::string(name)};
}

Result<void> ShardExtents::read(std::size_t offset, std::size_t length, Bytes& out) const {
    STARLING_CHECK(lies_within(offset, length, size()));
    const auto before = out.size();
    out.reserve(before + length);
    if (offset < head_.size() && length > 0) {
        const auto here = std::min(length, head_.size() - offset);
        ByteWriter(out).put_bytes(head_.subspan(offset, here));
        offset += here;
        length -= here;
    }
    if (length == 0) return {};
    offset -= head_.size();
    // The last extent that begins at `offset` or before it. Extents without bytes may precede it.
    std::size_t first = 0;
    std::size_t after = extents_.size() / kExtentBytes;
    while (after - first > 1) {
        const auto middle = first + (after - first) / 2;
        (extent(middle).begin <= offset ? first : after) = middle;
    }
    for (std::size_t i = first; length > 0; ++i) {
        const auto from = extent(i);
        const auto here = std::min<std::size_t>(length, end(i) - offset);
        if (auto done = read_extent(from, offset - from.begin, here, out); !done) {
            out.resize(before);
            changed_file_ = from.file;
            return done;
        }
        offset += here;
        length -= here;
    }
    return {};
}

Result<void> ShardExtents::read_extent(
    const Extent& from, std::size_t skip, std::size_t length, Bytes& out
) const {
    auto [state, path] = file(from.file);
    const auto opened = UserFile::open(std::move(path));
    if (!opened) return opened.error();
    if (auto same = opened->check(state); !same) return same;
    return opened->read(from.offset + skip, length, out);
}

Result<void> ShardExtents::check_first() const {
    Bytes nothing;
    const auto first = extent(0);
    auto done = read_extent(first, 0, 0, nothing);
    if (!done) changed_file_ = first.file;
    return done;
}

}  // namespace starling::data
