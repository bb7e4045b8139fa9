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
    const auto found = preferred_.find(to);
    if (closing_ || found == preferred_.end()) {
        send(to, type, std::move(payload));
        return;
    }
    Connection* chosen = found->second;
    auto& bundle = bundles_[to];
    if (lanes == Lanes::Ours) bundle.used = real_now();
    std::size_t least = chosen->backlog();
    if (least >= kLaneBytes) {
        if (lanes == Lanes::Ours) widen(to, *chosen, bundle);
        for (auto* lane : lanes == Lanes::Ours ? bundle.ours : bundle.theirs) {
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
void Links::widen(const PeerId& partner, Connection& main, Bundle& bundle) {
    const Instant now = real_now();
    if (now < bundle.look_at) return;
    bundle.look_at = now + kLookEvery;
    if (main.greeting().partner()->minor < 2) return;
    const std::size_t wanted = std::min(lanes_for_(main.facts()), kLanesMax);
    auto at = callbacks_.address(partner);
    if (!at && main.dialled()) at = main.remote();
    if (!at) return;
    for (auto have = bundle.ours.size() + bundle.dialling; have < wanted; ++have) {
        ++bundle.dialling;
        dial_lane(partner, *at);
    }
}

void Links::dial_lane(const PeerId& partner, const Endpoint& to) {
    Entry entry;
    entry.introduced = [this, partner](const Result<PeerId>& greeted) {
        lane_dialled(partner, greeted.has_value());
    };
    entry.lane = true;
    entry.wanted = partner;
    dial_stream(to, std::move(entry));
}

/// When a lane cannot be dialled, for instance behind address translation, no other is dialled to
/// this partner for ten minutes.
void Links::lane_dialled(const PeerId& partner, bool greeted) {
    const auto found = bundles_.find(partner);
    if (found == bundles_.end()) return;
    auto& bundle = found->second;
    if (bundle.dialling > 0) --bundle.dialling;
    if (!greeted) bundle.look_at = real_now() + kLaneRest;
    idle_timer_.arm_after(kLaneIdle);
}

void Links::welcome_lane(const PeerId& partner, Connection& connection, Entry& entry) {
    auto introduced = std::exchange(entry.introduced, {});
    if (!preferred_.contains(partner)) {
        entry.dismissed = true;
        connection.close(fail(FaultCode::Refused, "a lane without its main stream"));
        return;
    }
    auto& bundle = bundles_[partner];
    auto& held = connection.dialled() ? bundle.ours : bundle.theirs;
    if (held.size() >= kLanesMax) {
        entry.dismissed = true;
        ++counters_.refused;
        connection.close(fail(FaultCode::Refused, "a pair has no more lanes than that"));
    } else {
        held.push_back(&connection);
    }
    if (introduced) introduced(partner);
}

void Links::on_lane_closed(
    const PeerId& partner, Connection& connection, Entry& entry, const Fault& why
) {
    if (const auto found = bundles_.find(partner); found != bundles_.end()) {
        std::erase(found->second.ours, &connection);
        std::erase(found->second.theirs, &connection);
    }
    if (!connection.greeting().over() || entry.dismissed || closing_) return;
    callbacks_.lane_broken(partner, connection.dialled() ? Lanes::Ours : Lanes::Theirs, why);
}

void Links::dismiss(const std::vector<Connection*>& lanes, const Fault& why) {
    for (auto* lane : lanes) {
        connections_.at(lane).dismissed = true;
        lane->close(why);
    }
}

/// Closes the lanes that we dialled when we have offered nothing for two minutes. Only we offer on
/// them, so nothing is on its way then. If an exchange is that slow, the partner aborts it.
void Links::close_idle_lanes() {
    const Instant now = real_now();
    bool more = false;
    for (auto& [partner, bundle] : bundles_) {
        if (bundle.ours.empty()) continue;
        if (now - bundle.used < kLaneIdle) {
            more = true;
            continue;
        }
        dismiss(std::exchange(bundle.ours, {}), fail(FaultCode::Closed, "idle"));
        bundle.look_at = now;
    }
    if (more) idle_timer_.arm_after(kLaneIdle);
}

void Links::close_lanes(const PeerId& partner) {
    const auto found = bundles_.find(partner);
    if (found == bundles_.end()) return;
    const Bundle bundle = std::move(found->second);
    bundles_.erase(found);
    const Fault why = fail(FaultCode::Closed, "the main stream has ended");
    dismiss(bundle.ours, why);
    dismiss(bundle.theirs, why);
}

std::size_t Links::lane_count(const PeerId& partner, Lanes lanes) const {
    const auto found = bundles_.find(partner);
    if (found == bundles_.end()) return 0;
    return lanes == Lanes::Ours ? found->second.ours.size() : found->second.theirs.size();
}

}  // namespace starling::peer
