#pragma once

// A model with its parameters and the engine that trains it.

#include <gtest/gtest.h>
#include <memory>
#include <string>

#include "compute/models/models.hpp"
#include "compute/training/engine.hpp"
#include "tests/unit/compute/support/devices.hpp"

namespace starling::compute {

struct EngineNet {
    struct Batches {
        std::int64_t training = 64;
        std::int64_t evaluation = 200;
    };

    EngineNet(
        const Task& task, const std::string& model, const Batches& batches, const char* optimizer
    ) {
        options.model = model;
        options.task = task;
        options.device = test_device().name();
        options.batch = batches.training;
        options.eval_batch = batches.evaluation;
        options.optimizer = *OptimizerSpec::parse(optimizer);
        store = std::make_unique<ParameterStore>(*model_layout(model, task));
        store->initialize(Rng(3));
        auto made = Engine::create(options, *store);
        EXPECT_TRUE(made.has_value()) << made.error().message;
        engine = std::move(*made);
    }

    EngineOptions options;
    std::unique_ptr<ParameterStore> store;
    std::unique_ptr<Engine> engine;
};

}  // namespace starling::compute
