// Goal: a detector stands on the layers of a net that others have trained: with their weights, under
// names of their own, whatever comes behind them in the file. Method: a residual net goes out as a file
// and is cut; what is no such net, and what a stranger may say is one, is refused in words.

#include <algorithm>
#include <array>
#include <gtest/gtest.h>
#include <map>
#include <string>

#include "compute/models/models.hpp"
#include "compute/onnx/export.hpp"
#include "compute/onnx/import.hpp"
#include "tests/unit/compute/support/onnx_file.hpp"

namespace starling::compute::onnx {
namespace {

constexpr std::array<std::int64_t, 3> kStrides{4, 8, 16};
const std::string kSpec = "detector?backbone=onnx:net.onnx&width=8";

Task boxes_on(Shape picture) {
    Task task{std::move(picture), 3, 0, LabelKind::Boxes};
    task.boxes = 4;
    return task;
}

/// A net of this spec for ten classes, and what its parameters are.
struct Donor {
    explicit Donor(const std::string& spec, Shape picture = {3, 64, 64}) {
        const Task task{std::move(picture), 10};
        const auto layout = model_layout(spec, task);
        EXPECT_TRUE(layout.has_value());
        ParameterStore store(*layout);
        store.initialize(Rng(3));
        for (const auto& info : layout->parameters()) {
            store.read_tensor(info, [&](std::span<const float> numbers) {
                values[info.name].assign(numbers.begin(), numbers.end());
            });
        }
        auto exported = export_onnx(
            [&](std::int64_t batch) { return build_model(spec, task, batch, Purpose::Inference); },
            store
        );
        EXPECT_TRUE(exported.has_value());
        file = std::move(*exported);
    }

