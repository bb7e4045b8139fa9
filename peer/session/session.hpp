#pragma once

// A peer in a swarm, from the moment when the descriptor is known to its goodbye, as a machine
// without I/O: it arrives, trains, averages, recovers, settles and ends. It has no socket, clock,
// thread or file; time and randomness are arguments. peer/node/session_driver.hpp runs it in the
// daemon, peer/virtual/ in virtual time.
//
// Use: call one handle_*, member_* or command, then drain the averager and every poll_* until all
// are empty, then come back at poll_timeout() at the latest. `now` never decreases. Every call
// returns at once. When view_due() has come, give it the present view of the swarm.
//
// Parts: Arrival and Readiness (how a newcomer comes to train), Roster (partners and duties),
// Transfers (parameters and shards in both directions), Recovery (after divergence), Quota and EpochGoal
// (how far training may go), Standing (whether we count in the sum), Settling and Ending (the common end). The
// session joins them and owns the peer's public state.
//
// Thread    network

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/instant.hpp"
#include "base/result.hpp"
#include "data/shard_store.hpp"
#include "data/shares.hpp"
#include "gossip/averager.hpp"
#include "gossip/interval.hpp"
#include "peer/session/arrival.hpp"
#include "peer/session/ending.hpp"
#include "peer/session/epoch_goal.hpp"
#include "peer/session/hand_over.hpp"
#include "peer/session/jury.hpp"
#include "peer/session/mix_weight.hpp"
#include "peer/session/norm_draw.hpp"
#include "peer/session/overfitting.hpp"
#include "peer/session/quota.hpp"
#include "peer/session/rate_scale.hpp"
#include "peer/session/recovery.hpp"
#include "peer/session/roster.hpp"
#include "peer/session/sample_bound.hpp"
#include "peer/session/settling.hpp"
#include "peer/session/speed.hpp"
#include "peer/session/standing.hpp"
#include "peer/terms/descriptor.hpp"
#include "peer/terms/record.hpp"
#include "peer/terms/start.hpp"
#include "peer/terms/swarm_view.hpp"
#include "peer/terms/training.hpp"
#include "peer/transfer/transfers.hpp"

namespace starling::peer {

/// How a session ends by itself.
struct SessionOutcome {
    std::optional<Fault> fault;  ///< nothing after a common end
    double last_distance = 0;    ///< relative distance to the last partner before they averaged
};

/// A peer's share of the splits that are judged in shares.
struct ShareSize {
    std::size_t portions = 0;
    std::size_t portions_of_all = 0;  ///< 0: everybody holds all that is judged
    std::uint64_t bytes = 0;
    std::uint64_t bytes_of_all = 0;
};

class Session {
public:
    struct Parts {
        gossip::Averager& averager;
        data::ShardStore& shards;
        ParameterChunks& parameters;
        bool silent_quality = false;  ///< say nothing of loss and quality on private samples
        double upload_limit = 0.0;    ///< bytes a second of what we send in bulk; 0: none
        /// A number that nobody else knows: whoever gives parameters must not know what is compared.
        std::uint64_t secret = 0;
        std::uint64_t cache = 0;  ///< bytes of shards that we keep, besides our duties; 0: no limit
        std::size_t norms = 0;    ///< channels of batch norm whose statistics run
        /// A split of more bytes is judged in shares; the same at all peers.
        std::uint64_t whole_split = data::kWholeSplitBytes;
    };

    /// What a peer has done in earlier lives.
    struct Progress {
        std::uint64_t steps = 0;
        std::uint64_t samples = 0;
        std::uint64_t schedule_step = 0;
        std::uint64_t learned = 0;  ///< samples of the swarm that its parameters have learned from
        /// Chunks of the parameters that a newcomer has fetched, ascending; the parameters hold them.
        std::vector<std::uint32_t> chunks{};
    };

    /// Requires  `descriptor` and `parts` outlive the session; the averaging settings are valid
    Session(const PeerId& self, const Descriptor& descriptor, const Parts& parts);

    /// Starts the session. A peer that founds or resumes has its parameters already.
    void begin(Instant now, Start start, const Progress& before);

