#include "peer/terms/shard_tally.hpp"

#include <algorithm>

#include "data/shard_format.hpp"
#include "data/shard_view.hpp"

namespace starling::peer {

void ShardTally::count(std::size_t label) {
    if (classes_.size() <= label) classes_.resize(label + 1);
    ++classes_[label];
}

void ShardTally::add(ByteView shard) {
    ByteReader reader(shard);
    (void)reader.take<std::uint32_t>();  // magic
    const auto version = reader.take<std::uint16_t>();
    const bool train =
        reader.take<std::uint16_t>() == static_cast<std::uint16_t>(data::Split::Train);
    (void)reader.take<std::uint32_t>();  // ordinal
    const auto samples = reader.take<std::uint32_t>();
    const auto each = reader.take<std::uint32_t>();
    if (version == data::kShardVersionText) {
        tokens_.at(train ? 0 : 1) += data::shard_tokens(shard.size());
    } else if (train && version == data::kShardVersionRecords) {
        add_records(shard);
    } else if (train) {
        (void)reader.take_bytes(std::size_t{samples} * each);
        for (std::uint32_t i = 0; i < samples; ++i) count(reader.take<std::uint16_t>());
    }
}

void ShardTally::add_records(ByteView shard) {
    const auto& label = like_.schema.label;
    const auto view = data::view_shard(shard, like_);
    for (std::uint32_t i = 0; i < view.samples; ++i) {
        if (label.kind == data::LabelKind::Class) count(view.label(i));
        if (label.kind != data::LabelKind::Boxes) continue;
        const auto value = data::read_label(label, view.label_of(i));
        if (!value) continue;
        for (const auto& box : value->boxes) count(box.label);
        boxes_.boxes += value->boxes.size();
        boxes_.most = std::max(boxes_.most, value->boxes.size());
        ++boxes_.pictures;
    }
}

std::vector<std::uint64_t> ShardTally::classes(std::size_t count) const {
    auto counts = classes_;
    counts.resize(count);
    return counts;
}

BoxCounts ShardTally::boxes(std::size_t classes) const {
    auto boxes = boxes_;
    boxes.of_class = this->classes(classes);
    return boxes;
}

}  // namespace starling::peer