    Bytes file;
    std::map<std::string, std::vector<float>> values;
};

std::string refusal(const Bytes& file) {
    const auto cut = cut_backbone(file);
    return cut.has_error() ? cut.error().message : "taken";
}

TEST(Backbone, IsWhatMakesTheLastMapOfEachStride) {
    const Donor donor("resnet18?width=4");
    const auto cut = cut_to_maps(donor.file, kStrides);
    ASSERT_TRUE(cut.has_value()) << cut.error().message;
    // Three quarters of such a net are its last stage and its classes.
    EXPECT_LT(cut->size(), donor.file.size() / 2);
    ImportOptions options;
    options.batch = 2;
    options.sample = Shape{3, 96, 32};
    options.prefix = "b.";
    const auto imported = import_onnx(*cut, options);
    ASSERT_TRUE(imported.has_value()) << imported.error().message;
    ASSERT_EQ(imported->outputs.size(), 3U);
    EXPECT_EQ(imported->graph.shape(imported->outputs[0].id), (Shape{2, 4, 24, 8}));
    EXPECT_EQ(imported->graph.shape(imported->outputs[1].id), (Shape{2, 8, 12, 4}));
    EXPECT_EQ(imported->graph.shape(imported->outputs[2].id), (Shape{2, 16, 6, 2}));
    EXPECT_FALSE(imported->graph.parameters().empty());
    for (const auto& info : imported->graph.parameters()) {
        ASSERT_TRUE(info.name.starts_with("b.")) << info.name;
        const auto name = info.name.substr(2);
        EXPECT_FALSE(name.starts_with("layer4") || name.starts_with("fc")) << name;
        ASSERT_TRUE(donor.values.contains(name)) << name;
        EXPECT_EQ(*info.given, donor.values.at(name)) << name;
    }
    // Cutting once more changes nothing.
    EXPECT_EQ(*cut_to_maps(*cut, kStrides), *cut);
}

TEST(Backbone, CarriesADetector) {
    const Donor donor("resnet18?width=4");
    const auto cut = cut_backbone(donor.file);
    ASSERT_TRUE(cut.has_value()) << cut.error().message;
    const auto task = boxes_on({3, 48, 64});
    const auto trained = build_model(kSpec, task, 2, Purpose::Training, *cut);
    ASSERT_TRUE(trained.has_value()) << trained.error().message;
    EXPECT_EQ(trained->graph.shape(trained->scores), (Shape{2, 3 + 4, 12, 16}));
    const ParameterLayout layout(trained->graph.parameters());
    const auto answering = model_layout(kSpec, task, *cut);
    ASSERT_TRUE(answering.has_value());
    ASSERT_EQ(layout.parameters().size(), answering->parameters().size());
    std::size_t of_file = 0;
    for (std::size_t i = 0; i < layout.parameters().size(); ++i) {
        const auto& info = layout.parameters()[i];
        EXPECT_EQ(info.name, answering->parameters()[i].name);
        of_file += info.name.starts_with("backbone.") ? 1U : 0U;
    }
    EXPECT_GT(of_file, 40U);
    // Its running statistics are the swarm's from now on: each is a parameter that averaging finds.
    std::size_t running = 0;
    for (const auto& statistic : trained->statistics) {
        const auto named = [&](const auto& info) { return info.name == statistic.buffer; };
        const auto& all = layout.parameters();
        EXPECT_TRUE(std::any_of(all.begin(), all.end(), named)) << statistic.buffer;
        running += statistic.buffer.starts_with("backbone.") ? 1U : 0U;
    }
    EXPECT_GT(running, 20U);
}

TEST(Backbone, WhatLiesBehindTheMapsNeedNotBeRead) {
    const Donor donor("resnet18?width=4");
    auto file = *decode_model(donor.file);
    NodeMessage strange;
    strange.op = "Mystery";
    strange.inputs = {file.outputs[0].name};
    strange.outputs = {"riddle"};
    file.nodes.push_back(strange);
    file.outputs[0].name = "riddle";
    const auto bytes = encode_model(file);
    ImportOptions options;
    options.batch = 1;
    EXPECT_FALSE(import_onnx(bytes, options).has_value());
    EXPECT_EQ(*cut_backbone(bytes), *cut_backbone(donor.file));
}

TEST(Backbone, WhatIsNoneIsRefusedInWords) {
    const Donor rows("mlp?hidden=8", {12});
    EXPECT_NE(refusal(rows.file).find("takes no pictures"), std::string::npos)
        << refusal(rows.file);
    // Its coarsest map is a quarter of the picture.
    const Donor small("resnet20?width=4", {3, 32, 32});
    EXPECT_NE(refusal(small.file).find("1/8 of the picture's sides"), std::string::npos)
        << refusal(small.file);
    EXPECT_NE(refusal(Bytes(100)).find("onnx: "), std::string::npos);
    const auto message = [](const std::string& spec, const Task& task, ByteView file) {
        const auto built = build_model(spec, task, 2, Purpose::Training, file);
        return built.has_error() ? built.error().message : "built";
    };
    const Donor donor("resnet18?width=4");
    const auto cut = *cut_backbone(donor.file);
    // Grey pictures, and a file that was not cut, as a stranger's descriptor may have.
    EXPECT_NE(
        message(kSpec, boxes_on({1, 48, 64}), cut).find("samples are [1, 48, 64]"),
        std::string::npos
    ) << message(kSpec, boxes_on({1, 48, 64}), cut);
    EXPECT_NE(
        message(kSpec, boxes_on({3, 48, 64}), donor.file).find("the backbone's maps"),
        std::string::npos
    );
    EXPECT_NE(message(kSpec, boxes_on({3, 48, 64}), {}).find("is not there"), std::string::npos);
    EXPECT_NE(
        message("detector?backbone=net.onnx", boxes_on({3, 48, 64}), cut)
            .find("backbone=onnx:net.onnx"),
        std::string::npos
    );
    EXPECT_TRUE(check_model_spec("detector?backbone=net.onnx").has_error());
    EXPECT_TRUE(check_model_spec(kSpec).has_value());
}

}  // namespace
}  // namespace starling::compute::onnx