    // From outside.

    /// Takes in the present view of the swarm, and decides what follows from it.
    void handle_view(Instant now, const SwarmView& view);
    void handle_report(Instant now, TrainerReport report);
    /// An exchange has ended. `cost` is what exchanges take from training, as a mean of the last ones.
    void handle_exchange(Instant now, const gossip::ExchangeEvent& event, Duration cost = {});
    /// The trainer has made the steps between two exchanges, or an exchange is due since poll_mix_from().
    void handle_mix_due(Instant now, std::uint64_t round);
    /// Takes a frame about parameters or shards, or an Exchange with moments of batch norms (is_norm_part). With `overloaded`, this peer gets nothing now. Requests
    /// wait until serve().
    void handle_frame(
        Instant now, const PeerId& from, FrameType type, ByteView payload, bool overloaded
    );

    /// Asks for no further piece of a shard before this time (peer/transfer/fetch_pace.hpp).
    void hold_shards(std::optional<Instant> until) { transfers_.hold_shards(until); }

    /// Returns whether steps are made at present.
    [[nodiscard]] bool trains() const {
        return state_ == PeerState::Training && data_is_here() && report_.samples_per_s > 0;
    }

    /// Answers one of the requests that wait, of a peer for which there is `room`. Returns false if there
    /// is none.
    bool serve(const std::function<bool(const PeerId&)>& room);

    /// Returns whether requests wait.
    [[nodiscard]] bool asked() const { return transfers_.asked(); }

    /// The stream to a partner broke.
    void handle_broken(Instant now, const PeerId& partner);
    void member_up(Instant now);
    void member_down(Instant now, const PeerId& peer);
    void handle_timeout(Instant now);

    /// The peer leaves: nothing is decided any more.
    void stop();

    // To outside: drain after every call above.

    [[nodiscard]] std::optional<OutgoingFrame> poll_transmit();
    /// Returns the newest order for the trainer, if it has changed.
    [[nodiscard]] std::optional<TrainerOrder> poll_order();
    /// With sync: returns the round that is over, once, for the trainer that waits for it.
    [[nodiscard]] std::optional<std::uint64_t> poll_release();
    /// Where exchanges go by time: returns from when on the trainer should say that one is due, if that
    /// has changed.
    [[nodiscard]] std::optional<Instant> poll_mix_from();
    /// Returns how many times the learning rate of the schedule the trainer should take, if that has
    /// changed.
    [[nodiscard]] std::optional<double> poll_rate_factor();
    /// Returns the record to publish, if it is time to. Its `bytes` are for the caller to fill in.
    [[nodiscard]] std::optional<Record> poll_record();

    /// Returns whether others decide something from the record that poll_record() returned last.
    [[nodiscard]] bool record_decides() const { return record_decides_; }

    /// Returns the next line for people.
    [[nodiscard]] std::optional<std::string> poll_note();
    /// Returns once how the session has ended by itself.
    [[nodiscard]] std::optional<SessionOutcome> poll_outcome();
    /// Returns when to come back: with a view, or to handle_timeout().
    [[nodiscard]] std::optional<Instant> poll_timeout() const;

    /// Returns when the next view is due, or nothing when the session has ended.
    [[nodiscard]] std::optional<Instant> view_due() const { return view_due_; }

    // What we know.

    [[nodiscard]] PeerState state() const { return state_; }

    /// Returns whether our parameters are good to train on and to give to others.
    [[nodiscard]] bool has_parameters() const;

    /// Returns what we know of ourselves; poll_record() has what the others are told.
    [[nodiscard]] Record record() const;

    /// Returns what we wait for, of whom and since when, as words for people; nothing while we train.
    [[nodiscard]] std::string waiting(Instant now) const;

    [[nodiscard]] const TrainerReport& report() const { return report_; }

    [[nodiscard]] const Ending& ending() const { return ending_; }

    [[nodiscard]] const Recovery& recovery() const { return recovery_; }

    [[nodiscard]] const Roster& roster() const { return roster_; }

