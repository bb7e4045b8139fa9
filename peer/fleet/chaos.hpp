#pragma once

// The chaos that a user may ask of a swarm, as a machine without I/O: told what the peers say and
// what time it is, it answers when to kill and when to add whom. The order is fixed, so that what a
// run shows can be said beforehand: the first peer, which founded the swarm, is killed in the
// middle of training; once all others noticed, a newcomer joins by the address of one of them.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/instant.hpp"
#include "base/result.hpp"
#include "peer/fleet/peer_view.hpp"

namespace starling::peer {

/// Every peer has made so many steps before chaos starts: by then all of them train and average.
inline constexpr std::uint64_t kChaosSteps = 200;
/// A newcomer waits so long for the survivors to notice the crash, and then joins anyway.
inline constexpr Duration kChaosNoticeMax = std::chrono::seconds(15);

struct ChaosOptions {
    bool founder_crash = false;
    bool late_join = false;

    /// Parses `founder-crash,late-join`.
    /// Errors    Usage, listing what exists
    [[nodiscard]] static Result<ChaosOptions> parse(std::string_view text);
};

struct ChaosAction {
    enum class Kind { Kill, Join };

    Kind kind = Kind::Kill;
    std::size_t peer = 0;  ///< whom to kill, or by whose address to join

    bool operator==(const ChaosAction&) const = default;
};

class ChaosPlan {
public:
    /// Units    `expected_peers`: how many are started at first; nothing happens before all train
    ChaosPlan(ChaosOptions options, std::size_t expected_peers)
        : options_(options),
          expected_peers_(expected_peers) {}

    /// Notes that `observer` called the peer with this id failed.
    void handle_failed(std::size_t observer, const std::string& id);

    /// Returns what to do now, each action once. `now` never decreases.
    [[nodiscard]] std::optional<ChaosAction> poll_action(
        Instant now, const std::vector<PeerView>& peers
    );

    /// Returns what the user asked for and did not happen, or an empty text.
    [[nodiscard]] std::string missing() const;

private:
    [[nodiscard]] bool all_train(const std::vector<PeerView>& peers) const;
    [[nodiscard]] bool crash_noticed(Instant now, const std::vector<PeerView>& peers) const;

    ChaosOptions options_;
    std::size_t expected_peers_;
    std::optional<Instant> killed_at_;
    std::string killed_id_;
    std::set<std::size_t> observers_;
    bool joined_ = false;
};

}  // namespace starling::peer
