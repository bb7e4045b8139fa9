// Goal: the fused update equals the textbook's, and touches weights only.
// Method: a naive twin in double precision over several steps of random gradients.

#include "compute/training/optimizer.hpp"

#include <cmath>
#include <gtest/gtest.h>
#include <limits>

#include "base/rng.hpp"
#include "compute/device/device.hpp"
#include "tests/unit/compute/support/contents.hpp"
#include "tests/unit/compute/support/devices.hpp"
#include "tests/unit/compute/support/threads.hpp"

namespace starling::compute {
namespace {

struct Twin {
    std::vector<double> weights;
    std::vector<double> momentum;

    void step(const OptimizerSpec& spec, const std::vector<float>& gradient, double rate) {
        for (std::size_t i = 0; i < weights.size(); ++i) {
            double g = static_cast<double>(gradient[i]) + spec.weight_decay * weights[i];
            momentum[i] = spec.momentum * momentum[i] + g;
            g = spec.nesterov ? g + spec.momentum * momentum[i] : momentum[i];
            weights[i] -= rate * g;
        }
    }
};

void expect_equal_to_twin(const OptimizerSpec& spec, int threads) {
    const ParameterLayout layout({{"w", {70000}, false, Init::UniformFanIn, 4}});
    ParameterStore store(layout);
    store.initialize(Rng(3));
    const auto start = contents(store);
    Twin twin{{start.begin(), start.end()}, std::vector<double>(start.size(), 0.0)};
    Optimizer optimizer(spec, layout, threads_here(threads), test_device());
    Rng rng(4);
    std::vector<float> gradient(start.size());
    for (int step = 0; step < 5; ++step) {
        for (auto& g : gradient) g = static_cast<float>(rng.uniform() - 0.5);
        make_step(test_device(), optimizer, store, gradient, 0.1);
        twin.step(spec, gradient, 0.1);
    }
    const auto end = contents(store);
    for (std::size_t i = 0; i < end.size(); i += 97) {
        EXPECT_NEAR(static_cast<double>(end[i]), twin.weights[i], 1e-5);
        EXPECT_NEAR(static_cast<double>(optimizer.state()[i]), twin.momentum[i], 1e-5);
    }
}

TEST(Optimizer, PlainMomentumAndNesterovEqualTheNaiveTwin) {
    for (const double momentum : {0.0, 0.9}) {
        for (const double decay : {0.0, 0.01}) {
            for (const bool nesterov : {false, true}) {
                OptimizerSpec spec;
                spec.momentum = momentum;
                spec.weight_decay = decay;
                spec.nesterov = nesterov;
                expect_equal_to_twin(spec, nesterov ? 2 : 1);
            }
        }
    }
}

TEST(Optimizer, RestoredStateContinuesAsIfNeverStopped) {
    const ParameterLayout layout({{"w", {100}, false, Init::One}});
    for (const char* text : {"sgd?momentum=0.9", "adamw"}) {
        for (const std::uint64_t accumulate : {1U, 3U}) {
            auto spec = *OptimizerSpec::parse(text);
            spec.accumulate = accumulate;
            ParameterStore store(layout);
            ParameterStore copy(layout);
            store.initialize(Rng(1));
            copy.initialize(Rng(1));
            Optimizer whole(spec, layout, 1, test_device());
            auto part = std::make_unique<Optimizer>(spec, layout, 1, test_device());
            for (int step = 0; step < 12; ++step) {
                // The stop may come while gradients are summed up that are not applied yet.
                const std::vector<float> gradient(100, 0.25F * static_cast<float>(step + 1));
                auto next = std::make_unique<Optimizer>(spec, layout, 1, test_device());
                EXPECT_TRUE(next->restore(part->state()));
                part = std::move(next);
                EXPECT_TRUE(make_step(test_device(), whole, store, gradient, 0.1));
                EXPECT_TRUE(make_step(test_device(), *part, copy, gradient, 0.1));
                EXPECT_EQ(contents(store), contents(copy)) << text << ' ' << step;
            }
        }
    }
}

TEST(Optimizer, AStateOfAnOlderReleaseHasNoSumOfGradientsAndOthersAreRefused) {
    const ParameterLayout layout({{"w", {100}, false, Init::One}});
    for (const char* text : {"sgd?momentum=0.9", "adamw"}) {
        auto spec = *OptimizerSpec::parse(text);
        ParameterStore store(layout);
        store.initialize(Rng(1));
        const std::vector<float> gradient(100, 0.25F);
        Optimizer old(spec, layout, 1, test_device());
        EXPECT_TRUE(make_step(test_device(), old, store, gradient, 0.1));
        ParameterStore copy(layout);
        copy.write_all(contents(store));
        spec.accumulate = 2;
        Optimizer now(spec, layout, 1, test_device());
        EXPECT_TRUE(now.restore(old.state()));
        EXPECT_TRUE(make_step(test_device(), old, store, gradient, 0.1));
        EXPECT_TRUE(make_step(test_device(), now, copy, gradient, 0.1));
        EXPECT_TRUE(make_step(test_device(), now, copy, gradient, 0.1));
        EXPECT_EQ(contents(store), contents(copy)) << text;
        const auto state = now.state();
        std::vector<float> bad(state.begin(), state.end());
        bad.back() = 2.0F;
        EXPECT_FALSE(now.restore(bad)) << "more gradients than the sum may have";
        bad.pop_back();
        EXPECT_FALSE(now.restore(bad));
        const auto after = now.state();
        EXPECT_TRUE(std::equal(state.begin(), state.end(), after.begin())) << "nothing changed";
    }
}

TEST(Optimizer, AGradientWithoutAFiniteNormIsDroppedWhereNormsAreClipped) {
    const ParameterLayout layout({{"w", {100}, false, Init::One}});
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), HUGE_VALF}) {
        auto spec = *OptimizerSpec::parse("adamw?weight_decay=0.1&decay=matrices&clip=1");
        spec.accumulate = 2;
        ParameterStore store(layout);
        ParameterStore twin(layout);
        store.initialize(Rng(1));
        twin.initialize(Rng(1));
        Optimizer optimizer(spec, layout, 1, test_device());
        Optimizer without(spec, layout, 1, test_device());
        const std::vector<float> gradient(100, 0.25F);
        auto spoilt = gradient;
        spoilt[17] = bad;
        const auto both = [&] {
            for (int part = 0; part < 2; ++part) {
                EXPECT_TRUE(make_step(test_device(), optimizer, store, gradient, 0.1));
                EXPECT_TRUE(make_step(test_device(), without, twin, gradient, 0.1));
            }
        };
        both();
        EXPECT_TRUE(make_step(test_device(), optimizer, store, spoilt, 0.1));  // gathered only
        EXPECT_FALSE(make_step(test_device(), optimizer, store, gradient, 0.1));
        EXPECT_EQ(contents(store), contents(twin));
        both();
        EXPECT_EQ(contents(store), contents(twin));
        const auto state = optimizer.state();
        EXPECT_TRUE(std::equal(state.begin(), state.end(), without.state().begin()));
    }
}

