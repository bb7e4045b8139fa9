#pragma once

// The protocol's parameters, raw and validated. Times follow memberlist's LAN profile where the
// protocol is the same (reference: memberlist's config.go).

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/ids.hpp"
#include "base/instant.hpp"
#include "base/result.hpp"

namespace starling::membership {

/// Largest datagram on the wire, all framing included: below the IPv6 minimum MTU of 1,280 B.
inline constexpr std::size_t kDatagramMax = 1200;
/// What sealing adds to a packet: a form (1), a counter (8) and a tag (16).
inline constexpr std::size_t kSealOverhead = 1 + 8 + 16;
/// Largest packet that the machine sends in one datagram.
inline constexpr std::size_t kPacketMax = kDatagramMax - kSealOverhead;
/// Largest progress record of one peer.
inline constexpr std::size_t kRecordMax = 512;
/// Largest page of a push/pull.
inline constexpr std::size_t kPageMax = std::size_t{64} * 1024;
/// Most members one table holds; the lowest layer that refuses more.
inline constexpr std::size_t kMembersMax = std::size_t{1} << 20U;

/// Parameters of SWIM, with the values of the profile `lan`: the least of each time, to which links add what they
/// take (machine_timing.cpp). All members of a swarm should run the same profile: a suspicion is judged
/// by the clock of its observer. Every time is on the project clock.
struct SwimConfig {
    /// The swarm. Datagrams and pages that bear another one's tag are dropped and counted, and its
    /// id is part of what members sign, so two swarms that reuse each other's addresses never
    /// merge.
    SwarmId swarm;

    /// One member is probed per interval. Range 10 ms to 1 min; at least twice the probe timeout.
    /// Load and detection time follow from it: a crash is first noticed after 1.6 intervals.
    Duration probe_interval = std::chrono::seconds(1);
    /// Wait for the direct ack before helpers are asked, until a first answer has been measured; a helper
    /// waits as long. Range 1 ms to half an interval.
    Duration probe_timeout = std::chrono::milliseconds(500);
    /// Shortest wait for the direct ack; the measured RTTs of the member come on top, where they are
    /// longer. Range 1 ms to probe_timeout; choose above the scheduling delays of a busy
    /// machine.
    Duration probe_timeout_min = std::chrono::milliseconds(200);
    /// Helpers asked for an indirect probe. Range 0 to 16. At 5 % loss three let one probe in 1,500
    /// fail.
    std::uint32_t indirect_probes = 3;
    /// A suspicion that enough members share lasts suspicion_mult * max(1, log10 n) *
    /// probe_interval. Range 1 to 20. A lower value finds crashes sooner and gives slow members
    /// less time to refute. Enough means floor(suspicion_mult - 2) accusers besides the first.
    double suspicion_mult = 4.0;
    /// Without further accusers a suspicion lasts this many times as long. Range 1 to 20; 1
    /// switches Lifeguard's patience off.
    double suspicion_max_mult = 6.0;
    /// Levels of local health; a peer at the worst of them probes this many times slower and more
    /// patiently. Range 1 (off) to 16.
    std::uint32_t awareness_levels = 8;
    /// Dedicated gossip tick: news travels faster than probes alone would carry it. Range 1 ms to
    /// 1 min; a rumour needs about ln n ticks to all.
    Duration gossip_interval = std::chrono::milliseconds(200);
    /// Members that hear our rumours at each tick. Range 1 to 16.
    std::uint32_t gossip_fanout = 3;
    /// Failed and left members stay in the table and keep hearing gossip this long. Range 10 ms to
    /// 24 h; longer than news takes to reach all.
    Duration tombstone_life = std::chrono::seconds(30);
    /// Full state exchange with one random live member; 0 switches it off. Range 10 ms to 24 h.
    /// Digests ask for one when it is needed, so this is the safety net.
    Duration push_pull_interval = std::chrono::seconds(30);

    /// Returns the parameters of a profile: `lan` for one site, `wan` for peers far apart, `local`
    /// for many peers on one machine.
    ///
    /// Errors    Usage, naming the profiles there are
    [[nodiscard]] static Result<SwimConfig> profile(std::string_view name);

    /// Checks ranges and relations.
    ///
    /// Errors    Usage, naming the parameter, its value and its range
    [[nodiscard]] Result<void> validate() const;
};

}  // namespace starling::membership
