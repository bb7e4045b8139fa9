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

/// The failed members that are dialled again now and then: the kLostMax that failed last.
class Lost {
public:
    void add(Instant now, const Member& member);
    void remove(const PeerId& id);

    [[nodiscard]] bool empty() const { return lost_.empty(); }

    [[nodiscard]] std::size_t size() const { return lost_.size(); }

    [[nodiscard]] std::pair<PeerId, Endpoint> pick(Rng& rng) const;

    /// Returns the wait before the next attempt, without jitter: an eighth of the time since the
    /// last failure, so that a cut of a minute heals within seconds and a machine that is gone for
    /// good costs next to nothing.
    [[nodiscard]] Duration retry_after(Instant now, Duration probe_interval) const;

private:
    struct Entry {
        PeerId id;
        Endpoint address;
        Instant since;
    };

    using Entries = std::vector<Entry>;

    /// Returns where `id` stands or belongs.
    Entries::iterator place_of(const PeerId& id);

    Entries lost_;  ///< in order of id
};

}  // namespace starling::membership
