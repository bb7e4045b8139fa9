#pragma once

// One probe cycle: whom to probe next, the probe that is open, and the probes that we relay for
// others. Source: SWIM section 4.3 (round-robin order) and 3.1 (direct, then indirect probes).

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/endpoint.hpp"
#include "base/ids.hpp"
#include "base/instant.hpp"
#include "base/rng.hpp"
#include "membership/messages.hpp"

namespace starling::membership {

/// A shuffled round over all members. It bounds the time to the first probe of a crashed member by
/// 2n - 1 periods, which independent draws do not.
class ProbeOrder {
public:
    explicit ProbeOrder(Rng rng) : rng_(rng) {}

    /// Adds a member at a random position; at the end of the round a newcomer's crash would always
    /// be found late. A round that has more than doubled since it began is shuffled anew: members
    /// that joined through one seed have all probed that seed first, and would all come back to it
    /// only at the end of a round that has grown since.
    ///
    /// Requires  a member that is not in the round
    void insert(const ShortId& id);

    /// Returns the next member that `probeable` allows. At the end of a round it drops the members
    /// that `probeable` does not allow, calls `dropped` for each of them, and shuffles the rest. It
    /// calls both before it returns, and keeps neither.
    template <class Probeable, class Dropped>
    std::optional<ShortId> next(const Probeable& probeable, const Dropped& dropped) {
        while (next_ < order_.size()) {
            const ShortId id = order_[next_++];
            if (probeable(id)) return id;
        }
        std::erase_if(order_, [&](const ShortId& id) {
            if (probeable(id)) return false;
            dropped(id);
            return true;
        });
        begin_round();
        if (order_.empty()) return std::nullopt;
        return order_[next_++];
    }

    [[nodiscard]] std::size_t size() const { return order_.size(); }

private:
    void begin_round();

    Rng rng_;
    std::vector<ShortId> order_;
    std::size_t next_ = 0;
    std::size_t size_at_begin_ = 0;
};

/// Measures how long direct answers take, over all members, and says how long to wait for one.
///
/// Source    Jacobson and Karels, "Congestion Avoidance and Control", 1988 (gains 1/8 and 1/4),
///           but with 2 deviations: here they are mostly those between members, and an answer that is
///           late has cost a few messages. Every probe has an id of its own, so each answer is a sound
///           sample.
class RoundTrip {
public:
    void sample(Duration rtt);

    [[nodiscard]] bool known() const { return known_; }

    /// Returns the wait for a member of which nothing else is known: `max` before the first sample,
    /// never below `min`.
    [[nodiscard]] Duration timeout(Duration min, Duration max) const;

    /// Returns what most round trips stay below, zero before the first sample.
    [[nodiscard]] Duration usual() const { return mean_ + deviation_; }

private:
    bool known_ = false;
    Duration mean_{};
    Duration deviation_{};
};

/// Measures what share of the direct probes of members that live stays without an answer: the probes that a
/// helper or a stream answered. A dead member does not show in it.
class PathLoss {
public:
    void answered() { share_ -= share_ / kMemory; }

    /// The direct answer to a probe that had been rescued came after all.
    void came_late() {
        share_ = std::max(0.0, share_ - 1.0 / kMemory);
        answered();
    }

    void rescued() { share_ += (1.0 - share_) / kMemory; }

    [[nodiscard]] double share() const { return share_; }

    /// Returns how likely it is that a member which lives answers a probe neither directly nor through
    /// one of `helpers`, if each datagram gets lost with the same chance: a direct answer takes two
    /// datagrams, one through a helper takes four.
    [[nodiscard]] double missed(std::uint32_t helpers) const;

private:
    static constexpr double kMemory = 24.0;  ///< probes
    double share_ = 0.0;
};

/// The open probes: of the next member in the round, and of others that there is a reason to probe at
/// once. Each lasts as long as its answer may take, which may be more than a period.
class ProbeCycle {
public:
    struct Probe {
        std::uint64_t id = 0;
        PeerId target;
        Incarnation incarnation;  ///< the target's when the probe began
        bool indirect = false;    ///< helpers have been asked
        Instant sent{};
        std::uint32_t asked = 0;        ///< helpers
        std::vector<ShortId> silent{};  ///< helpers that have said nothing
        /// A helper that was silent: if it answers, its silence was ours.
        bool of_silent_helper = false;
        Instant ask_at{};      ///< when helpers are asked
        Instant until{};       ///< a period that ends later than this ends the probe
        bool heard = false;    ///< something else of the target has come meanwhile
        bool at_once = false;  ///< it began between two periods
    };