    [[nodiscard]] const Transfers& transfers() const { return transfers_; }

    /// Returns how long we wait between two exchanges; nothing: the trainer counts steps.
    [[nodiscard]] const std::optional<gossip::Interval>& interval() const { return interval_; }

    /// Returns which part of what is judged is our share.
    [[nodiscard]] ShareSize share() const;

    /// Returns what the last evaluation has found on the split that targets are held against, and on the test split
    /// where that is another one: where a split is judged in shares, what all together have found, or ours alone.
    [[nodiscard]] const Examined& evaluated() const { return evaluated_; }

    [[nodiscard]] const std::optional<Examined>& tested() const { return tested_; }

    /// Returns on which part of the samples that was; nothing where it was on all.
    [[nodiscard]] std::optional<double> judged() const { return judged_; }

    /// Returns whose findings in our share were off at the last evaluation.
    [[nodiscard]] const CrossCheck& cross_check() const { return jury_.check(); }

    /// Returns by how much the learning rate is multiplied; nothing: nobody has asked for that.
    [[nodiscard]] std::optional<double> rate_factor() const {
        return rate_scale_ ? std::optional(rate_scale_->factor()) : std::nullopt;
    }

    /// Returns log2 of our weight in pairs; nothing: they are even.
    [[nodiscard]] std::optional<std::int8_t> mix_weight() const { return mix_weight_.log2(); }

    /// Returns the samples of the whole swarm and its live peers, as of the last view.
    [[nodiscard]] std::uint64_t swarm_samples() const { return swarm_samples_; }

    [[nodiscard]] std::size_t live() const { return live_; }

private:
    // session_arrival.cpp
    void update_arrival(Instant now, const SwarmView& view);
    void update_readiness(const SwarmView& view);
    void update_holders(Instant now, const SwarmView& view);
    void offer_donors(Instant now, const SwarmView& view);
    void update_standing(Instant now, const SwarmView& view);
    void shun(Instant now);
    bool average(Instant now);
    void start_training(Instant now, const SwarmView& view);
    void note_unsound(Instant now);
    void begin_recovery(Instant now, RecoveryCause cause);
    void update_recovery(Instant now, const SwarmView& view);
    void end_diverged();
    [[nodiscard]] bool data_is_here() const;
    [[nodiscard]] bool is_complete() const;

    // session_quality.cpp
    [[nodiscard]] bool is_private() const;
    [[nodiscard]] std::uint64_t judged_samples() const;
    [[nodiscard]] std::optional<double> own_estimate(compute::QualityKind goal) const;
    [[nodiscard]] std::optional<double> mean_over_swarm(
        std::optional<double> own, compute::QualityKind goal, std::span<const Record> others
    ) const;
    void note_unknown_quality(bool evaluated);
    [[nodiscard]] bool estimate_is_news(Instant now);
    void tell_of_own(Record& record) const;
    void silence(Record& record) const;

    // session_share.cpp
    void update_share();
    void await_share(Instant now);
    [[nodiscard]] ShardTransfer::Last shared_shards() const;
    [[nodiscard]] bool judged_is_here() const;
    void take_words(Instant now);
    bool handle_told(const PeerId& from, ByteView payload);
    void update_jury(Instant now, const SwarmView& view);
    void take_findings();
    void note_suspects();
    [[nodiscard]] bool evaluation_done() const;

    // session_norms.cpp
    void update_norms(Instant now);
    void take_norms(Instant now);
    [[nodiscard]] bool draws_norms() const;

    // session_pace.cpp
    void update_speed(Instant now, const SwarmView& view);
    void update_weight(Instant now, std::optional<std::int16_t> usual);
    void update_rate(Instant now);
    void update_quota(Instant now, const SwarmView& view);
    void update_goal(Instant now, const SwarmView& view);
    void pace_exchange(Instant now, const gossip::ExchangeEvent& event, Duration cost);
    [[nodiscard]] bool epochs_done(Instant now);
    [[nodiscard]] bool used_up() const;
    [[nodiscard]] bool makes_steps() const;
    void mix_without_steps(Instant now);