TEST(Optimizer, AResetOneGoesOnLikeANewOne) {
    const ParameterLayout layout({{"w", {100}, false, Init::One}});
    for (const char* text : {"sgd?momentum=0.9", "adamw"}) {
        auto spec = *OptimizerSpec::parse(text);
        spec.accumulate = 2;
        ParameterStore store(layout);
        store.initialize(Rng(1));
        Optimizer used(spec, layout, 1, test_device());
        const std::vector<float> gradient(100, 0.25F);
        for (int i = 0; i < 5; ++i) make_step(test_device(), used, store, gradient, 0.1);
        used.reset();
        ParameterStore copy(layout);
        copy.write_all(contents(store));
        Optimizer fresh(spec, layout, 1, test_device());
        for (int i = 0; i < 4; ++i) {
            make_step(test_device(), used, store, gradient, 0.1);
            make_step(test_device(), fresh, copy, gradient, 0.1);
            EXPECT_EQ(contents(store), contents(copy)) << text;
        }
    }
}

/// AdamW as the paper writes it, in double precision.
struct AdamTwin {
    std::vector<double> weights;
    std::vector<double> mean;
    std::vector<double> square;
    int count = 0;

    void step(const OptimizerSpec& spec, const std::vector<double>& gradient, double rate) {
        ++count;
        for (std::size_t i = 0; i < weights.size(); ++i) {
            const double g = gradient[i];
            mean[i] = spec.beta1 * mean[i] + (1.0 - spec.beta1) * g;
            square[i] = spec.beta2 * square[i] + (1.0 - spec.beta2) * g * g;
            const double m = mean[i] / (1.0 - std::pow(spec.beta1, count));
            const double v = square[i] / (1.0 - std::pow(spec.beta2, count));
            weights[i] -= rate * spec.weight_decay * weights[i];
            weights[i] -= rate * m / (std::sqrt(v) + spec.epsilon);
        }
    }
};

