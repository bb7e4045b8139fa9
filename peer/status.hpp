#pragma once

// What /status says, from plain values.

#include <cstdint>
#include <optional>
#include <string>

#include "base/duration_histogram.hpp"
#include "base/endpoint.hpp"
#include "base/ids.hpp"
#include "membership/swim.hpp"
#include "peer/links.hpp"
#include "peer/membership_streams.hpp"
#include "peer/seal.hpp"
#include "peer/session_status.hpp"
#include "peer/swarm_view.hpp"

namespace starling::peer {

struct StatusInputs {
    PeerId id;
    SwarmId swarm;
    Endpoint listen;
    Endpoint http;
    Incarnation incarnation;
    SwarmView view;
    membership::SwimCounters membership;
    SealCounters seal;
    LinkCounters links;
    DurationHistogram lag;
    std::size_t connections = 0;
    MembershipStreamCounters membership_streams;
    std::optional<SessionStatus> session;  ///< none with --membership-only
};

/// One JSON object.
[[nodiscard]] std::string render_status(const StatusInputs& inputs);

}  // namespace starling::peer
