#pragma once

// Who of those that dial us may begin a handshake, as a machine without I/O. What reaches the port may be
// anything, and must cost nothing that matters: neither a place that others need, nor work, nor memory.
//
// A connection that was accepted waits until its first bytes are here. Then it gets one of the places
// for handshakes, of which each source has a few; when they are taken, or when the source has failed too
// often lately, it waits on. It leaves its place when it has proven who it is, or when it ends. Accepting
// never stops: when there are too many, the oldest of the source that has most gives way.
//
// Thread    network

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "base/endpoint.hpp"
#include "base/instant.hpp"
#include "base/rate_limit.hpp"

namespace starling::peer {

class Doorkeeper {
public:
    /// Connections that have not proven who they are, in all.
    static constexpr std::size_t kStrangersMax = 64;
    /// Those of one source that shake hands at once.
    static constexpr std::size_t kPerSourceMax = 8;
    /// Until the first byte.
    static constexpr Duration kSilenceMax = std::chrono::seconds(2);
    /// From the first byte until a place is free.
    static constexpr Duration kWaitMax = std::chrono::seconds(5);
    /// Handshakes that fail, or come to no end, each second.
    static constexpr double kFailuresMax = 200.0;
    static constexpr double kFailuresPerSource = 10.0;

    using Ticket = std::uint64_t;

    /// A connection was accepted.
    [[nodiscard]] Ticket arrive(Instant now, const Endpoint& source);

    /// Its first bytes are here.
    void spoke(Instant now, Ticket ticket);

    /// Its greeting is good: it does not count as a failure. It keeps its place.
    void greeted(Ticket ticket);

    /// It is one of our swarm, and no stranger any more.
    void proven(Ticket ticket);

    /// It has ended.
    void gone(Ticket ticket);

    /// Returns who may begin a handshake.
    [[nodiscard]] std::optional<Ticket> poll_admitted(Instant now);

    /// Returns whom to close. It is gone already.
    [[nodiscard]] std::optional<Ticket> poll_dismissed(Instant now);

    /// Returns when to poll again.
    [[nodiscard]] std::optional<Instant> poll_timeout(Instant now);

    [[nodiscard]] std::size_t strangers() const { return strangers_.size(); }

private:
    /// An IPv4 address, or the half of an IPv6 address that a household shares.
    using Source = std::array<std::uint8_t, 16>;

    enum class Stage : std::uint8_t { Silent, Waiting, Shaking, Greeted };

    struct Stranger {
        Ticket ticket = 0;
        Source source{};
        Stage stage = Stage::Silent;
        Instant since{};  ///< of the stage
    };

    struct Visits {
        std::size_t here = 0;
        std::size_t shaking = 0;
        RateLimit failures{kFailuresPerSource, kFailuresPerSource};
    };

    [[nodiscard]] static Source source_of(const Endpoint& at);
    [[nodiscard]] Stranger* find(Ticket ticket);
    void dismiss_oldest_of_most();
    void forget_quiet_sources(Instant now);

    std::vector<Stranger> strangers_;  ///< in the order in which they came
    std::map<Source, Visits> sources_;
    RateLimit failures_{kFailuresMax, kFailuresMax};
    std::deque<Ticket> dismissed_;
    Ticket last_ = 0;
};

}  // namespace starling::peer
