// How a session gets what it needs to train: enough ready peers, shards, and parameters. Also how
// it gets new parameters when its own have gone bad.

#include <algorithm>
#include <filesystem>
#include <utility>

#include "peer/machine/clock.hpp"
#include "peer/session/session.hpp"

namespace starling::peer {

namespace {

/// If no donor is there for so long, the swarm has not begun to train, and the newcomer starts from
/// the swarm's seed.
constexpr Duration kNoDonorMax = std::chrono::seconds(10);
/// A newcomer that cannot train ends when it has been the only live member for so long.
constexpr Duration kDesertedMax = 2 * kNoDonorMax;
constexpr std::uint64_t kInitPurpose = 1;

}  // namespace

void Session::initialize_parameters() {
    parameters_.initialize(Rng(descriptor_.seed).fork(kInitPurpose));
}

/// Training begins when as many peers are ready as the founder asked for. A peer that comes while
/// others train already, or that has trained before, does not wait.
void Session::update_readiness(const SwarmView& view) {
    if (enough_ready_) return;
    const auto others = view.training_records();
    const bool begun = std::any_of(others.begin(), others.end(), [](const Record& other) {
        return other.steps > 0;
    });
    const std::size_t ready = others.size() + (state_ == PeerState::Training ? 1 : 0);
    if (ready < descriptor_.wait_for && !begun && report_.steps == 0) {
        if (ready == waiting_with_ || state_ != PeerState::Training) return;
        waiting_with_ = ready;
        reporter_.note(
            "training begins when " + std::to_string(descriptor_.wait_for) +
            " peers are ready; there are " + std::to_string(ready)
        );
        return;
    }
    enough_ready_ = true;
    give_order();
}

void Session::update_holders(const SwarmView& view) {
    std::vector<data::WeightedPeer> holders;
    for (const auto& peer : view.others) {
        if (peer.live() && peer.record && peer.record->held > 0) holders.push_back({peer.id, 1});
    }
    transfers_.set_holders(std::move(holders));
}

bool Session::can_train() const {
    if (!report_.prepared || transfers_.fetching_state()) return false;
    if (duties_.train.empty()) return true;
    return std::any_of(duties_.train.begin(), duties_.train.end(), [this](const ShardId& shard) {
        return shards_.has(shard);
    });
}

/// Returns whether our parameters are good to train on and to give to others.
bool Session::has_parameters() const {
    return state_ != PeerState::Joining && !recovery_.running();
}

/// Tells the transfer which peers may give parameters. Returns whether there is one.
bool Session::offer_donors(const SwarmView& view) {
    std::vector<PeerId> donors;
    for (const auto& peer : view.training_peers()) donors.push_back(peer.id);
    const bool any = !donors.empty();
    transfers_.set_donors(std::move(donors));
    return any;
}

void Session::update_joining(const SwarmView& view) {
    const Instant now = real_now();
    if (transfers_.fetching_state()) {
        if (offer_donors(view)) joining_since_ = now;
        if (now - joining_since_ > kNoDonorMax) {
            reporter_.note("nobody has parameters to give; starting from the swarm's seed");
            initialize_parameters();
            transfers_.end_state();
            gossip_.set_ghost(false);
        }
    }
    if (!can_train()) {
        end_if_deserted(view);
        return;
    }
    if (const auto step = transfers_.donors_schedule_step()) schedule_step_ = step;
    transfers_.end_state();
    gossip_.adopt_parameters();
    gossip_.set_accepting(true);
    become(PeerState::Training);
    give_order();
}

/// Ends a newcomer that came at the swarm's end: nobody is left that could give it data.
void Session::end_if_deserted(const SwarmView& view) {
    const Instant now = real_now();
    if (view.live > 1 || !report_.prepared) alone_since_ = now;
    if (now - alone_since_ < kDesertedMax) return;
    wiring_.ended(fail(
        FaultCode::Unreachable,
        "everybody else has left, and this peer holds no data to train on: the swarm has ended"
    ));
}

/// Prints one note when the first batch without a finite loss was skipped, and begins a recovery
/// when training has diverged.
void Session::note_unsound() {
    if (report_.unsound_steps > 0 && !unsound_noted_) {
        unsound_noted_ = true;
        reporter_.note(
            "a batch gave no finite loss after step " + std::to_string(report_.steps) +
            "; it is skipped, like others that may follow (unsound_steps_total)"
        );
    }
    // The report may be older than the order that followed the last recovery.
    const bool news = report_.diverged && report_.restarts == recovery_.done();
    if (news) begin_recovery(RecoveryCause::Diverged);
}

void Session::judge_exchange(const gossip::ExchangeEvent& event) {
    const auto cause = recovery_.judge(event, partners_.size());
    if (cause) begin_recovery(*cause);
}

/// Begins to replace our bad parameters by those of others. If a recovery is of no use, the session
/// ends. It does not end if only partners say that our parameters are bad: they may lie.
void Session::begin_recovery(RecoveryCause cause) {
    const bool mixes = state_ == PeerState::Training || state_ == PeerState::Settling;
    if (!mixes || recovery_.running()) return;
    const bool diverged = cause == RecoveryCause::Diverged;
    const bool others = descriptor_.mix != "none" && !partners_.empty();
    if (!others || !recovery_.begin(real_now(), report_.steps, cause)) {
        if (diverged) end_diverged();
        return;
    }
    const std::string why = diverged ? "training has diverged" : "partners reject the parameters";
    reporter_.note(
        why + " after step " + std::to_string(report_.steps) + "; taking the parameters of others"
    );
    gossip_.set_accepting(false);
    gossip_.set_ghost(true);
    give_order();
    tick_.arm_after(Duration::zero());
}

void Session::update_recovery(const SwarmView& view) {
    const auto& averager = gossip_.averager();
    Recovery::Inputs inputs;
    // A broken exchange that is not undone yet belongs to the bad parameters, too.
    inputs.exchanging = averager.initiating() || averager.responding() || averager.returning();
    inputs.chunks = transfers_.state_chunks();
    inputs.complete = !transfers_.fetching_state();
    switch (recovery_.advance(real_now(), inputs)) {
        case RecoveryStep::None:
            break;
        case RecoveryStep::Fetch:
            transfers_.fetch_state();
            break;
        case RecoveryStep::Resume:
            transfers_.end_state();
            gossip_.adopt_parameters();
            gossip_.set_accepting(true);
            reporter_.note(
                inputs.complete ? "the parameters of others are here; training goes on"
                                : "nobody gave any parameters; training goes on with our own"
            );
            give_order();
            return;
        case RecoveryStep::GiveUp:
            return end_diverged();
    }
    offer_donors(view);
}

void Session::end_diverged() {
    std::string message = "training has diverged after step " + std::to_string(report_.steps) +
                          "; try a lower learning rate than that of " + descriptor_.optimizer;
    const auto file = config_.state / "checkpoint";
    std::error_code error;
    if (!config_.state.empty() && std::filesystem::exists(file, error)) {
        message += " (" + file.string() + " holds a model from before)";
    }
    wiring_.ended(fail(FaultCode::Diverged, message));
}

}  // namespace starling::peer
