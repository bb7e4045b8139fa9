#pragma once

// Holds a loss and its gradient to a case of a golden file that PyTorch has filled. The scores are parameters, so that
// their gradient can be read.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <vector>

#include "compute/models/training_loss.hpp"
#include "tests/unit/compute/support/graph_fixture.hpp"

namespace starling::compute {

struct TorchLoss {
    Task task;
    Shape scores;
    Shape labels;  ///< without the axes that the kind of labels adds
    std::function<void(Plan& plan, ValueId labels)>
        load;            ///< writes the case's labels into the plan's input
    double least = 0.0;  ///< how far a gradient may be off besides 1e-6 of it
};

inline void expect_torch(const TorchLoss& like, const nlohmann::json& given) {
    TestGraph test;
    const auto scores = test.parameter(like.scores);
    const auto labels = test.graph.add_input("labels", label_type(like.task, like.labels));
    const auto loss = add_training_loss(test.graph, scores, labels, like.task);
    ASSERT_TRUE(loss.has_value()) << loss.error().message;
    const auto gradients = differentiate(test.graph, loss->loss);
    ASSERT_TRUE(gradients.has_value());
    const ParameterLayout layout(test.graph.parameters());
    ParameterStore store(layout);
    store.write_all(given.at("scores").get<std::vector<float>>());
    auto plan = test_device().compile({test.graph, {loss->loss}, *gradients, 1}, layout);
    ASSERT_TRUE(plan.has_value()) << plan.error().message;
    ASSERT_TRUE((*plan)->pack(store));
    like.load(**plan, labels);
    std::atomic<bool> never{false};
    ASSERT_TRUE((*plan)->run(never));
    const auto expected = given.at("loss").get<double>();
    EXPECT_NEAR(static_cast<double>((*plan)->output(loss->loss)[0]), expected, 2e-6 * expected);
    const auto found = read(test_device(), (*plan)->gradients());
    const auto gradient = given.at("gradient").get<std::vector<double>>();
    for (std::size_t i = 0; i < gradient.size(); ++i) {
        const auto ours = static_cast<double>(found[i]);
        EXPECT_NEAR(ours, gradient[i], 1e-6 * std::abs(gradient[i]) + like.least) << "score " << i;
    }
}

}  // namespace starling::compute
