#pragma once

// The last word on a split that is judged in shares (data/shares.hpp): the peers that have settled tell each other what
// they have found in their portions, and each adds up the same portions once. Of a portion the three first in rank
// speak, and the median of what they say counts, each number for itself: so one that lies moves nothing beyond what the
// two others say. docs/decisions/0056-shares-of-what-is-judged.md says why.
//
// Use: follow() the rounds of the end; give our own words to handle_own(), frames to handle_frame(), and call update()
// with each view. Then complete() says that the findings are there.
//
// Thread    network

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/instant.hpp"
#include "compute/metrics/quality.hpp"
#include "compute/metrics/tally.hpp"
#include "data/manifest.hpp"
#include "data/shares.hpp"
#include "peer/session/cross_check.hpp"
#include "peer/terms/portion_word.hpp"
#include "peer/terms/training.hpp"
#include "peer/terms/until.hpp"
#include "peer/transfer/outbox.hpp"

namespace starling::peer {

/// What all together have found in one split.
struct JointFindings {
    Examined examined;
    std::uint64_t samples = 0;  ///< of the portions of which somebody has said something
};

class Jury {
public:
    /// Who else there is.
    struct Others {
        std::vector<PeerId> all;   ///< they are told what we have found
        std::vector<PeerId> busy;  ///< of these, the ones that may still evaluate
        bool votes = true;  ///< our model is the swarm's; else we say that we have judged nothing
    };

    /// Tallies are compared by the quality that is watched with this target.
    /// Requires  `manifest`, `shares` and `out` outlive this
    Jury(
        const PeerId& self,
        const data::Manifest& manifest,
        const data::SplitShares& shares,
        const Until& until,
        Outbox& out
    );

    /// Returns who is off, of those that have judged portions of ours; nothing before complete().
    [[nodiscard]] const CrossCheck& check() const { return check_; }

    /// The swarm is in this round of the end. If it is a new one, all that was said before is forgotten.
    void follow(std::uint32_t round);

    /// Our trainer has found this, and took so long.
    void handle_own(Instant now, std::vector<PortionWord> words, Duration took);

    /// Takes a word of somebody's. Returns false, and forgets it, if it is none.
    bool handle_frame(const PeerId& from, ByteView payload);

    /// A stream broke: what was sent may be lost.
    void handle_broken(const PeerId& partner);

    /// Sends our words to those who lack them, and adds all up when nobody is waited for any more.
    void update(Instant now, const Others& others);

    [[nodiscard]] bool complete() const { return complete_; }

    /// Returns whether others are waited for.
    [[nodiscard]] bool gathers() const { return own_done_ && !complete_; }

    /// Returns what was found in a split that is divided.
    /// Requires  complete()
    [[nodiscard]] const JointFindings& findings(data::Split split) const;

    /// Others are waited for so long after our own evaluation, or as long as that one took, if this is more.
    static constexpr Duration kGatherMin = std::chrono::seconds(30);
    /// And so long when all have evaluated: an older release says nothing.
    static constexpr Duration kGrace = std::chrono::seconds(5);
    /// So many words of others are kept for a portion, those of the first in rank.
    static constexpr std::size_t kVoicesMax = 4;

private:
    using Words = std::map<PeerId, PortionWord>;

    [[nodiscard]] std::size_t watched() const;
    [[nodiscard]] bool plausible(const PortionWord& word) const;
    void rank(const Others& others);
    void send(std::size_t portion, const std::vector<PeerId>& to);
    [[nodiscard]] bool waits(Instant now, const Others& others);
    [[nodiscard]] std::vector<PeerId> missing() const;
    void add_up();
    void compare();
    [[nodiscard]] PortionValues values_of(const PortionWord& word) const;
    [[nodiscard]] bool suspected(const PeerId& peer) const;
    [[nodiscard]] std::vector<const PortionWord*> voices(std::size_t portion) const;
    [[nodiscard]] std::vector<std::optional<compute::Tally>> tallies_of(const PortionWord& word
    ) const;
    [[nodiscard]] compute::QualityKind kind_of(const compute::Tally& tally) const;

    PeerId self_;
    const data::Manifest& manifest_;
    const data::SplitShares& shares_;
    compute::QualityKind goal_;
    Outbox& out_;
    std::vector<compute::Tally> empty_;  ///< as all peers begin them

    std::uint32_t round_ = 0;
    bool own_done_ = false;
    bool complete_ = false;
    Instant own_at_;
    Duration took_{};
    std::optional<Instant> idle_since_;        ///< nobody who is missing is busy
    std::vector<PeerId> ranked_of_;            ///< those among whom `judges_` are
    std::vector<std::vector<PeerId>> judges_;  ///< of each portion
    std::map<std::size_t, PortionWord> own_;
    std::map<std::size_t, Words> said_;  ///< by others, by portion
    std::set<std::pair<PeerId, std::size_t>> sent_;
    std::map<data::Split, JointFindings> findings_;
    CrossCheck check_;
};

}  // namespace starling::peer
