#pragma once

// The table of members and the rule by which claims about them merge.
//
// Invariant: members() is sorted by id and holds each id once; the counts by state match it.
// Thread: none of its own; used by Swim only.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/ids.hpp"
#include "base/instant.hpp"
#include "membership/messages.hpp"
#include "membership/swim.hpp"

namespace starling::membership {

/// The part of a claim that decides which of two claims wins.
struct Verdict {
    Incarnation incarnation;
    MemberState state = MemberState::Alive;

    auto operator<=>(const Verdict&) const = default;
};

enum class MergeAction {
    Insert,   ///< nothing was known
    Replace,  ///< the claim is newer than what is known
    Ignore,   ///< known already, or older
};

/// Decides what a claim does to what is known (`known` is null when nothing is).
///
/// The larger (incarnation, state) wins, with Alive < Suspect < Failed < Left. That is a maximum in
/// a total order, hence commutative, associative and idempotent: members that heard the same claims
/// agree, whatever the order and however often they heard them.
///
/// Source    SWIM section 4.2. We differ: a confirmed failure does not beat every incarnation, so a
///           member comes back under its own identity, by refutation or with a higher boot epoch.
[[nodiscard]] MergeAction merge_action(const Verdict* known, const Verdict& incoming);

/// True for members that count as part of the swarm.
[[nodiscard]] constexpr bool is_up(MemberState state) {
    return state == MemberState::Alive || state == MemberState::Suspect;
}

[[nodiscard]] inline Verdict verdict_of(const Member& member) {
    return {member.incarnation, member.state};
}

[[nodiscard]] inline Verdict verdict_of(const Statement& statement) {
    return {statement.incarnation, statement.state};
}

class MemberTable {
public:
    /// What apply() did; `before` is empty after an insertion.
    struct Change {
        std::optional<Member> before;
        Member after;
    };

    /// Merges one claim. Returns nothing when the claim changed nothing, or when the table is full.
    std::optional<Change> apply(Instant now, const Statement& statement);

    /// Removes failed and left members whose state is `life` old, except `self`, and returns them.
    std::vector<Member> forget(Instant now, Duration life, const PeerId& self);

    /// Notes which directions of UDP work between us and a member.
    void set_reach(const PeerId& id, bool udp_out, bool udp_in);

    [[nodiscard]] const Member* find(const PeerId& id) const;

    [[nodiscard]] const std::vector<Member>& members() const { return members_; }

    [[nodiscard]] std::size_t size() const { return members_.size(); }

    [[nodiscard]] std::size_t count(MemberState state) const {
        return counts_[static_cast<std::size_t>(state)];
    }

    [[nodiscard]] std::size_t up_count() const {
        return count(MemberState::Alive) + count(MemberState::Suspect);
    }

    /// A number that two tables have in common exactly when they hold the same members up at the
    /// same incarnations (but for one chance in 2^64). Suspicions do not show in it, nor do the
    /// gone, whom each member forgets in its own time.
    [[nodiscard]] std::uint64_t digest() const { return digest_; }

private:
    std::size_t& count_of(MemberState state) { return counts_[static_cast<std::size_t>(state)]; }

    /// Returns the place of `id`, or where it would be inserted.
    [[nodiscard]] std::size_t place_of(const PeerId& id) const;

    std::vector<Member> members_;
    /// The leading bytes of each member's id, in the same order: a search reads a few cache lines
    /// of them instead of one line for each id that it compares.
    std::vector<std::uint64_t> keys_;
    std::array<std::size_t, 4> counts_{};
    std::uint64_t digest_ = 0;  ///< exclusive or over the members that are up
};

}  // namespace starling::membership
