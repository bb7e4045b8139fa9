#pragma once

// What the sessions of a virtual swarm train, and how long the parts of training take.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "base/instant.hpp"
#include "data/shares.hpp"
#include "peer/terms/mix_every.hpp"
#include "peer/terms/until.hpp"

namespace starling::peer_virtual {

struct TrainingOptions {
    peer::Until until;
    std::uint32_t wait_for = 1;  ///< peers that must be ready before any of them trains
    double settle = 1e-3;        ///< relative distance below which settling peers agree
    std::size_t shards = 24;     ///< training shards
    std::size_t samples_per_shard = 16;
    std::size_t test_shards = 2;
    /// A test split of more bytes is judged in shares.
    std::uint64_t whole_split = data::kWholeSplitBytes;
    std::uint32_t batch = 8;
    /// Not empty: samples have numbers, steps draw them with a real batcher, and this is called for each
    /// one that is trained on, with its epoch.
    std::function<void(std::uint32_t sample, std::uint64_t epoch)> trained;

    Duration prepare = std::chrono::milliseconds(500);  ///< from the start until it can train
    Duration step = std::chrono::milliseconds(50);      ///< median of a log-normal distribution
    double step_sigma = 0.2;
    std::size_t slow = 0;  ///< the first nodes, so many of them, take twice as long for a step
    std::vector<double> slowness;  ///< of the first nodes: a step takes them so many times as long
    peer::MixEvery mix_every;
    double upload_limit = 0.0;  ///< bytes a second that `auto` keeps to; 0: none
    Duration evaluate = std::chrono::milliseconds(500);  ///< the whole test set
    Duration checkpoint_every = std::chrono::seconds(30);
    Duration checkpoint_takes = std::chrono::milliseconds(200);

    /// Of the way to the best parameters, the share that a step goes, and its noise.
    double rate = 0.01;
    double noise = 0.01;
    /// Probability that a step makes the parameters diverge.
    double diverge = 0.0;
    /// Probability that a node does not send an answer of a transfer: it stays silent, and its
    /// stream lives.
    double lost_answers = 0.0;
};

}  // namespace starling::peer_virtual
