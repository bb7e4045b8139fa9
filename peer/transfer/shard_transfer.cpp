#include "peer/transfer/shard_transfer.hpp"

#include <algorithm>
#include <utility>

namespace starling::peer {

ShardTransfer::ShardTransfer(data::ShardStore& store, SendFrame send)
    : store_(store),
      send_(std::move(send)) {
    for (const auto& shard : store.manifest().shards) sizes_[shard.id] = shard.bytes;
}

void ShardTransfer::want(Instant now, const std::vector<ShardId>& shards) {
    wanted_.clear();
    for (const auto& shard : shards) {
        if (!store_.has(shard)) wanted_.insert(shard);
    }
    std::erase_if(fetches_, [this](const auto& entry) { return !wanted_.contains(entry.first); });
    std::erase_if(refused_, [this](const auto& entry) { return !wanted_.contains(entry.first); });
    start_fetches(now);
}

void ShardTransfer::set_holders(Instant now, std::vector<data::WeightedPeer> holders) {
    holders_ = std::move(holders);
    start_fetches(now);
}

std::optional<PeerId> ShardTransfer::choose_holder(Instant now, const ShardId& shard) {
    auto& refusals = refused_[shard];
    std::optional<PeerId> last_resort;
    for (const auto& peer : data::rank_owners(shard, holders_, holders_.size())) {
        if (refusals.contains(peer)) continue;
        const auto shunned = shunned_.find(peer);
        if (shunned == shunned_.end() || shunned->second <= now) return peer;
        if (!last_resort) last_resort = peer;
    }
    return last_resort;
}

void ShardTransfer::start_fetches(Instant now) {
    bool exhausted = false;
    for (const auto& shard : wanted_) {
        if (fetches_.size() >= kFetchesMax) break;
        if (fetches_.contains(shard)) continue;
        const auto holder = choose_holder(now, shard);
        if (!holder) {
            exhausted = true;
            continue;
        }
        auto& fetch = fetches_[shard];
        fetch.holder = *holder;
        fetch.deadline = now + kPieceTimeout;
        request_piece(shard, fetch);
    }
    if (exhausted && retry_at_ <= now) retry_at_ = now + kRetryAfter;
}

void ShardTransfer::request_piece(const ShardId& shard, const Fetch& fetch) {
    Bytes payload;
    ByteWriter writer(payload);
    writer.put_array(shard.bytes);
    writer.put(static_cast<std::uint32_t>(fetch.bytes.size()));
    send_(fetch.holder, FrameType::ShardRequest, std::move(payload));
}

void ShardTransfer::handle_request(const PeerId& from, ByteView payload, bool overloaded) {
    ByteReader reader(payload);
    const ShardId shard{reader.take_array<32>()};
    const auto offset = reader.take<std::uint32_t>();
    if (!reader.finished()) {
        ++rejected_;
        return;
    }
    const auto bytes = store_.get(shard);
    const bool held = !overloaded && bytes != nullptr && offset < bytes->size();
    const std::size_t size = held ? std::min(kPayloadMax, bytes->size() - offset) : 0;
    Bytes piece;
    piece.reserve(size + 40);
    ByteWriter writer(piece);
    writer.put_array(shard.bytes);
    writer.put(offset);
    writer.put(held ? static_cast<std::uint32_t>(bytes->size()) : std::uint32_t{0});
    if (held) writer.put_bytes(ByteView(*bytes).subspan(offset, size));
    send_(from, FrameType::ShardPiece, std::move(piece));
}

bool ShardTransfer::handle_piece(Instant now, const PeerId& from, ByteView payload) {
    ByteReader reader(payload);
    const ShardId shard{reader.take_array<32>()};
    const auto offset = reader.take<std::uint32_t>();
    const auto total = reader.take<std::uint32_t>();
    const auto found = fetches_.find(shard);
    // A piece that we no longer wait for is a late answer, not a fault.
    if (!reader.ok() || found == fetches_.end() || found->second.holder != from) return false;
    auto& fetch = found->second;
    const auto data = reader.take_bytes(reader.remaining());
    if (total == 0) {
        give_up(now, shard, from);
        return false;
    }
    const bool fits = total == sizes_[shard] && offset == fetch.bytes.size() && !data.empty() &&
                      data.size() <= total - offset;
    if (!fits) {
        ++rejected_;
        give_up(now, shard, from);
        return false;
    }
    fetch.bytes.insert(fetch.bytes.end(), data.begin(), data.end());
    bytes_fetched_ += data.size();
    fetch.deadline = now + kPieceTimeout;
    if (fetch.bytes.size() < total) {
        request_piece(shard, fetch);
        return false;
    }
    Bytes whole = std::move(fetch.bytes);
    if (store_.put(std::move(whole)).has_error()) {
        ++rejected_;
        give_up(now, shard, from);
        return false;
    }
    fetches_.erase(found);
    refused_.erase(shard);
    wanted_.erase(shard);
    start_fetches(now);
    return true;
}

void ShardTransfer::give_up(Instant now, const ShardId& shard, const PeerId& holder) {
    refused_[shard].insert(holder);
    fetches_.erase(shard);
    start_fetches(now);
}

/// Gives up all fetches from one holder and asks it last for a while.
void ShardTransfer::drop_holder(Instant now, const PeerId& holder) {
    bool served = false;
    for (auto fetch = fetches_.begin(); fetch != fetches_.end();) {
        if (fetch->second.holder != holder) {
            ++fetch;
            continue;
        }
        served = true;
        refused_[fetch->first].insert(holder);
        fetch = fetches_.erase(fetch);
    }
    if (served) shunned_[holder] = now + kShunFor;
}

void ShardTransfer::handle_broken(Instant now, const PeerId& partner) {
    drop_holder(now, partner);
    start_fetches(now);
}

void ShardTransfer::handle_timeout(Instant now) {
    std::set<PeerId> late;
    for (const auto& [shard, fetch] : fetches_) {
        if (fetch.deadline <= now) late.insert(fetch.holder);
    }
    for (const auto& holder : late) drop_holder(now, holder);
    std::erase_if(shunned_, [now](const auto& entry) { return entry.second <= now; });
    if (retry_at_ <= now) {
        // Everybody was asked. Somebody may hold the shard by now, so everybody is asked again.
        for (auto& [shard, refusals] : refused_) refusals.clear();
    }
    start_fetches(now);
}

std::optional<Instant> ShardTransfer::timeout() const {
    if (wanted_.empty()) return std::nullopt;
    std::optional<Instant> next;
    if (fetches_.size() < wanted_.size() && fetches_.size() < kFetchesMax) next = retry_at_;
    for (const auto& [shard, fetch] : fetches_) {
        if (!next || fetch.deadline < *next) next = fetch.deadline;
    }
    return next;
}

}  // namespace starling::peer
