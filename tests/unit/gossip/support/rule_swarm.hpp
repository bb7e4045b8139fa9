#pragma once

// Float swarms for tests of mixing rules: exchanges between chosen pairs, and sums in double.

#include <cmath>

#include "base/rng.hpp"
#include "tests/unit/gossip/support/gossip_swarm.hpp"

namespace starling::gossip {

using FloatSwarm = GossipSwarm<Floats>;

inline AveragerConfig config_of(std::string_view mix, Encoding encoding = Encoding::F32) {
    AveragerConfig config;
    const auto parsed = Mix::parse(mix);
    EXPECT_TRUE(parsed.has_value()) << mix;
    config.mix = *parsed;
    config.encoding = encoding;
    config.window_bytes = 16384;
    return config;
}

/// Fills every vector with normal draws.
inline void scatter(FloatSwarm& swarm, Rng& rng, double deviation = 1.0) {
    for (auto& node : swarm.nodes) {
        for (auto& chunk : node.vector->chunks) {
            for (auto& value : chunk) value = static_cast<float>(deviation * rng.normal());
        }
    }
}

/// Moves every value of every node by a normal draw.
inline void local_step(FloatSwarm& swarm, Rng& rng, double size) {
    for (auto& node : swarm.nodes) {
        for (auto& chunk : node.vector->chunks) {
            for (auto& value : chunk) value += static_cast<float>(size * rng.normal());
        }
    }
}

/// Makes every node know nobody, so that whom() decides who asks whom.
inline void isolate(FloatSwarm& swarm) {
    for (auto& node : swarm.nodes) {
        for (auto& other : swarm.nodes) node.averager->peer_down(swarm.now, other.id);
    }
}

/// Lets `a` ask `b`, and nobody else. Returns whether it could.
inline bool ask(FloatSwarm& swarm, std::size_t a, std::size_t b) {
    swarm.at(a).peer_up(swarm.now, swarm.nodes[b].id);
    swarm.at(b).peer_up(swarm.now, swarm.nodes[a].id);
    std::vector<PeerId> others;
    for (const auto& node : swarm.nodes) {
        if (node.id != swarm.nodes[b].id) others.push_back(node.id);
    }
    return swarm.at(a).begin_exchange(swarm.now, others);
}

/// One whole exchange between the two. Requires isolate() before
inline void meet(FloatSwarm& swarm, std::size_t a, std::size_t b) {
    EXPECT_TRUE(ask(swarm, a, b));
    swarm.finish_exchanges();
    swarm.at(a).peer_down(swarm.now, swarm.nodes[b].id);
    swarm.at(b).peer_down(swarm.now, swarm.nodes[a].id);
    swarm.drain();
}

/// The sum over the peers of weight times value, of each element, in double.
inline std::vector<double> mass(const FloatSwarm& swarm) {
    std::vector<double> sums;
    const auto& chunks = swarm.nodes[0].vector->chunks;
    for (std::size_t chunk = 0; chunk < chunks.size(); ++chunk) {
        for (std::size_t at = 0; at < chunks[chunk].size(); ++at) {
            double sum = 0.0;
            for (const auto& node : swarm.nodes) {
                sum += node.averager->weight(chunk) * double{node.vector->chunks[chunk][at]};
            }
            sums.push_back(sum);
        }
    }
    return sums;
}

inline double weights(const FloatSwarm& swarm, std::size_t chunk = 0) {
    double sum = 0.0;
    for (const auto& node : swarm.nodes) sum += node.averager->weight(chunk);
    return sum;
}

inline double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
    double largest = 0.0;
    for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::fabs(a[i] - b[i]));
    return largest;
}

/// Sum over all elements of the squared distances from the mean.
inline double variance(const FloatSwarm& swarm) {
    double total = 0.0;
    const auto& chunks = swarm.nodes[0].vector->chunks;
    const auto n = static_cast<double>(swarm.nodes.size());
    for (std::size_t chunk = 0; chunk < chunks.size(); ++chunk) {
        for (std::size_t at = 0; at < chunks[chunk].size(); ++at) {
            double mean = 0.0;
            for (const auto& node : swarm.nodes) mean += double{node.vector->chunks[chunk][at]} / n;
            for (const auto& node : swarm.nodes) {
                total += std::pow(double{node.vector->chunks[chunk][at]} - mean, 2);
            }
        }
    }
    return total;
}

}  // namespace starling::gossip
