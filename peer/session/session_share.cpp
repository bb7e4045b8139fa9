// The part of Session that holds a share of what models are judged by, where that is too large for everybody.

#include <algorithm>
#include <chrono>
#include <utility>

#include "peer/session/session.hpp"

namespace starling::peer {

namespace {

/// An evaluation waits so long for what is missing of our share. Others hold it as well.
constexpr Duration kShareWait = std::chrono::seconds(10);

}  // namespace

/// Tells the trainer what it judges by from now on.
void Session::update_share() {
    if (!shares_.divides()) return;
    std::vector<JudgedPortion> share;
    for (const auto i : roster_.share()) {
        const auto& portion = shares_.portions()[i];
        share.push_back({i, portion.split, portion.shards});
    }
    share_ = std::make_shared<const std::vector<JudgedPortion>>(std::move(share));
}

/// Returns the shards of our share, and who should hold each: now, before the last rotation, or until somebody died or
/// came. They are fetched after what is trained on: training never waits for them.
ShardTransfer::Last Session::shared_shards() const {
    constexpr std::size_t kAsked = 2 * data::kShareCopies;
    ShardTransfer::Last shards;
    if (!share_) return shards;
    std::vector<PeerId> ids;
    for (const auto& peer : roster_.counted()) {
        if (peer.id != self_) ids.push_back(peer.id);
    }
    const auto rotation = roster_.rotation();
    for (const auto& mine : *share_) {
        auto holders = shares_.ranked(mine.portion, rotation, ids, kAsked);
        if (rotation > 0) {
            const auto before = shares_.ranked(mine.portion, rotation - 1, ids);
            holders.insert(holders.end(), before.begin(), before.end());
        }
        for (const auto& shard : mine.shards) shards.emplace(shard, holders);
    }
    return shards;
}

/// We evaluate when all that we judge by is here. What is missing is being fetched.
bool Session::judged_is_here() const {
    const auto& manifest = parts_.shards.manifest();
    return std::all_of(manifest.shards.begin(), manifest.shards.end(), [this](const auto& shard) {
        if (shard.split == data::Split::Train || parts_.shards.has(shard.id)) return true;
        const auto* portion = shares_.portion_of(shard.id);
        if (portion == nullptr) return false;
        const auto& share = roster_.share();
        return !share_awaited_ || !std::binary_search(share.begin(), share.end(), *portion);
    });
}

/// Evaluates what is here when the rest of our share does not come.
void Session::await_share(Instant now) {
    if (state_ != PeerState::Evaluating || !share_awaited_ || now - state_since_ < kShareWait) {
        return;
    }
    share_awaited_ = false;
    give_order();
}

ShareSize Session::share() const {
    ShareSize size;
    size.portions_of_all = shares_.portions().size();
    for (const auto& portion : shares_.portions()) size.bytes_of_all += portion.bytes;
    if (!share_) return size;
    size.portions = share_->size();
    for (const auto& mine : *share_) size.bytes += shares_.portions()[mine.portion].bytes;
    return size;
}

/// Our own evaluation is done. Where nothing is judged in shares it is the last word.
void Session::take_words(Instant now) {
    evaluated_ = report_.evaluated;
    tested_ = report_.tested;
    if (!shares_.divides()) return;
    const bool ours = state_ == PeerState::Evaluating && report_.evaluation == evaluation_;
    if (!ours) return;
    auto words = report_.portions ? *report_.portions : std::vector<PortionWord>();
    jury_.handle_own(now, std::move(words), now - state_since_);
    view_due_ = now;
}

/// Takes what somebody tells for the end. Returns whether it is news.
bool Session::handle_told(const PeerId& from, ByteView payload) {
    if (!is_portion_word(payload)) return norms_.handle_frame(from, payload);
    return shares_.divides() && jury_.handle_frame(from, payload);
}

/// With `--mix none` models have nothing in common, so nobody is told anything.
void Session::update_jury(Instant now, const SwarmView& view) {
    if (!shares_.divides()) return;
    jury_.follow(ending_.round());
    if (!jury_.gathers() && !jury_.complete()) return;
    Jury::Others others;
    others.votes = !untrained_;
    for (const auto& peer : view.others) {
        if (!peer.trains() || descriptor_.mix == "none") continue;
        others.all.push_back(peer.id);
        const auto state = peer.record->state;
        const bool ended = state == PeerState::Lingering || state == PeerState::Done;
        if (!ended && peer.record->round == ending_.round()) others.busy.push_back(peer.id);
    }
    const bool before = jury_.complete();
    jury_.update(now, others);
    if (!before && jury_.complete()) take_findings();
}

/// One line, whoever and how many they are: `status` lists them.
void Session::note_suspects() {
    const auto& check = jury_.check();
    if (check.we_differ) {
        notes_.push_back(
            "what this peer has found in its share of the test set differs from what most others "
            "have "
            "found there, by more than chance: its device or its data may be wrong"
        );
    }
    if (check.suspects.empty()) return;
    const auto& first = check.suspects.front();
    const auto more = check.suspects.size() - 1;
    notes_.push_back(
        "peer " + first.peer.short_string() + " says " + first.what +
        ": more than chance explains" + (more > 0 ? " (and " + std::to_string(more) + " more)" : "")
    );
}

void Session::take_findings() {
    note_suspects();
    const auto& manifest = parts_.shards.manifest();
    const auto target = manifest.target_split();
    if (shares_.divides(target)) evaluated_ = jury_.findings(target).examined;
    const bool tests = tested_ && shares_.divides(data::Split::Test);
    if (tests) tested_ = jury_.findings(data::Split::Test).examined;
    judged_.reset();
    const auto last = tested_ ? data::Split::Test : target;
    if (!shares_.divides(last)) return;
    judged_ = static_cast<double>(jury_.findings(last).samples) /
              static_cast<double>(manifest.samples(last));
    note_unknown_quality(true);
}

bool Session::evaluation_done() const {
    const bool own = evaluation_ > 0 && report_.evaluation == evaluation_;
    return own && (!shares_.divides() || jury_.complete());
}

}  // namespace starling::peer
