#pragma once

// The chaos that a user may ask of a swarm, as a state machine without I/O. It takes the views of
// the peers and the time, and decides which peer to kill and when a newcomer joins. The order is
// fixed, so that one knows before a run what it shows: the first peer, which founded the swarm, is
// killed in the middle of training; when all others have noticed, a newcomer joins by the address
// of one of them.

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

/// Chaos starts when every peer has made so many steps. By then all of them train and average.
inline constexpr std::uint64_t kChaosSteps = 200;
/// A newcomer waits at most so long until the survivors have noticed the crash.
inline constexpr Duration kChaosNoticeMax = std::chrono::seconds(15);

struct ChaosOptions {
    bool founder_crash = false;
    bool late_join = false;

    /// Parses `founder-crash,late-join`.
    /// Errors    Usage; the message lists what exists
    [[nodiscard]] static Result<ChaosOptions> parse(std::string_view text);
};

struct ChaosAction {
    enum class Kind { Kill, Join };

    Kind kind = Kind::Kill;
    std::size_t peer = 0;  ///< the peer to kill, or the one by whose address to join

    bool operator==(const ChaosAction&) const = default;
};

class ChaosPlan {
public:
    /// `expected_peers` is the number of peers that start first. No action comes before all of them
    /// train.
    ChaosPlan(ChaosOptions options, std::size_t expected_peers)
        : options_(options),
          expected_peers_(expected_peers) {}

    /// Notes that peer `observer` has said that the peer with this id has failed.
    void handle_failed(std::size_t observer, const std::string& id);

    /// Returns the action that is due now, if any. Each action comes once. `now` never decreases.
    [[nodiscard]] std::optional<ChaosAction> poll_action(
        Instant now, const std::vector<PeerView>& peers
    );

    /// Returns what the user asked for and what has not happened, or an empty text.
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
