// Goal: an exported file holds the model: when it is read again it gives the same scores, and other
// runtimes can read it.
// Method: every named model goes out and comes back, with random parameters and samples. With
// STARLING_EXPORT_DIR the files and their expected scores stay there, for
// tests/system/onnxruntime_test.py, which asks another runtime.

#include "compute/onnx/export.hpp"

#include <algorithm>

#include "compute/graph/operator.hpp"
#include "compute/models/models.hpp"
#include "tests/unit/compute/support/contents.hpp"
#include "tests/unit/compute/support/homes.hpp"
#include "tests/unit/compute/support/onnx_file.hpp"
#include "tests/unit/compute/support/onnx_fixture.hpp"

namespace starling::compute::onnx {
namespace {

constexpr std::int64_t kBatch = 3;

struct Case {
    const char* name;
    const char* spec;
    Task task;
    bool tokens = false;
};

Task boxes_in(Shape picture) {
    Task task{std::move(picture), 3, 0, LabelKind::Boxes};
    task.boxes = 4;
    return task;
}

std::vector<Case> cases() {
    return {
        {"mlp", "mlp?hidden=20,10", {{1, 6, 6}, 4}},
        {"cnn", "cnn?channels=4,6&hidden=10", {{1, 12, 12}, 4}},
        {"resnet20", "resnet20?width=4", {{3, 16, 16}, 5}},
        {"resnet18", "resnet18?width=4", {{3, 64, 64}, 5}},
        {"gpt", "gpt?layers=2&heads=2&dim=16", {{12}, 20}, true},
        {"gpt_plain", "gpt?layers=2&heads=2&dim=16&bias=0", {{12}, 20}, true},
        {"audio", "audio?channels=4,6&hidden=8", {{1, 9, 14}, 3}},
        {"audio_ds", "audio?channels=4,6&hidden=8&blocks=ds", {{1, 9, 14}, 3}},
        {"tabular_two", "tabular?categories=3,4&hidden=8", {{6}, 2}, true},
        {"tabular", "tabular?categories=3,4&embed=3&hidden=8", {{6}, 3}, true},
        {"detector", "detector?width=4", boxes_in({3, 32, 48})}};
}

/// Scores of the model itself, [N, classes]; of a detector its maps.
std::vector<float> own_scores(
    const Case& c, ParameterStore& store, const std::vector<double>& values
) {
    auto model = build_model(c.spec, c.task, kBatch, Purpose::Inference);
    EXPECT_TRUE(model.has_value());
    ImportedModel own;
    own.graph = std::move(model->graph);
    own.inputs = {{"values", model->values, Kind::Real}};
    for (const auto& node : own.graph.nodes()) {
        if (node.op->name == "SoftmaxCrossEntropyLoss" || node.op->name == "CentrePointLoss") {
            own.outputs = {{"scores", node.inputs[0], Kind::Real}};
        }
    }
    auto scores = Runnable(std::move(own)).run_plan({values}, store);
    EXPECT_TRUE(scores.has_value()) << scores.error().message;
    return (*scores)[0];
}

Result<Bytes> export_case(const Case& c, ParameterStore& store) {
    return export_onnx(
        [&](std::int64_t batch) { return build_model(c.spec, c.task, batch, Purpose::Inference); },
        store
    );
}

std::vector<double> samples(const Case& c) {
    Rng rng(5);
    std::vector<double> values;
    const auto width = element_count(c.task.sample_shape);
    for (std::int64_t i = 0; i < kBatch * width; ++i) {
        const bool category = c.tokens && (c.task.classes == 20 || i % width < 2);
        values.push_back(
            category ? static_cast<double>(rng.below(c.task.classes == 20 ? 20 : 3))
                     : static_cast<double>(static_cast<float>(2.0 * rng.uniform() - 1.0))
        );
    }
    return values;
}

/// Random parameters; statistics that are not the ones of an untrained net.
std::unique_ptr<ParameterStore> trained_store(const Case& c) {
    auto store = std::make_unique<ParameterStore>(*model_layout(c.spec, c.task));
    store->initialize(Rng(9));
    Rng rng(3);
    for (const auto& info : store->layout().parameters()) {
        if (info.init != Init::Zero && info.init != Init::One) continue;
        store->update_tensor(info, [&](std::span<float> piece, std::size_t) {
            for (auto& value : piece) value += static_cast<float>(0.5 * rng.uniform());
        });
    }
    return store;
}

void keep(
    const Case& c,
    const Bytes& bytes,
    const std::vector<double>& values,
    const std::vector<float>& scores
) {
    const auto directory = folder("STARLING_EXPORT_DIR", "");
    if (directory.empty()) return;
    const auto write = [&](const char* ending, ByteView content) {
        std::ofstream out(directory / (std::string(c.name) + ending), std::ios::binary);
        out << as_text(content);
    };
    const std::vector<float> floats(values.begin(), values.end());
    std::string shape = std::to_string(kBatch);
    for (const auto size : c.task.sample_shape) shape += "," + std::to_string(size);
    write(".onnx", bytes);
    write(".values", std::as_bytes(std::span(floats)));
    write(".scores", std::as_bytes(std::span(scores)));
    write(".shape", as_byte_view(shape));
}

TEST(OnnxExport, EveryNamedModelComesBackTheSame) {
    for (const auto& c : cases()) {
        SCOPED_TRACE(c.name);
        const auto store = trained_store(c);
        const auto values = samples(c);
        const auto expected = own_scores(c, *store, values);
        const auto bytes = export_case(c, *store);
        ASSERT_TRUE(bytes.has_value()) << bytes.error().message;
        keep(c, *bytes, values, expected);
        const auto file = decode_model(*bytes);
        ASSERT_TRUE(file.has_value());
        EXPECT_EQ(file->inputs[0].shape[0], -1) << "the batch size is not free";
        ImportOptions options;
        options.batch = kBatch;
        auto model = import_onnx(*bytes, options);
        ASSERT_TRUE(model.has_value()) << model.error().message;
        const auto again = store_of(model->graph);
        EXPECT_EQ(again->layout().elements(), store->layout().elements());
        const auto scores = Runnable(std::move(*model)).run_plan({values}, *again);
        ASSERT_TRUE(scores.has_value()) << scores.error().message;
        ASSERT_EQ((*scores)[0].size(), expected.size());
        for (std::size_t i = 0; i < expected.size(); ++i) {
            EXPECT_NEAR((*scores)[0][i], expected[i], 1e-5) << i;
        }
    }
}

TEST(OnnxExport, TheFileDoesNotDependOnWhereTheParametersLie) {
    const auto c = cases()[4];
    const auto store = trained_store(c);
    auto elsewhere = store_in(kFileHome, store->layout());
    elsewhere.write_all(contents(*store));
    const auto bytes = export_case(c, *store);
    const auto same = export_case(c, elsewhere);
    ASSERT_TRUE(bytes.has_value() && same.has_value());
    EXPECT_EQ(*bytes, *same);
}

TEST(OnnxExport, WhatWasSpelledOutIsRecognisedAgain) {
    const auto c = cases()[4];
    const auto store = trained_store(c);
    ImportOptions options;
    options.batch = kBatch;
    const auto model = import_onnx(*export_case(c, *store), options);
    ASSERT_TRUE(model.has_value()) << model.error().message;
    int attention = 0;
    int gelu = 0;
    int norms = 0;
    for (const auto& node : model->graph.nodes()) {
        attention += node.op->name == "CausalAttention" ? 1 : 0;
        gelu += node.op->name == "Gelu" ? 1 : 0;
        norms += node.op->name == "LayerNormalization" ? 1 : 0;
        EXPECT_NE(node.op->name, "Softmax");
        EXPECT_NE(node.op->name, "Erf");
    }
    EXPECT_EQ(attention, 2);
    EXPECT_EQ(gelu, 2);
    EXPECT_EQ(norms, 5);
}

TEST(OnnxExport, ExportOfAnImportIsTheSameModel) {
    const auto c = cases()[2];
    const auto store = trained_store(c);
    const auto first = export_case(c, *store);
    ASSERT_TRUE(first.has_value());
    const auto layout = model_layout("onnx:a.onnx", c.task, *first);
    ASSERT_TRUE(layout.has_value()) << layout.error().message;
    ParameterStore imported(*layout);
    imported.initialize(Rng(1));
    const auto second = export_onnx(
        [&](std::int64_t batch) {
            return build_model("onnx:a.onnx", c.task, batch, Purpose::Inference, *first);
        },
        imported
    );
    ASSERT_TRUE(second.has_value()) << second.error().message;
    EXPECT_EQ(
        decode_model(*second)->initializers.size(), decode_model(*first)->initializers.size()
    );
    const auto values = samples(c);
    ImportOptions options;
    options.batch = kBatch;
    auto model = import_onnx(*second, options);
    ASSERT_TRUE(model.has_value()) << model.error().message;
    const auto again = store_of(model->graph);
    const auto scores = Runnable(std::move(*model)).run_plan({values}, *again);
    const auto expected = own_scores(c, *store, values);
    ASSERT_TRUE(scores.has_value());
    for (std::size_t i = 0; i < expected.size(); ++i) {
        EXPECT_NEAR((*scores)[0][i], expected[i], 1e-5) << i;
    }
}

/// One file with the operators that the named models do not have.
FileBuilder assorted() {
    FileBuilder b;
    b.input("x", {-1, 4, 6, 6}).floats("w", {4, 2, 3, 3}).floats("slope", {4, 1, 1});
    b.ints("pads", {0, 0, 1, 1, 0, 0, 0, 0}).floats("low", {}, {-0.5F});
    b.node(
        "ConvTranspose",
        {"x", "w"},
        {"t"},
        {{"strides", std::vector<std::int64_t>{2, 2}},
         {"group", std::int64_t{2}},
         {"output_padding", std::vector<std::int64_t>{1, 1}}}
    );
    b.node("PRelu", {"t", "slope"}, {"p"}).node("Clip", {"p", "low"}, {"k"});
    b.node("Pad", {"k", "pads"}, {"q"}).node("Greater", {"q", "low"}, {"g"});
    b.node("Where", {"g", "q", "low"}, {"z"}).node("HardSwish", {"z"}, {"h"});
    b.node("GlobalMaxPool", {"h"}, {"m"})
        .node("ReduceL2", {"h"}, {"l"}, {{"axes", std::vector<std::int64_t>{2, 3}}});
    b.node("Add", {"m", "l"}, {"s"}).node("Flatten", {"s"}, {"y"}).output("y");
    return b;
}

TEST(OnnxExport, AssortedOperatorsComeBackTheSame) {
    const Case c{"assorted", "onnx:a.onnx", {{4, 6, 6}, 4}};
    const auto bytes = assorted().bytes();
    const auto build = [&](std::int64_t batch) {
        return build_model(c.spec, c.task, batch, Purpose::Inference, bytes);
    };
    const auto layout = model_layout(c.spec, c.task, bytes);
    ASSERT_TRUE(layout.has_value()) << layout.error().message;
    ParameterStore store(*layout);
    store.initialize(Rng(1));
    const auto out = export_onnx(build, store);
    ASSERT_TRUE(out.has_value()) << out.error().message;
    const auto values = samples(c);
    ImportOptions options;
    options.batch = kBatch;
    std::vector<std::vector<float>> results;
    for (const auto& file : {bytes, *out}) {
        auto model = import_onnx(file, options);
        ASSERT_TRUE(model.has_value()) << model.error().message;
        const auto own = store_of(model->graph);
        auto scores = Runnable(std::move(*model)).run_plan({values}, *own);
        ASSERT_TRUE(scores.has_value()) << scores.error().message;
        results.push_back((*scores)[0]);
    }
    ASSERT_EQ(results[0].size(), results[1].size());
    for (std::size_t i = 0; i < results[0].size(); ++i) {
        EXPECT_NEAR(results[0][i], results[1][i], 1e-5) << i;
    }
    keep(c, *out, values, results[0]);
}

}  // namespace
}  // namespace starling::compute::onnx
