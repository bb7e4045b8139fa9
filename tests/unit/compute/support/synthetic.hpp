#pragma once

// A small problem that every net can learn: each class is a fixed random image, each sample one of
// them with noise.

#include <cstdint>
#include <vector>

#include "base/rng.hpp"
#include "compute/training/engine.hpp"

namespace starling::compute {

struct Samples {
    std::vector<float> values;
    std::vector<std::int32_t> labels;
};

inline Samples synthetic_samples(const Task& task, std::size_t count, std::uint64_t seed) {
    std::size_t elements = 1;
    for (const auto dimension : task.sample_shape) elements *= static_cast<std::size_t>(dimension);
    Rng prototypes(1);
    std::vector<float> images(static_cast<std::size_t>(task.classes) * elements);
    for (auto& pixel : images) pixel = static_cast<float>(prototypes.normal());
    Rng rng(seed);
    Samples samples;
    for (std::size_t n = 0; n < count; ++n) {
        const auto label = rng.below(static_cast<std::uint64_t>(task.classes));
        samples.labels.push_back(static_cast<std::int32_t>(label));
        for (std::size_t i = 0; i < elements; ++i) {
            const auto pixel = images[static_cast<std::size_t>(label) * elements + i];
            samples.values.push_back(pixel + static_cast<float>(rng.normal()));
        }
    }
    return samples;
}

}  // namespace starling::compute
