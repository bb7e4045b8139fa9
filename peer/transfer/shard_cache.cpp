#include "peer/transfer/shard_cache.hpp"

#include <algorithm>
#include <utility>

namespace starling::peer {

namespace {

std::string megabytes(std::uint64_t bytes) {
    return std::to_string((bytes + 999'999) / 1'000'000) + " MB";
}

}  // namespace

ShardCache::ShardCache(data::ShardStore& store, Outbox& out, std::uint64_t limit)
    : store_(store),
      out_(out),
      limit_(limit) {
    // Nobody else has private samples.
    if (store.manifest().mode == data::DataMode::Private) limit_ = 0;
    if (limit_ == 0) return;
    for (const auto& shard : store.manifest().shards) places_.emplace(shard.id, places_.size());
}

std::uint64_t ShardCache::over() const {
    const auto bytes = store_.bytes();
    return bytes > limit_ ? bytes - limit_ : 0;
}

void ShardCache::set_duties(Instant now, Duties duties) {
    if (limit_ == 0) return;
    if (!duties_) look_at_ = now + kLookEvery;
    duties_ = std::move(duties);
    for (const auto& shard : duties_->hold) questions_.erase(shard);
    for (auto& [shard, question] : questions_) {
        auto holders = holders_of({shard}).front();
        // What was answered before was answered by those that should hold the shard then.
        if (holders != question.holders) question = {std::move(holders), now + kSettled, false, {}};
    }
    note_duties();
}

/// Returns who else should hold each of some shards.
std::vector<std::vector<PeerId>> ShardCache::holders_of(const std::vector<ShardId>& shards) const {
    std::vector<std::size_t> places;
    for (const auto& shard : shards) places.push_back(places_.at(shard));
    auto holders = data::holders_of(places, duties_->peers, store_.manifest(), duties_->replicas);
    std::vector<PeerId> ids;
    for (const auto& peer : duties_->peers) ids.push_back(peer.id);
    for (std::size_t i = 0; i < shards.size(); ++i) {
        const auto* shares = duties_->shares;
        const auto* portion = shares == nullptr ? nullptr : shares->portion_of(shards[i]);
        if (portion != nullptr) holders[i] = shares->ranked(*portion, duties_->rotation, ids);
    }
    for (auto& those : holders) std::erase(those, duties_->self);
    return holders;
}

/// Says once that the limit cannot be kept.
void ShardCache::note_duties() {
    std::uint64_t own = 0;
    for (const auto& shard : duties_->hold) own += store_.info(shard)->bytes;
    if (own <= limit_ || noted_) return;
    noted_ = true;
    note_ = "--cache " + megabytes(limit_) + ": this peer's own part of the data has " +
            megabytes(own) + ", and all of it is kept";
}

void ShardCache::handle_timeout(Instant now) {
    if (limit_ == 0 || !duties_ || now < look_at_) return;
    look_at_ = now + kLookEvery;
    std::erase_if(questions_, [&](const auto& entry) {
        const bool over = entry.second.asked && entry.second.due <= now;
        // Asking for it counts as a use: others are tried before it is this one's turn again.
        if (over) (void)store_.get(entry.first);
        return over;
    });
    const auto excess = over();
    if (excess > 0) consider(now, store_.spare(duties_->hold, excess, kAskedMax));
    for (auto& [shard, question] : questions_) {
        if (!question.asked && question.due <= now) ask(now, shard, question);
    }
}

void ShardCache::consider(Instant now, const std::vector<ShardId>& shards) {
    std::vector<ShardId> fresh;
    for (const auto& shard : shards) {
        if (questions_.size() + fresh.size() == kAskedMax) break;
        if (!questions_.contains(shard)) fresh.push_back(shard);
    }
    auto holders = holders_of(fresh);
    for (std::size_t i = 0; i < fresh.size(); ++i) {
        questions_[fresh[i]] = {std::move(holders[i]), now + kSettled, false, {}};
    }
}

void ShardCache::ask(Instant now, const ShardId& shard, Question& question) {
    question.asked = true;
    question.due = now + kAskAgain;
    for (const auto& peer : question.holders) {
        question.open.insert(peer);
        Bytes payload;
        ByteWriter writer(payload);
        writer.put_array(shard.bytes);
        writer.put(store_.info(shard)->bytes - 1);
        out_.push_back({peer, FrameType::ShardRequest, std::move(payload)});
    }
}

bool ShardCache::handle_piece(const PeerId& from, ByteView payload) {
    if (questions_.empty()) return false;
    ByteReader reader(payload);
    const ShardId shard{reader.take_array<32>()};
    const auto offset = reader.take<std::uint32_t>();
    const auto total = reader.take<std::uint32_t>();
    const auto last = reader.take_bytes(reader.remaining());
    const auto at = questions_.find(shard);
    if (!reader.ok() || at == questions_.end() || !at->second.open.contains(from)) return false;
    const auto bytes = store_.info(shard)->bytes;
    const bool holds = total == bytes && offset == bytes - 1 && last.size() == 1;
    if (!holds) return true;
    at->second.open.erase(from);
    if (!at->second.open.empty()) return true;
    questions_.erase(at);
    if (over() > 0 && store_.drop(shard)) ++dropped_;
    return true;
}

std::optional<Instant> ShardCache::timeout() const {
    if (limit_ == 0 || !duties_) return std::nullopt;
    return look_at_;
}

std::optional<std::string> ShardCache::poll_note() {
    return std::exchange(note_, std::nullopt);
}

}  // namespace starling::peer
