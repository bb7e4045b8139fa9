#pragma once

// The protocol's parameters, raw and validated. Times follow memberlist's LAN profile where the
// protocol is the same (reference: memberlist's config.go).

#include <cstddef>
#include <cstdint>

#include "base/instant.hpp"
#include "base/result.hpp"

namespace starling::membership {

/// Largest datagram we send, all framing included: below the IPv6 minimum MTU of 1,280 B.
inline constexpr std::size_t kDatagramMax = 1200;
/// Largest progress record of one peer.
inline constexpr std::size_t kRecordMax = 512;
/// Largest page of a push/pull.
inline constexpr std::size_t kPageMax = std::size_t{64} * 1024;
/// Most members one table holds; the lowest layer that refuses more.
inline constexpr std::size_t kMembersMax = std::size_t{1} << 20U;

/// Parameters of SWIM. Every time is on the project clock.
struct SwimConfig {
    /// First eight bytes of the swarm id. Datagrams and pages with another tag are dropped and
    /// counted, so that two swarms that reuse each other's addresses never merge.
    std::uint64_t swarm_tag = 0;

    /// One member is probed per interval. Range 10 ms to 1 min; at least twice the probe timeout.
    Duration probe_interval = std::chrono::seconds(1);
    /// Wait for the direct ack before helpers are asked; choose the 99th percentile of the RTT.
    Duration probe_timeout = std::chrono::milliseconds(500);
    /// Helpers asked for an indirect probe. Range 0 to 16.
    std::uint32_t indirect_probes = 3;
    /// Suspicion lasts suspicion_mult * max(1, log10 n) * probe_interval. Range 1 to 20.
    /// Two fewer than this many further accusers, rounded down, bring a suspicion to that time.
    double suspicion_mult = 4.0;
    /// Without further accusers a suspicion lasts this many times as long. Range 1 to 20; 1
    /// switches Lifeguard's patience off.
    double suspicion_max_mult = 6.0;
    /// Levels of local health; a peer at the worst of them probes this many times slower and more
    /// patiently. Range 1 (off) to 16.
    std::uint32_t awareness_levels = 8;
    /// Dedicated gossip tick: news travels faster than probes alone would carry it.
    Duration gossip_interval = std::chrono::milliseconds(200);
    /// Members that hear each tick. Range 1 to 16.
    std::uint32_t gossip_fanout = 3;
    /// Failed and left members stay in the table and keep hearing gossip this long.
    Duration tombstone_life = std::chrono::seconds(30);
    /// Full state exchange with one random live member; 0 switches it off.
    Duration push_pull_interval = std::chrono::seconds(30);

    /// Checks ranges and relations.
    /// Errors    Usage, naming the parameter, its value and its range
    [[nodiscard]] Result<void> validate() const;
};

}  // namespace starling::membership
