#pragma once

// Whose push/pulls we are answering just now. A table of a large swarm weighs megabytes, so the
// answers that wait in sockets are bounded in number, as memberlist learned at 7 GB; who is refused
// asks again within its next interval, and in between hears the same as gossip.
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
/// An answer counts no longer than this: other traffic to the same peer may keep its queue filled.
inline constexpr Duration kAnswerLife = std::chrono::seconds(10);

class AnswerLimit {
public:
    /// Takes up the answer to a peer unless one to it is still on its way, or too many others are.
    /// `waits` tells whether bytes to a peer wait to leave.
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
