// The lanes of a pair that is far apart: when they are dialled, what leaves on them, how they end
// (docs/decisions/0017-lanes.md).

#include <algorithm>
#include <cmath>
#include <utility>

#include "peer/machine/clock.hpp"
#include "peer/machine/loop.hpp"
#include "peer/streams/links.hpp"

namespace starling::peer {

namespace {

/// The link that lanes are made for, in bytes per second one way, and how much of it one connection
/// holds with the usual buffers of the kernel: about half of the 4 MiB that tcp_wmem allows is
/// payload.
constexpr double kTargetRate = 125e6;
constexpr double kHeldBytes = 2.0 * 1024 * 1024;
constexpr Duration kLookEvery = std::chrono::seconds(1);
constexpr Duration kLaneIdle = std::chrono::minutes(2);
constexpr Duration kLaneRest = std::chrono::minutes(10);

}  // namespace

std::size_t lanes_for(const TcpFacts& main) {
    const double seconds = to_seconds(main.round_trip);
    // A stream that has less on its way is held back by the link, not by its buffers, and more
    // streams would only share the link.
    if (main.rate * seconds < kHeldBytes) return 0;
    const double streams = std::ceil(kTargetRate * seconds / kHeldBytes);
    return static_cast<std::size_t>(std::clamp(streams - 1.0, 0.0, static_cast<double>(kLanesMax)));
}

void Links::send_on_lanes(const PeerId& to, FrameType type, Bytes payload, Lanes lanes) {
    owner_.check();
    const auto found = partners_.find(to);
    if (closing_ || found == partners_.end() || found->second.mains.empty()) {
        send(to, type, std::move(payload));
        return;
    }
    auto& partner = found->second;
    Connection* chosen = partner.mains.front();
    if (lanes == Lanes::Ours) partner.used = real_now();
    std::size_t least = chosen->backlog();
    if (least >= kLaneBytes) {
        if (lanes == Lanes::Ours) widen(to, partner);
        for (auto* lane : lanes == Lanes::Ours ? partner.our_lanes : partner.their_lanes) {
            const std::size_t backlog = lane->backlog();
            if (backlog < least) {
                least = backlog;
                chosen = lane;
            }
            if (least < kLaneBytes) break;
        }
    }
    chosen->send(type, std::move(payload));
}

/// Dials the lanes that are missing. Meanwhile chunks leave on the streams that are there.
void Links::widen(const PeerId& id, Partner& partner) {
    const Instant now = real_now();
    if (now < partner.look_at) return;
    partner.look_at = now + kLookEvery;
    Connection& main = *partner.mains.front();
    const std::size_t wanted = std::min(fixed_lanes_.value_or(lanes_for(main.facts())), kLanesMax);
    auto at = handler_.address_of(id);
    if (!at && main.dialled()) at = main.remote();
    if (!at) return;
    for (auto have = partner.our_lanes.size() + partner.dialling; have < wanted; ++have) {
        ++partner.dialling;
        dial_lane(id, *at);
    }
}

void Links::dial_lane(const PeerId& partner, const Endpoint& to) {
    dial_stream(to, StreamKind::Lane, partner, [this, partner](const Result<PeerId>& greeted) {
        lane_dialled(partner, greeted.has_value());
    });
}

/// When a lane cannot be dialled, for instance behind address translation, no other is dialled to
/// this partner for ten minutes.
void Links::lane_dialled(const PeerId& partner, bool greeted) {
    const auto found = partners_.find(partner);
    // A dial for a main stream that has ended says nothing about the next one.
    if (found == partners_.end() || found->second.dialling == 0) return;
    --found->second.dialling;
    if (!greeted) found->second.look_at = real_now() + kLaneRest;
    idle_timer_.arm_after(kLaneIdle);
}

void Links::welcome_lane(const PeerId& id, Connection& connection, Stream& stream) {
    auto introduced = std::exchange(stream.introduced, {});
    stream.stage = Stage::Dismissed;
    if (main_of(id) == nullptr) {
        connection.close(fail(FaultCode::Refused, "a lane without its main stream"));
        return;
    }
    auto& partner = partners_.at(id);
    auto& held = connection.dialled() ? partner.our_lanes : partner.their_lanes;
    if (held.size() >= kLanesMax) {
        ++counters_.refused;
        connection.close(fail(FaultCode::Refused, "a pair has no more lanes than that"));
    } else {
        stream.stage = Stage::Lane;
        held.push_back(&connection);
    }
    if (introduced) introduced(id);
}

void Links::on_lane_closed(const PeerId& id, Connection& connection, const Fault& why) {
    auto& partner = partners_.at(id);
    std::erase(partner.our_lanes, &connection);
    std::erase(partner.their_lanes, &connection);
    if (closing_) return;
    handler_.on_lane_broken(id, connection.dialled() ? Lanes::Ours : Lanes::Theirs, why);
}

void Links::dismiss(const std::vector<Connection*>& lanes, const Fault& why) {
    for (auto* lane : lanes) {
        streams_.at(lane).stage = Stage::Dismissed;
        lane->close(why);
    }
}

/// Closes the lanes that we dialled when we have offered nothing for two minutes. Only we offer on
/// them, so nothing is on its way then. If an exchange is that slow, the partner aborts it.
void Links::close_idle_lanes() {
    const Instant now = real_now();
    bool more = false;
    for (auto& [id, partner] : partners_) {
        if (partner.our_lanes.empty()) continue;
        if (now - partner.used < kLaneIdle) {
            more = true;
            continue;
        }
        dismiss(std::exchange(partner.our_lanes, {}), fail(FaultCode::Closed, "idle"));
        partner.look_at = now;
    }
    if (more) idle_timer_.arm_after(kLaneIdle);
}

std::size_t Links::lane_count(const PeerId& partner, Lanes lanes) const {
    const auto found = partners_.find(partner);
    if (found == partners_.end()) return 0;
    return lanes == Lanes::Ours ? found->second.our_lanes.size() : found->second.their_lanes.size();
}

}  // namespace starling::peer
