#include "data/shard_view.hpp"

#include <cstring>
#include <optional>

#include "base/check.hpp"
#include "data/shard_format.hpp"

namespace starling::data {

namespace {

std::span<const std::uint8_t> as_numbers(ByteView bytes) {
    return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
}

Fault bad(const ShardInfo& info, const std::string& what) {
    return fail(FaultCode::BadFormat, "shard " + info.id.short_string() + ": " + what);
}

struct Header {
    std::uint32_t magic = 0;
    std::uint16_t version = 0;
    std::uint16_t split = 0;
    std::uint32_t ordinal = 0;  ///< it only tells equal samples apart
    std::uint32_t items = 0;
    std::uint32_t item_bytes = 0;  ///< of a shard of records: bytes of all labels
};

Header read_header(ByteView bytes) {
    ByteReader reader(bytes);
    Header header;
    header.magic = reader.take<std::uint32_t>();
    header.version = reader.take<std::uint16_t>();
    header.split = reader.take<std::uint16_t>();
    header.ordinal = reader.take<std::uint32_t>();
    header.items = reader.take<std::uint32_t>();
    header.item_bytes = reader.take<std::uint32_t>();
    return header;
}

/// Lays out a shard of records of `size` bytes, of which these are the first or all. Returns nothing if its
/// parts do not fit.
std::optional<ShardView> view_records(
    ByteView bytes, std::size_t size, const Header& header, const Label& label
) {
    const bool boxes = label.kind == LabelKind::Boxes;
    const std::uint64_t ends = (std::uint64_t{header.items} + 1) * kEndBytes;
    const std::uint64_t head = kShardHeaderBytes + (boxes ? 2 : 1) * ends;
    if (header.items == 0 || head + header.item_bytes > bytes.size()) return std::nullopt;
    const auto all = as_numbers(bytes);
    ShardView view;
    view.samples = header.items;
    view.record_ends = all.subspan(kShardHeaderBytes, ends);
    if (boxes) view.label_ends = all.subspan(kShardHeaderBytes + ends, ends);
    view.label_bytes = label_bytes(label);
    view.labels = all.subspan(head, header.item_bytes);
    view.values = all.subspan(head + header.item_bytes);
    view.values_bytes = size - (head + header.item_bytes);
    return view;
}

ShardView view_samples(ByteView bytes, const Manifest& manifest) {
    const auto elements = manifest.sample_elements();
    const std::size_t body = bytes.size() - kShardHeaderBytes;
    STARLING_CHECK(body % (elements + kLabelBytes) == 0);
    ShardView view;
    view.samples = static_cast<std::uint32_t>(body / (elements + kLabelBytes));
    view.record_bytes = elements;
    view.label_bytes = kLabelBytes;
    const auto all = as_numbers(bytes);
    view.values = all.subspan(kShardHeaderBytes, view.samples * elements);
    view.values_bytes = view.values.size();
    view.labels = all.subspan(kShardHeaderBytes + view.values.size());
    return view;
}

/// Lays out a text's shard of `size` bytes, of which these are the header or all.
ShardView view_text(ByteView bytes, std::size_t size, const Manifest& manifest) {
    ShardView view;
    view.values_bytes = shard_tokens(size) * kTokenBytes;
    if (bytes.size() == size) {
        view.values = as_numbers(bytes).subspan(kShardHeaderBytes, view.values_bytes);
    }
    view.samples =
        static_cast<std::uint32_t>(windows_in(view.tokens(), manifest.sample_elements()));
    return view;
}

std::uint32_t end_at(std::span<const std::uint8_t> ends, std::size_t at) {
    std::uint32_t end = 0;
    std::memcpy(&end, ends.data() + at * kEndBytes, kEndBytes);
    return end;
}

/// Returns whether the ends begin at 0, rise to `last`, and are at most `longest` apart, and at least
/// `shortest`.
bool sound_ends(
    std::span<const std::uint8_t> ends, std::size_t last, std::size_t shortest, std::size_t longest
) {
    const std::size_t count = ends.size() / kEndBytes;
    if (end_at(ends, 0) != 0 || end_at(ends, count - 1) != last) return false;
    for (std::size_t i = 1; i < count; ++i) {
        const std::uint64_t before = end_at(ends, i - 1);
        const std::uint64_t end = end_at(ends, i);
        if (end < before + shortest || end > before + longest) return false;
    }
    return true;
}

Result<void> check_records(const ShardView& view, const ShardInfo& info, const Manifest& manifest) {
    const auto stored = manifest.stored_bytes();
    const auto shortest = stored > 0 ? stored : 1;
    const auto longest = stored > 0 ? stored : kEncodedBytesMax;
    if (!sound_ends(view.record_ends, view.values_bytes, shortest, longest)) {
        return bad(info, "its records do not fit its bytes");
    }
    const auto& label = manifest.schema.label;
    const bool labels_fit =
        view.label_ends.empty()
            ? view.labels.size() == view.samples * view.label_bytes
            : sound_ends(
                  view.label_ends, view.labels.size(), kLeastBoxLabelBytes, view.labels.size()
              );
    if (!labels_fit) return bad(info, "its labels do not fit its samples");
    for (std::uint32_t i = 0; i < view.samples; ++i) {
        if (auto sound = read_label(label, view.label_of(i)); !sound) {
            return bad(info, sound.error().message);
        }
    }
    return {};
}

/// Checks the numbers below the count of classes: tokens, or labels of one class.
Result<void> check_classes(const ShardView& view, const ShardInfo& info, const Manifest& manifest) {
    const auto classes = manifest.classes();
    const std::size_t count = manifest.is_text() ? view.tokens() : view.samples;
    for (std::size_t i = 0; i < count; ++i) {
        if ((manifest.is_text() ? view.token(i) : view.label(i)) >= classes) {
            return bad(info, "a label is out of range");
        }
    }
    return {};
}

}  // namespace

std::size_t ShardView::end(std::span<const std::uint8_t> ends, std::size_t at) {
    return end_at(ends, at);
}

ByteView ShardView::piece(
    std::span<const std::uint8_t> all,
    std::span<const std::uint8_t> ends,
    std::size_t each,
    std::size_t at
) {
    if (ends.empty()) return std::as_bytes(all.subspan(at * each, each));
    const std::size_t begin = end(ends, at);
    return std::as_bytes(all.subspan(begin, end(ends, at + 1) - begin));
}

Result<ByteView> ShardView::values_at(std::size_t begin, std::size_t size, Bytes& room) const {
    if (extents == nullptr) return std::as_bytes(values.subspan(begin, size));
    room.clear();
    const auto read = extents->read(extents->head().size() + begin, size, room);
    if (!read) return read.error();
    return ByteView(room);
}

Result<ByteView> ShardView::record(std::size_t sample, Bytes& room) const {
    if (extents == nullptr) return record(sample);
    const std::size_t begin = end(record_ends, sample);
    return values_at(begin, end(record_ends, sample + 1) - begin, room);
}

Result<ByteView> ShardView::tokens_at(std::size_t at, std::size_t count, Bytes& room) const {
    return values_at(at * kTokenBytes, count * kTokenBytes, room);
}

namespace {

/// Checks what a header says of itself. `size` is the whole shard's.
Result<void> check_header(
    const Header& header, std::size_t size, const ShardInfo& info, const Manifest& manifest
) {
    const auto version = shard_version(manifest);
    if (size <= kShardHeaderBytes || header.magic != kShardMagic) {
        return bad(info, "it does not start like one");
    }
    if (header.version != version) return bad(info, "unknown version");
    if (header.split != static_cast<std::uint16_t>(info.split)) {
        return bad(info, "it belongs to the other split");
    }
    const bool text = version == kShardVersionText;
    if (header.items != (text ? shard_tokens(size) : info.samples)) {
        return bad(info, "its header contradicts the manifest");
    }
    if (version == kShardVersionRecords) return {};
    if (header.item_bytes != (text ? kTokenBytes : manifest.sample_elements())) {
        return bad(info, "its header contradicts the manifest");
    }
    return {};
}

}  // namespace

Result<ShardView> open_shard(ByteView bytes, const ShardInfo& info, const Manifest& manifest) {
    const auto header = read_header(bytes);
    if (auto ok = check_header(header, bytes.size(), info, manifest); !ok) return ok.error();
    if (shard_version(manifest) == kShardVersionRecords) {
        const auto view = view_records(bytes, bytes.size(), header, manifest.schema.label);
        if (!view) return bad(info, "its header contradicts the manifest");
        if (auto sound = check_records(*view, info, manifest); !sound) return sound.error();
        return *view;
    }
    const auto view = view_shard(bytes, manifest);
    if (auto sound = check_classes(view, info, manifest); !sound) return sound.error();
    return view;
}

Result<ShardView> open_shard(
    const StoredShard& shard, const ShardInfo& info, const Manifest& manifest
) {
    if (!shard.extents) return open_shard(shard.bytes.view, info, manifest);
    const auto head = shard.extents->head();
    const auto size = shard.size();
    const auto header = read_header(head);
    if (auto ok = check_header(header, size, info, manifest); !ok) return ok.error();
    std::optional<ShardView> view;
    if (shard_version(manifest) == kShardVersionText) {
        if (head.size() == kShardHeaderBytes) view = view_text(head, size, manifest);
    } else if (shard_version(manifest) == kShardVersionRecords) {
        view = view_records(head, size, header, manifest.schema.label);
        // Behind the labels the records begin, and with them the extents.
        if (view && !view->values.empty()) view.reset();
    }
    if (!view) return bad(info, "its extents do not fit its header");
    view->extents = shard.extents.get();
    if (shard_version(manifest) == kShardVersionText) return *view;
    if (auto sound = check_records(*view, info, manifest); !sound) return sound.error();
    return *view;
}

ShardView view_shard(ByteView bytes, const Manifest& manifest) {
    STARLING_CHECK(bytes.size() > kShardHeaderBytes);
    if (manifest.is_text()) return view_text(bytes, bytes.size(), manifest);
    if (shard_version(manifest) != kShardVersionRecords) return view_samples(bytes, manifest);
    const auto view = view_records(bytes, bytes.size(), read_header(bytes), manifest.schema.label);
    STARLING_CHECK(view.has_value());
    return *view;
}

ShardView view_shard(const StoredShard& shard, const Manifest& manifest) {
    if (!shard.extents) return view_shard(shard.bytes.view, manifest);
    const auto head = shard.extents->head();
    auto view = manifest.is_text()
                    ? std::optional(view_text(head, shard.size(), manifest))
                    : view_records(head, shard.size(), read_header(head), manifest.schema.label);
    STARLING_CHECK(view.has_value());
    view->extents = shard.extents.get();
    return *view;
}

std::size_t shard_head_bytes(ByteView bytes, const Manifest& manifest) {
    const auto version = shard_version(manifest);
    if (version == kShardVersionText) return kShardHeaderBytes;
    if (version != kShardVersionRecords) return 0;
    const auto view = view_shard(bytes, manifest);
    return bytes.size() - view.values_bytes;
}

}  // namespace starling::data
