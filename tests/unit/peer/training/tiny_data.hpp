#pragma once

// A data set that a small net learns within a few steps: four pixels, all dark or all bright, and
// the class says which.

#include <vector>

#include "base/rng.hpp"
#include "data/dataset.hpp"
#include "data/shard_store.hpp"
#include "peer/crypto/sha256.hpp"

namespace starling::peer::testing {

inline data::Samples tiny_samples(std::size_t count, std::uint64_t seed) {
    Rng rng(seed);
    data::Samples samples;
    for (std::size_t i = 0; i < count; ++i) {
        const bool bright = i % 2 == 1;
        for (int pixel = 0; pixel < 4; ++pixel) {
            samples.values.push_back(static_cast<std::uint8_t>((bright ? 156 : 0) + rng.below(100))
            );
        }
        samples.labels.push_back(bright ? 1 : 0);
    }
    return samples;
}

/// Two training shards of 64 samples each and one test shard of 48.
inline data::Sharded tiny_shards() {
    data::Dataset dataset;
    dataset.name = "tiny";
    dataset.shape = {1, 2, 2};
    dataset.classes = 2;
    dataset.train = tiny_samples(128, 1);
    dataset.test = tiny_samples(48, 2);
    return data::shard_dataset(dataset, 64, &sha256);
}

inline std::vector<ShardId> shard_ids(const data::Manifest& manifest, data::Split split) {
    std::vector<ShardId> ids;
    for (const auto& shard : manifest.shards) {
        if (shard.split == split) ids.push_back(shard.id);
    }
    return ids;
}

}  // namespace starling::peer::testing
