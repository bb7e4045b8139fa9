#pragma once

// How a newcomer comes to train, as machines without I/O: it needs parameters and a first shard, it
// must not wait for ever for either, and a swarm may ask that several peers are ready first.
//
// Thread    network

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/instant.hpp"

namespace starling::peer {

struct ArrivalInputs {
    bool fetching = false;   ///< the parameters are not complete
    std::size_t chunks = 0;  ///< rises whenever a piece of one of their chunks has come
    bool trainers = false;   ///< somebody trains and may give parameters
    bool prepared = false;   ///< the trainer can begin
    bool data = false;       ///< a training shard of ours is here, or we own none
    bool alone = false;      ///< no other peer is live
};

enum class ArrivalStep : std::uint8_t {
    Wait,
    FromSeed,     ///< nobody trains: start from the swarm's initial parameters
    FromNothing,  ///< others train, but nobody gives: start from those, and catch up by averaging
    Train,        ///< everything is here
    Deserted,     ///< nobody is left that could give what we lack
};

class Arrival {
public:
    /// If nobody trains for so long, the swarm has not begun to train.
    static constexpr Duration kNoDonorMax = std::chrono::seconds(10);
    /// If others train, but no chunk has come for so long, nobody can give any.
    static constexpr Duration kNoChunkMax = std::chrono::seconds(60);
    /// A newcomer that cannot train ends when it has been the only live member for so long.
    static constexpr Duration kDesertedMax = 2 * kNoDonorMax;

    void begin(Instant now) { trainers_at_ = news_at_ = company_at_ = now; }

    /// Looks at the inputs and says what to do now. Call it at least ten times a second.
    [[nodiscard]] ArrivalStep advance(Instant now, const ArrivalInputs& inputs);

private:
    Instant trainers_at_;  ///< when somebody last trained
    Instant news_at_;      ///< when the last piece of a chunk came
    Instant company_at_;   ///< when another peer was last live, or the trainer was not ready
    std::size_t chunks_ = 0;
};

/// Training begins when as many peers are ready as the founder asked for. A peer that comes while
/// others train already, or that has trained before, does not wait.
class Readiness {
public:
    explicit Readiness(std::size_t wait_for) : wait_for_(wait_for) {}

    struct Inputs {
        std::size_t ready = 0;  ///< peers that have all they need, with us
        bool begun = false;     ///< somebody has made a step
        bool ours = false;      ///< we have all that we need
    };

    /// Returns true once: when training may begin.
    [[nodiscard]] bool advance(const Inputs& inputs);

    [[nodiscard]] bool enough() const { return enough_; }

    /// Returns how many peers are ready, if we wait for more and people have not been told.
    [[nodiscard]] std::optional<std::size_t> poll_news();

    [[nodiscard]] std::size_t wait_for() const { return wait_for_; }

private:
    std::size_t wait_for_;
    bool enough_ = false;
    std::size_t told_ = 0;
    std::optional<std::size_t> news_;
};

}  // namespace starling::peer
