#pragma once

// What is remembered about members that are gone: verdicts of the forgotten, so that stale news
// cannot raise a ghost, and addresses of the failed, so that a healed partition merges by itself
// (memberlist issue 222: without the second, each side forgets the other and never retries).

#include <cstddef>
#include <map>
#include <optional>
#include <utility>

#include "base/ids.hpp"
#include "base/instant.hpp"
#include "base/rng.hpp"
#include "membership/member_table.hpp"

namespace starling::membership {

/// Most ghosts remembered; above it the oldest are dropped.
inline constexpr std::size_t kGhostsMax = 4096;
/// Ghosts are remembered this many times as long as tombstones. Any rumour is long dead by then: it
/// is sent a bounded number of times, and every other tombstone has been forgotten as well.
inline constexpr int kGhostLifeFactor = 10;
/// Most failed members whose addresses are retried; above it the longest failed are dropped.
inline constexpr std::size_t kLostMax = 256;

/// The verdicts of forgotten members.
class Ghosts {
public:
    struct Ghost {
        Verdict verdict;
        Endpoint address;
        Instant since;
    };

    void add(Instant now, const Member& member);
    void remove(const PeerId& id);
    void expire(Instant now, Duration life);

    [[nodiscard]] const Ghost* find(const PeerId& id) const;

    /// Returns whose leading bytes these are, if anybody's here.
    [[nodiscard]] std::optional<PeerId> resolve(const ShortId& id) const;

    [[nodiscard]] const std::map<PeerId, Ghost>& all() const { return ghosts_; }

private:
    std::map<PeerId, Ghost> ghosts_;
};

/// The failed members that are dialled again now and then, for as long as they are among the
/// kLostMax that failed last.
class Lost {
public:
    struct Entry {
        Endpoint address;
        Instant since;
    };

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
    std::map<PeerId, Entry> lost_;
};

}  // namespace starling::membership
