#include "data/batcher.hpp"

#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "base/rng.hpp"

namespace starling::data {

namespace {

Scale scale_of(const Manifest& manifest) {
    const auto* image = std::get_if<ImageRecipe>(&manifest.recipe);
    return image == nullptr ? Scale{} : image->scales[0];
}

/// Makes the draw of a shift independent of the draws of the keys.
constexpr std::uint64_t kShiftPurpose = 0x5348494654;

}  // namespace

Normalizer::Normalizer(const Scale& scale)
    : scale_(static_cast<float>(1.0 / (255.0 * scale.stddev))),
      offset_(static_cast<float>(-static_cast<double>(scale.mean) / scale.stddev)) {}

void Normalizer::apply(std::span<const std::uint8_t> values, std::span<float> out) const {
    STARLING_CHECK(values.size() == out.size());
    // The compiler vectorises a multiplication and an addition; a table of 256 floats was slower.
    const std::uint8_t* __restrict from = values.data();
    float* __restrict to = out.data();
    for (std::size_t i = 0; i < values.size(); ++i) {
        to[i] = static_cast<float>(from[i]) * scale_ + offset_;
    }
}

SampleReader::SampleReader(const Manifest& manifest)
    : text_(manifest.is_text()),
      elements_(manifest.sample_elements()),
      labels_(manifest.labels_per_sample()),
      normalizer_(scale_of(manifest)) {}

void SampleReader::read(
    const ShardView& view,
    std::size_t sample,
    std::size_t shift,
    std::span<float> values,
    std::span<std::int32_t> labels
) const {
    if (!text_) {
        normalizer_.apply(view.values.subspan(sample * elements_, elements_), values);
        labels[0] = view.label(sample);
        return;
    }
    const std::size_t ring = view.tokens() - 1;
    std::size_t at = (sample * elements_ + shift) % ring;
    for (std::size_t i = 0; i < elements_; ++i) {
        values[i] = static_cast<float>(view.token(at));
        labels[i] = view.token(at + 1);
        if (++at == ring) at = 0;
    }
}

Batcher::Batcher(const ShardStore& store, std::uint64_t seed)
    : store_(store),
      reader_(store.manifest()),
      order_(seed) {}

void Batcher::set_shards(std::span<const ShardId> shards) {
    // We sort by id. Samples with equal keys then have one order, whatever the order of `shards`.
    std::vector<ShardId> ids(shards.begin(), shards.end());
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    std::vector<Slot> slots;
    slots.reserve(ids.size());
    auto old = slots_.begin();
    for (const auto& id : ids) {
        STARLING_CHECK(store_.info(id) != nullptr);
        while (old != slots_.end() && old->id < id) ++old;
        const bool known = old != slots_.end() && old->id == id;
        slots.push_back(known ? std::move(*old++) : Slot{id, nullptr, {}});
    }
    slots_ = std::move(slots);
    missing_ = slots_.size();
    take_arrivals();
}

bool Batcher::arrived() {
    // The count first: a shard that comes after it changes it again.
    const std::size_t held = store_.held();
    if (missing_ == 0 || held == looked_at_) return false;
    const auto here = [this](const Slot& slot) { return !slot.bytes && store_.has(slot.id); };
    if (std::any_of(slots_.begin(), slots_.end(), here)) return true;
    looked_at_ = held;
    return false;
}

void Batcher::take_arrivals() {
    std::vector<OrderedShard> held;
    held.reserve(slots_.size());
    missing_ = 0;
    for (auto& slot : slots_) {
        if (!slot.bytes) {
            slot.bytes = store_.get(slot.id);
            if (slot.bytes) slot.view = store_.view(*slot.bytes);
        }
        if (!slot.bytes) ++missing_;
        held.push_back({slot.id, slot.view.samples});
    }
    order_.set(std::move(held));
}

bool Batcher::next(std::span<float> values, std::span<std::int32_t> labels) {
    if (arrived()) take_arrivals();
    return draw(values, labels);
}

bool Batcher::draw(std::span<float> values, std::span<std::int32_t> labels) {
    const std::size_t elements = reader_.elements();
    const std::size_t count = values.size() / elements;
    STARLING_CHECK(count > 0 && values.size() == count * elements);
    STARLING_CHECK(labels.size() == count * reader_.labels());
    for (std::size_t i = 0; i < count; ++i) {
        const auto drawn = order_.next();
        if (!drawn) return false;  // at the first one, or never: a set does not run dry
        reader_.read(
            slots_[drawn->slot].view,
            drawn->sample,
            mix64(drawn->shard_seed ^ kShiftPurpose) >> 1U,
            values.subspan(i * elements, elements),
            labels.subspan(i * reader_.labels(), reader_.labels())
        );
    }
    return true;
}

std::uint64_t Batcher::samples() const {
    std::uint64_t sum = 0;
    for (const auto& slot : slots_) {
        // We ask the store, too: a shard may have arrived since the last batch.
        if (slot.bytes || store_.has(slot.id)) sum += store_.info(slot.id)->samples;
    }
    return sum;
}

std::size_t read_test_samples(
    const ShardStore& store,
    std::size_t first,
    std::span<float> values,
    std::span<std::int32_t> labels
) {
    const SampleReader reader(store.manifest());
    const std::size_t elements = reader.elements();
    const std::size_t room = values.size() / elements;
    STARLING_CHECK(values.size() % elements == 0 && labels.size() >= room * reader.labels());
    std::size_t written = 0;
    std::size_t start = 0;  // index of the shard's first sample among all held ones
    for (const auto& info : store.manifest().shards) {
        if (written == room) break;
        if (info.split != Split::Test) continue;
        const auto bytes = store.get(info.id);
        if (!bytes) continue;
        const ShardView view = store.view(*bytes);
        const std::size_t end = start + view.samples;
        for (std::size_t at = first + written; at < end && written < room; ++at, ++written) {
            reader.read(
                view,
                at - start,
                0,
                values.subspan(written * elements, elements),
                labels.subspan(written * reader.labels(), reader.labels())
            );
        }
        start = end;
    }
    return written;
}

}  // namespace starling::data
