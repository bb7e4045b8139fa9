#include "peer/transfer/shard_transfer.hpp"

#include <algorithm>
#include <utility>

#include "base/checked.hpp"

namespace starling::peer {

namespace {

constexpr std::size_t kPieceHeadBytes = 40;
/// How long no fetch begins while too much waits to be written.
constexpr Duration kRoomAfter = std::chrono::milliseconds(50);

}  // namespace

ShardTransfer::ShardTransfer(data::ShardStore& store, Outbox& out) : store_(store), out_(out) {
    for (const auto& shard : store.manifest().shards) sizes_[shard.id] = shard.bytes;
}

void ShardTransfer::want(Instant now, const std::vector<ShardId>& shards, const Last& last) {
    wanted_.clear();
    last_.clear();
    for (const auto& shard : shards) {
        if (store_.has(shard)) continue;
        const auto at = last.find(shard);
        if (at == last.end()) {
            wanted_.insert(shard);
        } else {
            last_.insert(*at);
        }
    }
    std::erase_if(fetches_, [this](const auto& entry) {
        const auto& [shard, fetch] = entry;
        return !fetch.waiting && !wants(shard) && fetch.asked.empty();
    });
    std::erase_if(refused_, [this](const auto& entry) { return !wants(entry.first); });
    start_fetches(now);
}

void ShardTransfer::set_holders(Instant now, std::vector<data::WeightedPeer> holders) {
    holders_ = std::move(holders);
    start_fetches(now);
}

/// Returns the holders in the order in which they are asked.
std::vector<PeerId> ShardTransfer::in_order(const ShardId& shard) const {
    const auto ranked = data::rank_owners(shard, holders_, holders_.size());
    const auto at = last_.find(shard);
    if (at == last_.end()) return ranked;
    const auto lists = [](const std::vector<PeerId>& peers, const PeerId& peer) {
        return std::find(peers.begin(), peers.end(), peer) != peers.end();
    };
    std::vector<PeerId> order;
    for (const auto& peer : at->second) {
        if (lists(ranked, peer) && !lists(order, peer)) order.push_back(peer);
    }
    for (const auto& peer : ranked) {
        if (!lists(at->second, peer)) order.push_back(peer);
    }
    return order;
}

std::optional<PeerId> ShardTransfer::choose_holder(Instant now, const ShardId& shard) {
    const auto& refusals = refused_[shard];
    std::optional<PeerId> last_resort;
    for (const auto& peer : in_order(shard)) {
        if (refusals.contains(peer) || may_answer(now, shard, peer)) continue;
        const auto known = known_.find(peer);
        if (known == known_.end() || known->second.shunned_until <= now) return peer;
        if (!last_resort) last_resort = peer;
    }
    return last_resort;
}

Duration ShardTransfer::patience(const PeerId& holder) const {
    const auto known = known_.find(holder);
    return known == known_.end() ? kPieceTimeout : known->second.patience;
}

/// Returns whether a holder that we have given up may still answer. Asking it anew before would
/// only bring the piece twice.
bool ShardTransfer::may_answer(Instant now, const ShardId& shard, const PeerId& holder) const {
    const auto at = fetches_.find(shard);
    if (at == fetches_.end()) return false;
    const auto asked = at->second.asked.find(holder);
    return asked != at->second.asked.end() && asked->second + patience(holder) > now;
}

std::size_t ShardTransfer::running() const {
    return static_cast<std::size_t>(std::count_if(
        fetches_.begin(), fetches_.end(), [](const auto& entry) { return entry.second.waiting; }
    ));
}

/// Returns until when no piece should be asked for.
std::optional<Instant> ShardTransfer::pause(Instant now) const {
    if (held_until_ && now < *held_until_) return held_until_;
    // What is written more slowly than it comes would fill the memory.
    if (store_.crowded()) return now + kRoomAfter;
    return std::nullopt;
}

void ShardTransfer::start_fetches(Instant now) {
    if (retry_at_ && *retry_at_ <= now) {
        // Everybody was asked. Somebody may hold the shard by now, so everybody is asked again.
        refused_.clear();
        retry_at_.reset();
    }
    room_at_ = missing() == 0 ? std::nullopt : pause(now);
    if (room_at_) return;
    auto left = kFetchesMax - std::min(kFetchesMax, running());
    bool exhausted = false;
    const auto begin = [&](const ShardId& shard) {
        const auto at = fetches_.find(shard);
        if (left == 0 || (at != fetches_.end() && at->second.waiting)) return;
        const bool begun = start_fetch(now, shard);
        if (begun) --left;
        exhausted = exhausted || !begun;
    };
    for (auto at = wanted_.begin(); at != wanted_.end() && left > 0; ++at) begin(*at);
    for (auto at = last_.begin(); at != last_.end() && left > 0; ++at) begin(at->first);
    if (!exhausted) retry_at_.reset();
    if (exhausted && !retry_at_) retry_at_ = now + kRetryAfter;
}

/// Returns false if nobody is left to ask.
bool ShardTransfer::start_fetch(Instant now, const ShardId& shard) {
    const auto holder = choose_holder(now, shard);
    if (!holder) return false;
    auto& fetch = fetches_[shard];
    if (fetch.holder != *holder && mistrusted_.contains(shard)) {
        fetch.bytes.clear();
        fetch.gave.clear();
    }
    fetch.holder = *holder;
    request_piece(now, shard, fetch);
    return true;
}

void ShardTransfer::request_piece(Instant now, const ShardId& shard, Fetch& fetch) {
    fetch.asked.insert_or_assign(fetch.holder, now);
    fetch.waiting = true;
    fetch.deadline = now + patience(fetch.holder);
    Bytes payload;
    ByteWriter writer(payload);
    writer.put_array(shard.bytes);
    writer.put(static_cast<std::uint32_t>(fetch.bytes.size()));
    out_.push_back({fetch.holder, FrameType::ShardRequest, std::move(payload)});
}

void ShardTransfer::handle_request(const PeerId& from, ByteView payload, bool overloaded) {
    ByteReader reader(payload);
    const ShardId shard{reader.take_array<32>()};
    const auto offset = reader.take<std::uint32_t>();
    if (!reader.finished()) {
        ++rejected_;
        return;
    }
    // Whoever guesses the id of a private shard must not learn that we hold it.
    const bool hidden = store_.manifest().mode == data::DataMode::Private;
    if (hidden) ++denied_;
    const auto stored = hidden ? data::StoredShard{} : store_.get(shard);
    bool held = !overloaded && stored && offset < stored.size();
    Bytes room;
    ByteView data;
    if (held) {
        const auto read = stored.read(offset, std::min(kPayloadMax, stored.size() - offset), room);
        // A user's file that has changed is no longer what was hashed: the shard is not held.
        held = read.has_value();
        if (held) data = *read;
    }
    Bytes piece;
    piece.reserve(data.size() + kPieceHeadBytes);
    ByteWriter writer(piece);
    writer.put_array(shard.bytes);
    writer.put(offset);
    writer.put(held ? static_cast<std::uint32_t>(stored.size()) : std::uint32_t{0});
    writer.put_bytes(data);
    out_.push_back({from, FrameType::ShardPiece, std::move(piece)});
}

bool ShardTransfer::handle_piece(Instant now, const PeerId& from, ByteView payload) {
    ByteReader reader(payload);
    Piece piece;
    piece.shard = ShardId{reader.take_array<32>()};
    piece.offset = reader.take<std::uint32_t>();
    piece.total = reader.take<std::uint32_t>();
    piece.data = reader.take_bytes(reader.remaining());
    const auto at = fetches_.find(piece.shard);
    if (!reader.ok() || at == fetches_.end()) return false;
    auto& fetch = at->second;
    const auto asked = fetch.asked.find(from);
    if (asked == fetch.asked.end()) return false;
    auto& holder = known_[from];
    holder.heard_at = now;
    holder.patience = std::clamp(2 * (now - asked->second), kPieceTimeout, kPieceTimeoutMax);
    fetch.asked.erase(asked);
    const bool awaited = fetch.waiting && fetch.holder == from;
    const auto had = fetch.bytes.size();
    const bool sound = piece.total == sizes_[piece.shard] && piece.offset <= had &&
                       !piece.data.empty() &&
                       lies_within(piece.offset, piece.data.size(), piece.total);
    if (!sound) {
        if (piece.total != 0) ++rejected_;
        if (awaited) {
            refuse(piece.shard, from);
            start_fetches(now);
        }
        return false;
    }
    if (piece.offset == had) return take(now, at, from, piece);
    // The piece answers an older request, and somebody else was faster.
    if (awaited) request_piece(now, piece.shard, fetch);
    return false;
}

/// Takes in the piece that comes next, from whoever has sent it.
bool ShardTransfer::take(
    Instant now, Fetches::iterator at, const PeerId& from, const Piece& piece
) {
    auto& fetch = at->second;
    if (from != fetch.holder && mistrusted_.contains(piece.shard)) return false;
    fetch.bytes.insert(fetch.bytes.end(), piece.data.begin(), piece.data.end());
    fetch.gave.insert(from);
    bytes_fetched_ += piece.data.size();
    if (fetch.bytes.size() == piece.total) return finish(now, at);
    fetch.holder = from;
    if (held_until_ && now < *held_until_) {
        fetch.waiting = false;
        room_at_ = held_until_;
        return false;
    }
    request_piece(now, piece.shard, fetch);
    return false;
}

bool ShardTransfer::finish(Instant now, Fetches::iterator at) {
    const ShardId shard = at->first;
    auto fetch = std::move(at->second);
    fetches_.erase(at);
    const bool good = store_.put(std::move(fetch.bytes)).has_value();
    if (good) {
        refused_.erase(shard);
        mistrusted_.erase(shard);
        wanted_.erase(shard);
        last_.erase(shard);
    } else {
        ++rejected_;
        if (fetch.gave.size() > 1) {
            mistrusted_.insert(shard);
        } else {
            refused_[shard].insert(*fetch.gave.begin());
        }
    }
    start_fetches(now);
    return good;
}

/// Ends what a fetch asks of its holder, and remembers not to ask this one again in this round. The
/// bytes so far stay for the next holder, and the fetch for a late answer, within a bound.
void ShardTransfer::refuse(const ShardId& shard, const PeerId& holder) {
    refused_[shard].insert(holder);
    const auto at = fetches_.find(shard);
    at->second.waiting = false;
    const bool over = !wants(shard) && at->second.asked.empty();
    if (over || fetches_.size() > 2 * kFetchesMax) fetches_.erase(at);
}

/// Ends all that we ask of one holder, and asks it last for a while.
void ShardTransfer::drop_holder(Instant now, const PeerId& holder) {
    std::vector<ShardId> asked;
    for (const auto& [shard, fetch] : fetches_) {
        if (fetch.waiting && fetch.holder == holder) asked.push_back(shard);
    }
    for (const auto& shard : asked) refuse(shard, holder);
    if (!asked.empty()) known_[holder].shunned_until = now + kShunFor;
}

void ShardTransfer::handle_broken(Instant now, const PeerId& partner) {
    drop_holder(now, partner);
    // What was asked over a stream that broke is hardly ever answered, so we ask anew at once. It
    // may be answered over another stream of the two that a pair sometimes has.
    for (auto& [shard, fetch] : fetches_) {
        const auto asked = fetch.asked.find(partner);
        if (asked != fetch.asked.end()) asked->second -= kPieceTimeoutMax;
    }
    start_fetches(now);
}

void ShardTransfer::handle_timeout(Instant now) {
    std::set<PeerId> silent;
    std::vector<ShardId> late;
    for (const auto& [shard, fetch] : fetches_) {
        if (!fetch.waiting || fetch.deadline > now) continue;
        late.push_back(shard);
        const auto known = known_.find(fetch.holder);
        const bool heard =
            known != known_.end() && known->second.heard_at >= fetch.asked.at(fetch.holder);
        if (!heard) silent.insert(fetch.holder);
    }
    for (const auto& shard : late) refuse(shard, fetches_.at(shard).holder);
    for (const auto& holder : silent) {
        drop_holder(now, holder);
        known_[holder].shunned_until = now + kShunFor;
    }
    start_fetches(now);
}

std::optional<Instant> ShardTransfer::timeout() const {
    auto next = retry_at_;
    if (room_at_ && (!next || *room_at_ < *next)) next = room_at_;
    for (const auto& [shard, fetch] : fetches_) {
        if (fetch.waiting && (!next || fetch.deadline < *next)) next = fetch.deadline;
    }
    return next;
}

}  // namespace starling::peer
