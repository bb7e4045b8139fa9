// Goal: a file's answers are trained by a loss that fits the data's kind of labels: the kind chooses
// it, `loss=` may choose another one that fits, and the rest is refused in one line.
// Method: one linear net with and without a sigmoid at its end, against its scores computed here.

#include <cmath>
#include <span>

#include "tests/unit/compute/support/onnx_model.hpp"

namespace starling::compute::onnx {
namespace {

constexpr std::int64_t kBatch = 3;
const Task kLabels{{4}, 5, 0, LabelKind::Classes};
const Task kNumbers{{4}, 5, 0, LabelKind::Numbers};

/// Five answers for each sample of four values.
FileBuilder net(const char* end, Shape shape = {-1, 5}) {
    FileBuilder b;
    b.input("x", {-1, 4}).floats("w", {4, 5}).ints("shape", std::move(shape));
    b.node("MatMul", {"x", "w"}, {"m"}).node("Reshape", {"m", "shape"}, {"z"});
    b.node(end, {"z"}, {"y"}).output("y");
    return b;
}

/// Returns the operators that the loss of a spec is made of, joined, or the refusal.
std::string built(const FileBuilder& b, const std::string& spec, const Task& task) {
    const auto model = build_model(spec, task, kBatch, Purpose::Training, b.bytes());
    if (model.has_error()) {
        EXPECT_EQ(model.error().message.find('\n'), std::string::npos);
        return model.error().message;
    }
    EXPECT_EQ(model->graph.shape(model->scores), (Shape{kBatch, task.classes}));
    std::string all;
    for (const auto& name : operators(model->graph)) all += name + " ";
    return all;
}

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

TEST(LabelLoss, TheKindOfLabelsChoosesIt) {
    const auto b = net("Identity");
    EXPECT_TRUE(contains(built(b, "onnx:a.onnx", {{4}, 5}), "SoftmaxCrossEntropyLoss"));
    EXPECT_TRUE(contains(built(b, "onnx:a.onnx", kLabels), "Softplus"));
    const auto square = built(b, "onnx:a.onnx", kNumbers);
    EXPECT_TRUE(contains(square, "ReduceMean") && !contains(square, "Abs")) << square;
    auto smooth = kNumbers;
    smooth.beta = 0.5;
    EXPECT_TRUE(contains(built(b, "onnx:a.onnx", smooth), "Abs"));
    EXPECT_FALSE(contains(built(b, "onnx:a.onnx?loss=mse", smooth), "Abs"));
    EXPECT_TRUE(contains(built(b, "onnx:a.onnx?loss=smooth-l1", kNumbers), "Abs"));
    EXPECT_TRUE(contains(built(b, "onnx:a.onnx?loss=bce", kLabels), "Softplus"));
}

TEST(LabelLoss, OneThatDoesNotFitIsRefusedWithThoseThatDo) {
    const auto b = net("Identity");
    EXPECT_EQ(
        built(b, "onnx:a.onnx?loss=nll", kLabels),
        "'onnx': loss=nll does not fit samples of shape [4] with 5 labels that may hold at once; "
        "give bce"
    );
    EXPECT_EQ(
        built(b, "onnx:a.onnx?loss=cross-entropy", kNumbers),
        "'onnx': loss=cross-entropy does not fit samples of shape [4] with 5 numbers each; give "
        "mse or smooth-l1"
    );
    EXPECT_EQ(
        built(b, "onnx:a.onnx?loss=mse", {{4}, 5}),
        "'onnx': loss=mse does not fit samples of shape [4] with one of 5 classes; give "
        "cross-entropy, nll or bce"
    );
    EXPECT_EQ(
        built(b, "onnx:a.onnx?loss=l2", kNumbers),
        "'onnx': loss=l2 is not allowed; give mse or smooth-l1"
    );
    EXPECT_EQ(
        build_model("onnx:a.onnx?loss=mse", {{4}, 5}, 3, Purpose::Training, b.bytes()).error().code,
        FaultCode::Usage
    );
}

TEST(LabelLoss, ASigmoidAtTheEndIsLeftToTheLossOfLabels) {
    const auto floats = random_floats(4 * kBatch);
    const std::vector<double> values(floats.begin(), floats.end());
    const auto plain = evaluated_scores(net("Identity").bytes(), kLabels, kBatch, values);
    const auto cut = evaluated_scores(net("Sigmoid").bytes(), kLabels, kBatch, values);
    ASSERT_EQ(plain.size(), 15U);
    EXPECT_EQ(cut, plain);
    // Numbers between zero and one may be what is wanted: those keep it.
    const auto kept = evaluated_scores(net("Sigmoid").bytes(), kNumbers, kBatch, values);
    for (std::size_t i = 0; i < kept.size(); ++i) {
        EXPECT_NEAR(kept[i], 1.0F / (1.0F + std::exp(-plain[i])), 1e-6F);
    }
    EXPECT_TRUE(contains(
        built(net("Softmax"), "onnx:a.onnx", kLabels), "the answers still are probabilities"
    ));
}

TEST(LabelLoss, AnswersOfAnotherFormAreShapedOrRefused) {
    EXPECT_TRUE(contains(built(net("Identity", {-1, 5, 1}), "onnx:a.onnx", kNumbers), "Reshape"));
    const Task three{{4}, 3, 0, LabelKind::Numbers};
    EXPECT_EQ(
        built(net("Identity"), "onnx:a.onnx", three),
        "onnx: the model gives [3, 5], and the data have samples of shape [4] with 3 numbers "
        "each: it should give [3, 3]"
    );
}

TEST(LabelLoss, AFileLearnsNumbersAndLabels) {
    for (const auto& task : {kLabels, kNumbers}) {
        const bool of_labels = task.kind == LabelKind::Classes;
        const auto b = net(of_labels ? "Sigmoid" : "Identity");
        Trained trained(b.bytes(), task, 32);
        const auto values = random_floats(32 * 4);
        std::vector<float> targets;
        for (std::size_t i = 0; i < 32 * 5; ++i) {
            // One linear function of the sample's values for each answer.
            const auto sample = std::span(values).subspan(i / 5 * 4, 4);
            const float x = sample[i % 5 % 4] - 0.5F * sample[0];
            targets.push_back(of_labels ? (x > 0.0F ? 1.0F : 0.0F) : x);
        }
        for (int i = 0; i < 400; ++i) {
            ASSERT_TRUE(trained.engine->step({values, {}, targets}, 0.5).has_value());
        }
        const auto result = *trained.engine->evaluate({values, {}, targets});
        if (of_labels) {
            EXPECT_GT(result.accuracy(), 0.95);
        } else {
            EXPECT_LT(result.loss(), 1e-3);
        }
        const auto out = export_onnx(
            [&](std::int64_t batch) {
                return build_model("onnx:a.onnx", task, batch, Purpose::Inference, b.bytes());
            },
            *trained.store
        );
        EXPECT_TRUE(out.has_value());
    }
}

TEST(LabelLoss, TheFounderIsToldWhatTheAnswersAre) {
    const auto notes = [](const Task& task, const char* spec) {
        const auto facts = inspect_model(spec, task, kBatch, net("Identity").bytes());
        EXPECT_TRUE(facts.has_value());
        return facts->notes.front();
    };
    EXPECT_TRUE(contains(notes(kLabels, "onnx:a.onnx"), "5 labels to a binary cross-entropy"));
    EXPECT_TRUE(contains(notes(kNumbers, "onnx:a.onnx"), "5 numbers to a squared error"));
    const auto smooth = notes(kNumbers, "onnx:a.onnx?loss=smooth-l1");
    EXPECT_TRUE(contains(smooth, "5 numbers to a smooth L1 loss"));
}

}  // namespace
}  // namespace starling::compute::onnx
