#pragma once

// How far a peer may train where the target is a number of samples of the whole swarm. The target
// is a bound that nobody passes, and a swarm stops when less than a batch of it is left.
//
// A peer trains only on samples that it has claimed. Its record says up to where it has, in which
// turn it last claimed, and among whom it shares. All that share claim in turns: a peer enters the
// next turn when the records of all others say that they share among the same peers and have come
// as far in turns as it has. In a turn it claims at most its even part of what it sees unclaimed.
// What it sees is what all had claimed before this turn, or less where others were faster, so the
// claims of one turn never add up to more than was unclaimed. A claim is given back by whoever holds
// it, after its trainer has obeyed, and when it is slower than the others or newcomers have none.
//
// The samples of a peer that is gone count as far as its last word said. What it claimed beyond
// goes back to the others; so after failures, and only then, the bound may be missed by that much.
// The same holds if a peer says for long that it shares among others than it does.
//
// Source    the escrow of O'Neil, The escrow transactional method (1986), with turns for a server
//
// Thread    network

#include <cstdint>
#include <optional>
#include <vector>

#include "base/ids.hpp"
#include "base/instant.hpp"
#include "peer/terms/swarm_view.hpp"
#include "peer/terms/until.hpp"

namespace starling::peer {

class Quota {
public:
    /// `batch` is the number of samples of a step.
    Quota(const Until& until, std::uint32_t batch);

    struct Inputs {
        PeerId self;
        std::uint64_t own = 0;     ///< samples that we have trained on, over all our lives
        double own_rate = 0.0;     ///< samples per second
        std::uint64_t others = 0;  ///< samples of all others, the dead included
        bool shares = false;       ///< our record says that we train, and own shards
        bool trains = false;       ///< and we may make steps now
        bool obeyed = true;        ///< the trainer keeps the limit that we gave last
    };

    /// Claims, or gives back, if it is time. Returns whether our limit has changed: then give it to
    /// the trainer.
    bool update(Instant now, const Inputs& inputs, const SwarmView& view);

    /// Returns up to how many samples of our own we may train; nothing where the target is not a
    /// number of samples.
    [[nodiscard]] std::optional<std::uint64_t> limit() const { return limit_; }

    /// Returns how many samples the swarm makes: all whole batches within the target.
    [[nodiscard]] std::optional<std::uint64_t> target() const { return target_; }

    /// Returns whether a peer with so many samples of its own has nothing left to train on.
    [[nodiscard]] bool used_up(std::uint64_t own) const { return limit_ && own + batch_ > *limit_; }

    /// Returns what our record says; publish it when it has changed.
    [[nodiscard]] const Claim& claim() const { return claim_; }

    /// If a peer that holds a claim says nothing new for so long, and for four of its steps, then
    /// those that have none left take it over.
    static constexpr Duration kPatience = std::chrono::seconds(5);
    /// So many times as long as counters take to come at the most, where that is longer.
    static constexpr int kUnheard = 3;
    /// A peer that has nothing left waits at most so long for its turn. Then it claims its even part
    /// of what it sees, whatever the others say: one that lies must not keep the swarm from training.
    static constexpr Duration kTurnMax = 3 * kPatience;

private:
    /// What a peer last said, and since when it has said nothing else.
    struct Word {
        PeerId id;
        std::uint64_t samples = 0;
        Claim claim;
        Instant since;
    };

    /// The others that share with us.
    struct Sharers {
        std::size_t count = 1;        ///< with us
        std::size_t before_us = 0;    ///< with lower ids
        std::uint32_t check = 0;      ///< see Claim::sharers
        std::uint64_t claimed = 0;    ///< samples that they may still train on
        std::uint32_t last_turn = 0;  ///< of the one that is first
        bool all_here = true;         ///< they have come to our turn and share among the same
        double rate = 0.0;            ///< samples per second; 0: not known of all
    };

    [[nodiscard]] std::uint64_t batches(std::uint64_t samples) const { return samples / batch_; }

    void hear(Instant now, const SwarmView& view);
    [[nodiscard]] bool gave_up(const Word& word, const SeenPeer& peer, Instant now) const;
    [[nodiscard]] Sharers sharers(Instant now, const Inputs& inputs, const SwarmView& view) const;
    void take_turn(const Inputs& inputs, const Sharers& others, std::uint64_t wanted);

    std::optional<std::uint64_t> target_;
    std::uint64_t batch_;
    std::optional<std::uint64_t> limit_;  ///< of our trainer; below our claim while it gives back
    Claim claim_;
    bool rests_ = false;        ///< we want samples and have none
    Duration records_every_{};  ///< as in the last view
    Instant turn_at_;           ///< when we last had some, or took a turn without the others
    std::vector<Word> words_;   ///< of all others in the last view, in its order
};

}  // namespace starling::peer
