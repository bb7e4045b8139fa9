#include "data/shares.hpp"

#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "base/rng.hpp"

namespace starling::data {

namespace {

constexpr std::uint64_t kSharePurpose = 0x5348415245;
/// A share has at least so many portions, so that chance divides it evenly, unless there are kPortionsMax already.
constexpr std::uint64_t kPortionsOfShare = 16;

/// Returns how near a peer is to a portion; the greatest is the first in rank.
std::uint64_t nearness(std::uint64_t salt, const PeerId& peer) {
    return mix64(salt ^ mix64(peer.prefix64()));
}

}  // namespace

SplitShares::SplitShares(const Manifest& manifest, std::uint64_t seed, std::uint64_t whole)
    : seed_(seed),
      whole_(whole) {
    // Nobody else has private samples.
    if (manifest.mode == DataMode::Private) return;
    for (const auto split : {Split::Test, Split::Valid}) {
        std::uint64_t bytes = 0;
        for (const auto& shard : manifest.shards) bytes += shard.split == split ? shard.bytes : 0;
        if (bytes <= whole_) continue;
        bytes_.at(index(split)) = bytes;
        divide(manifest, split);
    }
    for (std::size_t i = 0; i < portions_.size(); ++i) {
        for (const auto& shard : portions_[i].shards) of_shard_.emplace(shard, i);
    }
}

/// Cuts a split where a portion has enough bytes. The last one may be small.
void SplitShares::divide(const Manifest& manifest, Split split) {
    const auto enough = std::max(
        whole_ / kPortionsOfShare, (bytes_.at(index(split)) + kPortionsMax - 1) / kPortionsMax
    );
    Portion next;
    for (const auto& shard : manifest.shards) {
        if (shard.split != split) continue;
        next.split = split;
        next.shards.push_back(shard.id);
        next.bytes += shard.bytes;
        next.samples += shard.samples;
        if (next.bytes >= enough) portions_.push_back(std::exchange(next, {}));
    }
    if (!next.shards.empty()) portions_.push_back(std::move(next));
}

const std::size_t* SplitShares::portion_of(const ShardId& shard) const {
    const auto at = of_shard_.find(shard);
    return at == of_shard_.end() ? nullptr : &at->second;
}

/// Portions are ranked anew one after another, so that a rotation moves a part of them.
std::uint64_t SplitShares::salt(std::size_t portion, std::uint64_t rotation) const {
    const auto id = mix64(portions_.at(portion).shards.front().prefix64() ^ seed_);
    const auto turns = (rotation + id % kTurns) / kTurns;
    return mix64(id ^ mix64(kSharePurpose ^ turns));
}

std::vector<PeerId> SplitShares::ranked(
    std::size_t portion, std::uint64_t rotation, std::span<const PeerId> peers, std::size_t count
) const {
    const auto salt = this->salt(portion, rotation);
    std::vector<std::pair<std::uint64_t, PeerId>> order;
    order.reserve(peers.size());
    for (const auto& peer : peers) order.emplace_back(~nearness(salt, peer), peer);
    count = std::min(count, order.size());
    const auto end = order.begin() + static_cast<std::ptrdiff_t>(count);
    std::partial_sort(order.begin(), end, order.end());
    std::vector<PeerId> first;
    first.reserve(count);
    for (auto at = order.begin(); at != end; ++at) first.push_back(at->second);
    return first;
}

std::vector<std::size_t> SplitShares::share_of(
    const PeerId& self, std::span<const PeerId> peers, std::uint64_t rotation
) const {
    STARLING_CHECK(std::find(peers.begin(), peers.end(), self) != peers.end());
    std::vector<bool> mine(portions_.size());
    for (std::size_t i = 0; i < portions_.size(); ++i) {
        const auto holders = ranked(i, rotation, peers);
        mine[i] = std::find(holders.begin(), holders.end(), self) != holders.end();
    }
    for (const auto split : {Split::Test, Split::Valid}) fill_up(mine, split, self, rotation);
    std::vector<std::size_t> share;
    for (std::size_t i = 0; i < mine.size(); ++i) {
        if (mine[i]) share.push_back(i);
    }
    return share;
}

/// Adds those that are nearest to a peer until its share of a split is large enough. How near does not depend on who
/// else is there, so these hardly move.
void SplitShares::fill_up(
    std::vector<bool>& mine, Split split, const PeerId& self, std::uint64_t rotation
) const {
    std::uint64_t bytes = 0;
    std::vector<std::pair<std::uint64_t, std::size_t>> others;
    for (std::size_t i = 0; i < portions_.size(); ++i) {
        if (portions_[i].split != split) continue;
        if (mine[i]) bytes += portions_[i].bytes;
        if (!mine[i]) others.emplace_back(~nearness(salt(i, rotation), self), i);
    }
    std::sort(others.begin(), others.end());
    for (const auto& [unlike, portion] : others) {
        if (bytes >= whole_) return;
        mine[portion] = true;
        bytes += portions_[portion].bytes;
    }
}

}  // namespace starling::data
