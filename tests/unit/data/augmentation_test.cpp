// Goal: --augment says for each kind of data what is changed, refuses the rest in one line, and
// changes training samples by the draw's seed alone. Method: manifests of each kind; one small shard.

#include "data/augmentation.hpp"

#include <cmath>
#include <gtest/gtest.h>
#include <set>

#include "data/disturb.hpp"
#include "data/preparation.hpp"
#include "tests/unit/data/support/datasets.hpp"

namespace starling::data {
namespace {

Manifest with(Meaning meaning, Storage storage, std::vector<Axis> shape, Recipe recipe) {
    Manifest manifest;
    Input input;
    input.name = "x";
    input.meaning = meaning;
    input.storage = storage;
    input.element = meaning == Meaning::Columns ? Element::F32 : Element::U8;
    input.shape = std::move(shape);
    manifest.schema.inputs = {std::move(input)};
    manifest.schema.label = {LabelKind::Class, 2, {}, {}};
    manifest.recipe = std::move(recipe);
    return manifest;
}

Manifest images() {
    ImageRecipe recipe;
    recipe.scales = {Scale{}};
    return with(Meaning::Image, Storage::Raw, {{1, false}, {8, false}, {8, false}}, recipe);
}

Manifest pictures() {
    ImageRecipe recipe;
    recipe.channels = 3;
    recipe.height = recipe.width = 32;
    recipe.scales = {Scale{}};
    const std::vector<Axis> shape{{3, false}, {99, true}, {99, true}};
    return with(Meaning::Image, Storage::Encoded, shape, recipe);
}

Manifest sounds() {
    return with(Meaning::Audio, Storage::Encoded, {{16000, true}}, AudioRecipe{});
}

Manifest table() {
    TableRecipe recipe;
    recipe.columns.resize(2);
    recipe.columns[0].name = "a";
    recipe.columns[1].name = "b";
    return with(Meaning::Columns, Storage::Raw, {{2, false}}, recipe);
}

Manifest text() {
    Manifest manifest;
    describe_characters(manifest, "ab", 2, 16);
    return manifest;
}

std::string refusal(const char* list, Manifest manifest) {
    const auto result = augment(list, manifest);
    return result.has_error() ? result.error().message : "";
}

TEST(Augment, SetsWhatSuitsEachKind) {
    auto raw = images();
    ASSERT_TRUE(augment("flip,crop=4,noise=0.01,mask=3", raw).has_value());
    const auto& image = std::get<ImageRecipe>(raw.recipe);
    EXPECT_TRUE(image.flip);
    EXPECT_EQ(image.pad, 4U);
    EXPECT_EQ(image.cutout, 3U);
    EXPECT_FLOAT_EQ(image.noise, 0.01F);
    auto encoded = pictures();
    ASSERT_TRUE(augment("zoom,shift=2,crop=1", encoded).has_value());
    EXPECT_TRUE(std::get<ImageRecipe>(encoded.recipe).zoom);
    EXPECT_EQ(std::get<ImageRecipe>(encoded.recipe).pad, 2U) << "the larger move";
    auto clips = sounds();
    ASSERT_TRUE(augment("shift=100,mask=6,time_mask=10,noise=0.1", clips).has_value());
    const auto& audio = std::get<AudioRecipe>(clips.recipe);
    EXPECT_EQ(audio.shift, 1600U) << "milliseconds";
    EXPECT_EQ(audio.band_mask, 6U);
    EXPECT_EQ(audio.time_mask, 10U);
    auto rows = table();
    ASSERT_TRUE(augment("noise=0.5", rows).has_value());
    EXPECT_FLOAT_EQ(std::get<TableRecipe>(rows.recipe).noise, 0.5F);
    EXPECT_TRUE(augment("", rows).has_value());
}

TEST(Augment, RefusesWhatDoesNotSuitAndListsWhatDoes) {
    EXPECT_EQ(
        refusal("flip", sounds()),
        "--augment: 'flip' does not suit spectrograms of sounds; what does: shift=2, noise=0.01, "
        "mask=6, time_mask=10"
    );
    EXPECT_EQ(
        refusal("noise=1,crop=4", table()),
        "--augment: 'crop' does not suit tables; what does: noise=0.01"
    );
    EXPECT_EQ(refusal("noise=1", text()), "--augment: 'noise' does not suit texts; nothing does");
    EXPECT_NE(
        refusal("zoom", images()).find("flip, crop=4, shift=2, noise=0.01, mask=6"),
        std::string::npos
    );
    EXPECT_NE(refusal("crop=9", images()).find("too wide"), std::string::npos);
}

TEST(Augment, RefusesListsThatAreNone) {
    for (const auto* list :
         {"flop",
          "flip=1",
          "crop",
          "crop=",
          "crop=0",
          "crop=-1",
          "crop=1.5",
          "noise=nan",
          "noise=11",
          "noise=1x",
          "flip,flip",
          "flip,,crop=1",
          "=4"}) {
        const auto result = check_augment(list);
        ASSERT_TRUE(result.has_error()) << list;
        EXPECT_EQ(result.error().code, FaultCode::Usage);
        EXPECT_EQ(result.error().message.find('\n'), std::string::npos);
    }
    EXPECT_NE(check_augment("flop").error().message.find("time_mask=10"), std::string::npos);
    EXPECT_TRUE(check_augment("flip,crop=4,shift=2,noise=0.01,mask=6").has_value());
}

TEST(Augment, PlainShardsStayPlain) {
    Manifest manifest;
    describe_bytes(manifest, {1, 8, 8}, 3, Scale{});
    const auto version = shard_version(manifest);
    ASSERT_TRUE(augment("flip,crop=1,noise=0.1,mask=2", manifest).has_value());
    EXPECT_EQ(shard_version(manifest), version);
    EXPECT_EQ(manifest_version(manifest), kManifestVersionSchema);
}

TEST(Augment, NoiseHasItsDeviationAndSquaresTheirSide) {
    std::vector<float> values(20000, 1.0F);
    add_noise(0.25F, 7, values);
    double squares = 0.0;
    for (const float value : values) squares += std::pow(value - 1.0, 2);
    EXPECT_NEAR(std::sqrt(squares / 20000.0), 0.25, 0.01);
    std::set<std::size_t> sizes;
    for (std::uint64_t seed = 0; seed < 300; ++seed) {
        std::vector<float> image(2 * 9 * 7, 1.0F);
        cut_out(3, seed, 9, 7, image);
        std::size_t first = 0;
        std::size_t second = 0;
        for (std::size_t i = 0; i < 63; ++i) {
            first += image[i] == 0.0F;
            second += image[63 + i] == 0.0F;
            EXPECT_EQ(image[i], image[63 + i]) << "all channels alike";
        }
        sizes.insert(first);
    }
    EXPECT_EQ(sizes, (std::set<std::size_t>{4, 6, 9})) << "in a corner, at an edge, inside";
}

TEST(Augment, ChangesTrainingSamplesByTheSeedAloneAndNoOthers) {
    const auto sharded = shard_dataset(testing::numbered_dataset(40, 10), 20, testing::test_hash);
    auto manifest = sharded.manifest;
    ASSERT_TRUE(augment("noise=0.5,mask=1", manifest).has_value());
    const auto view = view_shard(sharded.shards[0], manifest);
    const auto read = [&](const Manifest& by, std::optional<std::uint64_t> draw) {
        Preparation preparation(by);
        std::vector<float> values(preparation.values());
        std::vector<std::int32_t> labels(1);
        EXPECT_TRUE(preparation.read(view, 0, 0, draw, {values, labels}).has_value());
        return values;
    };
    const auto plain = read(sharded.manifest, 1);
    EXPECT_EQ(read(manifest, std::nullopt), plain) << "evaluation";
    EXPECT_NE(read(manifest, 1), plain);
    EXPECT_EQ(read(manifest, 1), read(manifest, 1));
    EXPECT_NE(read(manifest, 1), read(manifest, 2));
}

}  // namespace
}  // namespace starling::data
