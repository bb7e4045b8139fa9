#pragma once

// The text of /status, made from plain values.

#include <optional>
#include <string>

#include "base/duration_histogram.hpp"
#include "base/endpoint.hpp"
#include "base/ids.hpp"
#include "membership/swim.hpp"
#include "peer/crypto/seal.hpp"
#include "peer/members/dial_back.hpp"
#include "peer/members/membership_streams.hpp"
#include "peer/observe/session_status.hpp"
#include "peer/streams/links.hpp"
#include "peer/terms/swarm_view.hpp"

namespace starling::peer {

struct StatusInputs {
    PeerId id;
    std::string name;
    SwarmId swarm;
    Endpoint listen;
    Endpoint http;
    Incarnation incarnation;
    SwarmView view;
    Instant now;  ///< of the view
    membership::SwimCounters membership;
    SealCounters seal;
    LinkCounters links;
    DurationHistogram lag;
    std::size_t connections = 0;
    Reach reach = Reach::Unknown;
    MembershipStreamCounters membership_streams;
    std::uint64_t lines_dropped = 0;
    std::optional<SessionStatus> session;  ///< empty with --membership-only
};

/// Returns one JSON object.
[[nodiscard]] std::string render_status(const StatusInputs& inputs);

}  // namespace starling::peer
