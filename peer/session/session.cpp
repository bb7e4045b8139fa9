#include "peer/session/session.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/planted_fault.hpp"
#include "base/rng.hpp"
#include "compute/training/schedule.hpp"

namespace starling::peer {

namespace {

constexpr Duration kViewEvery = std::chrono::milliseconds(100);
constexpr Duration kPublishEvery = std::chrono::seconds(1);
/// A peer that returns to its swarm waits so long for the others before it decides alone that the
/// target is reached.
constexpr Duration kMeetMax = std::chrono::seconds(10);

std::optional<gossip::Interval> interval_of(const Descriptor& descriptor, double upload_limit) {
    if (steps_between(descriptor, 0) > 0) return std::nullopt;
    gossip::Interval::Limits limits;
    limits.upload = upload_limit;
    if (descriptor.mix_every.by == MixBy::Time) limits.fixed = descriptor.mix_every.time;
    return gossip::Interval(limits);
}

}  // namespace

Session::Session(const PeerId& self, const Descriptor& descriptor, const Parts& parts)
    : self_(self),
      descriptor_(descriptor),
      parts_(parts),
      until_(own_until(descriptor_.until, parts.shards.manifest(), descriptor_.batch)),
      readiness_(descriptor_.wait_for),
      shares_(parts.shards.manifest(), descriptor_.seed, parts.whole_split),
      roster_(self, parts.shards.manifest(), descriptor_.replicas, &shares_),
      hand_over_(self, parts.shards.manifest()),
      transfers_(
          parts.shards,
          parts.parameters,
          descriptor_.layout,
          mix64(self.prefix64() ^ parts.secret),
          out_,
          parts.cache
      ),
      settling_(parts.averager, descriptor_.settle),
      norms_(self, descriptor_.mix == "none" ? 0 : parts.norms, descriptor_.batch, out_),
      jury_(self, parts.shards.manifest(), shares_, descriptor_.until, out_),
      ending_(until_),
      quota_(until_, descriptor_.batch),
      goal_(until_, descriptor_.batch),
      interval_(interval_of(descriptor_, parts.upload_limit)),
      standing_(self) {
    const auto optimizer = compute::OptimizerSpec::parse(descriptor_.optimizer);
    // Virtual peers have another one.
    if (optimizer && optimizer->scale > 0) rate_scale_.emplace(optimizer->scale);
}

void Session::begin(Instant now, Start start, const Progress& before) {
    arrival_.begin(now);
    state_since_ = now;
    meets_until_ = start == Start::Found ? now : now + kMeetMax;
    parts_.averager.set_accepting(false);
    // Only a founder counts in the sum at once. A peer that joins or returns is a ghost first.
    parts_.averager.set_ghost(start != Start::Found);
    if (start == Start::Found) ending_.found();
    owns_parameters_ = start != Start::Join;
    if (start == Start::Join) transfers_.fetch_state(before.chunks);
    standing_.begin(before.learned, before.samples);
    report_.steps = before.steps;
    report_.samples = before.samples;
    told_samples_ = before.samples;
    report_.schedule_step = before.schedule_step;
    parts_.averager.adopt_parameters();
    view_due_ = now;
    publish(now);
}

void Session::handle_view(Instant now, const SwarmView& view) {
    if (!view_due_) return;
    view_due_ = now + kViewEvery;
    swarm_samples_ = sample_bound_.count(now, view, report_.samples);
    live_ = view.live;
    // For good: the last one of a swarm is alone because the others have ended.
    if (view.live > 1) meets_until_ = std::min(meets_until_, now);
    update_quota(now, view);
    update_goal(now, view);
    update_speed(now, view);
    update_roster(now, view);
    update_readiness(view);
    update_rate(now);
    if (state_ == PeerState::Joining) update_arrival(now, view);
    if (recovery_.running()) update_recovery(now, view);
    update_standing(now, view);
    if (has_parameters() && now >= meets_until_) update_ending(now, view);
    hand_over_.note(now, view);
    note_caught_up();
    mix_without_steps(now);
    // No event tells us that a round has ended without an exchange.
    release_trainer(now);
    if (now - published_ >= kPublishEvery) publish(now, estimate_is_news(now));
}

void Session::update_roster(Instant now, const SwarmView& view) {
    const auto change = roster_.update_partners(view);
    for (const auto& peer : change.up) parts_.averager.peer_up(now, peer);
    for (const auto& peer : change.down) parts_.averager.peer_down(now, peer);
    if (!report_.prepared) return;
    // While a swarm ends nobody's share changes: it would be fetched, and judged, too late.
    const bool trains = ending_.phase() == EndingPhase::Train;
    const auto rotation = trains ? std::optional<std::uint64_t>(ending_.round()) : std::nullopt;
    if (roster_.update_duties(view, speed_.word(), rotation)) {
        ++shards_version_;
        update_share();
        duty_samples_ = samples_of(roster_.duties().train);
        const auto& hold = roster_.duties().hold;
        transfers_.want_shards(now, hold, shared_shards());
        transfers_.set_duties(
            now,
            {self_,
             hold,
             weigh(roster_.counted()),
             descriptor_.replicas,
             &shares_,
             roster_.rotation()}
        );
        std::optional<DutyPlace> own;
        if (const auto progress = hand_over_.progress(report_); progress && report_.steps > 0) {
            own = progress->base;
        }
        hand_over_.change(roster_.owners_before(), roster_.duties().train, own);
        give_order();
        // If we are gone before the next word, our heirs must know what came to us.
        if (state_ == PeerState::Training) publish(now);
    }
    if (transfers_.shards_missing() > 0) update_holders(now, view);
}

/// Returns the samples of training shards, which are in the manifest's order.
std::uint64_t Session::samples_of(std::span<const ShardId> shards) const {
    std::uint64_t sum = 0;
    auto at = shards.begin();
    for (const auto& info : descriptor_.manifest.shards) {
        if (at == shards.end()) break;
        if (info.id != *at) continue;
        sum += info.samples;
        ++at;
    }
    return sum;
}

bool Session::has_parameters() const {
    return state_ != PeerState::Joining && !recovery_.running();
}

bool Session::settled() const {
    return descriptor_.mix == "none" || roster_.partners().empty() || settling_.agreed();
}

EndingInputs Session::ending_inputs(const SwarmView& view, std::span<const Record> others) const {
    EndingInputs inputs;
    inputs.others = others;
    inputs.joining = static_cast<std::size_t>(std::count_if(
        view.others.begin(),
        view.others.end(),
        [](const SeenPeer& peer) {
            const bool watches = peer.record && peer.record->state == PeerState::Watching;
            return peer.live() && !peer.trains() && !watches;
        }
    ));
    // A peer that owns no shard makes no steps, and nobody should wait for them.
    const bool idle = roster_.duties().train.empty();
    inputs.own_steps = idle ? std::numeric_limits<std::uint64_t>::max() : report_.steps;
    inputs.swarm_samples = swarm_samples_;
    inputs.samples_wanted = quota_.target();
    const auto goal = descriptor_.until.quality();
    if (goal) inputs.estimate = mean_over_swarm(own_estimate(*goal), *goal, others);
    inputs.draws_norms = draws_norms();
    inputs.settled = settled() && !inputs.draws_norms;
    inputs.evaluated = evaluation_done();
    if (goal && inputs.evaluated) {
        inputs.full = mean_over_swarm(evaluated_.value(*goal), *goal, others);
    }
    return inputs;
}

void Session::update_ending(Instant now, const SwarmView& view) {
    const auto others = view.training_records();
    const bool others_train = std::any_of(others.begin(), others.end(), [](const Record& other) {
        return other.state == PeerState::Training;
    });
    settling_.update(roster_.partners(), others_train, standing_.ghosts());
    const auto before = ending_.phase();
    update_norms(now);
    await_share(now);
    update_jury(now, view);
    const bool reached_before = ending_.reached();
    auto inputs = ending_inputs(view, others);
    inputs.epochs_done = before == EndingPhase::Train && epochs_done(now);
    awaited_ = inputs.joining;
    for (const auto& other : others) {
        const bool ended = other.state == PeerState::Lingering || other.state == PeerState::Done;
        if (!ended) ++awaited_;
    }
    const auto after = ending_.advance(now, inputs);
    if (after != before) {
        enter(now, after);
    } else if (ending_.reached() != reached_before) {
        publish(now);
    }
}

void Session::enter(Instant now, EndingPhase phase) {
    const auto encoding = *gossip::parse_encoding(descriptor_.encoding);
    switch (phase) {
        case EndingPhase::Train:
            settling_.end(encoding);
            norms_.reset();
            become(now, PeerState::Training);
            break;
        case EndingPhase::Settle:
            become(now, PeerState::Settling);
            // Settling exchanges all parts at once. A lattice knows the gaps of single parts only,
            // so it would send bf16 each time.
            settling_.begin(now, descriptor_.parts > 1 ? gossip::Encoding::F32 : encoding);
            break;
        case EndingPhase::Evaluate:
            settling_.stop();
            ++evaluation_;
            share_awaited_ = true;
            become(now, PeerState::Evaluating);
            break;
        case EndingPhase::Linger:
            become(now, PeerState::Lingering);
            break;
        case EndingPhase::Leave:
            become(now, PeerState::Done);
            end(std::nullopt);
            return;
    }
    give_order();
}

void Session::become(Instant now, PeerState state) {
    if (state_ != state) state_since_ = now;
    state_ = state;
    publish(now);
}

void Session::give_order() {
    TrainerOrder order;
    order.number = ++orders_;
    order.keep = owns_parameters_ && !untrained_ && !recovery_.running();
    order.shards = roster_.duties().train;
    order.starts = hand_over_.starts();
    order.shards_version = shards_version_;
    order.evaluation = evaluation_;
    order.schedule_step = schedule_step_;
    if (norms_.stage() != NormDraw::Stage::Idle) order.norms_draw = norms_.number();
    order.norms = norms_.merged();
    order.norms_set = norms_.number();
    order.samples_limit = goal_.target() ? goal_.limit() : quota_.limit();
    order.restarts = recovery_.done();
    order.share = share_;
    const bool shrank = roster_.owners_before().size() > roster_.partners().size() + 1;
    const bool stops = shrank && planted(PlantedFault::TrainerStops);
    const bool trains =
        state_ == PeerState::Training && readiness_.enough() && has_parameters() && !stops;
    if (trains) order.phase = TrainerPhase::Train;
    if (state_ == PeerState::Evaluating && judged_is_here()) order.phase = TrainerPhase::Evaluate;
    order_ = std::move(order);
}

void Session::handle_report(Instant now, TrainerReport report) {
    if (!view_due_) return;
    if (report.fault) {
        end(std::move(report.fault));
        return;
    }
    const bool news = report.evaluation != report_.evaluation ||
                      report.accuracy != report_.accuracy || report.quality != report_.quality ||
                      report.prepared != report_.prepared;
    const bool paused = report_.obeyed < pause_order_ && report.obeyed >= pause_order_;
    const bool evaluated = report.evaluation != report_.evaluation;
    const bool estimated = report.test_loss && report.test_loss != report_.test_loss;
    const bool lost = report.shard_files.lost != report_.shard_files.lost;
    report_ = std::move(report);
    // Others may hold what has gone from our own files.
    if (lost && report_.prepared) {
        transfers_.want_shards(now, roster_.duties().hold, shared_shards());
    }
    take_norms(now);
    if (evaluated) take_words(now);
    note_unsound(now);
    if (estimated && state_ == PeerState::Training) {
        auto line =
            overfitting_.handle_estimate(now, {report_.steps, report_.loss, *report_.test_loss});
        if (line) notes_.push_back(std::move(*line));
    }
    note_unknown_quality(evaluated && !shares_.divides());
    const bool rests = used_up() && report_.samples != told_samples_;
    if ((news || paused || rests) && view_due_) view_due_ = now;
}

void Session::handle_exchange(Instant now, const gossip::ExchangeEvent& event, Duration cost) {
    release_trainer(now);
    if (!view_due_) return;
    pace_exchange(now, event, cost);
    const bool committed = event.outcome == gossip::Outcome::Committed;
    if (committed && event.rule != gossip::Rule::Pull) last_distance_ = event.relative_distance;
    settling_.handle_exchange(now, event);
    if (const auto cause = recovery_.judge(event, roster_.partners().size())) {
        begin_recovery(now, *cause);
    }
    if (state_ == PeerState::Settling && settled() && view_due_) view_due_ = now;
}

void Session::handle_mix_due(Instant now, std::uint64_t round) {
    if (descriptor_.sync) waits_in_ = round;
    // The trainer may not have seen yet that we recover.
    const bool mixes = view_due_ && state_ == PeerState::Training && has_parameters();
    bool begun = false;
    if (mixes && descriptor_.sync) {
        (void)parts_.averager.begin_round(now, round);
    } else if (mixes) {
        begun = average(now);
    }
    if (interval_) interval_->handle_asked(now, begun, roster_.partners().empty());
    release_trainer(now);
}

/// With sync: lets the trainer go on when its round is over, or when we make none.
void Session::release_trainer(Instant now) {
    if (!descriptor_.sync) return;
    const bool counts = view_due_ && state_ == PeerState::Training && has_parameters() &&
                        readiness_.enough() && makes_steps();
    parts_.averager.count_rounds(now, counts);
    if (!parts_.averager.in_round() && waits_in_) release_ = std::exchange(waits_in_, std::nullopt);
}

void Session::handle_frame(
    Instant now, const PeerId& from, FrameType type, ByteView payload, bool overloaded
) {
    if (!view_due_) return;
    if (type == FrameType::Exchange) {
        if (handle_told(from, payload)) view_due_ = now;
        return;
    }
    const bool complete = is_complete();
    note_caught_up();
    auto serving = this->serving();
    serving.overloaded = overloaded;
    if (transfers_.handle_frame(now, from, type, payload, serving)) {
        ++shards_version_;
        give_order();
    }
    if (!complete && is_complete() && !has_parameters()) view_due_ = now;
}

Transfers::Serving Session::serving() const {
    Transfers::Serving serving;
    serving.ready = has_parameters() && !untrained_;
    serving.schedule_step = report_.schedule_step;
    return serving;
}

bool Session::serve(const std::function<bool(const PeerId&)>& room) {
    return view_due_ && transfers_.serve(serving(), room);
}

/// A peer that began from nothing has real parameters once it is no ghost any more.
void Session::note_caught_up() {
    if (!untrained_ || parts_.averager.ghost()) return;
    untrained_ = false;
    give_order();
}

void Session::handle_broken(Instant now, const PeerId& partner) {
    if (!view_due_) return;
    norms_.handle_broken(partner);
    jury_.handle_broken(partner);
    transfers_.handle_broken(now, partner);
}

void Session::member_up(Instant now) {
    if (view_due_) view_due_ = now;
}

void Session::member_down(Instant now, const PeerId& peer) {
    if (!view_due_) return;
    parts_.averager.peer_down(now, peer);
    roster_.remove_partner(peer);
    transfers_.handle_broken(now, peer);
    view_due_ = now;
}

void Session::handle_timeout(Instant now) {
    if (!view_due_) return;
    transfers_.handle_timeout(now);
    if (has_parameters()) settling_.handle_timeout(now);
}

void Session::stop() {
    view_due_.reset();
    settling_.stop();
    out_.clear();
    order_.reset();
}

void Session::end(std::optional<Fault> fault) {
    stop();
    outcome_ = SessionOutcome{std::move(fault), last_distance_};
}

void Session::publish(Instant now, bool decides) {
    record_decides_ = decides || (record_due_ && record_decides_);
    published_ = now;
    told_samples_ = report_.samples;
    told_claim_ = quota_.claim();
    told_ghost_ = parts_.averager.ghost();
    record_due_ = true;
}

Record Session::record() const {
    Record r;
    r.state = state_;
    r.reached = ending_.reached();
    r.ending = ending_.ending();
    r.round = ending_.round();
    r.steps = report_.steps;
    r.samples = report_.samples;
    r.exchanges = parts_.averager.counters().committed;
    r.samples_per_s = static_cast<float>(report_.samples_per_s);
    r.loss = static_cast<float>(report_.loss);
    r.accuracy = report_.accuracy ? static_cast<float>(*report_.accuracy) : -1.0F;
    r.test_loss = report_.test_loss ? static_cast<float>(*report_.test_loss) : -1.0F;
    r.quality = report_.quality;
    r.spread = static_cast<float>(parts_.averager.spread());
    const auto shards = roster_.duties().train.size();
    r.shards = static_cast<std::uint16_t>(std::min<std::size_t>(shards, 65535));
    r.held = static_cast<std::uint16_t>(std::min<std::size_t>(parts_.shards.held(), 65535));
    r.claim = quota_.claim();
    tell_of_own(r);
    r.speed = speed_.word();
    // Private shards have no heirs.
    const bool inherited = state_ != PeerState::Joining && !is_private();
    if (inherited) r.duty = hand_over_.progress(report_);
    r.ghost = parts_.averager.ghost();
    r.learned = standing_.learned();
    return r;
}

std::optional<OutgoingFrame> Session::poll_transmit() {
    if (out_.empty()) return std::nullopt;
    auto frame = std::move(out_.front());
    out_.pop_front();
    return frame;
}

std::optional<TrainerOrder> Session::poll_order() {
    return std::exchange(order_, std::nullopt);
}

std::optional<std::uint64_t> Session::poll_release() {
    return std::exchange(release_, std::nullopt);
}

std::optional<Record> Session::poll_record() {
    if (!std::exchange(record_due_, false)) return std::nullopt;
    auto told = record();
    silence(told);
    return told;
}

std::optional<std::string> Session::poll_note() {
    if (auto note = transfers_.poll_note()) return note;
    if (notes_.empty()) return std::nullopt;
    auto note = std::move(notes_.front());
    notes_.pop_front();
    return note;
}

std::optional<SessionOutcome> Session::poll_outcome() {
    return std::exchange(outcome_, std::nullopt);
}

std::optional<Instant> Session::poll_timeout() const {
    if (!view_due_) return std::nullopt;
    auto next = *view_due_;
    if (const auto at = transfers_.timeout()) next = std::min(next, *at);
    const auto settling = has_parameters() ? settling_.timeout() : std::nullopt;
    if (settling) next = std::min(next, *settling);
    return next;
}

}  // namespace starling::peer
