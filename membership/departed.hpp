#pragma once

// What is remembered about members that are gone. The verdicts of those that the table has
// forgotten keep stale news from bringing one back; the addresses of failed members let a healed
// partition merge by itself (memberlist issue 222: without them each side forgets the other and
// never retries).

#include <cstddef>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "base/ids.hpp"
#include "base/instant.hpp"
#include "base/rng.hpp"
#include "membership/member_table.hpp"

namespace starling::membership {

/// Most departed members remembered; above it the oldest are dropped.
inline constexpr std::size_t kDepartedMax = 4096;
/// The departed are remembered this many times as long as tombstones. No rumour is left by then:
/// each is sent a bounded number of times, and every other table has forgotten its tombstone as
/// well.
inline constexpr int kDepartedLifeFactor = 10;
/// Most failed members whose addresses are retried; above it the longest failed are dropped.
inline constexpr std::size_t kLostMax = 256;

/// The verdicts of the members that the table has forgotten.
class Departed {
public:
    struct Entry {
        Verdict verdict;
        Endpoint address;
        Instant since;
    };

    void add(Instant now, const Member& member);
    void remove(const PeerId& id);
    void expire(Instant now, Duration life);

    [[nodiscard]] const Entry* find(const PeerId& id) const;

    /// Returns the departed member whose id begins with these bytes, if there is one.
    [[nodiscard]] std::optional<PeerId> resolve(const ShortId& id) const;

    [[nodiscard]] const std::map<PeerId, Entry>& all() const { return departed_; }

private:
    std::map<PeerId, Entry> departed_;
};

/// The failed members that are tried again now and then: the kLostMax that failed last.
class Lost {
public:
    void add(Instant now, const Member& member);
    void remove(const PeerId& id);

    [[nodiscard]] bool empty() const { return lost_.empty(); }

    [[nodiscard]] std::size_t size() const { return lost_.size(); }

    struct Address {
        PeerId id;
        Endpoint address;
    };

    /// Returns up to `most` members to try now and notes that they are tried: those tried least often
    /// first, and of these the one that failed last. Each is tried again after an eighth of the time
    /// since it failed, within 2 and 25 probe intervals or, if that is more, a fortieth of the time. So
    /// a cut heals within half a minute, and a machine that is gone for good costs ever less.
    std::vector<Address> due(Instant now, Duration probe_interval, std::size_t most);

    /// Notes that a lost member has sent us something. Returns true if it is lost, once in 2 probe intervals.
    bool heard(const PeerId& id, Instant now, Duration probe_interval);

    /// Returns when due() has somebody, after a probe interval at the earliest.
    [[nodiscard]] Instant next_due(Instant now, Duration probe_interval) const;

private:
    struct Entry {
        PeerId id;
        Endpoint address;
        Instant since;
        Instant next;
        std::uint32_t tries = 0;
        std::optional<Instant> heard{};
    };

    [[nodiscard]] static bool worthier(const Entry& a, const Entry& b);

    using Entries = std::vector<Entry>;

    /// Returns where `id` stands or belongs.
    Entries::iterator place_of(const PeerId& id);

    Entries lost_;  ///< in order of id
};

}  // namespace starling::membership
