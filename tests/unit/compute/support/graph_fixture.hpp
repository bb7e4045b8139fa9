#pragma once

// What the operator and model tests share: a graph with a loss, run by the reference and by the
// plan on the same random parameters and inputs.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <gtest/gtest.h>
#include <memory>
#include <vector>

#include "base/rng.hpp"
#include "compute/arena/parameter_store.hpp"
#include "compute/gpu/lowering.hpp"
#include "compute/graph/autodiff.hpp"
#include "compute/graph/graph.hpp"
#include "compute/graph/operator.hpp"
#include "compute/reference/reference.hpp"
#include "tests/unit/compute/support/devices.hpp"
#include "tests/unit/compute/support/threads.hpp"

namespace starling::compute {

/// Builds small graphs whose operands are parameters, so that each gets a gradient.
struct TestGraph {
    Graph graph;
    ValueId labels = ValueId::None;
    ValueId loss = ValueId::None;
    ValueId log_probabilities = ValueId::None;
    std::vector<ValueId> gradients;

    /// Uniform in [-1, 1].
    ValueId parameter(Shape shape) {
        ParameterInfo info;
        info.name = "p" + std::to_string(graph.parameters().size());
        info.shape = std::move(shape);
        info.init = Init::UniformFanIn;
        return graph.add_parameter(std::move(info));
    }

    ValueId add(const char* op, std::vector<ValueId> inputs, Attributes attributes = {}) {
        return graph.emit(op, std::move(inputs), std::move(attributes))[0];
    }

    /// An averaged buffer: it gets no gradient.
    ValueId buffer(Shape shape) {
        ParameterInfo info;
        info.name = "b" + std::to_string(graph.parameters().size());
        info.shape = std::move(shape);
        info.buffer = true;
        info.init = Init::UniformFanIn;
        return graph.add_parameter(std::move(info));
    }

    ValueId constant(std::vector<double> value) {
        return graph.emit("Constant", {}, {{"value", std::move(value)}})[0];
    }

    /// Moves values from [-1, 1] to [0.5, 2.5].
    ValueId positive(ValueId x) { return add("Add", {x, constant({1.5})}); }

    /// Puts the loss on top of `y` and differentiates.
    void finish(ValueId y) {
        const auto scores = add("Flatten", {y});
        labels = graph.add_input("labels", {{graph.shape(scores)[0]}, ElementType::I32});
        const auto outputs = graph.emit("SoftmaxCrossEntropyLoss", {scores, labels});
        loss = outputs[0];
        log_probabilities = outputs[1];
        auto found = differentiate(graph, loss);
        ASSERT_TRUE(found.has_value()) << found.error().message;
        gradients = *found;
    }
};

/// Parameters and inputs of one graph, drawn from a seed.
struct TestRun {
    ParameterLayout layout;
    ParameterStore store;
    reference::Tensors tensors;

    TestRun(const TestGraph& test, std::uint64_t seed)
        : layout(test.graph.parameters()),
          store(layout) {
        Rng rng(seed);
        store.initialize(rng.fork(1));
        for (const auto& info : layout.parameters()) {
            for (std::size_t i = 0; i < test.graph.parameters().size(); ++i) {
                if (test.graph.parameters()[i].name != info.name) continue;
                store.read_tensor(info, [&](std::span<const float> values) {
                    tensors[test.graph.parameter_value(i)] = {
                        info.shape, std::vector<double>(values.begin(), values.end())};
                });
            }
        }
        const auto classes =
            static_cast<std::uint64_t>(test.graph.shape(test.log_probabilities)[1]);
        for (std::size_t i = 0; i < test.graph.value_count(); ++i) {
            const auto id = static_cast<ValueId>(i);
            const auto& value = test.graph.value(id);
            if (value.kind != ValueKind::Input) continue;
            auto& tensor = tensors[id];
            tensor.shape = value.type.shape;
            for (std::int64_t k = 0; k < element_count(tensor.shape); ++k) {
                tensor.values.push_back(
                    value.type.element == ElementType::I32
                        ? static_cast<double>(rng.below(classes))
                        : static_cast<double>(static_cast<float>(rng.uniform()))
                );
            }
        }
    }