TEST(Optimizer, AdamWithClippingAndAccumulationEqualsTheNaiveTwin) {
    const ParameterLayout layout({{"w", {70000}, false, Init::UniformFanIn, 4}});
    for (const std::uint64_t accumulate : {1U, 3U}) {
        for (const double clip : {0.0, 5.0}) {
            SCOPED_TRACE(
                "accumulate " + std::to_string(accumulate) + " clip " + std::to_string(clip)
            );
            auto spec = *OptimizerSpec::parse("adamw?weight_decay=0.1");
            spec.accumulate = accumulate;
            spec.clip = clip;
            ParameterStore store(layout);
            store.initialize(Rng(3));
            const auto start = contents(store);
            const std::vector<double> zero(start.size(), 0.0);
            AdamTwin twin{{start.begin(), start.end()}, zero, zero};
            Optimizer optimizer(spec, layout, threads_here(accumulate == 1 ? 2 : 1), test_device());
            Rng rng(4);
            for (int step = 0; step < 4; ++step) {
                std::vector<double> mean(start.size(), 0.0);
                for (std::uint64_t part = 0; part < accumulate; ++part) {
                    std::vector<float> gradient(start.size());
                    for (auto& g : gradient) g = static_cast<float>(rng.uniform() - 0.5);
                    for (std::size_t i = 0; i < mean.size(); ++i) {
                        mean[i] +=
                            static_cast<double>(gradient[i]) / static_cast<double>(accumulate);
                    }
                    make_step(test_device(), optimizer, store, gradient, 0.1);
                }
                double norm = 0.0;
                for (const double g : mean) norm += g * g;
                norm = std::sqrt(norm);
                if (clip > 0.0 && norm > clip) {
                    for (auto& g : mean) g *= clip / norm;
                }
                twin.step(spec, mean, 0.1);
            }
            const auto end = contents(store);
            for (std::size_t i = 0; i < end.size(); i += 97) {
                EXPECT_NEAR(static_cast<double>(end[i]), twin.weights[i], 1e-4) << i;
            }
            const auto state = optimizer.state();
            const std::size_t sums = accumulate > 1 ? start.size() : 0;
            ASSERT_EQ(state.size(), 2 * start.size() + sums + (accumulate > 1 ? 2 : 1));
            EXPECT_EQ(state[2 * start.size() + sums], 4.0F) << "updates";
            EXPECT_EQ(state.back(), accumulate > 1 ? 0.0F : 4.0F) << "gathered gradients";
        }
    }
}

TEST(Optimizer, DecayOfMatricesLeavesVectorsAndEqualsTheTwin) {
    // The matrix spans two chunks and shares the second with the vector.
    const ParameterLayout layout(
        {{"w", {700, 100}, false, Init::UniformFanIn, 4}, {"b", {50}, false, Init::One}}
    );
    const auto spec = *OptimizerSpec::parse("adamw?weight_decay=0.3&decay=matrices");
    auto without = spec;
    without.weight_decay = 0.0;
    ParameterStore store(layout);
    store.initialize(Rng(3));
    const auto start = contents(store);
    const std::vector<double> zero(start.size(), 0.0);
    AdamTwin shrinking{{start.begin(), start.end()}, zero, zero};
    AdamTwin staying{{start.begin(), start.end()}, zero, zero};
    Optimizer optimizer(spec, layout, threads_here(2), test_device());
    Rng rng(4);
    for (int step = 0; step < 4; ++step) {
        std::vector<float> gradient(start.size());
        for (auto& g : gradient) g = static_cast<float>(rng.uniform() - 0.5);
        make_step(test_device(), optimizer, store, gradient, 0.1);
        const std::vector<double> exact(gradient.begin(), gradient.end());
        shrinking.step(spec, exact, 0.1);
        staying.step(without, exact, 0.1);
    }
    const auto end = contents(store);
    for (const auto& info : layout.parameters()) {
        const auto& twin = info.name == "w" ? shrinking : staying;
        for (std::size_t i = 0; i < info.elements; i += 7) {
            const auto at = info.offset + i;
            EXPECT_NEAR(static_cast<double>(end[at]), twin.weights[at], 1e-4) << info.name;
        }
    }
}

TEST(Optimizer, NormIsEuclidean) {
    std::vector<float> gradient(10000, 0.0F);
    gradient[3] = 3.0F;
    gradient[9999] = -4.0F;
    auto& device = test_device();
    const auto memory = device.allocate(gradient.size());
    ASSERT_TRUE(memory.has_value());
    ASSERT_TRUE(device.copy_in(gradient, DeviceSpan(**memory)).has_value());
    const auto norm = device.norm(DeviceSpan(**memory), threads_here(2));
    ASSERT_TRUE(norm.has_value());
    EXPECT_NEAR(*norm, 5.0, 1e-6);
}

TEST(Optimizer, BuffersAreLeftAlone) {
    const ParameterLayout layout({{"mean", {4}, true, Init::One}, {"w", {4}, false, Init::One}});
    ParameterStore store(layout);
    store.initialize(Rng(1));
    Optimizer optimizer({}, layout, 1, test_device());
    make_step(test_device(), optimizer, store, std::vector<float>(8, 1.0F), 0.5);
    EXPECT_EQ(contents(store), (std::vector<float>{0.5F, 0.5F, 0.5F, 0.5F, 1, 1, 1, 1}));
}

}  // namespace
}  // namespace starling::compute
