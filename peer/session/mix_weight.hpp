#pragma once

// The weight with which a peer averages: the power of two that is nearest to its measured samples per
// second. Where all draw from one distribution, a fast peer is then not slowed by slow ones, see
// docs/decisions/0040-weighted-pairs.md. Each change changes the sum that the swarm keeps, and who
// changes more often than once in a minute is not believed, so a weight follows the speed seldom.
//
// A peer measures for half a minute before it knows its speed. Meanwhile, where others know theirs, it
// counts an eighth of the usual one: what it has is mostly what others gave it, and a newcomer that
// counted as much as anybody would hold up a fast partner all this time.
//
// Thread    network

#include <cstdint>
#include <optional>

#include "base/instant.hpp"

namespace starling::peer {

class MixWeight {
public:
    struct Inputs {
        std::optional<double> speed;  ///< log2 of samples per second, once it was measured
        std::optional<double> usual;  ///< that of the others, as usual_speed() has it
        std::uint64_t samples = 0;    ///< that we have trained on
        std::uint64_t duty = 0;       ///< an epoch of ours
        /// All pairs are even: the data of peers differ, or the rule knows no weights.
        bool equal = false;
    };

    /// Returns whether the weight has changed.
    bool update(Instant now, const Inputs& inputs);

    /// Returns log2 of the weight; nothing: our pairs are even.
    [[nodiscard]] std::optional<std::int8_t> log2() const { return log2_; }

    /// Partners believe no more changes than one a minute (gossip/weight_claims.hpp).
    static constexpr Duration kEvery = std::chrono::seconds(60);
    /// A speed that lies so far from the weight changes it: half an octave is where the next power of
    /// two is as near, and a quarter more keeps a speed at that bound from going to and fro.
    static constexpr double kOff = 0.75;
    /// So many octaves below the usual speed lies the weight of a peer that has not measured its own.
    static constexpr double kUnmeasured = 3.0;
    /// What a word of speed can say, and a weight too.
    static constexpr double kLog2Max = 64.0;

private:
    bool become(Instant now, double log2, std::uint64_t samples);

    std::optional<std::int8_t> log2_;
    bool measured_ = false;
    Instant changed_;
    std::uint64_t samples_ = 0;  ///< at the last change
};

}  // namespace starling::peer
