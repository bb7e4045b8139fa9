// How long to wait for whom, and what acks say about that. A profile sets the least of each time, for
// machines that stop now and then; what links take is measured and comes on top.

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/check.hpp"
#include "base/planted_fault.hpp"
#include "membership/machine.hpp"

namespace starling::membership {

namespace {

/// Before the first answer of anybody, a probe lasts so long: three seconds one way, and as much back.
constexpr Duration kPatienceUnmeasured = std::chrono::seconds(6);
/// What a member that delays its acks can make of its own probes at most.
constexpr Duration kAckWaitMax = std::chrono::seconds(8);
/// A stream is dialled in four flights, and ping and pong are two more.
constexpr int kRoundTripsOfStream = 3;
/// A rumour multiplies those that know it by so many with each tick.
constexpr double kSpread = 4.0;
/// Ways of the news of a suspicion to the suspect, and of its first refutation from there.
constexpr double kWaysBeside = 2.0;
constexpr double kSuspicionMargin = 1.5;

}  // namespace

/// Returns how long to wait for a direct ack before helpers and a stream are asked.
Duration Swim::Machine::ack_wait(const ShortId& id) const {
    const auto timing = table_.timing(id);
    if (timing.known()) {
        return std::clamp<Duration>(timing.timeout(), config_.probe_timeout_min, kAckWaitMax);
    }
    return round_trip_.timeout(
        config_.probe_timeout_min, round_trip_.known() ? kAckWaitMax : config_.probe_timeout
    );
}

/// Returns how long a probe of a member can be answered in any way, after a direct wait of `direct`: by
/// a helper, which takes two usual round trips, or over a stream.
Duration Swim::Machine::probe_time(const ShortId& id, Duration direct) const {
    if (!round_trip_.known()) return kPatienceUnmeasured;
    const auto timing = table_.timing(id);
    const auto stream = kRoundTripsOfStream * (timing.known() ? timing.mean() : Duration::zero());
    const auto helper = 2 * std::max(round_trip_.usual(), config_.probe_timeout_min);
    return direct + std::max<Duration>(std::max(direct, helper), stream);
}

ProbeCycle::Probe& Swim::Machine::begin_probe(Instant now, const ShortId& target) {
    const auto known = table_.resolve(target);
    STARLING_CHECK(known.has_value() && known->id != self_);
    const Member& member = *known;
    const auto id = probe_id_rng_.next();
    // Poor health is our own slowness, which comes on top of what the way takes.
    const auto slowness = awareness_.scale(config_.probe_timeout_min) - config_.probe_timeout_min;
    const auto direct = ack_wait(target) + slowness;
    const auto all = probe_time(target, direct);
    ++counters_.probes;
    ProbeCycle::Probe probe{id, member.id, member.incarnation, false, now};
    probe.ask_at = now + direct;
    probe.until = now + all;
    const Message ping[] = {Ping{id, member.id}};
    send(member.address, member.id, ping);
    return cycle_.begin(probe);
}

/// A suspect has to hear of the suspicion, and all of its refutation, which takes a few ways where links
/// are slow. On a fast link the time of the profile is longer than that.
SuspicionBounds Swim::Machine::bounds_of(std::size_t answering) const {
    auto bounds = suspicion_bounds(config_, answering, answering);
    const double hops = std::log(static_cast<double>(answering)) / std::log(kSpread);
    const double way = to_seconds(round_trip_.usual()) / 2.0 + to_seconds(config_.gossip_interval);
    const auto least = from_seconds(kSuspicionMargin * (kWaysBeside + hops) * way);
    bounds.max += std::max(Duration::zero(), least - bounds.min);
    bounds.min = std::max(bounds.min, least);
    return bounds;
}

void Swim::Machine::arm_ack_wait() {
    arm(Timer::AckWait, cycle_.next_ask().value_or(Instant::max()));
}

void Swim::Machine::on_ack_wait(Instant now) {
    if (planted(PlantedFault::NoHelpers)) return;
    while (const auto probe = cycle_.ask_helpers(now)) ask_helpers(*probe);
    arm_ack_wait();
}

void Swim::Machine::on_ack(const Ack& ack, const Conversation& talk) {
    if (const auto probe = cycle_.answer(ack.probe)) {
        arm_ack_wait();
        answered(*probe);
        if (talk.sender == probe->target) {
            path_loss_.answered();
            table_.set_hearing(probe->target, MemberTable::Hearing::Heard);
            reach_.answered(probe->target);
            note_round_trip(*probe);
        } else {
            path_loss_.rescued();
            reach_.missed(probe->target, probe->id);
            cycle_.keep_late(*probe);
        }
        note_reach(probe->target);
        return;
    }
    if (talk.sender) {
        reach_.answered_late(*talk.sender, ack.probe);
        on_late_ack(ack, *talk.sender);
    }
    if (const auto relay = relays_.take(ack.probe)) {
        const Message ack_on[] = {Ack{relay->probe}};
        send(relay->asker, std::nullopt, ack_on);
    }
}

/// The way has become longer than we waited. Without this measurement we would never wait long enough.
void Swim::Machine::on_late_ack(const Ack& ack, const PeerId& sender) {
    const auto probe = cycle_.answer_late(ack.probe);
    if (!probe || probe->target != sender) return;
    path_loss_.came_late();
    note_round_trip(*probe);
}

void Swim::Machine::note_round_trip(const ProbeCycle::Probe& probe) {
    const auto round_trip = now_ - probe.sent;
    round_trip_.sample(round_trip);
    table_.note_round_trip(probe.target, round_trip);
    counters_.round_trips.add(round_trip);
}

}  // namespace starling::membership