    // session.cpp
    [[nodiscard]] Transfers::Serving serving() const;
    void update_roster(Instant now, const SwarmView& view);
    [[nodiscard]] std::uint64_t samples_of(std::span<const ShardId> shards) const;
    void note_caught_up();
    void update_ending(Instant now, const SwarmView& view);
    [[nodiscard]] EndingInputs ending_inputs(const SwarmView& view, std::span<const Record> others)
        const;
    void enter(Instant now, EndingPhase phase);
    void become(Instant now, PeerState state);
    void give_order();
    void release_trainer(Instant now);
    /// With `decides`, others decide something from what is new in the record.
    void publish(Instant now, bool decides = true);
    void end(std::optional<Fault> fault);
    [[nodiscard]] bool settled() const;

    PeerId self_;
    const Descriptor& descriptor_;
    Parts parts_;
    Outbox out_;
    Arrival arrival_;
    Until until_;  ///< as we pursue it
    Readiness readiness_;
    data::SplitShares shares_;
    Roster roster_;
    HandOver hand_over_;
    Transfers transfers_;
    Recovery recovery_;
    Settling settling_;
    NormDraw norms_;
    Jury jury_;
    Examined evaluated_;
    std::optional<Examined> tested_;
    std::optional<double> judged_;
    Ending ending_;
    Quota quota_;
    EpochGoal goal_;
    SampleBound sample_bound_;
    SpeedWord speed_;
    MixWeight mix_weight_;
    std::optional<gossip::Interval> interval_;
    std::optional<Instant> mix_from_told_;
    std::optional<RateScale> rate_scale_;
    std::optional<double> rate_factor_;  ///< that the trainer has not been told yet
    Overfitting overfitting_;
    Standing standing_;
    std::vector<PeerId> shunned_;  ///< partners that the averager must not have, in order of id

    PeerState state_ = PeerState::Joining;
    Instant state_since_;
    TrainerReport report_;
    std::uint64_t shards_version_ = 0;
    std::uint64_t duty_samples_ = 0;  ///< of the training shards that are ours
    std::uint64_t evaluation_ = 0;
    std::shared_ptr<const std::vector<JudgedPortion>> share_;  ///< for the trainer
    bool share_awaited_ = true;      ///< an evaluation waits for what is missing of our share
    std::uint64_t orders_ = 0;       ///< number of the last order
    std::uint64_t pause_order_ = 0;  ///< the one that paused the trainer for a recovery
    std::optional<std::uint64_t> schedule_step_;
    double last_distance_ = 0;
    std::uint64_t swarm_samples_ = 0;
    std::size_t live_ = 1;
    std::size_t ready_ = 0;            ///< peers that have all they need, with us
    std::size_t awaited_ = 0;          ///< other live peers that have not ended
    std::optional<Instant> view_due_;  ///< nothing before begin() and after the end
    Instant published_;
    std::uint64_t told_samples_ = 0;       ///< in the last record
    std::optional<double> told_estimate_;  ///< of private samples
    Instant estimate_told_at_;
    Claim told_claim_;                    ///< likewise
    std::optional<Instant> rests_since_;  ///< while others have claimed all samples that are left
    std::uint64_t quota_order_ = 0;       ///< the order that gave the trainer its present limit
    Instant idle_mix_at_;                 ///< when a peer that makes no steps averages next
    /// Until when a peer that belongs to others, but has not met any of them yet, must not end alone.
    Instant meets_until_;
    bool owns_parameters_ = false;  ///< they were whole at some time in this life
    bool untrained_ = false;  ///< we began from nothing while others trained, and are a ghost yet
    bool unsound_noted_ = false;
    bool stuck_noted_ = false;
    bool told_ghost_ = false;  ///< in the last record

    std::optional<TrainerOrder> order_;
    std::optional<std::uint64_t> waits_in_;  ///< the round in which the trainer waits
    std::optional<std::uint64_t> release_;
    bool record_due_ = false;
    bool record_decides_ = false;
    std::deque<std::string> notes_;
    std::optional<SessionOutcome> outcome_;
};

}  // namespace starling::peer
