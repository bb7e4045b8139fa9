// The part of Session that knows how fast it is and how far it may train.

#include <utility>

#include "peer/session/session.hpp"

namespace starling::peer {

namespace {

/// A peer that makes no steps averages so often.
constexpr Duration kIdleMixEvery = std::chrono::seconds(1);

}  // namespace

void Session::update_speed(Instant now, const SwarmView& view) {
    SpeedWord::Inputs inputs;
    inputs.samples = report_.samples;
    inputs.trains = state_ == PeerState::Training && has_parameters() && readiness_.enough() &&
                    makes_steps() && data_is_here();
    inputs.duty = duty_samples_;
    inputs.usual = usual_speed(view.training_peers());
    inputs.lead = hand_over_.lead(data::place_of(report_.position));
    if (speed_.update(now, inputs)) publish(now);
    update_weight(now, inputs.usual);
}

void Session::update_weight(Instant now, std::optional<std::int16_t> usual) {
    MixWeight::Inputs weight;
    weight.speed = speed_.measured();
    if (usual) weight.usual = SpeedWord::log2_of(*usual);
    weight.samples = report_.samples;
    weight.duty = duty_samples_;
    // What is optimised is the sum of weight times speed, which is right only where all data are alike.
    const bool unlike = is_private() || parts_.shards.manifest().partitions > 0;
    // In rounds all make as many steps, so nobody's count for more.
    const bool even = unlike || descriptor_.sync;
    weight.equal = even || descriptor_.mix != gossip::to_string(gossip::Rule::Pairwise);
    if (mix_weight_.update(now, weight)) parts_.averager.set_weight(mix_weight_.log2());
}

void Session::pace_exchange(Instant now, const gossip::ExchangeEvent& event, Duration cost) {
    if (!interval_) return;
    gossip::Interval::Measured measured;
    measured.cost = cost;
    measured.steps = report_.schedule_step;
    const double rate = report_.samples_per_s;
    if (rate > 0.0) measured.step = from_seconds(descriptor_.batch / rate);
    interval_->handle_end(now, event, measured);
}

void Session::update_rate(Instant now) {
    if (!rate_scale_ || state_ != PeerState::Training) return;
    RateScale::Inputs inputs;
    inputs.peers = roster_.partners().size() + 1;
    const auto& averager = parts_.averager;
    if (averager.counters().committed > 0) inputs.spread = averager.spread();
    inputs.target_spread = gossip::Interval::target_spread(report_.schedule_step);
    if (rate_scale_->update(now, inputs)) rate_factor_ = rate_scale_->factor();
}

std::optional<double> Session::poll_rate_factor() {
    return std::exchange(rate_factor_, std::nullopt);
}

std::optional<Instant> Session::poll_mix_from() {
    const auto due = interval_ && view_due_ ? interval_->due() : std::nullopt;
    if (!due || due == mix_from_told_) return std::nullopt;
    mix_from_told_ = due;
    return due;
}

void Session::update_quota(Instant now, const SwarmView& view) {
    Quota::Inputs inputs;
    inputs.self = self_;
    inputs.own = report_.samples;
    inputs.own_rate = report_.samples_per_s;
    inputs.others = swarm_samples_ - report_.samples;
    inputs.shares = state_ == PeerState::Training && !roster_.duties().train.empty();
    // Who comes back alone may know the samples of nobody else yet.
    inputs.trains = inputs.shares && readiness_.enough() && has_parameters() && now >= meets_until_;
    inputs.obeyed = report_.obeyed >= quota_order_;
    const bool changed = quota_.update(now, inputs, view);
    if (changed && state_ == PeerState::Training) {
        give_order();
        quota_order_ = orders_;
    }
    const bool rests = inputs.shares && used_up();
    if (!rests) rests_since_.reset();
    if (rests && !rests_since_) rests_since_ = now;
    if (state_ != PeerState::Training) return;
    // Others wait for these words, and we for theirs.
    const bool untold = rests && report_.samples != told_samples_;
    if (untold || quota_.claim() != told_claim_) publish(now);
}

/// Returns whether what we may train on is used up; false without a bound.
bool Session::used_up() const {
    return goal_.target() ? goal_.used_up(report_.samples) : quota_.used_up(report_.samples);
}

/// Where the target is a number of epochs: tells the trainer how many samples our shards lack.
void Session::update_goal(Instant now, const SwarmView& view) {
    goal_.hear(now, self_, report_.samples, view);
    // The trainer may not have heard of the last limit, or of shards, when it gave this report.
    const bool obeyed = report_.obeyed >= quota_order_;
    if (!obeyed || !goal_.due(report_.samples, shards_version_)) return;
    const auto holds = [this](const ShardId& id) { return parts_.shards.has(id); };
    const auto left = hand_over_.left(report_, *goal_.target(), holds);
    if (!goal_.update(report_.samples, shards_version_, left)) return;
    if (state_ != PeerState::Training) return;
    give_order();
    quota_order_ = orders_;
}

/// Returns whether all shards of the swarm have come as far as the target, by what all say.
bool Session::epochs_done(Instant now) {
    if (!goal_.target() || state_ != PeerState::Training || !readiness_.enough()) return false;
    const bool ours = goal_.done(report_.samples, shards_version_);
    if (!ours || report_.obeyed < quota_order_) return false;
    const auto behind = hand_over_.behind(roster_.counted(), report_, *goal_.target());
    if (behind.empty()) return true;
    if (!goal_.stuck(now, behind)) return false;
    if (!std::exchange(stuck_noted_, true)) {
        notes_.push_back(
            std::to_string(behind.size()) + " of " + std::to_string(roster_.counted().size()) +
            " peers have trained on nothing for a minute; nobody waits for the rest of their shards"
        );
    }
    return true;
}

/// Returns whether our trainer has shards to train on, and steps and samples left to make.
bool Session::makes_steps() const {
    const auto& until = until_;
    const bool limited = until.kind == UntilKind::Steps;
    const bool done = limited && static_cast<double>(report_.steps) >= until.value;
    return !done && !roster_.duties().train.empty() && !used_up();
}

/// A peer that owns no shard, or has made all its steps, has no trainer that says when to average.
/// It asks by itself: otherwise its parameters would stay behind, and a ghost would stay one and
/// decline all requests. With sync the others count rounds, so it asks only while it is a ghost.
void Session::mix_without_steps(Instant now) {
    const bool mixes = state_ == PeerState::Training && has_parameters() && readiness_.enough();
    if (makes_steps() || !mixes || now < idle_mix_at_) return;
    idle_mix_at_ = now + kIdleMixEvery;
    if (descriptor_.sync && !parts_.averager.ghost()) return;
    (void)average(now);
}

}  // namespace starling::peer
