#pragma once

// What a peer does whose parameters have gone bad: it takes those of others anew, once no exchange
// of the bad ones is under way; where that does not help, or nobody has any, it gives up. Decisions
// only; Session acts on them (docs/decisions/0020-divergence.md).
//
// Thread    network

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/ids.hpp"
#include "base/instant.hpp"
#include "gossip/averager.hpp"

namespace starling::peer {

enum class RecoveryCause : std::uint8_t {
    Diverged,  ///< no finite loss, or a parameter that is not finite: these cannot be kept
    Accused,   ///< partners say so, and may lie
};

enum class RecoveryStep : std::uint8_t {
    None,    ///< nothing to do, or not yet
    Fetch,   ///< ask others for their parameters
    Resume,  ///< they are here, or nobody gave any and ours may do: train on
    GiveUp,  ///< nobody gave any for ten seconds
};

class Recovery {
public:
    /// Recoveries of one cause, without a thousand steps from one to the next, that are tried.
    static constexpr std::uint32_t kAttemptsMax = 3;
    static constexpr std::uint64_t kSteadySteps = 1000;
    static constexpr Duration kPatience = std::chrono::seconds(10);
    static constexpr std::size_t kAccusersMax = 3;

    struct Inputs {
        bool exchanging = false;  ///< in either role, or still undoing a broken one
        std::size_t chunks = 0;   ///< that have come since Fetch
        bool complete = false;    ///< all of them
    };

    /// Notes how an exchange ended, and says what it tells of our parameters. Diverged: they hold a
    /// value that is not finite. Accused: three partners in a row, all of them where there are
    /// fewer, say that we broke the protocol, and none has committed in between.
    [[nodiscard]] std::optional<RecoveryCause> judge(
        const gossip::ExchangeEvent& event, std::size_t partners
    );

    /// The parameters are bad after so many steps. False when further attempts are of no use; then
    /// nothing began.
    [[nodiscard]] bool begin(Instant now, std::uint64_t steps, RecoveryCause cause);

    [[nodiscard]] RecoveryStep advance(Instant now, const Inputs& inputs);

    [[nodiscard]] bool running() const { return stage_ != Stage::Idle; }

    /// Times that training was resumed.
    [[nodiscard]] std::uint64_t done() const { return done_; }

private:
    enum class Stage : std::uint8_t { Idle, Drain, Fetch };

    struct Attempts {
        std::uint32_t count = 0;  ///< since training was last steady
        std::uint64_t steps = 0;  ///< at the last one
    };

    RecoveryStep resume();

    Stage stage_ = Stage::Idle;
    RecoveryCause cause_ = RecoveryCause::Diverged;
    std::array<Attempts, 2> attempts_;  ///< by cause
    std::uint64_t done_ = 0;
    std::size_t chunks_ = 0;
    std::vector<PeerId> accusers_;
    Instant news_at_;  ///< when something last went on
};

}  // namespace starling::peer
