// How a session gets what it needs to train: enough ready peers, shards, and parameters. Also how
// it gets new parameters when its own have gone bad.

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "peer/session/session.hpp"

namespace starling::peer {

namespace {

/// A peer that rests for longer than words and turns take has something to tell.
constexpr Duration kRestMax = std::chrono::seconds(3);

/// Returns how far apart the peers that train are: the median of what they say, so that one that lies
/// changes little.
double spread_of(const SwarmView& view) {
    std::vector<double> spreads;
    for (const auto& record : view.training_records()) {
        if (std::isfinite(record.spread)) spreads.push_back(record.spread);
    }
    if (spreads.empty()) return 0.0;
    const auto middle = spreads.begin() + static_cast<std::ptrdiff_t>(spreads.size() / 2);
    std::nth_element(spreads.begin(), middle, spreads.end());
    return *middle;
}

}  // namespace

void Session::update_readiness(const SwarmView& view) {
    const auto others = view.training_records();
    Readiness::Inputs inputs;
    inputs.ours = state_ == PeerState::Training;
    inputs.ready = others.size() + (inputs.ours ? 1 : 0);
    ready_ = inputs.ready;
    inputs.begun =
        report_.steps > 0 || std::any_of(others.begin(), others.end(), [](const Record& other) {
            return other.steps > 0;
        });
    if (readiness_.advance(inputs)) give_order();
    if (const auto ready = readiness_.poll_news()) {
        notes_.push_back(
            "training begins when " + std::to_string(readiness_.wait_for()) +
            " peers are ready; there are " + std::to_string(*ready)
        );
    }
}

void Session::update_holders(Instant now, const SwarmView& view) {
    std::vector<data::WeightedPeer> holders;
    for (const auto& peer : view.others) {
        if (peer.live() && peer.newest() && peer.newest()->held > 0)
            holders.push_back({peer.id, 1});
    }
    transfers_.set_holders(now, std::move(holders));
}

bool Session::data_is_here() const {
    const auto& train = roster_.duties().train;
    return train.empty() || std::any_of(train.begin(), train.end(), [this](const ShardId& shard) {
               return parts_.shards.has(shard);
           });
}

/// Returns whether the trainer could begin, as far as it depends on what others give.
bool Session::is_complete() const {
    return report_.prepared && data_is_here() && !transfers_.fetching_state();
}

std::string Session::waiting(Instant now) const {
    const auto peers = [](std::size_t count) {
        return std::to_string(count) + (count == 1 ? " peer" : " peers");
    };
    const auto megabytes = [this](std::size_t chunks) {
        std::size_t bytes = 0;
        for (std::size_t i = 0; i < chunks; ++i) bytes += parts_.parameters.chunk_bytes(i);
        return std::to_string((bytes + 500'000) / 1'000'000);
    };
    std::string what;
    auto since = state_since_;
    switch (state_) {
        case PeerState::Joining:
            if (transfers_.fetching_state()) {
                const auto donors = transfers_.donors();
                what = "parameters from " + (donors == 0 ? "any peer" : peers(donors)) + " (" +
                       megabytes(transfers_.state_chunks()) + " of " +
                       megabytes(parts_.parameters.chunk_count()) + " MB)";
            } else if (!report_.prepared) {
                what = "the trainer, which prepares the model";
            } else if (!data_is_here()) {
                what = std::to_string(transfers_.shards_missing()) + " shards of the data";
            }
            break;
        case PeerState::Training:
            if (recovery_.running()) {
                what = "parameters of others";
            } else if (!readiness_.enough() && readiness_.wait_for() > 1) {
                what = "peers: " + std::to_string(ready_) + " of " +
                       std::to_string(readiness_.wait_for()) + " are ready";
            } else if (roster_.duties().train.empty() && is_private()) {
                what = "samples of its own to train on, which nobody else can give";
            } else if (roster_.duties().train.empty()) {
                what = "a part of the training data: all of its shards belong to other peers";
            } else if (rests_since_ && now - *rests_since_ > kRestMax) {
                what = live_ > 1 && goal_.target()
                           ? "the other peers, whose shards have not come as far as ours"
                       : live_ > 1 ? "the other peers, which have claimed the samples that are left"
                                   : "other members of its swarm";
                since = *rests_since_;
            }
            break;
        case PeerState::Settling:
            what = "the parameters to agree with " + peers(roster_.partners().size());
            break;
        case PeerState::Evaluating:
            what = jury_.gathers() ? "what the others find in their shares of the test set"
                                   : "its evaluation of the test set";
            break;
        case PeerState::Lingering:
            what = peers(awaited_) + " to end";
            break;
        case PeerState::Done:
        case PeerState::Watching:
            break;
    }
    if (what.empty()) return what;
    const auto seconds = static_cast<long>(to_seconds(now - since));
    return what + ", for " + std::to_string(seconds) + " s";
}

/// Tells the transfer which peers may give parameters.
void Session::offer_donors(Instant now, const SwarmView& view) {
    std::vector<PeerId> donors;
    std::vector<PeerId> ghosts;
    for (const auto& peer : view.others) {
        if (peer.trains()) (peer.record->ghost ? ghosts : donors).push_back(peer.id);
    }
    // What a ghost has may be old. But where nobody else is, it is what the swarm goes on with.
    transfers_.set_donors(now, donors.empty() ? ghosts : donors, spread_of(view));
}

/// Decides whether we count in the sum of all. A ghost gives nothing: what it has may be old.
void Session::update_standing(Instant now, const SwarmView& view) {
    auto& averager = parts_.averager;
    Standing::Inputs inputs;
    inputs.ghost = averager.ghost();
    inputs.whole = has_parameters();
    inputs.fetching = !owns_parameters_ && transfers_.fetching_state();
    inputs.samples = report_.samples;
    switch (standing_.advance(now, inputs, view)) {
        case StandingStep::None:
            break;
        case StandingStep::CountIn:
            averager.set_ghost(false);
            break;
        case StandingStep::StandAside:
            notes_.emplace_back(
                "a peer has come back whose model has learned from more samples; taking its "
                "parameters"
            );
            averager.set_ghost(true);
            break;
    }
    shun(now);
    averager.set_accepting(has_parameters() && !averager.ghost());
    if (averager.ghost() != told_ghost_) publish(now);
}

/// Takes away from the averager who would drag us back, and gives back who would not any more.
void Session::shun(Instant now) {
    const auto before = std::exchange(shunned_, {});
    const auto& partners = roster_.partners();
    std::set_intersection(
        partners.begin(),
        partners.end(),
        standing_.shunned().begin(),
        standing_.shunned().end(),
        std::back_inserter(shunned_)
    );
    // One that has come anew is the averager's partner again, though it was shunned before.
    for (const auto& peer : shunned_) parts_.averager.peer_down(now, peer);
    for (const auto& peer : before) {
        const bool still = std::binary_search(shunned_.begin(), shunned_.end(), peer);
        const bool here = std::binary_search(partners.begin(), partners.end(), peer);
        if (!still && here) parts_.averager.peer_up(now, peer);
    }
}

bool Session::average(Instant now) {
    return parts_.averager.begin_exchange(now, standing_.ghosts());
}

void Session::update_arrival(Instant now, const SwarmView& view) {
    offer_donors(now, view);
    ArrivalInputs inputs;
    inputs.fetching = transfers_.fetching_state();
    inputs.chunks = transfers_.state_progress();
    inputs.trainers = !roster_.partners().empty();
    inputs.prepared = report_.prepared;
    inputs.data = data_is_here();
    inputs.alone = view.live == 1;
    switch (arrival_.advance(now, inputs)) {
        case ArrivalStep::Wait:
            break;
        case ArrivalStep::FromSeed:
            notes_.emplace_back("nobody has parameters to give; starting from the swarm's seed");
            parts_.parameters.initialize();
            transfers_.end_state();
            parts_.averager.set_ghost(false);
            standing_.begin_from_seed(now);
            view_due_ = now;
            break;
        case ArrivalStep::FromNothing:
            // A ghost takes from its partners and gives nothing, so what it begins with harms
            // nobody. Newcomers must not take it for a donor meanwhile.
            notes_.emplace_back(
                "others train, but none of them gives its parameters; starting from the swarm's "
                "seed and catching up"
            );
            parts_.parameters.initialize();
            transfers_.end_state();
            untrained_ = true;
            standing_.begin_from_nothing();
            view_due_ = now;
            break;
        case ArrivalStep::Train:
            start_training(now, view);
            break;
        case ArrivalStep::Deserted:
            end(fail(
                FaultCode::Unreachable,
                "everybody else has left, and this peer holds no data to train on: the swarm has "
                "ended"
            ));
            break;
    }
}

void Session::start_training(Instant now, const SwarmView& view) {
    // The present owners have gone on while we fetched their shards.
    hand_over_.note(now, view);
    hand_over_.forget();
    hand_over_.change(view.training_peers(), roster_.duties().train, std::nullopt);
    ++shards_version_;
    if (const auto step = transfers_.donors_schedule_step()) schedule_step_ = step;
    transfers_.end_state();
    owns_parameters_ = true;
    parts_.averager.adopt_parameters();
    become(now, PeerState::Training);
    give_order();
}

/// Tells people once when the first batch without a finite loss was skipped, and begins a recovery
/// when training has diverged.
void Session::note_unsound(Instant now) {
    if (report_.unsound_steps > 0 && !unsound_noted_) {
        unsound_noted_ = true;
        notes_.push_back(
            "a batch gave no finite loss after step " + std::to_string(report_.steps) +
            "; it is skipped, like others that may follow (unsound_steps_total)"
        );
    }
    // The report may be older than the order that followed the last recovery.
    const bool news = report_.diverged && report_.restarts == recovery_.done();
    if (news) begin_recovery(now, RecoveryCause::Diverged);
}

/// Begins to replace our bad parameters by those of others. If a recovery is of no use, the session
/// ends. It does not end if only partners say that our parameters are bad: they may lie.
void Session::begin_recovery(Instant now, RecoveryCause cause) {
    const bool mixes = state_ == PeerState::Training || state_ == PeerState::Settling;
    if (!mixes || recovery_.running()) return;
    const bool diverged = cause == RecoveryCause::Diverged;
    const bool others = descriptor_.mix != "none" && !roster_.partners().empty();
    if (!others || !recovery_.begin(now, report_.steps, cause)) {
        if (diverged) end_diverged();
        return;
    }
    const std::string why = diverged ? "training has diverged" : "partners reject the parameters";
    notes_.push_back(
        why + " after step " + std::to_string(report_.steps) + "; taking the parameters of others"
    );
    parts_.averager.set_accepting(false);
    parts_.averager.set_ghost(true);
    give_order();
    pause_order_ = orders_;
    view_due_ = now;
}

void Session::update_recovery(Instant now, const SwarmView& view) {
    const auto& averager = parts_.averager;
    Recovery::Inputs inputs;
    // A broken exchange that is not undone yet belongs to the bad parameters, too, and that of our
    // round may still begin. A step that still runs would update what we fetch.
    inputs.in_use = averager.initiating() || averager.responding() || averager.in_round() ||
                    averager.returning() || report_.obeyed < pause_order_;
    inputs.chunks = transfers_.state_progress();
    inputs.complete = !transfers_.fetching_state();
    switch (recovery_.advance(now, inputs)) {
        case RecoveryStep::None:
            break;
        case RecoveryStep::Fetch:
            transfers_.fetch_state();
            break;
        case RecoveryStep::Resume:
            transfers_.end_state();
            parts_.averager.adopt_parameters();
            notes_.emplace_back(
                inputs.complete ? "the parameters of others are here; training goes on"
                                : "nobody gave any parameters; training goes on with our own"
            );
            give_order();
            return;
        case RecoveryStep::GiveUp:
            return end_diverged();
    }
    offer_donors(now, view);
}

void Session::end_diverged() {
    end(fail(
        FaultCode::Diverged,
        "training has diverged after step " + std::to_string(report_.steps) +
            "; try a lower learning rate than that of " + descriptor_.optimizer
    ));
}

}  // namespace starling::peer
