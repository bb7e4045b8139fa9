// Goal: nets that PyTorch exports give PyTorch's scores, and the importer recognises the operators
// that PyTorch spells out.
// Method: the files of tests/golden/onnx, made by tests/golden/torch_onnx.py, each with samples and
// scores.

#include <algorithm>
#include <cstring>

#include "compute/graph/operator.hpp"
#include "compute/models/models.hpp"
#include "compute/training/engine.hpp"
#include "tests/unit/compute/support/onnx_fixture.hpp"

namespace starling::compute::onnx {
namespace {

namespace fs = std::filesystem;

fs::path golden(const std::string& name) {
    return fs::path(STARLING_SOURCE_DIR) / "tests/golden/onnx" / name;
}

std::vector<float> floats(const fs::path& path) {
    const auto bytes = read_file(path);
    std::vector<float> values(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
    return values;
}

Result<ImportedModel> import_golden(const std::string& name, std::int64_t batch) {
    ImportOptions options;
    options.batch = batch;
    options.float_inputs = true;
    return import_onnx(read_file(golden(name + ".onnx")), options);
}

/// The batch that the samples have.
std::int64_t batch_of(const std::string& name) {
    const auto bytes = read_file(golden(name + ".shape"));
    return std::stoll(std::string(as_text(bytes)));
}

int count(const Graph& graph, std::string_view op) {
    return static_cast<int>(std::count_if(
        graph.nodes().begin(),
        graph.nodes().end(),
        [&](const Node& node) { return node.op->name == op; }
    ));
}

TEST(OnnxTorch, ExportedNetsGiveTheScoresOfPyTorch) {
    for (const auto* name :
         {"attention13",
          "attention17",
          "gpt13",
          "gpt13free",
          "gpt17",
          "gpt17free",
          "grouped13",
          "grouped17",
          "mobile13",
          "mobile17"}) {
        SCOPED_TRACE(name);
        auto model = import_golden(name, batch_of(name));
        ASSERT_TRUE(model.has_value()) << model.error().message;
        const auto store = store_of(model->graph);
        const auto values = floats(golden(std::string(name) + ".values"));
        const auto expected = floats(golden(std::string(name) + ".scores"));
        const auto scores =
            Runnable(std::move(*model)).run_plan({{values.begin(), values.end()}}, *store);
        ASSERT_TRUE(scores.has_value()) << scores.error().message;
        ASSERT_EQ((*scores)[0].size(), expected.size());
        for (std::size_t i = 0; i < expected.size(); ++i) {
            EXPECT_NEAR((*scores)[0][i], expected[i], 1e-5) << i;
        }
    }
}

TEST(OnnxTorch, TransformerIsWholeAgain) {
    for (const auto* name : {"gpt13", "gpt13free", "gpt17", "gpt17free"}) {
        SCOPED_TRACE(name);
        const auto model = import_golden(name, 5);
        ASSERT_TRUE(model.has_value()) << model.error().message;
        EXPECT_EQ(count(model->graph, "CausalAttention"), 1);
        EXPECT_EQ(count(model->graph, "Gelu"), 1);
        EXPECT_EQ(count(model->graph, "LayerNormalization"), 3);
        EXPECT_EQ(count(model->graph, "Erf") + count(model->graph, "Softmax"), 0);
        // Embeddings, the block's four products with biases, three norms, the head.
        EXPECT_EQ(model->graph.parameters().size(), 2U + 8U + 6U + 1U);
    }
}

TEST(OnnxTorch, AttentionIsRecognisedAsItsAuthorsWriteIt) {
    for (const auto* name : {"attention13", "attention17"}) {
        SCOPED_TRACE(name);
        const auto model = import_golden(name, batch_of(name));
        ASSERT_TRUE(model.has_value()) << model.error().message;
        // Three projections, the same with the mask as a factor, PyTorch's module, two lone heads.
        EXPECT_EQ(count(model->graph, "CausalAttention"), 5);
        EXPECT_EQ(count(model->graph, "Softmax"), 0);
        // Weights and biases of three products twice, two products of the module, three each of
        // the lone heads; masks are none.
        EXPECT_EQ(model->graph.parameters().size(), 6U + 6U + 4U + 6U);
    }
}

TEST(OnnxTorch, GroupNormalizationBringsOnlyItsOwnParameters) {
    const auto model = import_golden("grouped13", 2);
    ASSERT_TRUE(model.has_value()) << model.error().message;
    // Two convolutions and a linear layer with biases, scale and bias of both normalisations.
    EXPECT_EQ(model->graph.parameters().size(), 10U);
    for (const auto& info : model->graph.parameters()) EXPECT_FALSE(info.buffer) << info.name;
}

TEST(OnnxTorch, ExportedNetsTrain) {
    for (const auto* name : {"gpt17", "mobile13"}) {
        SCOPED_TRACE(name);
        const bool text = std::string_view(name).starts_with("gpt");
        const Task task = text ? Task{{6}, 11} : Task{{3, 8, 8}, 5};
        const auto file = read_file(golden(std::string(name) + ".onnx"));
        EngineOptions options;
        options.model = "onnx:net.onnx";
        options.model_file = std::make_shared<const Bytes>(file);
        options.task = task;
        options.batch = 4;
        options.eval_batch = 4;
        options.optimizer = *OptimizerSpec::parse("adamw?lr=0.01");
        const auto layout = model_layout(options.model, task, file);
        ASSERT_TRUE(layout.has_value()) << layout.error().message;
        ParameterStore store(*layout);
        store.initialize(Rng(1));
        auto engine = Engine::create(options, store);
        ASSERT_TRUE(engine.has_value()) << engine.error().message;
        Rng rng(3);
        const auto labels_each = text ? 6U : 1U;
        std::vector<float> values;
        for (std::int64_t i = 0; i < 4 * element_count(task.sample_shape); ++i) {
            values.push_back(
                text ? static_cast<float>(rng.below(11)) : static_cast<float>(rng.uniform())
            );
        }
        std::vector<std::int32_t> labels;
        for (std::size_t i = 0; i < 4 * labels_each; ++i) {
            labels.push_back(static_cast<std::int32_t>(i % 5));
        }
        const float first = (*engine)->step({values, labels}, 0.01)->loss;
        float last = first;
        for (int i = 0; i < 60; ++i) last = (*engine)->step({values, labels}, 0.01)->loss;
        EXPECT_LT(last, 0.7F * first);
    }
}

}  // namespace
}  // namespace starling::compute::onnx
