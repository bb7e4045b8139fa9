#pragma once

// The peers whose push/pulls we are answering at present. The table of a large swarm takes
// megabytes, so the number of answers that wait in sockets is bounded, as memberlist learned when
// it used 7 GB. A peer that is refused asks again within its next interval, and meanwhile gossip
// brings it the same news.
//
// Thread    network; no I/O, time is an argument

#include <cstddef>
#include <functional>
#include <map>

#include "base/ids.hpp"
#include "base/instant.hpp"

namespace starling::peer {

/// Most peers that are answered at once.
inline constexpr std::size_t kAnswersAtOnce = 32;
/// An answer counts for this long at most, because other traffic to the same peer may keep its
/// queue filled.
inline constexpr Duration kAnswerLife = std::chrono::seconds(10);

class AnswerLimit {
public:
    /// Returns whether to answer a peer, and counts the answer if so. It refuses while an answer to
    /// this peer is still on its way, or while too many others are. `waits`, called for each
    /// counted peer, says whether bytes to it wait to leave.
    [[nodiscard]] bool admit(
        Instant now, const PeerId& to, const std::function<bool(const PeerId&)>& waits
    ) {
        std::erase_if(since_, [&](const auto& entry) {
            return now - entry.second >= kAnswerLife || !waits(entry.first);
        });
        return since_.size() < kAnswersAtOnce && since_.emplace(to, now).second;
    }

private:
    std::map<PeerId, Instant> since_;
};

}  // namespace starling::peer
