// Goal: a model file says itself which data its model takes. Method: files that are exported from
// named nets, and files that are none.

#include <gtest/gtest.h>

#include "compute/models/models.hpp"
#include "compute/onnx/export.hpp"
#include "compute/onnx/import.hpp"

namespace starling::compute {
namespace {

Bytes exported(const std::string& spec, const Task& task) {
    const auto build = [&](std::int64_t batch) {
        return build_model(spec, task, batch, Purpose::Inference);
    };
    ParameterStore store(*model_layout(spec, task));
    store.initialize(Rng(1));
    auto file = onnx::export_onnx(build, store);
    EXPECT_TRUE(file.has_value()) << file.error().message;
    return file.has_value() ? *file : Bytes();
}

TEST(OnnxTask, ImagesHaveTheShapeOfTheInputAndOneLabelEach) {
    const auto found = onnx_task(exported("cnn?channels=2&hidden=4", {{3, 12, 10}, 7}));
    ASSERT_TRUE(found.has_value()) << found.error().message;
    EXPECT_EQ(found->task.sample_shape, (std::vector<std::int64_t>{3, 12, 10}));
    EXPECT_EQ(found->task.classes, 7);
    EXPECT_EQ(found->task.labels, 1);
    EXPECT_FALSE(found->whole_numbers);
}

TEST(OnnxTask, ATextHasALabelForEachToken) {
    const auto file = exported("gpt?layers=1&heads=1&dim=8", {{16}, 11});
    const auto found = onnx_task(file);
    ASSERT_TRUE(found.has_value()) << found.error().message;
    EXPECT_EQ(found->task.sample_shape, std::vector<std::int64_t>{16});
    EXPECT_EQ(found->task.classes, 11);
    EXPECT_EQ(found->task.labels, 16);
    EXPECT_TRUE(model_layout("onnx:net.onnx", found->task, file).has_value());
}

TEST(OnnxTask, WhatIsNoModelGetsTheImportersFault) {
    EXPECT_EQ(onnx_task({}).error().code, onnx::import_onnx({}, {}).error().code);
    const auto text = as_byte_view("this is no net");
    EXPECT_TRUE(onnx_task(text).has_error());
}

}  // namespace
}  // namespace starling::compute
