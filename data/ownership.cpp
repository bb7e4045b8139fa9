#include "data/ownership.hpp"

#include <algorithm>
#include <array>
#include <bit>

#include "base/check.hpp"
#include "base/rng.hpp"

namespace starling::data {

namespace {

__extension__ using Wide = unsigned __int128;

constexpr std::uint64_t kPartitionPurpose = 0x504152544954;
constexpr unsigned kTableBits = 12;
constexpr std::size_t kTableSize = std::size_t{1} << kTableBits;
constexpr unsigned kFractionBits = 48;

/// Returns the log2 of a number in [1, 2) by repeated squaring. The number has 63 bits after the
/// point, the result has 48.
constexpr std::uint64_t log2_by_squaring(std::uint64_t mantissa) {
    std::uint64_t log = 0;
    for (unsigned bit = 0; bit < kFractionBits; ++bit) {
        const auto square = static_cast<Wide>(mantissa) * mantissa;
        log <<= 1U;
        if (static_cast<std::uint64_t>(square >> 127U) != 0) {
            log |= 1U;
            mantissa = static_cast<std::uint64_t>(square >> 64U);
        } else {
            mantissa = static_cast<std::uint64_t>(square >> 63U);
        }
    }
    return log;
}

std::array<std::uint64_t, kTableSize + 1> make_log_table() {
    std::array<std::uint64_t, kTableSize + 1> table{};
    for (std::uint64_t i = 0; i < kTableSize; ++i) {
        table[i] = log2_by_squaring((std::uint64_t{1} << 63U) | (i << (63U - kTableBits)));
    }
    table[kTableSize] = std::uint64_t{1} << kFractionBits;
    return table;
}

/// Returns -log2(hash / 2^64) with 48 bits after the point. The function is linear between 4097
/// exact points. Its error is at most 1e-8, far below the distance of about 1/n between the first
/// two of n peers. It is monotonic, so peers of equal weight are ranked by the hash itself.
std::uint64_t minus_log2(std::uint64_t hash) {
    static const auto kTable = make_log_table();
    if (hash == 0) hash = 1;
    const auto leading = static_cast<unsigned>(std::countl_zero(hash));
    const std::uint64_t mantissa = (hash << leading) << 1U;  // without the leading one
    const auto cell = static_cast<std::size_t>(mantissa >> (64U - kTableBits));
    const std::uint64_t below = mantissa << kTableBits;  // the bits of `cell` fall off on purpose
    const auto within = static_cast<Wide>(below);
    const auto rise = static_cast<Wide>(kTable[cell + 1] - kTable[cell]);
    const auto log = kTable[cell] + static_cast<std::uint64_t>((within * rise) >> 64U);
    return (std::uint64_t{leading + 1U} << kFractionBits) - log;
}

template <class Id>
std::uint64_t fold(const Id& id) {
    std::uint64_t folded = 0;
    for (std::size_t i = 0; i < id.bytes.size(); i += 8) {
        std::uint64_t word = 0;
        for (std::size_t j = 0; j < 8; ++j) word = (word << 8U) | id.bytes[i + j];
        folded = mix64(folded ^ word);
    }
    return folded;
}

struct Candidate {
    const WeightedPeer* peer = nullptr;
    std::uint64_t folded = 0;
    std::uint64_t cost = 0;  ///< for the current shard, not yet divided by the weight
};

/// Compares cost / weight without a division. A product of 54 bits and 32 bits fits easily.
bool ranks_before(const Candidate& a, const Candidate& b) {
    const auto left = static_cast<Wide>(a.cost) * b.peer->weight;
    const auto right = static_cast<Wide>(b.cost) * a.peer->weight;
    // A weight of zero makes the other side's product zero, so that peer ranks after all others.
    if (left != right) return left < right;
    if ((a.peer->weight == 0) != (b.peer->weight == 0)) return b.peer->weight == 0;
    return a.peer->id < b.peer->id;
}

std::vector<Candidate> candidates_of(std::span<const WeightedPeer> peers) {
    std::vector<Candidate> candidates;
    candidates.reserve(peers.size());
    for (const auto& peer : peers) candidates.push_back({&peer, fold(peer.id), 0});
    return candidates;
}

/// Returns a number that stands for a partition. It takes the place of a shard's id.
std::uint64_t salt_of_partition(std::uint32_t partition) {
    return mix64(kPartitionPurpose ^ partition);
}

/// Ranks the candidates and moves the first `count` of them to the front, in order.
void rank(std::uint64_t salt, std::vector<Candidate>& candidates, std::size_t count) {
    for (auto& candidate : candidates) {
        candidate.cost = minus_log2(mix64(salt ^ candidate.folded));
    }
    std::partial_sort(
        candidates.begin(),
        candidates.begin() + static_cast<std::ptrdiff_t>(count),
        candidates.end(),
        ranks_before
    );
}

}  // namespace

std::vector<PeerId> rank_owners(
    const ShardId& shard, std::span<const WeightedPeer> peers, std::size_t count
) {
    auto candidates = candidates_of(peers);
    count = std::min(count, candidates.size());
    rank(mix64(fold(shard)), candidates, count);
    std::vector<PeerId> owners;
    owners.reserve(count);
    for (std::size_t i = 0; i < count; ++i) owners.push_back(candidates[i].peer->id);
    return owners;
}

namespace {

struct Pair {
    Candidate candidate;
    std::uint32_t partition = 0;
};

/// Returns all pairs of a partition and a peer, the cheapest first.
std::vector<Pair> pairs_by_cost(std::uint32_t partitions, std::span<const WeightedPeer> peers) {
    const auto candidates = candidates_of(peers);
    std::vector<Pair> pairs;
    pairs.reserve(candidates.size() * partitions);
    for (std::uint32_t partition = 0; partition < partitions; ++partition) {
        const auto salt = salt_of_partition(partition);
        for (auto candidate : candidates) {
            candidate.cost = minus_log2(mix64(salt ^ candidate.folded));
            pairs.push_back({candidate, partition});
        }
    }
    std::sort(pairs.begin(), pairs.end(), [](const Pair& a, const Pair& b) {
        if (ranks_before(a.candidate, b.candidate)) return true;
        if (ranks_before(b.candidate, a.candidate)) return false;
        return a.partition < b.partition;
    });
    return pairs;
}

/// How many partitions each peer may have, from pass to pass.
class PartitionCaps {
public:
    PartitionCaps(std::uint32_t partitions, std::span<const WeightedPeer> peers) {
        std::uint64_t total = 0;
        for (const auto& peer : peers) total += peer.weight;
        for (const auto& peer : peers) {
            const std::uint64_t weight = total == 0 ? 1 : peer.weight;
            heaviest_ = std::max(heaviest_, weight);
            weights_.push_back(weight);
            shares_.push_back(partitions * weight / (total == 0 ? peers.size() : total));
        }
        passes_ = *std::max_element(shares_.begin(), shares_.end());
    }

