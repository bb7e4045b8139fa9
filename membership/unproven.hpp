#pragma once

// Peers of which only claims are known. A key costs nothing to make, and neither does a claim that it
// signs, so whoever holds the swarm key can invent members. They are no members until somebody has
// proven them: until they themselves have sent us something, or two members say that they know them,
// who pass on only what has been proven to them. Until then they stand here, where they cost a bounded
// memory, and nothing is counted, dialled or decided by them (docs/decisions/0036).
//
// Thread    none of its own; used by Swim only

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>

#include "base/ids.hpp"
#include "base/instant.hpp"
#include "membership/messages.hpp"

namespace starling::membership {

/// Most unproven peers; above it the one that has waited longest gives way.
inline constexpr std::size_t kUnprovenMax = 1024;

class Unproven {
public:
    /// Most questions to one of them whether it is there; then it is forgotten.
    static constexpr int kAskedMax = 3;

    struct Entry {
        Statement claim;                       ///< its newest; the signature is verified
        std::optional<ProgressRecord> record;  ///< its newest; the signature is not verified
        std::optional<ShortId> voucher;        ///< the first member that told of it
        std::uint64_t order = 0;               ///< of arrival
        Instant ask_at;                        ///< when it may be asked next
        int asked = 0;
    };

    /// Keeps a peer, or a newer claim of one that is here.
    Entry& hold(Instant now, const Statement& claim);

    [[nodiscard]] Entry* find(const PeerId& id);
    [[nodiscard]] const Entry* resolve(const ShortId& id) const;

    /// Removes and returns one.
    std::optional<Entry> take(const PeerId& id);

    /// Returns one to ask now, and notes that it is asked: the one that has been asked least. Forgets
    /// those that have had their questions and not answered.
    std::optional<Entry> next_to_ask(Instant now, Duration interval);

    [[nodiscard]] std::size_t size() const { return entries_.size(); }

private:
    std::map<PeerId, Entry> entries_;
    std::uint64_t held_ = 0;
};

}  // namespace starling::membership
