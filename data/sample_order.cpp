#include "data/sample_order.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <tuple>
#include <utility>

#include "base/check.hpp"
#include "base/rng.hpp"

namespace starling::data {

namespace {

/// A key has 63 bits, so that the largest key + 1 still fits.
constexpr std::uint64_t kKeyEnd = std::uint64_t{1} << 63U;

constexpr std::uint64_t kBucketSamples = 64;
constexpr std::uint32_t kGone = ~std::uint32_t{0};

/// Makes the draws of a sample independent of its place in the epoch.
constexpr std::uint64_t kSamplePurpose = 0x53414d504c45;

constexpr std::uint64_t divide_up(std::uint64_t a, std::uint64_t b) {
    return (a + b - 1) / b;
}

/// Returns how many of some samples have keys in [begin, end), on average.
std::uint64_t expected(std::uint64_t samples, std::uint64_t begin, std::uint64_t end) {
    const double share = static_cast<double>(end - begin) / static_cast<double>(kKeyEnd);
    return static_cast<std::uint64_t>(static_cast<double>(samples) * share);
}

/// Returns the room for a list that has so many entries on average: six deviations more, because a
/// list that grows doubles its memory.
std::size_t room_for(std::uint64_t likely) {
    const auto mean = static_cast<double>(likely);
    return static_cast<std::size_t>(mean + 6 * std::sqrt(mean) + 16);
}

std::uint64_t sum_of(const std::vector<OrderedShard>& shards) {
    std::uint64_t sum = 0;
    for (const auto& shard : shards) sum += shard.samples;
    return sum;
}

}  // namespace

/// How a set became another one.
struct SampleOrder::Change {
    std::vector<std::uint32_t> now;   ///< the new slot of each old one, or kGone
    std::vector<std::uint32_t> came;  ///< new slots whose samples were not there
    bool stays = false;               ///< some samples are still there
};

SampleOrder::SampleOrder(std::uint64_t seed, SliceLimits limits)
    : limits_(limits),
      position_{0, 0, seed} {
    STARLING_CHECK(limits.samples_min > 0 && limits.slices_usual > 0 && limits.samples_max > 0);
}

std::uint64_t SampleOrder::slice_end(std::uint64_t begin) const {
    const auto usual = std::min(divide_up(samples_, limits_.samples_min), limits_.slices_usual);
    const auto slices = std::max(usual, divide_up(samples_, limits_.samples_max));
    const auto width = divide_up(kKeyEnd, std::max<std::uint64_t>(slices, 1));
    return begin + std::min(width, kKeyEnd - begin);
}

std::uint64_t SampleOrder::epoch_seed(std::uint64_t epoch) const {
    return mix64(*position_.seed ^ mix64(epoch));
}

void SampleOrder::draw_seeds() {
    const std::uint64_t seed = epoch_seed(running_.epoch);
    seeds_.clear();
    seeds_.reserve(shards_.size());
    for (const auto& shard : shards_) seeds_.push_back(mix64(seed ^ shard.id.prefix64()));
}

std::uint64_t SampleOrder::key_of(Entry entry) const {
    return mix64(seeds_[entry.slot] ^ mix64(entry.sample)) >> 1U;
}

void SampleOrder::scan(std::uint32_t slot, std::uint32_t from, std::uint32_t to, Slice& into) {
    const std::uint32_t block = from / kBlock;
    const std::uint32_t first = block * kBlock;
    if (hashed_block_ != block) {
        for (std::uint32_t i = 0; i < kBlock; ++i) hashes_[i] = mix64(first + i);
        hashed_block_ = block;
    }
    const std::uint64_t seed = mix64(epoch_seed(into.epoch) ^ shards_[slot].id.prefix64());
    const auto& start = shards_[slot].from;
    if (start.epoch > into.epoch) return;
    const auto begin = std::max(into.begin, start.epoch == into.epoch ? start.next : 0);
    if (begin >= into.end) return;
    const std::uint64_t width = into.end - begin;
    for (std::uint32_t i = from; i < to; ++i) {
        const std::uint64_t key = mix64(seed ^ hashes_[i - first]) >> 1U;
        if (key - begin < width) into.entries.push_back({slot, i});
    }
}

void SampleOrder::begin_coming(std::uint64_t epoch, std::uint64_t begin) {
    coming_.epoch = epoch;
    coming_.begin = begin;
    coming_.end = slice_end(begin);
    coming_.entries.clear();
    coming_.entries.reserve(room_for(expected(samples_, coming_.begin, coming_.end)));
    listed_.assign(shards_.size(), 0);
    unlisted_ = samples_;
    block_ = 0;
    listing_slot_ = 0;
}

void SampleOrder::list(std::uint64_t keys) {
    while (keys > 0 && unlisted_ > 0) {
        if (listing_slot_ == shards_.size()) {
            listing_slot_ = 0;
            ++block_;
        }
        const std::uint32_t samples = shards_[listing_slot_].samples;
        const std::uint64_t block_end = (std::uint64_t{block_} + 1) * kBlock;
        const auto end = static_cast<std::uint32_t>(std::min<std::uint64_t>(samples, block_end));
        auto& listed = listed_[listing_slot_];
        if (listed < end) {
            const auto count =
                static_cast<std::uint32_t>(std::min<std::uint64_t>(end - listed, keys));
            scan(listing_slot_, listed, listed + count, coming_);
            listed += count;
            unlisted_ -= count;
            keys -= count;
            if (listed < end) return;
        }
        ++listing_slot_;
    }
}

/// Lists all slices anew from the position on.
void SampleOrder::start() {
    std::uint64_t epoch = position_.epoch;
    std::uint64_t begin = position_.next;
    if (begin >= kKeyEnd) {
        ++epoch;
        begin = 0;
    }
    begin_coming(epoch, begin);
    turn();
    started_ = true;
}

/// The coming slice becomes the running one.
void SampleOrder::turn() {
    list(unlisted_);
    std::swap(running_, coming_);
    if (running_.epoch != position_.epoch) position_ = {running_.epoch, 0, position_.seed};
    draw_seeds();
    arrange();
    const bool last = running_.end == kKeyEnd;
    begin_coming(running_.epoch + (last ? 1 : 0), last ? 0 : running_.end);
}

std::size_t SampleOrder::bucket_of(std::uint64_t key) const {
    return static_cast<std::size_t>((key - running_.begin) >> bucket_shift_);
}

/// Sorts the running slice by buckets, in place.
/// Source    McIlroy, Bostic and McIlroy, "Engineering radix sort" (American flag sort), 1993
void SampleOrder::arrange() {
    auto& entries = running_.entries;
    const std::uint64_t range = std::max<std::uint64_t>(running_.end - running_.begin, 1);
    const std::uint64_t wanted = std::max<std::uint64_t>(entries.size() / kBucketSamples, 1);
    bucket_shift_ = std::min(static_cast<unsigned>(std::bit_width(range / wanted)), 63U);
    bucket_ends_.assign(((range - 1) >> bucket_shift_) + 1, 0);
    for (const auto& entry : entries) ++bucket_ends_[bucket_of(key_of(entry))];
    std::vector<std::uint32_t> free(bucket_ends_.size());  // where the next entry of each goes
    std::uint32_t sum = 0;
    for (std::size_t b = 0; b < free.size(); ++b) {
        free[b] = sum;
        sum += bucket_ends_[b];
        bucket_ends_[b] = sum;
    }
    for (std::size_t b = 0; b < free.size(); ++b) {
        while (free[b] < bucket_ends_[b]) {
            auto& entry = entries[free[b]];
            const std::size_t home = bucket_of(key_of(entry));
            std::swap(entry, entries[free[home]++]);
        }
    }
    bucket_ = 0;
    ready_.clear();
    ready_at_ = 0;
}

/// Makes the next bucket ready. Returns false at the end of the slice.
bool SampleOrder::sort_next_bucket() {
    if (bucket_ == bucket_ends_.size()) return false;
    const std::uint32_t begin = bucket_ == 0 ? 0 : bucket_ends_[bucket_ - 1];
    const std::uint32_t end = bucket_ends_[bucket_];
    ++bucket_;
    ready_.clear();
    ready_at_ = 0;
    for (std::uint32_t i = begin; i < end; ++i) {
        ready_.push_back({key_of(running_.entries[i]), running_.entries[i]});
    }
    std::sort(ready_.begin(), ready_.end(), [](const KeyedEntry& a, const KeyedEntry& b) {
        return std::tie(a.key, a.entry.slot, a.entry.sample) <
               std::tie(b.key, b.entry.slot, b.entry.sample);
    });
    // The whole coming slice is listed over the rest of the running one.
    const std::uint64_t left = running_.entries.size() - begin;
    if (end > begin) list(divide_up(unlisted_ * (end - begin), left));
    return true;
}

/// Goes to the position, which is in the running slice.
void SampleOrder::seek() {
    bucket_ = std::min(bucket_of(position_.next), bucket_ends_.size() - 1);
    (void)sort_next_bucket();
    while (ready_at_ < ready_.size() && ready_[ready_at_].key < position_.next) ++ready_at_;
}

std::optional<SampleDraw> SampleOrder::next() {
    if (samples_ == 0) return std::nullopt;
    if (!started_) start();
    const auto find = [this] {
        while (ready_at_ == ready_.size()) {
            if (!sort_next_bucket()) turn();
        }
    };
    find();
    const auto [key, entry] = ready_[ready_at_++];
    const std::uint64_t shard_seed = seeds_[entry.slot];
    // Two samples may have the same key (odds 1e-10 for 60,000 samples). If the set changes just
    // between them, the second one is skipped.
    position_.next = key + 1;
    // We look for the next one at once: a position at the end of an epoch is that of the next.
    find();
    return SampleDraw{entry.slot, entry.sample, shard_seed, mix64(key ^ kSamplePurpose)};
}

void SampleOrder::resume(const BatcherPosition& position) {
    const BatcherPosition before = position_;
    position_ = {position.epoch, position.next, position.seed ? position.seed : before.seed};
    if (position_ == before || !started_) return;
    const bool here = position_.seed == before.seed && position_.epoch == running_.epoch &&
                      position_.next >= running_.begin && position_.next < running_.end;
    if (here) return seek();
    started_ = false;
}

SampleOrder::Change SampleOrder::change_to(const std::vector<OrderedShard>& shards) const {
    Change change;
    change.now.assign(shards_.size(), kGone);
    std::size_t old = 0;
    for (std::uint32_t slot = 0; slot < shards.size(); ++slot) {
        STARLING_CHECK(slot == 0 || shards[slot - 1].id < shards[slot].id);
        const auto& shard = shards[slot];
        while (old < shards_.size() && shards_[old].id < shard.id) ++old;
        const bool known = old < shards_.size() && shards_[old].id == shard.id;
        if (known && shard.samples > 0 && shards_[old].samples > 0) {
            STARLING_CHECK(shard.samples == shards_[old].samples);
            change.now[old] = slot;
            change.stays = true;
        } else if (shard.samples > 0) {
            change.came.push_back(slot);
        }
    }
    return change;
}

void SampleOrder::set(std::vector<OrderedShard> shards) {
    const Change change = change_to(shards);
    if (!started_ || !change.stays) {
        shards_ = std::move(shards);
        samples_ = sum_of(shards_);
        started_ = false;
        return;
    }
    // Entries name their shards by old slots and seeds until they are renamed.
    auto& entries = running_.entries;
    std::size_t kept = 0;
    for (const auto& entry : entries) {
        const std::uint32_t now = change.now[entry.slot];
        if (now == kGone || key_of(entry) < position_.next) continue;
        entries[kept++] = {now, entry.sample};
    }
    entries.resize(kept);
    shards_ = std::move(shards);
    samples_ = sum_of(shards_);
    change_running(change);
    change_coming(change);
}

void SampleOrder::set_at(std::vector<OrderedShard> shards, const EpochPlace& place) {
    shards_ = std::move(shards);
    samples_ = sum_of(shards_);
    position_ = {place.epoch, place.next, position_.seed};
    started_ = false;
}

/// Adds the shards that came. The slice begins at the position now: of what lies before it, it has
/// no complete list any more.
void SampleOrder::change_running(const Change& change) {
    draw_seeds();
    running_.begin = position_.next;
    const std::uint64_t end = slice_end(running_.begin);
    // A set that has grown gets a shorter slice. Half as long again as usual is not worth listing
    // the coming slice anew.
    if (end < running_.end && running_.end - end > (end - running_.begin) / 2) {
        running_.end = end;
        std::erase_if(running_.entries, [&](const Entry& entry) { return key_of(entry) >= end; });
    }
    std::uint32_t most = 0;
    std::uint64_t sum = 0;
    for (const auto slot : change.came) {
        most = std::max(most, shards_[slot].samples);
        sum += shards_[slot].samples;
    }
    const auto more = expected(sum, running_.begin, running_.end);
    if (more > 0) running_.entries.reserve(running_.entries.size() + room_for(more));
    for (std::uint32_t from = 0; from < most; from += kBlock) {
        for (const auto slot : change.came) {
            const std::uint32_t to = std::min(shards_[slot].samples, from + kBlock);
            if (from < to) scan(slot, from, to, running_);
        }
    }
    arrange();
}

/// Of the shards that came nothing is listed yet.
void SampleOrder::change_coming(const Change& change) {
    const bool follows =
        coming_.epoch != running_.epoch ? running_.end == kKeyEnd : coming_.begin == running_.end;
    const auto usual = slice_end(coming_.begin) - coming_.begin;
    if (!follows || coming_.end - coming_.begin > usual + usual / 2) {
        const bool last = running_.end == kKeyEnd;
        return begin_coming(running_.epoch + (last ? 1 : 0), last ? 0 : running_.end);
    }
    std::vector<std::uint32_t> listed(shards_.size(), 0);
    unlisted_ = samples_;
    for (std::size_t old = 0; old < change.now.size(); ++old) {
        if (change.now[old] == kGone) continue;
        listed[change.now[old]] = listed_[old];
        unlisted_ -= listed_[old];
    }
    listed_ = std::move(listed);
    block_ = 0;
    listing_slot_ = 0;
    auto& entries = coming_.entries;
    entries.reserve(room_for(expected(samples_, coming_.begin, coming_.end)));
    std::size_t kept = 0;
    for (const auto& entry : entries) {
        const std::uint32_t now = change.now[entry.slot];
        if (now != kGone) entries[kept++] = {now, entry.sample};
    }
    entries.resize(kept);
}

std::size_t SampleOrder::memory_bytes() const {
    return (running_.entries.capacity() + coming_.entries.capacity()) * sizeof(Entry) +
           shards_.capacity() * sizeof(OrderedShard) + seeds_.capacity() * sizeof(std::uint64_t) +
           (listed_.capacity() + bucket_ends_.capacity()) * sizeof(std::uint32_t) +
           ready_.capacity() * sizeof(KeyedEntry) + sizeof(hashes_);
}

}  // namespace starling::data
