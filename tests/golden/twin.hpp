#pragma once

// Trainings that PyTorch repeats step by step: net, optimizer, initial parameters and batches.
// twin_inputs writes them to files, torch_twin.py trains on those and writes torch_losses.json, and
// tests/unit/compute/twin_test.cpp holds our losses against it.

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/rng.hpp"
#include "compute/training/engine.hpp"

namespace starling::compute {

inline constexpr int kTwinSteps = 20;

struct Twin {
    std::string_view name;
    std::string_view model;
    std::vector<std::int64_t> sample_shape;
    std::int64_t classes = 0;
    std::int64_t batch = 0;
    std::string_view optimizer;
    std::int64_t boxes = 0;  ///< rows of a picture, where the labels are boxes

    [[nodiscard]] Task task() const {
        Task task{sample_shape, classes};
        if (boxes > 0) task.kind = LabelKind::Boxes;
        task.boxes = boxes;
        return task;
    }
};

/// A net with batch norm amplifies rounding: at a rate of 0.01 PyTorch in float is 1e-3 from
/// PyTorch in double after six steps of resnet20, and so are we. The smaller rate keeps all of them
/// within 1e-4, while the loss still moves by a tenth: a gradient wrong by 1 % would show. At 0.02
/// the loss of cnn is a thousandth after fifteen steps, and a share of that is rounding and no
/// more.
inline const std::vector<Twin>& twins() {
    static const std::vector<Twin> all{
        {"cnn", "cnn", {1, 28, 28}, 10, 64, "sgd?lr=0.005&momentum=0.9"},
        {"resnet20",
         "resnet20",
         {3, 32, 32},
         10,
         32,
         "sgd?lr=0.0001&momentum=0.9&weight_decay=1e-4"},
        {"gpt",
         "gpt?layers=4&heads=4&dim=128",
         {64},
         65,
         12,
         "adamw?lr=0.001&beta2=0.99&weight_decay=0.1"},
        {"detector", "detector?width=8", {3, 48, 64}, 2, 8, "sgd?lr=0.0005&momentum=0.9", 4},
    };
    return all;
}

struct Samples {
    std::vector<float> values;
    std::vector<std::int32_t> labels;
    std::vector<float> targets;

    [[nodiscard]] Batch batch() const { return {values, labels, targets}; }
};

/// A token follows from the one before in four cases of five.
inline Samples token_samples(const Twin& twin, std::uint64_t seed) {
    Rng rng(seed);
    const auto vocabulary = static_cast<std::uint64_t>(twin.classes);
    Samples samples;
    for (std::int64_t n = 0; n < twin.batch; ++n) {
        auto token = rng.below(vocabulary);
        for (std::int64_t t = 0; t < twin.sample_shape[0]; ++t) {
            samples.values.push_back(static_cast<float>(token));
            token = rng.below(5) == 0 ? rng.below(vocabulary) : (7 * token + 3) % vocabulary;
            samples.labels.push_back(static_cast<std::int32_t>(token));
        }
    }
    return samples;
}

/// Coarse patterns, one a class, under a little noise.
inline Samples image_samples(const Twin& twin, std::uint64_t seed) {
    const auto channels = twin.sample_shape[0];
    const auto side = twin.sample_shape[1];
    constexpr std::int64_t kCoarse = 4;
    Rng patterns(1);
    std::vector<float> coarse(static_cast<std::size_t>(twin.classes * channels * kCoarse * kCoarse)
    );
    for (auto& value : coarse) value = static_cast<float>(patterns.normal());
    Rng rng(seed);
    Samples samples;
    for (std::int64_t n = 0; n < twin.batch; ++n) {
        const auto label =
            static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(twin.classes)));
        samples.labels.push_back(static_cast<std::int32_t>(label));
        for (std::int64_t i = 0; i < channels * side * side; ++i) {
            const auto channel = label * channels + i / (side * side);
            const auto row = i / side % side * kCoarse / side;
            const auto column = i % side * kCoarse / side;
            const auto cell = (channel * kCoarse + row) * kCoarse + column;
            samples.values.push_back(
                coarse[static_cast<std::size_t>(cell)] + 0.3F * static_cast<float>(rng.normal())
            );
        }
    }
    return samples;
}

/// Bright rectangles under noise, of which class 0 is bright in the first channel and class 1 in the
/// second one.
inline Samples box_samples(const Twin& twin, std::uint64_t seed) {
    const auto height = twin.sample_shape[1];
    const auto width = twin.sample_shape[2];
    const auto pixels = height * width;
    Rng rng(seed);
    const auto up_to = [&rng](std::int64_t most) {
        return static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(most)));
    };
    Samples samples;
    for (std::int64_t n = 0; n < twin.batch; ++n) {
        const auto begin = static_cast<std::int64_t>(samples.values.size());
        for (std::int64_t i = 0; i < twin.sample_shape[0] * pixels; ++i) {
            samples.values.push_back(0.3F * static_cast<float>(rng.normal()));
        }
        for (std::int64_t r = 0; r < twin.boxes; ++r) {
            const auto one_class = up_to(twin.classes + 1) - 1;
            const auto wide = 8 + up_to(20);
            const auto high = 8 + up_to(20);
            const auto left = up_to(width - wide);
            const auto top = up_to(height - high);
            const auto share = [](std::int64_t doubled, std::int64_t side) {
                return static_cast<float>(doubled) / static_cast<float>(2 * side);
            };
            if (one_class < 0) {
                samples.targets.insert(samples.targets.end(), {-1.0F, 0.0F, 0.0F, 0.0F, 0.0F});
                continue;
            }
            samples.targets.insert(
                samples.targets.end(),
                {static_cast<float>(one_class),
                 share(2 * left + wide, width),
                 share(2 * top + high, height),
                 share(2 * wide, width),
                 share(2 * high, height)}
            );
            for (std::int64_t i = 0; i < wide * high; ++i) {
                const auto at = (top + i / wide) * width + left + i % wide;
                samples.values[static_cast<std::size_t>(begin + one_class * pixels + at)] += 1.0F;
            }
        }
    }
    return samples;
}

/// Returns the batch of a step.
inline Samples twin_batch(const Twin& twin, int step) {
    const auto seed = std::uint64_t{100} + static_cast<std::uint64_t>(step);
    if (twin.sample_shape.size() == 1) return token_samples(twin, seed);
    return twin.boxes > 0 ? box_samples(twin, seed) : image_samples(twin, seed);
}

/// Every peer of a swarm starts so, too: from one seed.
inline void twin_start(ParameterStore& store) {
    store.initialize(Rng(7));
}

}  // namespace starling::compute
