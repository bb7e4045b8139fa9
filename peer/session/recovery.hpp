#pragma once

// What a peer does when its parameters have gone bad. It waits until no exchange and no step uses
// the bad ones any more, and then takes the parameters of other peers. If that does not help, or if
// nobody gives any, it gives up. This machine only decides; Session acts on its decisions
// (docs/decisions/0020-divergence.md).
//
// Thread    network

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/ids.hpp"
#include "base/instant.hpp"
#include "gossip/outcome.hpp"

namespace starling::peer {

enum class RecoveryCause : std::uint8_t {
    Diverged,  ///< no finite loss, or a parameter that is not finite: we cannot keep these
    Accused,   ///< partners say that our parameters are bad; they may lie
};

enum class RecoveryStep : std::uint8_t {
    None,    ///< there is nothing to do, or not yet
    Fetch,   ///< ask other peers for their parameters
    Resume,  ///< train on: the parameters are here, or nobody gave any and ours may be good
    GiveUp,  ///< nobody gave any parameters for ten seconds
};

class Recovery {
public:
    /// So many recoveries of one cause are tried in a row. A thousand steps after one, the count
    /// starts anew.
    static constexpr std::uint32_t kAttemptsMax = 3;
    static constexpr std::uint64_t kSteadySteps = 1000;
    /// A recovery waits at most so long for the next chunk.
    static constexpr Duration kPatience = std::chrono::seconds(10);
    static constexpr std::size_t kAccusersMax = 3;

    struct Inputs {
        /// An exchange runs in either role or is still being undone, or a step runs.
        bool in_use = false;
        std::size_t chunks = 0;  ///< rises whenever a piece of a chunk has come since Fetch
        bool complete = false;   ///< all chunks have come
    };

    /// Looks at the end of an exchange. Returns a cause if our parameters may be bad. Diverged:
    /// they contain a value that is not finite. Accused: three partners, or all if there are fewer,
    /// say that we broke the protocol, and no exchange was committed in between.
    [[nodiscard]] std::optional<RecoveryCause> judge(
        const gossip::ExchangeEvent& event, std::size_t partners
    );

    /// Begins a recovery. `steps` is the number of steps made so far. Returns false, and does not
    /// begin, if further attempts are of no use.
    [[nodiscard]] bool begin(Instant now, std::uint64_t steps, RecoveryCause cause);

    /// Goes on with the recovery and returns what Session must do now.
    [[nodiscard]] RecoveryStep advance(Instant now, const Inputs& inputs);

    [[nodiscard]] bool running() const { return stage_ != Stage::Idle; }

    /// Returns how many recoveries have begun.
    [[nodiscard]] std::uint64_t begun() const { return begun_; }

    /// Returns how often training was resumed.
    [[nodiscard]] std::uint64_t done() const { return done_; }

private:
    enum class Stage : std::uint8_t { Idle, Drain, Fetch };

    struct Attempts {
        std::uint32_t count = 0;  ///< attempts without kSteadySteps between them
        std::uint64_t steps = 0;  ///< steps made at the last attempt
    };

    RecoveryStep resume();

    Stage stage_ = Stage::Idle;
    RecoveryCause cause_ = RecoveryCause::Diverged;
    std::array<Attempts, 2> attempts_;  ///< by cause
    std::uint64_t begun_ = 0;
    std::uint64_t done_ = 0;
    std::size_t chunks_ = 0;
    std::vector<PeerId> accusers_;
    Instant news_at_;  ///< when the recovery began, began to fetch, or got its last chunk
};

}  // namespace starling::peer
