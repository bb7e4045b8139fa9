#include "data/batcher.hpp"

#include <algorithm>
#include <tuple>
#include <unordered_map>
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
      position_{0, 0, seed} {}

void Batcher::set_shards(std::span<const ShardId> shards) {
    std::unordered_map<ShardId, Slot> old;
    for (auto& slot : slots_) old.emplace(slot.id, std::move(slot));
    slots_.clear();
    for (const auto& id : shards) {
        STARLING_CHECK(store_.info(id) != nullptr);
        const auto [place, added] = old.try_emplace(id);
        place->second.id = id;
        slots_.push_back(place->second);
    }
    // We sort by id. Samples with equal keys then have one order, whatever the order of `shards`.
    const auto by_id = [](const Slot& a, const Slot& b) { return a.id < b.id; };
    const auto same = [](const Slot& a, const Slot& b) { return a.id == b.id; };
    std::sort(slots_.begin(), slots_.end(), by_id);
    slots_.erase(std::unique(slots_.begin(), slots_.end(), same), slots_.end());
    missing_ = static_cast<std::size_t>(
        std::count_if(slots_.begin(), slots_.end(), [](const auto& s) { return !s.bytes; })
    );
    stale_ = true;
    take_arrivals();
}

void Batcher::take_arrivals() {
    if (missing_ == 0) return;
    for (auto& slot : slots_) {
        if (slot.bytes) continue;
        slot.bytes = store_.get(slot.id);
        if (!slot.bytes) continue;
        slot.view = store_.view(*slot.bytes);
        --missing_;
        stale_ = true;
    }
}

void Batcher::order_rest_of_epoch() {
    const std::uint64_t epoch_seed = mix64(*position_.seed ^ mix64(position_.epoch));
    order_.clear();
    cursor_ = 0;
    for (std::size_t s = 0; s < slots_.size(); ++s) {
        if (!slots_[s].bytes) continue;
        const std::uint64_t shard_seed = mix64(epoch_seed ^ slots_[s].id.prefix64());
        slots_[s].shift = mix64(shard_seed ^ kShiftPurpose) >> 1U;
        for (std::uint32_t i = 0; i < slots_[s].view.samples; ++i) {
            // A key has 63 bits, so that the largest key + 1 still fits.
            const std::uint64_t key = mix64(shard_seed ^ mix64(i)) >> 1U;
            if (key < position_.next) continue;
            order_.push_back({key, static_cast<std::uint32_t>(s), i});
        }
    }
    std::sort(order_.begin(), order_.end(), [](const Entry& a, const Entry& b) {
        return std::tie(a.key, a.slot, a.sample) < std::tie(b.key, b.slot, b.sample);
    });
    stale_ = false;
}

void Batcher::pass(const Entry& given) {
    ++cursor_;
    // Two samples may have the same key (odds 1e-10 for 60,000 samples). If the set changes just
    // between them, the second one is skipped.
    position_.next = given.key + 1;
    if (cursor_ < order_.size()) return;
    position_ = {position_.epoch + 1, 0, position_.seed};
    stale_ = true;
}

bool Batcher::next(std::span<float> values, std::span<std::int32_t> labels) {
    const std::size_t elements = reader_.elements();
    const std::size_t count = values.size() / elements;
    STARLING_CHECK(count > 0 && values.size() == count * elements);
    STARLING_CHECK(labels.size() == count * reader_.labels());
    take_arrivals();
    if (missing_ == slots_.size()) return false;
    for (std::size_t i = 0; i < count; ++i) {
        if (stale_) order_rest_of_epoch();
        if (order_.empty()) {
            // The set has lost every sample that was left of this epoch.
            position_ = {position_.epoch + 1, 0, position_.seed};
            order_rest_of_epoch();
        }
        const Entry entry = order_[cursor_];
        const Slot& slot = slots_[entry.slot];
        reader_.read(
            slot.view,
            entry.sample,
            slot.shift,
            values.subspan(i * elements, elements),
            labels.subspan(i * reader_.labels(), reader_.labels())
        );
        pass(entry);
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

void Batcher::resume(const BatcherPosition& position) {
    const auto seed = position.seed ? position.seed : position_.seed;
    position_ = {position.epoch, position.next, seed};
    stale_ = true;
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