    /// Probes that are over and whose own answer may still come.
    static constexpr std::size_t kLateMax = 64;

    /// Returns the probe, until the next call.
    Probe& begin(const Probe& probe) { return open_.emplace_back(probe); }

    /// Closes and returns the probe with this id; other probes of its target end without a verdict.
    std::optional<Probe> answer(std::uint64_t id);

    /// Returns, once, a probe that is over: one that was missed, or that keep_late() was given.
    std::optional<Probe> answer_late(std::uint64_t id);

    /// The direct answer to a probe that a helper has answered may still come.
    void keep_late(const Probe& probe);

    /// Closes and returns the probe of `target` if it has asked helpers and a stream.
    std::optional<Probe> answer_by_stream(const PeerId& target);

    /// Returns one probe that has not asked helpers yet and should now, and marks it as having asked.
    std::optional<Probe> ask_helpers(Instant now);

    /// The same of a probe of `target`, at any time.
    std::optional<Probe> ask_helpers(const PeerId& target);

    /// Closes and returns the probe of `target` whose stream was refused. The direct ack must have
    /// had its time: streams may be blocked where datagrams pass.
    std::optional<Probe> refuse(const PeerId& target) { return answer_by_stream(target); }

    /// Something of a member has come that answers no probe.
    void hear(const PeerId& target);

    /// Notes whom probe `id` has asked.
    void set_helpers(std::uint64_t id, std::vector<ShortId> helpers);

    /// Notes a nack of a helper if `id` is open.
    void nack(std::uint64_t id, const ShortId& helper);

    /// Ends a period and returns the probes whose time is over and that nobody answered, until the next call.
    const std::vector<Probe>& finish(Instant now);

    /// Ends the probes of a member without a verdict: it has failed or left.
    void drop(const PeerId& target);

    /// Ends all probes without a verdict.
    void drop() {
        open_.clear();
        late_.clear();
    }

    /// When the next probe has waited long enough for its direct answer.
    [[nodiscard]] std::optional<Instant> next_ask() const;

    /// Returns up to `most` members that have one open probe only, which has asked helpers and was sent
    /// before `sent`, or began between two periods.
    [[nodiscard]] std::vector<ShortId> overdue(Instant sent, std::size_t most) const;

    /// Whether a probe of `target` is open that has asked helpers.
    [[nodiscard]] bool has_asked(const PeerId& target) const;

    /// Whether a probe of `target` is open.
    [[nodiscard]] bool probes(const ShortId& target) const;

    [[nodiscard]] const std::vector<Probe>& open() const { return open_; }

private:
    std::optional<Probe> ask(std::vector<Probe>::iterator probe);

    std::vector<Probe> open_;
    std::vector<Probe> missed_;  ///< memory of the last period's
    std::deque<Probe> late_;     ///< at most kLateMax
};

/// Most probes relayed at a time; above it requests are dropped, which costs the asker one helper.
inline constexpr std::size_t kRelaysMax = 1024;

/// Probes that we make on behalf of others.
class Relays {
public:
    struct Relay {
        Endpoint asker;  ///< where the request came from
        std::uint64_t probe = 0;
        Instant nack_at;  ///< without an ack by then, we tell the asker that we live ourselves
        Instant deadline;
    };

    /// Returns false when there are too many.
    bool add(std::uint64_t id, const Relay& relay);

    std::optional<Relay> take(std::uint64_t id);

    /// Returns one relay whose nack is due, each relay once.
    std::optional<Relay> take_nack(Instant now);

    [[nodiscard]] std::optional<Instant> next_nack() const;

    void expire(Instant now);

    [[nodiscard]] std::size_t size() const { return relays_.size(); }

private:
    std::map<std::uint64_t, Relay> relays_;
    std::set<std::pair<Instant, std::uint64_t>> nacks_;  ///< not sent yet
};

}  // namespace starling::membership
