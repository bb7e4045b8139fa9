#pragma once

// Shares that fit peers of unlike speed. Each peer measures how many samples it trains on in a
// second and says so in its record, seldom and coarsely, because each new word moves shards. From
// these words everybody computes the same weights for data/ownership.
//
// A word is the base-2 logarithm of samples per second in eighths: 9 % a unit. Whole powers of two
// would be wrong by up to 41 %, and of two equal peers at such a bound one would get twice as much.
//
// Shares of few shards are uneven by chance, so peers of one speed drift apart, epoch by epoch. Who is
// ahead of most others says somewhat more than it measures, and who is behind somewhat less, in
// proportion, at most twice an epoch: so all keep together, and where they do nothing moves.
//
// Who has said nothing counts as the median of those that have: a newcomer gets an even share until
// it has measured. Nobody counts as more than 64 medians, nor as less than a 64th, so that one that
// lies, or a unit that is wrong, cannot take nearly everything from a swarm of many. The weights
// are integers and follow from the words alone, so peers whose views agree compute the same.
//
// Thread    network

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/instant.hpp"
#include "data/ownership.hpp"
#include "peer/terms/swarm_view.hpp"

namespace starling::peer {

/// Returns the median of the words, the lower one of two, or nothing if nobody has said one.
[[nodiscard]] std::optional<std::int16_t> usual_speed(std::span<const TrainingPeer> peers);

/// Returns the peers with the weights that follow from their words, in their order. If all words are
/// equal, or nobody has said one, all weights are equal.
[[nodiscard]] std::vector<data::WeightedPeer> weigh(std::span<const TrainingPeer> peers);

/// What one peer says of its speed.
class SpeedWord {
public:
    struct Inputs {
        std::uint64_t samples = 0;          ///< that we have trained on, over all our lives
        bool trains = false;                ///< we make steps, as far as we know
        std::uint64_t duty = 0;             ///< training samples of our shards: an epoch of ours
        std::optional<std::int16_t> usual;  ///< usual_speed() of the others
        double lead = 0.0;  ///< epochs by which our shards are ahead of most others'
    };

    /// Takes in what has been done. Returns whether the word has changed: then publish it.
    bool update(Instant now, const Inputs& inputs);

    /// Returns what our record says, or nothing before we have measured.
    [[nodiscard]] std::optional<std::int16_t> word() const { return word_; }

    /// Returns log2 of the samples per second that the word is from, without what it says more or less
    /// so that all keep together.
    [[nodiscard]] std::optional<double> measured() const {
        if (!word_) return std::nullopt;
        return log2_of(*word_ - trim_);
    }

    /// Returns log2 of the samples per second that a word stands for.
    [[nodiscard]] static double log2_of(int word) { return word / 8.0; }

    /// The first steps of a life are not measured: kernels are chosen and caches filled.
    static constexpr Duration kWarm = std::chrono::seconds(5);
    /// Time of training that the first word is the mean of, and each later one.
    static constexpr Duration kFirst = std::chrono::seconds(20);
    static constexpr Duration kLater = std::chrono::seconds(60);
    /// Units more for each epoch that we are ahead; the least change, the most units, how often at most.
    static constexpr int kTrimPerEpoch = 12;
    static constexpr int kTrimLeast = 2;
    static constexpr int kTrimMax = 8;
    static constexpr Duration kTrimEvery = std::chrono::seconds(30);
    /// Between two views that are further apart this process did not run, or hardly.
    static constexpr Duration kGapMax = std::chrono::seconds(2);

private:
    void restart_window();
    [[nodiscard]] bool says(double eighths, const Inputs& inputs);
    [[nodiscard]] bool keeps_up(const Inputs& inputs);

    std::optional<std::int16_t> word_;
    bool trained_ = false;  ///< at the last update
    Instant seen_;          ///< of the last update
    std::uint64_t samples_ = 0;
    bool warm_ = false;
    std::uint64_t since_word_ = 0;  ///< samples since we last said something
    Duration time_since_word_{};    ///< of training
    int trim_ = 0;                  ///< units that the word differs from the speed

    // The window begins and ends when a step has ended. Only time in which we train counts.
    bool open_ = false;
    Duration time_{};
    std::uint64_t done_ = 0;  ///< samples
    int ends_ = 0;            ///< how often the number of samples has risen
};

}  // namespace starling::peer
