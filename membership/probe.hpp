#pragma once

// One probe cycle: whom to probe next, the probe that is open, and the probes that we relay for
// others. Source: SWIM section 4.3 (round-robin order) and 3.1 (direct, then indirect probes).

#include <cstddef>
#include <cstdint>
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

    /// Adds a member at a random position: appending would find a newcomer's crash systematically
    /// late. A round that has more than doubled since it began is drawn anew: members that join by
    /// one seed have all probed it first, and would all come back to it only at the end of a round
    /// that has grown behind it. Requires that it is not in the round.
    void insert(const ShortId& id);

    /// Returns the next member that `probeable` allows. At the end of a round the others are
    /// dropped, which `dropped` hears of, and the rest is shuffled anew.
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

/// How long direct answers take, over all members, and how long to wait for one therefore.
/// Source    Jacobson and Karels, "Congestion Avoidance and Control", 1988 (gains 1/8 and 1/4),
/// with
///           twice the margin: a timeout here costs messages, not throughput. Every probe has an id
///           of its own, so each answer is a sound sample.
class RoundTrip {
public:
    void sample(Duration rtt);

    /// Returns the wait, `max` before the first sample, never below `min`.
    [[nodiscard]] Duration timeout(Duration min, Duration max) const;

private:
    bool known_ = false;
    Duration mean_{};
    Duration deviation_{};
};

/// The probes of one period: the next of the round, and looks at members that others suspect.
class ProbeCycle {
public:
    struct Probe {
        std::uint64_t id = 0;
        PeerId target;
        Incarnation incarnation;  ///< the target's when the probe began
        bool indirect = false;    ///< helpers have been asked
        Instant sent{};
        std::uint32_t helpers = 0;
        std::uint32_t nacks = 0;
    };

    void begin(const Probe& probe) { open_.push_back(probe); }

    /// Closes and returns the probe with this id.
    std::optional<Probe> answer(std::uint64_t id);

    /// Closes and returns the probe of `target` that has asked for helpers and a stream.
    std::optional<Probe> answer_by_stream(const PeerId& target);

    /// Returns one probe that has not asked for helpers yet, of `target` if that is given: each is
    /// returned once.
    std::optional<Probe> ask_helpers(const PeerId* target = nullptr);

    /// Notes how many helpers probe `id` has asked.
    void set_helpers(std::uint64_t id, std::size_t count);

    /// Counts a nack of a helper if `id` is open.
    void nack(std::uint64_t id);

    /// Ends the period and returns the probes that nobody answered, until the next call.
    const std::vector<Probe>& finish();

    /// Ends the period without a verdict.
    void drop() { open_.clear(); }

    /// Whether a probe waits for its direct answer.
    [[nodiscard]] bool waits() const;

    /// Whether a probe of `target` is open.
    [[nodiscard]] bool probes(const ShortId& target) const;

    [[nodiscard]] const std::vector<Probe>& open() const { return open_; }

private:
    std::vector<Probe> open_;
    std::vector<Probe> missed_;  ///< memory of the last period's
};

/// Most probes relayed at a time; above it requests are dropped, which costs the asker one helper.
inline constexpr std::size_t kRelaysMax = 1024;

/// Probes that we make on behalf of others.
class Relays {
public:
    struct Relay {
        Endpoint asker;  ///< where the request came from
        std::uint64_t probe = 0;
        Instant nack_at;  ///< without an ack until then, the asker hears that we at least live
        Instant deadline;
    };

    /// Returns false when there are too many.
    bool add(std::uint64_t id, const Relay& relay);

    std::optional<Relay> take(std::uint64_t id);

    /// Returns one relay whose nack is due; each comes once.
    std::optional<Relay> take_nack(Instant now);

    [[nodiscard]] std::optional<Instant> next_nack() const;

    void expire(Instant now);

    [[nodiscard]] std::size_t size() const { return relays_.size(); }

private:
    std::map<std::uint64_t, Relay> relays_;
    std::set<std::pair<Instant, std::uint64_t>> nacks_;  ///< not sent yet
};

}  // namespace starling::membership
