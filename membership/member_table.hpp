#pragma once

// The table of members and the rule by which statements about them merge.
//
// Layout: 24 bytes an entry; what a member says of itself is shared through a ClaimPool. Entries
// stand in the order of their arrival, a hash index over the leading bytes of the ids finds them.
// Invariant: the counts by state and the digest match the entries.
// Thread: none of its own; used by Swim only.

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/ids.hpp"
#include "base/instant.hpp"
#include "membership/claim_pool.hpp"
#include "membership/member.hpp"
#include "membership/messages.hpp"
#include "membership/pair_timing.hpp"

namespace starling::membership {

/// The part of a statement that decides which of two wins.
struct Verdict {
    Incarnation incarnation;
    MemberState state = MemberState::Alive;

    auto operator<=>(const Verdict&) const = default;
};

enum class MergeAction {
    Insert,   ///< nothing was known
    Replace,  ///< the statement is newer than what is known
    Ignore,   ///< known already, or older
};

/// Decides what a statement does to what is known (`known` is null when nothing is).
///
/// The larger (incarnation, state) wins, with Alive < Suspect < Failed < Left. That is a maximum in
/// a total order, hence commutative, associative and idempotent: members that heard the same
/// statements agree, whatever the order and however often they heard them. Only an accusation that
/// overtakes the claim which it is about gets lost: without the claim there is nobody to accuse.
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

class MemberTable;

/// The members of a table, to look through. A Member is put together when it is read. The list is
/// valid until the next call that takes `now`.
class MemberList {
public:
    class Iterator {
    public:
        using iterator_category = std::input_iterator_tag;
        using value_type = Member;
        using difference_type = std::ptrdiff_t;
        using pointer = void;
        using reference = Member;

        Iterator(const MemberTable& table, std::size_t index) : table_(&table), index_(index) {}

        Member operator*() const { return MemberList(*table_)[index_]; }

        Iterator& operator++() {
            ++index_;
            return *this;
        }

        bool operator==(const Iterator& other) const { return index_ == other.index_; }

    private:
        const MemberTable* table_;
        std::size_t index_;
    };

    explicit MemberList(const MemberTable& table) : table_(&table) {}

    [[nodiscard]] Iterator begin() const { return {*table_, 0}; }

    [[nodiscard]] Iterator end() const { return {*table_, size()}; }

    [[nodiscard]] std::size_t size() const;
    [[nodiscard]] Member operator[](std::size_t index) const;

private:
    const MemberTable* table_;
};

class MemberTable {
public:
    /// What apply() did; `before` is empty after an insertion.
    struct Change {
        std::optional<Member> before;
        Member after;
    };

    explicit MemberTable(std::shared_ptr<ClaimPool> pool) : pool_(std::move(pool)) {}

    /// True when apply() would change something: worth a look at the signature.
    [[nodiscard]] bool would_change(const Statement& statement) const;

    /// Merges one statement. Returns nothing when it changed nothing: it is old, or accuses nobody
    /// whom we know at that incarnation, or the table is full.
    std::optional<Change> apply(Instant now, const Statement& statement);

    /// Removes failed and left members whose state is `life` old, except `self`, and returns them.
    std::vector<Member> forget(Instant now, Duration life, const PeerId& self);

    /// Notes which directions of UDP work between us and a member.
    void set_reach(const PeerId& id, bool udp_out, bool udp_in);

    /// What we believe that a member knows of our present life.
    enum class Hearing : std::uint8_t {
        Unknown,  ///< it has not shown whether it knows us
        Heard,    ///< it has answered us, or its table is ours
        Doubted,  ///< it did not answer, or is itself in a new life
    };

    void set_hearing(const PeerId& id, Hearing hearing);
    [[nodiscard]] Hearing hearing(const ShortId& id) const;

    /// Our life is a new one, which nobody knows.
    void forget_hearing();

    /// A member has answered us directly after so long.
    void note_round_trip(const PeerId& id, Duration round_trip);

    /// Returns how long the member takes to answer, at the address where it is now.
    [[nodiscard]] PairTiming timing(const ShortId& id) const;

    /// Notes whether the member is in the round of probes; returns what was noted before.
    bool set_in_round(const ShortId& id, bool in_round);

    [[nodiscard]] std::optional<Member> find(const PeerId& id) const;

    /// Finds a member by the leading bytes of its id.
    [[nodiscard]] std::optional<Member> resolve(const ShortId& id) const;

    /// As resolve, when the id is all that matters. Valid until the next change.
    [[nodiscard]] const PeerId* id_of(const ShortId& id) const;

    /// Returns what the member last said of itself.
    ///
    /// Requires  a member of the table
    [[nodiscard]] const Statement& claim_of(const PeerId& id) const;

    /// Requires  index < size()
    [[nodiscard]] Member at(std::size_t index) const;

    [[nodiscard]] MemberState state_at(std::size_t index) const { return entries_[index].state; }

    [[nodiscard]] MemberList members() const { return MemberList(*this); }

    [[nodiscard]] std::size_t size() const { return entries_.size(); }

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

    /// The slice of the id space in which a member stands.
    [[nodiscard]] static std::size_t slice_of(const ShortId& id) { return id.value >> 58U; }

    /// The digest of each slice; that of the table is their exclusive or.
    [[nodiscard]] std::span<const std::uint64_t, kSlices> slice_digests() const { return slices_; }

    /// Returns the slices whose digests in another table differ from ours.
    ///
    /// Requires  kSlices digests
    [[nodiscard]] Slices differing(std::span<const std::uint64_t> digests) const;

private:
    struct Entry {
        ClaimPool::Ref claim;
        Instant since;
        MemberState state = MemberState::Alive;
        bool udp_out = true;
        bool udp_in = true;
        bool in_round = false;
        Hearing hearing = Hearing::Unknown;
        PairTiming timing;
    };

    static_assert(sizeof(Entry) == 24);

    static constexpr std::size_t kNowhere = ~std::size_t{0};

    static Member member_of(const Entry& entry);

    std::size_t& count_of(MemberState state) { return counts_[static_cast<std::size_t>(state)]; }

    /// Returns the place of `id`, or kNowhere.
    [[nodiscard]] std::size_t place_of(const PeerId& id) const;
    [[nodiscard]] std::size_t place_of(const ShortId& id) const;

    Change insert(Instant now, const Statement& claim);
    void note_digest(const PeerId& id, std::uint64_t change);
    template <class Id>
    [[nodiscard]] std::size_t place_of(std::uint64_t prefix, const Id& id) const;
    void add_to_index(std::size_t place);
    void rebuild_index(std::size_t slots);

    std::shared_ptr<ClaimPool> pool_;  // before the entries that refer to it
    std::vector<Entry> entries_;
    /// Open addressing, at most half full: 0, or place + 1 and above it some bits of the hash, which
    /// save most looks at the wrong entry.
    std::vector<std::uint32_t> index_;
    std::array<std::size_t, 4> counts_{};
    std::uint64_t digest_ = 0;  ///< exclusive or over the members that are up
    std::array<std::uint64_t, kSlices> slices_{};
};

}  // namespace starling::membership
