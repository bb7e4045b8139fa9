// Goal: a file that ends in probabilities is trained on its scores, however it spells its softmax and
// whatever stands behind it, or it is refused.
// Method: one linear net with many ends. What the loss reads is compared with the net's own scores.

#include <algorithm>
#include <cmath>

#include "compute/onnx/export.hpp"
#include "tests/unit/compute/support/onnx_model.hpp"

namespace starling::compute::onnx {
namespace {

constexpr std::int64_t kBatch = 3;
const Task kTask{{4}, 5};
using List = std::vector<std::int64_t>;

/// A net whose scores are `z`, [N, 5].
FileBuilder net() {
    FileBuilder b;
    b.file.opset = 11;
    b.input("x", {-1, 4}).floats("w", {4, 5}).ints("rows", {-1, 5});
    b.constant("tiny", {}, {1e-7F}).constant("one", {}, {1.0F});
    b.node("MatMul", {"x", "w"}, {"z"});
    return b;
}

FileBuilder& softmax(FileBuilder& b, const std::string& to = "p") {
    return b.node("Softmax", {"z"}, {to}, {{"axis", std::int64_t{1}}});
}

std::vector<float> scores(const FileBuilder& b, const std::string& spec = "onnx:a.onnx") {
    const auto values = random_floats(4 * kBatch);
    return evaluated_scores(b.bytes(), kTask, kBatch, {values.begin(), values.end()}, spec);
}

struct Ending {
    const char* name;
    FileBuilder file;
};

/// Every ending here shows probabilities of a softmax over the classes.
std::vector<Ending> endings() {
    std::vector<Ending> all;
    const auto add = [&](const char* name, const auto& write) {
        auto b = net();
        write(b);
        b.output("y");
        all.push_back({name, std::move(b)});
    };
    add("softmax", [](auto& b) { softmax(b, "y"); });
    add("identity", [](auto& b) { softmax(b).node("Identity", {"p"}, {"y"}); });
    add("cast", [](auto& b) { softmax(b).node("Cast", {"p"}, {"y"}, {{"to", std::int64_t{1}}}); });
    add("reshape", [](auto& b) { softmax(b).node("Reshape", {"p", "rows"}, {"y"}); });
    add("flatten", [](auto& b) { softmax(b).node("Flatten", {"p"}, {"y"}); });
    add("dropout", [](auto& b) { softmax(b).node("Dropout", {"p"}, {"y"}); });
    add("log", [](auto& b) { softmax(b).node("Log", {"p"}, {"y"}); });
    add("logsoftmax", [](auto& b) {
        b.node("LogSoftmax", {"z"}, {"y"}, {{"axis", std::int64_t{1}}});
    });
    add("exp of logsoftmax", [](auto& b) {
        b.node("LogSoftmax", {"z"}, {"l"}, {{"axis", std::int64_t{1}}}).node("Exp", {"l"}, {"y"});
    });
    add("clip", [](auto& b) { softmax(b).node("Clip", {"p", "tiny", "one"}, {"y"}); });
    add("log of a clip", [](auto& b) {
        softmax(b).node("Clip", {"p", "tiny", "one"}, {"c"}).node("Log", {"c"}, {"y"});
    });
    add("log of a sum", [](auto& b) {
        softmax(b).node("Add", {"p", "tiny"}, {"c"}).node("Log", {"c"}, {"y"});
    });
    add("transposed", [](auto& b) {
        b.node("Transpose", {"z"}, {"t"}, {{"perm", List{1, 0}}});
        b.file.opset = 13;
        b.node("Softmax", {"t"}, {"p"}, {{"axis", std::int64_t{0}}});
        b.node("Transpose", {"p"}, {"y"}, {{"perm", List{1, 0}}});
    });
    add("pixels", [](auto& b) {
        b.ints("pixels", {-1, 5, 1, 1}).node("Reshape", {"z", "pixels"}, {"t"});
        b.node("Softmax", {"t"}, {"p"}, {{"axis", std::int64_t{1}}}).node("Flatten", {"p"}, {"y"});
    });
    add("pixels of opset 13", [](auto& b) {
        b.file.opset = 13;
        b.ints("pixels", {-1, 5, 1, 1}).node("Reshape", {"z", "pixels"}, {"t"});
        b.node("Softmax", {"t"}, {"p"}, {{"axis", std::int64_t{1}}}).node("Flatten", {"p"}, {"y"});
    });
    const Attribute axes = List{1};
    const auto spelled = [&](FileBuilder& b, const std::string& from) -> FileBuilder& {
        b.node("Exp", {from}, {"e"}).node("ReduceSum", {"e"}, {"s"}, {{"axes", axes}});
        return b;
    };
    const auto shifted = [&](FileBuilder& b) -> FileBuilder& {
        b.node("ReduceMax", {"z"}, {"m"}, {{"axes", axes}}).node("Sub", {"z", "m"}, {"d"});
        return b;
    };
    add("spelled", [&](auto& b) { spelled(b, "z").node("Div", {"e", "s"}, {"y"}); });
    add("spelled with the maximum", [&](auto& b) {
        spelled(shifted(b), "d").node("Div", {"e", "s"}, {"y"});
    });
    add("spelled as a product", [&](auto& b) {
        spelled(b, "z").node("Reciprocal", {"s"}, {"r"}).node("Mul", {"r", "e"}, {"y"});
    });
    add("logarithm of a spelled one", [&](auto& b) {
        spelled(shifted(b), "d").node("Div", {"e", "s"}, {"p"}).node("Log", {"p"}, {"y"});
    });
    add("spelled logarithm", [&](auto& b) {
        spelled(shifted(b), "d").node("Log", {"s"}, {"l"}).node("Sub", {"d", "l"}, {"y"});
    });
    add("logsumexp", [&](auto& b) {
        b.node("ReduceLogSumExp", {"z"}, {"l"}, {{"axes", axes}}).node("Sub", {"z", "l"}, {"y"});
    });
    return all;
}

TEST(SoftmaxTail, EveryEndingTrainsTheScores) {
    auto plain = net();
    plain.node("Identity", {"z"}, {"y"}).output("y");
    const auto expected = scores(plain);
    ASSERT_EQ(expected.size(), static_cast<std::size_t>(kBatch) * 5);
    for (const auto& ending : endings()) {
        SCOPED_TRACE(ending.name);
        const auto found = scores(ending.file);
        ASSERT_EQ(found.size(), expected.size());
        for (std::size_t i = 0; i < found.size(); ++i) EXPECT_FLOAT_EQ(found[i], expected[i]);
        const auto training =
            build_model("onnx:a.onnx", kTask, kBatch, Purpose::Training, ending.file.bytes());
        ASSERT_TRUE(training.has_value()) << training.error().message;
        const bool said = std::any_of(
            training->notes.begin(),
            training->notes.end(),
            [](const std::string& note) {
                return note.find("left to the loss") != std::string::npos;
            }
        );
        EXPECT_TRUE(said);
    }
}

TEST(SoftmaxTail, TokensOfATextKeepTheirPlaces) {
    // [N, classes, T] as PyTorch's loss wants it, turned back behind the softmax.
    const Task task{{6}, 5, 6};
    FileBuilder plain;
    plain.input("x", {-1, 6}, DataType::Int64).floats("w", {5, 5});
    auto b = plain;
    plain.node("Gather", {"w", "x"}, {"y"}).output("y");
    b.node("Gather", {"w", "x"}, {"z"}).node("Transpose", {"z"}, {"t"}, {{"perm", List{0, 2, 1}}});
    b.node("Softmax", {"t"}, {"p"}, {{"axis", std::int64_t{1}}});
    b.node("Transpose", {"p"}, {"y"}, {{"perm", List{0, 2, 1}}}).output("y");
    std::vector<double> tokens;
    for (int i = 0; i < 12; ++i) tokens.push_back(i * 7 % 5);
    EXPECT_EQ(
        evaluated_scores(b.bytes(), task, 2, tokens),
        evaluated_scores(plain.bytes(), task, 2, tokens)
    );
}

std::string refusal(const FileBuilder& b, const std::string& spec = "onnx:a.onnx") {
    const auto model = build_model(spec, kTask, kBatch, Purpose::Training, b.bytes());
    return model.has_error() ? model.error().message : std::string();
}

TEST(SoftmaxTail, ProbabilitiesThatNoCutMendsAreRefused) {
    const auto with = [](const auto& write) {
        auto b = net();
        b.constant("two", {}, {2.0F});
        write(b);
        b.output("y");
        return b;
    };
    const std::vector<FileBuilder> files{
        with([](auto& b) { b.node("Sigmoid", {"z"}, {"y"}); }),
        with([](auto& b) { b.node("HardSigmoid", {"z"}, {"y"}); }),
        with([](auto& b) {
            softmax(b).node("Mul", {"p", "two"}, {"y"});
        }),
        with([](auto& b) {
            softmax(b).node("Pow", {"p", "two"}, {"y"});
        }),
        with([](auto& b) { softmax(b).node("Softmax", {"p"}, {"y"}); }),
        with([](auto& b) {
            b.floats("v", {4, 5}).node("MatMul", {"x", "v"}, {"z2"});
            softmax(b).node("Softmax", {"z2"}, {"p2"}).node("Add", {"p", "p2"}, {"s"});
            b.node("Div", {"s", "two"}, {"y"});
        }),
        with([](auto& b) {
            b.node("Softplus", {"z"}, {"e"}).node("ReduceSum", {"e"}, {"s"}, {{"axes", List{1}}});
            b.node("Div", {"e", "s"}, {"y"});
        }),
        // Over the samples rather than the classes.
        with([](auto& b) {
            b.file.opset = 13;
            b.node("Softmax", {"z"}, {"y"}, {{"axis", std::int64_t{0}}});
        })};
    for (std::size_t i = 0; i < files.size(); ++i) {
        SCOPED_TRACE(i);
        const auto said = refusal(files[i]);
        EXPECT_NE(said.find("still are probabilities"), std::string::npos) << said;
        EXPECT_NE(said.find("?loss="), std::string::npos) << said;
        EXPECT_EQ(said.find('\n'), std::string::npos);
        // Whoever asks for it gets it.
        EXPECT_EQ(refusal(files[i], "onnx:a.onnx?loss=cross-entropy"), "");
        EXPECT_EQ(refusal(files[i], "onnx:a.onnx?loss=nll"), "");
    }
}

TEST(SoftmaxTail, GatesAndAttentionInsideAreNoTails) {
    auto b = net();
    b.floats("v", {5, 5}).node("Sigmoid", {"z"}, {"g"}).node("Mul", {"z", "g"}, {"s"});
    b.node("Softmax", {"s"}, {"p"}, {{"axis", std::int64_t{1}}});
    b.node("MatMul", {"p", "v"}, {"y"}).output("y");
    EXPECT_EQ(refusal(b), "");
    const auto model = build_model("onnx:a.onnx", kTask, kBatch, Purpose::Training, b.bytes());
    const auto names = operators(model->graph);
    EXPECT_EQ(std::count(names.begin(), names.end(), "Softmax"), 1);
}

TEST(Loss, NllTrainsTheLogarithmOfProbabilities) {
    // p = softplus / sum, which sums to one without a softmax.
    auto b = net();
    b.node("Softplus", {"z"}, {"e"}).node("ReduceSum", {"e"}, {"s"}, {{"axes", List{1}}});
    b.node("Div", {"e", "s"}, {"y"}).output("y");
    auto logs = b;
    logs.node("Log", {"y"}, {"l"});
    logs.file.outputs[0].name = "l";
    const auto of_p = scores(b, "onnx:a.onnx?loss=nll");
    const auto of_log = scores(logs, "onnx:a.onnx?loss=nll");
    const auto p = scores(b, "onnx:a.onnx?loss=cross-entropy");
    ASSERT_EQ(of_p.size(), p.size());
    for (std::size_t i = 0; i < p.size(); ++i) {
        EXPECT_NEAR(of_p[i], std::log(p[i]), 1e-5);
        EXPECT_NEAR(of_log[i], std::log(p[i]), 1e-5);
    }
}

/// One number for each sample, with or without a sigmoid.
FileBuilder binary(bool sigmoid, Shape column) {
    FileBuilder b;
    b.input("x", {-1, 4}).floats("w", {4, 1}).ints("column", std::move(column));
    b.node("MatMul", {"x", "w"}, {"m"}).node("Reshape", {"m", "column"}, {"z"});
    b.node(sigmoid ? "Sigmoid" : "Identity", {"z"}, {"y"}).output("y");
    return b;
}

TEST(Loss, BceTrainsOneScoreAgainstZero) {
    const Task two{{4}, 2};
    const auto floats = random_floats(12);
    const std::vector<double> values(floats.begin(), floats.end());
    for (const bool sigmoid : {true, false}) {
        for (const auto& column : {Shape{-1, 1}, Shape{-1}}) {
            const auto file = binary(sigmoid, column).bytes();
            const auto found = evaluated_scores(file, two, 3, values, "onnx:a.onnx?loss=bce");
            ASSERT_EQ(found.size(), 6U);
            FileBuilder b;
            b.floats("w", {4, 1});
            const auto& w = b.file.initializers[0].floats;
            for (std::size_t n = 0; n < 3; ++n) {
                float score = 0.0F;
                for (std::size_t k = 0; k < 4; ++k) score += floats[n * 4 + k] * w[k];
                EXPECT_EQ(found[2 * n], 0.0F);
                EXPECT_NEAR(found[2 * n + 1], score, 1e-6F);
            }
        }
    }
}

TEST(Loss, BceIsForTwoClassesAndItsNeedIsSaid) {
    const auto file = binary(true, {-1, 1}).bytes();
    const auto without = build_model("onnx:a.onnx", {{4}, 2}, 3, Purpose::Training, file);
    ASSERT_TRUE(without.has_error());
    EXPECT_NE(without.error().message.find("?loss=bce"), std::string::npos)
        << without.error().message;
    const auto many = build_model("onnx:a.onnx?loss=bce", kTask, 3, Purpose::Training, file);
    ASSERT_TRUE(many.has_error());
    EXPECT_NE(many.error().message.find("two classes"), std::string::npos);
    const auto unknown = build_model("onnx:a.onnx?loss=mse", {{4}, 2}, 3, Purpose::Training, file);
    ASSERT_TRUE(unknown.has_error());
    EXPECT_EQ(unknown.error().code, FaultCode::Usage);
}

TEST(Loss, BceLearnsAndIsExportedWithItsZero) {
    const Task two{{4}, 2};
    const auto file = binary(true, {-1, 1}).bytes();
    Trained net(file, two, 16, "onnx:a.onnx?loss=bce");
    const auto values = random_floats(64);
    std::vector<std::int32_t> labels;
    for (std::size_t n = 0; n < 16; ++n) labels.push_back(values[4 * n] > 0.0F ? 1 : 0);
    for (int i = 0; i < 300; ++i) (void)net.engine->step({values, labels}, 0.5);
    EXPECT_GE(net.engine->evaluate({values, labels})->correct, 15U);
    const auto out = export_onnx(
        [&](std::int64_t batch) {
            return build_model(net.options.model, two, batch, Purpose::Inference, file);
        },
        *net.store
    );
    ASSERT_TRUE(out.has_value()) << out.error().message;
    const auto again = evaluated_scores(*out, two, 16, {values.begin(), values.end()});
    ASSERT_EQ(again.size(), 32U);
    EXPECT_EQ(again[0], 0.0F);
}

TEST(Notes, SayWhatIsTrainedAndWhatStays) {
    auto b = net();
    b.constant("offsets", {5}, {1.0F, 2.0F, 3.0F, 4.0F, 5.0F});
    b.node("Mul", {"z", "offsets"}, {"y"}).output("y");
    const auto facts = inspect_model("onnx:a.onnx", kTask, kBatch, b.bytes());
    ASSERT_TRUE(facts.has_value()) << facts.error().message;
    std::string all;
    for (const auto& note : facts->notes) all += note + "\n";
    EXPECT_NE(all.find("'y' gives the scores of 5 classes"), std::string::npos) << all;
    EXPECT_NE(all.find("5 floats in 1 tensor"), std::string::npos) << all;
    EXPECT_EQ(all.find("left to the loss"), std::string::npos) << all;
    const auto named = inspect_model("mlp?hidden=4", kTask, kBatch);
    EXPECT_TRUE(named->notes.empty());
}

}  // namespace
}  // namespace starling::compute::onnx