    double reference_loss(const TestGraph& test) {
        const auto done = reference::evaluate(test.graph, tensors);
        EXPECT_TRUE(done.has_value());
        return tensors.at(test.loss).values[0];
    }
};

/// Compares with a tolerance relative to the largest reference value.
inline void expect_close(
    std::span<const float> actual,
    const std::vector<double>& expected,
    double tolerance,
    const std::string& what
) {
    ASSERT_EQ(actual.size(), expected.size()) << what;
    // A gradient that cancels to nothing is compared with the size of what cancelled.
    double largest = 5e-3;
    for (const double value : expected) largest = std::max(largest, std::abs(value));
    double worst = 0.0;
    for (std::size_t i = 0; i < actual.size(); ++i) {
        // A maximum would forget a NaN at the next number.
        ASSERT_FALSE(std::isnan(actual[i])) << what << " at " << i;
        worst = std::max(worst, std::abs(static_cast<double>(actual[i]) - expected[i]));
    }
    EXPECT_LE(worst, tolerance * largest) << what;
}

/// Compares by the Euclidean norm: for bf16, where a rounding may let another tap of a pool win, or
/// a Relu cut, so that single elements differ whole.
inline void expect_near_in_norm(
    std::span<const float> actual,
    const std::vector<double>& expected,
    double tolerance,
    const std::string& what
) {
    ASSERT_EQ(actual.size(), expected.size()) << what;
    double error = 0.0;
    double norm = 1e-6;
    for (std::size_t i = 0; i < actual.size(); ++i) {
        const double off = static_cast<double>(actual[i]) - expected[i];
        error += off * off;
        norm += expected[i] * expected[i];
    }
    EXPECT_LE(std::sqrt(error), tolerance * std::sqrt(norm)) << what;
}

/// Writes the run's inputs where a plan reads them.
inline void write_inputs(const TestGraph& test, const TestRun& run, Plan& plan) {
    for (const auto& [id, tensor] : run.tensors) {
        if (test.graph.value(id).kind != ValueKind::Input) continue;
        if (test.graph.value(id).type.element == ElementType::I32) {
            auto to = plan.input_labels(id);
            for (std::size_t i = 0; i < to.size(); ++i) {
                to[i] = static_cast<std::int32_t>(tensor.values[i]);
            }
        } else {
            auto to = plan.input_values(id);
            for (std::size_t i = 0; i < to.size(); ++i)
                to[i] = static_cast<float>(tensor.values[i]);
        }
    }
}

/// Runs the plan and compares loss, log-probabilities and every gradient with the reference.
inline void expect_plan_matches_on(
    Device& device, const TestGraph& test, TestRun& run, PlanRequest request, double tolerance
) {
    SCOPED_TRACE(device.name());
    const auto precision = request.precision;
    const double loss = run.tensors.at(test.loss).values[0];
    auto plan = device.compile(std::move(request), run.layout);
    ASSERT_TRUE(plan.has_value()) << plan.error().message;
    std::atomic<bool> interrupt{false};
    // The first run finds what the memory holds by itself, the second numbers that are none.
    for (int repetition = 0; repetition < 2; ++repetition) {
        if (repetition > 0) {
            ASSERT_TRUE((*plan)->poison());
        }
        write_inputs(test, run, **plan);
        ASSERT_TRUE((*plan)->pack(run.store));
        const auto end = (*plan)->run(interrupt);
        ASSERT_TRUE(end.has_value()) << end.error().message;
        ASSERT_EQ(*end, RunEnd::Whole);
    }
    EXPECT_NEAR(static_cast<double>((*plan)->output(test.loss)[0]), loss, tolerance * (1.0 + loss));
    const auto compare = precision == Precision::Bf16 ? expect_near_in_norm : expect_close;
    compare(
        (*plan)->output(test.log_probabilities),
        run.tensors.at(test.log_probabilities).values,
        tolerance,
        "log-probabilities"
    );
    const auto gradients = read(device, (*plan)->gradients());
    for (std::size_t i = 0; i < test.gradients.size(); ++i) {
        if (test.gradients[i] == ValueId::None) continue;
        for (const auto& info : run.layout.parameters()) {
            if (info.name != test.graph.parameters()[i].name) continue;
            compare(
                std::span(gradients).subspan(info.offset, info.elements),
                run.tensors.at(test.gradients[i]).values,
                tolerance,
                "gradient of " + info.name
            );
        }
    }
}

/// Returns whether cards have kernels for all of the graph.
inline bool lowered_for_cards(const Graph& graph) {
    const auto& nodes = graph.nodes();
    return std::all_of(nodes.begin(), nodes.end(), [](const Node& node) {
        return gpu::lowers(node.op->name);
    });
}

/// Does so on each of the test's devices that has the precision.
inline void expect_plan_matches(
    const TestGraph& test,
    std::uint64_t seed,
    int threads,
    double tolerance = 2e-5,
    Stopwatch stopwatch = nullptr,
    Precision precision = Precision::F32
) {
    TestRun run(test, seed);
    (void)run.reference_loss(test);
    PlanRequest request{
        test.graph, {test.loss, test.log_probabilities}, test.gradients, threads_here(threads)};
    request.stopwatch = stopwatch;
    request.precision = precision;
    for (auto* device : test_devices()) {
        if (precision == Precision::Bf16 && !has_bf16(*device)) continue;
        // tests/unit/compute/gpu/lowering_test.cpp lists the operators without kernels.
        if (!device->on_host() && !lowered_for_cards(test.graph)) continue;
        expect_plan_matches_on(*device, test, run, request, tolerance);
    }
}

/// Compares the reference's gradients with central differences at a few elements per parameter.
inline void expect_reference_gradients(const TestGraph& test, std::uint64_t seed) {
    constexpr double kStep = 1e-6;
    TestRun run(test, seed);
    (void)run.reference_loss(test);
    const auto at_start = run.tensors;
    Rng rng(seed + 1);
    for (std::size_t i = 0; i < test.gradients.size(); ++i) {
        if (test.gradients[i] == ValueId::None) continue;
        auto& parameter = run.tensors.at(test.graph.parameter_value(i));
        for (int draw = 0; draw < 4; ++draw) {
            const auto k = static_cast<std::size_t>(rng.below(parameter.values.size()));
            const double start = parameter.values[k];
            parameter.values[k] = start + kStep;
            const double above = run.reference_loss(test);
            parameter.values[k] = start - kStep;
            const double below = run.reference_loss(test);
            parameter.values[k] = start;
            EXPECT_NEAR(
                at_start.at(test.gradients[i]).values[k], (above - below) / (2.0 * kStep), 1e-7
            ) << "parameter "
              << i << " element " << k;
        }
    }
}

}  // namespace starling::compute
