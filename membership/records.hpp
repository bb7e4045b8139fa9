#pragma once

// The newest progress records of every peer: the newest signed one, from which the swarm decides, and
// what came after it without a signature, which is for people. Records outlive their peers, because counters over the
// swarm (samples trained) must not fall when a peer goes.

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "membership/messages.hpp"

namespace starling::membership {

/// Most records kept of peers that are not in the table; above it the oldest gone are dropped.
inline constexpr std::size_t kGoneRecordsMax = 4096;

/// An unsigned record may be so many versions ahead of the last signed one: several a second until
/// the next is due. It lasts no longer than until then, so a forged one cannot stay.
inline constexpr std::uint64_t kUnsignedAheadMax = 65536;

/// Moves a record to its next version, carrying into the epoch where the wire's range ends.
void advance_version(ProgressRecord& record);

class Records {
public:
    /// Returns whether merge() would keep the record: worth a look at the signature.
    [[nodiscard]] bool is_news(const ProgressRecord& record) const;

    /// Keeps the record if its (epoch, version) is larger than what is known; returns whether it
    /// did. A signed one replaces whatever there was; an unsigned one needs a signed one of the same
    /// epoch. `present` says whether its owner is in the table.
    bool merge(const ProgressRecord& record, bool present, Instant now = {});

    /// Returns when the newest record of a peer came.
    [[nodiscard]] std::optional<Instant> heard(const PeerId& owner) const;

    /// The owner has entered the table: its record no longer counts against kGoneRecordsMax.
    void owner_present(const PeerId& owner);

    /// The table has forgotten the owner: its record counts against kGoneRecordsMax from now on.
    void owner_gone(const PeerId& owner);

    /// Returns the newest record of a peer, signed or not.
    [[nodiscard]] const ProgressRecord* find(const PeerId& owner) const;

    /// Returns the newest signed record of a peer.
    [[nodiscard]] const ProgressRecord* find_signed(const PeerId& owner) const;

    [[nodiscard]] std::vector<PeerId> owners() const;

    /// Calls `visit` with each record in order of owner, signed ones before what came after them.
    template <class Visit>
    void for_each(Visit visit) const {
        for (const auto& [owner, entry] : entries_) {
            visit(entry.record);
            if (entry.shown) visit(*entry.shown);
        }
    }

private:
    struct Entry {
        ProgressRecord record;                ///< signed
        std::optional<ProgressRecord> shown;  ///< newer and unsigned
        Instant heard{};                      ///< the newer of the two
        std::uint64_t gone = 0;  ///< key in gone_, or 0 while the owner is in the table
    };

    void mark_gone(const PeerId& owner, Entry& entry);

    std::map<PeerId, Entry> entries_;
    std::map<std::uint64_t, PeerId> gone_;  ///< by the order in which they went
    std::uint64_t gone_sequence_ = 0;
};

}  // namespace starling::membership