    /// In pass i of this number the heaviest has i at most, and others as much less as they are lighter; then all
    /// have their whole shares.
    [[nodiscard]] std::uint64_t passes() const { return passes_; }

    [[nodiscard]] std::uint64_t cap(std::size_t peer, std::uint64_t pass) const {
        if (pass > passes_) return shares_[peer] + 1;
        if (pass == passes_) return shares_[peer];
        return std::min(shares_[peer], pass * weights_[peer] / heaviest_);
    }

private:
    std::vector<std::uint64_t> weights_;
    std::vector<std::uint64_t> shares_;  ///< the whole parts
    std::uint64_t heaviest_ = 0;
    std::uint64_t passes_ = 0;
};

}  // namespace

std::vector<std::size_t> assign_partitions(
    std::uint32_t partitions, std::span<const WeightedPeer> peers
) {
    STARLING_CHECK(!peers.empty());
    const auto pairs = pairs_by_cost(partitions, peers);
    const PartitionCaps caps(partitions, peers);
    std::vector<std::size_t> owners(partitions, peers.size());
    std::vector<std::uint64_t> held(peers.size());
    for (std::uint64_t pass = 1; pass <= caps.passes() + 1; ++pass) {
        for (const auto& [candidate, partition] : pairs) {
            const auto index = static_cast<std::size_t>(candidate.peer - peers.data());
            if (owners[partition] != peers.size()) continue;
            if (held[index] >= caps.cap(index, pass)) continue;
            owners[partition] = index;
            ++held[index];
        }
    }
    return owners;
}

namespace {

/// What this peer does with one partition or shard.
struct Duty {
    bool train = false;
    bool hold = false;
};

/// Returns the duty of `self` for each partition.
std::vector<Duty> partition_duties(
    const PeerId& self,
    std::span<const WeightedPeer> peers,
    std::uint32_t partitions,
    std::size_t replicas
) {
    const auto owners = assign_partitions(partitions, peers);
    auto candidates = candidates_of(peers);
    std::vector<Duty> duties(partitions);
    for (std::uint32_t p = 0; p < partitions; ++p) {
        duties[p].train = peers[owners[p]].id == self;
        rank(salt_of_partition(p), candidates, candidates.size());
        std::size_t heirs = 0;
        for (const auto& candidate : candidates) {
            if (candidate.peer->id == peers[owners[p]].id) continue;
            if (++heirs > replicas) break;
            duties[p].hold = duties[p].hold || candidate.peer->id == self;
        }
        duties[p].hold = duties[p].hold || duties[p].train;
    }
    return duties;
}

Duty shard_duty(
    const PeerId& self,
    const ShardId& shard,
    std::vector<Candidate>& candidates,
    std::size_t holders
) {
    rank(mix64(fold(shard)), candidates, holders);
    Duty duty;
    duty.train = candidates.front().peer->id == self;
    for (std::size_t i = 0; i < holders; ++i) {
        duty.hold = duty.hold || candidates[i].peer->id == self;
    }
    return duty;
}

}  // namespace

namespace {

bool is_in(const JudgedShare& share, const ShardId& shard) {
    const auto* portion = share.shares == nullptr ? nullptr : share.shares->portion_of(shard);
    if (portion == nullptr) return true;
    return std::binary_search(share.portions.begin(), share.portions.end(), *portion);
}

/// Nobody else has these samples, and nobody will get them.
Duties all_of(const Manifest& manifest) {
    Duties duties;
    for (const auto& shard : manifest.shards) {
        if (shard.split == Split::Train) duties.train.push_back(shard.id);
        duties.hold.push_back(shard.id);
    }
    return duties;
}

}  // namespace

std::vector<PeerId> owners_of(
    std::span<const std::size_t> shards,
    std::span<const WeightedPeer> peers,
    const Manifest& manifest
) {
    STARLING_CHECK(!peers.empty());
    std::vector<PeerId> owners;
    owners.reserve(shards.size());
    std::vector<std::size_t> by_partition;
    if (manifest.partitions > 0) by_partition = assign_partitions(manifest.partitions, peers);
    auto candidates = candidates_of(peers);
    for (const auto shard : shards) {
        const auto& info = manifest.shards.at(shard);
        STARLING_CHECK(info.split == Split::Train);
        if (!by_partition.empty()) {
            owners.push_back(peers[by_partition[info.partition]].id);
            continue;
        }
        rank(mix64(fold(info.id)), candidates, 1);
        owners.push_back(candidates.front().peer->id);
    }
    return owners;
}

std::vector<std::vector<PeerId>> holders_of(
    std::span<const std::size_t> shards,
    std::span<const WeightedPeer> peers,
    const Manifest& manifest,
    std::size_t replicas
) {
    STARLING_CHECK(!peers.empty());
    std::vector<std::vector<PeerId>> holders;
    holders.reserve(shards.size());
    std::vector<std::size_t> owners;
    if (manifest.partitions > 0) owners = assign_partitions(manifest.partitions, peers);
    auto candidates = candidates_of(peers);
    for (const auto shard : shards) {
        const auto& info = manifest.shards.at(shard);
        const bool train = info.split == Split::Train;
        const auto count = train ? std::min(replicas, peers.size() - 1) + 1 : peers.size();
        auto& those = holders.emplace_back();
        const bool dealt = train && !owners.empty();
        if (dealt) those.push_back(peers[owners[info.partition]].id);
        rank(
            dealt ? salt_of_partition(info.partition) : mix64(fold(info.id)),
            candidates,
            candidates.size()
        );
        for (const auto& candidate : candidates) {
            if (those.size() == count) break;
            const auto& id = candidate.peer->id;
            if (!dealt || id != those.front()) those.push_back(id);
        }
    }
    return holders;
}

Duties duties_of(
    const PeerId& self,
    std::span<const WeightedPeer> peers,
    const Manifest& manifest,
    std::size_t replicas,
    const JudgedShare& share
) {
    auto candidates = candidates_of(peers);
    STARLING_CHECK(std::any_of(candidates.begin(), candidates.end(), [&](const auto& c) {
        return c.peer->id == self;
    }));
    if (manifest.mode == DataMode::Private) return all_of(manifest);
    const std::size_t holders = replicas < candidates.size() ? replicas + 1 : candidates.size();
    std::vector<Duty> by_partition;
    if (manifest.partitions > 0) {
        by_partition = partition_duties(self, peers, manifest.partitions, replicas);
    }
    Duties duties;
    for (const auto& shard : manifest.shards) {
        if (shard.split != Split::Train) {
            if (is_in(share, shard.id)) duties.hold.push_back(shard.id);
            continue;
        }
        const auto duty = by_partition.empty() ? shard_duty(self, shard.id, candidates, holders)
                                               : by_partition[shard.partition];
        if (duty.train) duties.train.push_back(shard.id);
        if (duty.hold) duties.hold.push_back(shard.id);
    }
    return duties;
}

}  // namespace starling::data
