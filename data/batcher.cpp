#include "data/batcher.hpp"

#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "base/rng.hpp"

namespace starling::data {

namespace {

/// Makes the draw of a shift independent of the draws of the keys.
constexpr std::uint64_t kShiftPurpose = 0x5348494654;
/// So many damaged records in a row mean that there is no other kind.
constexpr int kDamagedInARowMax = 1000;

}  // namespace

Batcher::Batcher(const ShardStore& store, std::uint64_t seed)
    : store_(store),
      preparation_(store.manifest()),
      order_(seed) {}

void Batcher::set_shards(std::span<const ShardId> shards) {
    std::vector<ShardStart> starts;
    starts.reserve(shards.size());
    for (const auto& id : shards) starts.push_back({id});
    replace(std::move(starts), false);
}

void Batcher::set_shards_from(std::span<const ShardStart> shards) {
    replace({shards.begin(), shards.end()}, true);
}

void Batcher::replace(std::vector<ShardStart> shards, bool resumes) {
    const auto now = place_of(position());
    // We sort by id. Samples with equal keys then have one order, whatever the order of `shards`.
    std::sort(shards.begin(), shards.end(), [](const auto& a, const auto& b) {
        return a.id < b.id;
    });
    const auto same = [](const auto& a, const auto& b) { return a.id == b.id; };
    shards.erase(std::unique(shards.begin(), shards.end(), same), shards.end());
    std::vector<Slot> slots;
    slots.reserve(shards.size());
    auto old = slots_.begin();
    const auto leave = [&](const Slot& slot) {
        const auto from = slot.from.value_or(now);
        if (resumes) left_[slot.id] = slot.held ? std::max(from, now) : from;
    };
    for (const auto& [id, from] : shards) {
        STARLING_CHECK(store_.info(id) != nullptr);
        for (; old != slots_.end() && old->id < id; ++old) leave(*old);
        if (old != slots_.end() && old->id == id) {
            slots.push_back(std::move(*old++));
            if (from) slots.back().from = std::max(slots.back().from.value_or(*from), *from);
            continue;
        }
        auto start = from;
        const auto left = resumes ? left_.find(id) : left_.end();
        if (left != left_.end()) start = start ? std::max(*start, left->second) : left->second;
        if (resumes && !start) start = now;
        slots.push_back({id, start, false, {}, {}});
    }
    for (; old != slots_.end(); ++old) leave(*old);
    slots_ = std::move(slots);
    missing_ = slots_.size();
    take_arrivals();
}

bool Batcher::arrived() {
    // The count first: a shard that comes after it changes it again.
    const auto arrivals = store_.arrivals();
    if (missing_ == 0 || arrivals == looked_at_) return false;
    const auto here = [this](const Slot& slot) { return !slot.held && store_.has(slot.id); };
    if (std::any_of(slots_.begin(), slots_.end(), here)) return true;
    looked_at_ = arrivals;
    return false;
}

void Batcher::take_arrivals() {
    const auto now = place_of(position());
    missing_ = 0;
    std::optional<EpochPlace> least;
    std::vector<bool> came(slots_.size());
    for (std::size_t i = 0; i < slots_.size(); ++i) {
        auto& slot = slots_[i];
        came[i] = !slot.held;
        if (!slot.held) {
            slot.shard = store_.get(slot.id);
            slot.held = static_cast<bool>(slot.shard);
            if (slot.held) slot.view = store_.view(slot.shard);
        }
        if (!slot.held) {
            ++missing_;
            continue;
        }
        const auto from = slot.from.value_or(now);
        const auto place = came[i] ? from : std::max(from, now);
        least = least ? std::min(*least, place) : place;
    }
    std::vector<OrderedShard> held;
    held.reserve(slots_.size());
    for (std::size_t i = 0; i < slots_.size(); ++i) {
        auto& slot = slots_[i];
        // Who goes back for a shard that is behind gives nothing of the others until then.
        if (slot.held && !came[i] && least < now)
            slot.from = std::max(slot.from.value_or(now), now);
        held.push_back({slot.id, slot.view.samples, slot.from.value_or(EpochPlace{})});
    }
    if (!least || *least == now) return order_.set(std::move(held));
    order_.set_at(std::move(held), *least);
}

std::vector<ShardPlace> Batcher::places() const {
    std::vector<ShardPlace> places;
    places.reserve(slots_.size());
    const auto now = place_of(position());
    for (const auto& slot : slots_) {
        places.push_back({slot.id, slot.from.value_or(now), slot.held});
    }
    return places;
}

/// Takes the bytes of shards from where they lie now. The caller of arrived() and samples() looks at
/// slots meanwhile, but not at their bytes.
void Batcher::follow_moves() {
    const auto moves = store_.moves();
    if (moves == moves_) return;
    moves_ = moves;
    for (auto& slot : slots_) {
        const auto& [bytes, extents] = slot.shard;
        if (!slot.held || (bytes.mapped && !(extents && extents->changed()))) continue;
        auto shard = store_.get(slot.id);
        if (!shard) continue;  // given up since
        slot.shard = std::move(shard);
        slot.view = store_.view(slot.shard);
    }
}

bool Batcher::next(const SampleOut& out) {
    if (arrived()) take_arrivals();
    return draw(out);
}

bool Batcher::draw(const SampleOut& out) {
    const std::size_t elements = preparation_.values();
    const std::size_t count = out.values.size() / elements;
    STARLING_CHECK(count > 0 && out.values.size() == count * elements);
    STARLING_CHECK(out.labels.size() == count * preparation_.labels());
    STARLING_CHECK(out.targets.size() == count * preparation_.targets());
    follow_moves();
    for (std::size_t i = 0; i < count; ++i) {
        if (!draw_one(preparation_.part(out, i))) return false;
    }
    return true;
}

/// Draws the next sample that can be read.
bool Batcher::draw_one(const SampleOut& out) {
    for (int tries = 0; tries < kDamagedInARowMax; ++tries) {
        const auto drawn = order_.next();
        if (!drawn) return false;  // at the first one, or never: a set does not run dry
        const auto& slot = slots_[drawn->slot];
        // What is drawn for a sample depends on seed, epoch, shard and sample alone.
        const auto read = preparation_.read(
            slot.view,
            drawn->sample,
            mix64(drawn->shard_seed ^ kShiftPurpose) >> 1U,
            drawn->seed,
            out
        );
        if (read) return true;
        if (damaged_++ == 0) {
            first_damage_ = "shard " + slot.id.short_string() + ", record " +
                            std::to_string(drawn->sample) + ": " + read.error().message;
        }
    }
    return false;
}

std::uint64_t Batcher::samples() const {
    std::uint64_t sum = 0;
    for (const auto& slot : slots_) {
        // We ask the store, too: a shard may have arrived since the last batch.
        if (slot.held || store_.has(slot.id)) sum += store_.info(slot.id)->samples;
    }
    return sum;
}

SamplesRead read_samples(
    const ShardStore& store,
    Preparation& preparation,
    Split split,
    std::size_t first,
    std::size_t count,
    const SampleOut& out
) {
    return read_samples(store, preparation, shards_of(store.manifest(), split), first, count, out);
}

std::vector<ShardId> shards_of(const Manifest& manifest, Split split) {
    std::vector<ShardId> shards;
    for (const auto& info : manifest.shards) {
        if (info.split == split) shards.push_back(info.id);
    }
    return shards;
}

SamplesRead read_samples(
    const ShardStore& store,
    Preparation& preparation,
    std::span<const ShardId> shards,
    std::size_t first,
    std::size_t count,
    const SampleOut& out
) {
    SamplesRead read;
    std::size_t start = 0;  // index of the shard's first sample among all held ones
    for (const auto& shard : shards) {
        if (read.passed == count) break;
        const auto held = store.get(shard);
        if (!held) continue;
        const ShardView view = store.view(held);
        const std::size_t end = start + view.samples;
        for (std::size_t at = first + read.passed; at < end && read.passed < count; ++at) {
            ++read.passed;
            const auto place = preparation.part(out, read.filled);
            if (preparation.read(view, at - start, 0, std::nullopt, place)) ++read.filled;
        }
        start = end;
    }
    return read;
}

}  // namespace starling::data
