#pragma once

// How far a peer may train before it must hear from the others again, where the target is a number
// of samples of the whole swarm. The peers share out what the last words of all leave to do, in
// whole batches. If all have the same words, the shares add up to the target, and what is over is
// less than a batch. A peer that has used its share rests until others have said how far they are.
// So what the swarm makes beyond the target is at most what peers make while a word is on its way,
// and the shares are small by then.
//
// Thread    network

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/ids.hpp"
#include "base/instant.hpp"
#include "peer/terms/swarm_view.hpp"
#include "peer/terms/until.hpp"

namespace starling::peer {

class Quota {
public:
    /// `train_samples` is the size of the training set, for epochs; `batch` the samples of a step.
    Quota(const Until& until, std::uint64_t train_samples, std::uint32_t batch);

    struct Inputs {
        PeerId self;
        std::uint64_t own = 0;  ///< samples that we have trained on, over all our lives
        /// What we said of them about as long ago as the words of others are old. If everybody
        /// counts from such words, the shares of all add up, however fast they are.
        std::uint64_t own_word = 0;
        double own_rate = 0.0;     ///< samples per second
        std::uint64_t others = 0;  ///< samples of all others, the dead included
        bool trains = false;       ///< our record says that we train
    };

    /// Shares out anew if somebody has said something new. Returns whether our limit has changed.
    bool update(Instant now, const Inputs& inputs, const SwarmView& view);

    /// Returns up to how many samples of our own we may train; nothing where the target is not a
    /// number of samples.
    [[nodiscard]] std::optional<std::uint64_t> limit() const { return limit_; }

    /// Returns whether a peer with so many samples of its own must wait for a word.
    [[nodiscard]] bool used_up(std::uint64_t own) const { return limit_ && own >= *limit_; }

    /// If a peer that rests has heard nothing new for so long, all words have arrived.
    static constexpr Duration kWordMax = std::chrono::seconds(2);
    /// A peer that has just begun among others uses only this part of its share until then: its
    /// first words may be old, and others do not know yet that it takes a share.
    static constexpr std::uint64_t kCaution = 8;
    /// After so long those that still have a share cannot use it, and we take what is left.
    static constexpr Duration kPatience = std::chrono::seconds(5);

private:
    using Word = std::pair<PeerId, std::uint64_t>;  ///< a peer and its samples

    /// Returns our share of so many batches.
    [[nodiscard]] std::uint64_t share(
        std::uint64_t batches, const Inputs& inputs, std::span<const SeenPeer* const> others
    ) const;

    std::optional<std::uint64_t> target_;
    std::uint64_t batch_;
    std::optional<std::uint64_t> limit_;
    std::vector<Word> words_;  ///< of the others, from which the limit follows
    Instant news_at_;          ///< when somebody last said something new
    std::optional<Instant> trains_since_;
    bool cautious_ = false;  ///< the limit is only a part of our share
};

}  // namespace starling::peer
