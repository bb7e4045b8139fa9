// Goal: schemas, recipes and labels survive their encoding, and nothing that a stranger writes does
// harm. Method: one example of each kind, fields out of range one by one, every truncation, and
// seeded mutations: what is accepted must keep every limit and have one encoding.

#include <cmath>
#include <functional>
#include <gtest/gtest.h>
#include <limits>

#include "base/rng.hpp"
#include "data/recipe.hpp"

namespace starling::data {
namespace {

struct Example {
    Schema schema;
    Recipe recipe;
};

Example photos() {
    Example example;
    Input input;
    input.name = "image";
    input.storage = Storage::Encoded;
    input.shape = {{3, false}, {480, true}, {640, true}};
    example.schema.inputs = {input};
    example.schema.label = {LabelKind::Boxes, 2, {"cat", "dog"}, {}};
    ImageRecipe recipe;
    recipe.channels = 3;
    recipe.height = recipe.width = 64;
    recipe.scales = {{0.5F, 0.25F}};
    example.recipe = recipe;
    return example;
}

Example sounds() {
    Example example;
    Input input;
    input.name = "sound";
    input.meaning = Meaning::Audio;
    input.storage = Storage::Encoded;
    input.element = Element::I16;
    input.shape = {{8000, true}};
    example.schema.inputs = {input};
    example.schema.label = {LabelKind::Classes, 9, {}, std::vector<float>(9, 3.0F)};
    AudioRecipe recipe;
    recipe.rate = recipe.samples = 8000;
    recipe.window = 200;
    recipe.hop = 80;
    recipe.scale = {-5.0F, 2.0F};
    example.recipe = recipe;
    return example;
}

Example tokens() {
    Example example;
    Input input;
    input.name = "tokens";
    input.meaning = Meaning::Tokens;
    input.element = Element::Token;
    example.schema.inputs = {input};
    example.schema.label = {LabelKind::Tokens, 257, {}, {}};
    example.recipe = TokenRecipe{Tokenizer::Bytes, "", 64};
    return example;
}

Example table() {
    Example example;
    Input input;
    input.name = "columns";
    input.meaning = Meaning::Columns;
    input.element = Element::F32;
    input.shape = {{3, false}};
    example.schema.inputs = {input};
    example.schema.label = {LabelKind::Numbers, 2, {"price", "age"}, {}};
    TableRecipe recipe;
    recipe.columns = {
        {"rooms", ColumnRole::Number, {4.0F, 1.5F}, true, {}, 0.0F, 0.0F, false},
        {"town", ColumnRole::Category, {}, false, {"Bern", "Chur"}, 0.0F, 0.0F, false},
        {"floor", ColumnRole::Number, {1.0F, 2.0F}, false, {}, 0.0F, 0.0F, false}};
    example.recipe = recipe;
    return example;
}

// The same with the fields that older programs do not know.

Example changed_photos() {
    auto example = photos();
    auto& recipe = std::get<ImageRecipe>(example.recipe);
    recipe.noise = 0.1F;
    recipe.cutout = 8;
    return example;
}

Example changed_sounds() {
    auto example = sounds();
    auto& recipe = std::get<AudioRecipe>(example.recipe);
    recipe.centred = true;
    recipe.shift = 800;
    recipe.band_mask = 6;
    recipe.time_mask = 10;
    recipe.noise = 0.01F;
    return example;
}

Example changed_table() {
    auto example = table();
    auto& recipe = std::get<TableRecipe>(example.recipe);
    recipe.columns[0].log_unit = 3.0F;
    recipe.columns[0].clip = recipe.columns[2].clip = 8.0F;
    recipe.columns[1].unknown = true;
    recipe.noise = 0.01F;
    return example;
}

const std::vector<std::function<Example()>> kExamples{
    photos, sounds, tokens, table, changed_photos, changed_sounds, changed_table};

TEST(Schema, EachKindSurvivesItsEncodingAndNoTruncationDoes) {
    for (const auto& make : kExamples) {
        const auto example = make();
        const auto bytes = encode_schema(example.schema);
        const auto schema = decode_schema(bytes);
        ASSERT_TRUE(schema.has_value()) << schema.error().message;
        EXPECT_EQ(*schema, example.schema);
        for (std::size_t length = 0; length < bytes.size(); ++length) {
            EXPECT_FALSE(decode_schema(ByteView(bytes).first(length)).has_value()) << length;
        }
    }
}

TEST(Recipe, EachKindSurvivesItsEncodingAndNoTruncationDoes) {
    for (const auto& make : kExamples) {
        const auto example = make();
        const auto bytes = encode_recipe(example.recipe);
        const auto recipe = decode_recipe(bytes, example.schema);
        ASSERT_TRUE(recipe.has_value()) << recipe.error().message;
        EXPECT_EQ(*recipe, example.recipe);
        for (std::size_t length = 0; length < bytes.size(); ++length) {
            EXPECT_FALSE(decode_recipe(ByteView(bytes).first(length), example.schema).has_value());
        }
    }
}

std::string hex_of(const Bytes& bytes) {
    constexpr const char* kDigits = "0123456789abcdef";
    std::string text;
    for (const auto byte : bytes) {
        text += kDigits[std::to_integer<unsigned>(byte) >> 4U];
        text += kDigits[std::to_integer<unsigned>(byte) & 15U];
    }
    return text;
}

TEST(Recipe, WithoutNewFieldsBytesAreThoseOfTheFirstPrograms) {
    EXPECT_EQ(
        hex_of(encode_recipe(photos().recipe)),
        "00"
        "03000000"
        "40000000"
        "40000000"
        "00"
        "01000000"
        "0000003f"
        "0000803e"
        "00"
        "00000000"
        "00"
    );
    EXPECT_EQ(
        hex_of(encode_recipe(sounds().recipe)),
        "01"
        "401f0000"
        "401f0000"
        "01"
        "28000000"
        "c8000000"
        "50000000"
        "0000a0c0"
        "00000040"
    );
    EXPECT_EQ(
        hex_of(encode_recipe(table().recipe)),
        "03"
        "03000000"
        "0500"
        "726f6f6d73"
        "00"
        "00008040"
        "0000c03f"
        "01"
        "00000000"
        "0400"
        "746f776e"
        "01"
        "00000000"
        "0000803f"
        "00"
        "02000000"
        "0400"
        "4265726e"
        "0400"
        "43687572"
        "0500"
        "666c6f6f72"
        "00"
        "0000803f"
        "00000040"
        "00"
        "00000000"
    );
}

TEST(Recipe, NewFieldsFollowTheOldOnesAndAnEmptyExtensionIsRefused) {
    const auto extended = hex_of(encode_recipe(changed_sounds().recipe));
    const auto plain = hex_of(encode_recipe(sounds().recipe));
    EXPECT_EQ(
        extended,
        "81" + plain.substr(2) +
            "01"
            "20030000"
            "06000000"
            "0a000000"
            "0ad7233c"
    );
    auto empty = encode_recipe(sounds().recipe);
    empty[0] = std::byte{0x81};
    empty.resize(empty.size() + 17);
    EXPECT_TRUE(decode_recipe(empty, sounds().schema).has_error());
    auto text = encode_recipe(tokens().recipe);
    text[0] = std::byte{0x82};
    EXPECT_TRUE(decode_recipe(text, tokens().schema).has_error());
}

TEST(Recipe, SaysInWhichShapeAModelIsFed) {
    using Shape = std::vector<std::uint32_t>;
    EXPECT_EQ(fed_shape(photos().recipe, photos().schema), (Shape{3, 64, 64}));
    EXPECT_EQ(fed_shape(sounds().recipe, sounds().schema), (Shape{1, 40, 98}));
    EXPECT_EQ(fed_shape(tokens().recipe, tokens().schema), (Shape{64}));
    EXPECT_EQ(fed_shape(table().recipe, table().schema), (Shape{4})) << "one column has a mask";
    auto raw = photos();
    raw.schema.inputs[0].storage = Storage::Raw;
    raw.schema.inputs[0].shape = {{3, false}, {8, false}, {9, false}};
    ImageRecipe recipe;
    recipe.scales = {{}, {}, {}};
    recipe.pad = 4;
    raw.recipe = recipe;
    ASSERT_TRUE(check_recipe(raw.recipe, raw.schema).has_value());
    EXPECT_EQ(fed_shape(raw.recipe, raw.schema), (Shape{3, 8, 9}));
}

TEST(Schema, EachFieldOutOfRangeIsRefused) {
    const auto refused = [](const Example& sound, const std::function<void(Schema&)>& spoil) {
        auto schema = sound.schema;
        spoil(schema);
        return check_schema(schema).has_error();
    };
    EXPECT_TRUE(refused(photos(), [](Schema& s) { s.inputs.clear(); }));
    EXPECT_TRUE(refused(photos(), [](Schema& s) { s.inputs.resize(9, s.inputs[0]); }));
    EXPECT_TRUE(refused(photos(), [](Schema& s) { s.inputs[0].name = "\x1b[2J"; }));
    EXPECT_TRUE(refused(photos(), [](Schema& s) { s.inputs[0].name.clear(); }));
    EXPECT_TRUE(refused(photos(), [](Schema& s) { s.inputs[0].shape[1].size = 0; }));
    EXPECT_TRUE(refused(photos(), [](Schema& s) { s.inputs[0].storage = Storage::Raw; }))
        << "raw samples that vary";
    EXPECT_TRUE(refused(photos(), [](Schema& s) { s.inputs[0].meaning = Meaning::Columns; }));
    EXPECT_TRUE(refused(photos(), [](Schema& s) { s.inputs[0].element = Element::Token; }));
    EXPECT_TRUE(refused(photos(), [](Schema& s) { s.label.names.pop_back(); }));
    EXPECT_TRUE(refused(photos(), [](Schema& s) { s.label.names[0] = "a\nb"; }));
    EXPECT_TRUE(refused(photos(), [](Schema& s) { s.label.kind = LabelKind::Tokens; }));
    EXPECT_TRUE(refused(photos(), [](Schema& s) { s.label.count = 0; }));
    EXPECT_TRUE(refused(sounds(), [](Schema& s) { s.label.weights[3] = -1.0F; }));
    EXPECT_TRUE(refused(sounds(), [](Schema& s) { s.label.weights.pop_back(); }));
    EXPECT_TRUE(refused(table(), [](Schema& s) { s.label.count = kNumbersMax + 1; }));
    EXPECT_TRUE(refused(table(), [](Schema& s) { s.inputs[0].shape[0].size = 1U << 22U; }));
}

TEST(Recipe, EachFieldOutOfRangeIsRefused) {
    const auto image = [](const std::function<void(ImageRecipe&)>& spoil) {
        auto example = photos();
        spoil(std::get<ImageRecipe>(example.recipe));
        return check_recipe(example.recipe, example.schema).has_error();
    };
    EXPECT_TRUE(image([](ImageRecipe& r) { r.channels = 2; }));
    EXPECT_TRUE(image([](ImageRecipe& r) { r.height = 0; }));
    EXPECT_TRUE(image([](ImageRecipe& r) { r.height = r.width = 8192; }));
    EXPECT_TRUE(image([](ImageRecipe& r) { r.scales.clear(); }));
    EXPECT_TRUE(image([](ImageRecipe& r) { r.scales[0].stddev = 0.0F; }));
    EXPECT_TRUE(image([](ImageRecipe& r) { r.pad = 65; }));
    EXPECT_TRUE(image([](ImageRecipe& r) { r.cutout = 65; }));
    EXPECT_TRUE(image([](ImageRecipe& r) { r.noise = std::nanf(""); }));
    const auto sound = [](const std::function<void(AudioRecipe&)>& spoil) {
        auto example = sounds();
        spoil(std::get<AudioRecipe>(example.recipe));
        return check_recipe(example.recipe, example.schema).has_error();
    };
    EXPECT_TRUE(sound([](AudioRecipe& r) { r.window = 8001; }));
    EXPECT_TRUE(sound([](AudioRecipe& r) { r.hop = 0; }));
    EXPECT_TRUE(sound([](AudioRecipe& r) { r.mels = 0; }));
    EXPECT_TRUE(sound([](AudioRecipe& r) { r.rate = 0; }));
    EXPECT_TRUE(sound([](AudioRecipe& r) { r.band_mask = 41; }));
    EXPECT_TRUE(sound([](AudioRecipe& r) { r.shift = 8001; }));
    EXPECT_TRUE(sound([](AudioRecipe& r) { r.noise = -1.0F; }));
    EXPECT_TRUE(sound([](AudioRecipe& r) {
        r.features = AudioFeatures::Waveform;
        r.centred = true;
    }));
    const auto text = [](const std::function<void(TokenRecipe&)>& spoil) {
        auto example = tokens();
        spoil(std::get<TokenRecipe>(example.recipe));
        return check_recipe(example.recipe, example.schema).has_error();
    };
    EXPECT_TRUE(text([](TokenRecipe& r) { r.context = 0; }));
    EXPECT_TRUE(text([](TokenRecipe& r) { r.vocabulary = "ab"; }));
    EXPECT_TRUE(text([](TokenRecipe& r) { r.tokenizer = Tokenizer::Bpe; })) << "no merges";
    const auto columns = [](const std::function<void(TableRecipe&)>& spoil) {
        auto example = table();
        spoil(std::get<TableRecipe>(example.recipe));
        return check_recipe(example.recipe, example.schema).has_error();
    };
    EXPECT_TRUE(columns([](TableRecipe& r) { r.columns.pop_back(); }));
    EXPECT_TRUE(columns([](TableRecipe& r) { r.columns[0].categories = {"x"}; }));
    EXPECT_TRUE(columns([](TableRecipe& r) { r.columns[1].mask = true; }));
    EXPECT_TRUE(columns([](TableRecipe& r) { r.columns[0].unknown = true; }));
    EXPECT_TRUE(columns([](TableRecipe& r) { r.columns[1].clip = 8.0F; }));
    EXPECT_TRUE(columns([](TableRecipe& r) { r.columns[0].log_unit = -1.0F; }));
    EXPECT_TRUE(columns([](TableRecipe& r) { r.noise = 11.0F; }));
    EXPECT_TRUE(check_recipe(table().recipe, photos().schema).has_error());
}

TEST(Recipe, MutatedBytesAreRefusedOrHaveOneEncoding) {
    Rng rng(7);
    std::size_t accepted = 0;
    for (int round = 0; round < 20000; ++round) {
        const auto example = kExamples[rng.below(kExamples.size())]();
        auto schema_bytes = encode_schema(example.schema);
        auto recipe_bytes = encode_recipe(example.recipe);
        for (auto* bytes : {&schema_bytes, &recipe_bytes}) {
            (*bytes)[rng.below(bytes->size())] = static_cast<std::byte>(rng.below(256));
        }
        const auto schema = decode_schema(schema_bytes);
        if (schema.has_error()) continue;
        EXPECT_EQ(encode_schema(*schema), schema_bytes);
        const auto recipe = decode_recipe(recipe_bytes, *schema);
        if (recipe.has_error()) continue;
        EXPECT_EQ(encode_recipe(*recipe), recipe_bytes);
        ++accepted;
    }
    EXPECT_GT(accepted, 100U) << "the test must also reach what is accepted";
}

TEST(LabelValue, EachKindSurvivesItsEncoding) {
    const auto round_trip = [](const Label& label, const LabelValue& value) {
        Bytes bytes;
        append_label(label, value, bytes);
        if (label_bytes(label) > 0) {
            EXPECT_EQ(bytes.size(), label_bytes(label));
        }
        const auto read = read_label(label, bytes);
        ASSERT_TRUE(read.has_value()) << read.error().message;
        EXPECT_EQ(*read, value);
    };
    round_trip({LabelKind::Class, 300, {}, {}}, {{299}, {}, {}});
    round_trip({LabelKind::Classes, 11, {}, {}}, {{0, 7, 8, 10}, {}, {}});
    round_trip({LabelKind::Classes, 11, {}, {}}, {});
    round_trip({LabelKind::Numbers, 2, {}, {}}, {{}, {1.5F, -3.0F}, {}});
    round_trip({LabelKind::None, 0, {}, {}}, {});
    round_trip({LabelKind::Boxes, 3, {}, {}}, {{}, {}, {{2, 1, 2, 3, 4}, {0, 5, 5, 9, 7.5F}}});
    round_trip({LabelKind::Boxes, 3, {}, {}}, {});
}

TEST(LabelValue, WhatAStrangerMayWriteIsRefused) {
    const auto refused = [](const Label& label, const Bytes& bytes) {
        return read_label(label, bytes).has_error();
    };
    const Label boxes{LabelKind::Boxes, 3, {}, {}};
    const auto box = [&](const LabelledBox& one) {
        Bytes bytes;
        append_label(boxes, {{}, {}, {one}}, bytes);
        return bytes;
    };
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    EXPECT_FALSE(refused(boxes, box({2, 0, 0, 1, 1})));
    EXPECT_TRUE(refused(boxes, box({3, 0, 0, 1, 1}))) << "no such class";
    EXPECT_TRUE(refused(boxes, box({0, 1, 0, 1, 1}))) << "no area";
    EXPECT_TRUE(refused(boxes, box({0, 0, 0, 1, kInfinity})));
    EXPECT_TRUE(refused(boxes, Bytes(2, std::byte{0xff}))) << "65535 boxes";
    EXPECT_TRUE(refused({LabelKind::Class, 2, {}, {}}, Bytes{std::byte{2}, std::byte{0}}));
    EXPECT_TRUE(refused({LabelKind::Class, 2, {}, {}}, Bytes(3)));
    EXPECT_TRUE(refused({LabelKind::Classes, 9, {}, {}}, Bytes(2, std::byte{0xff})));
    EXPECT_TRUE(refused({LabelKind::Numbers, 1, {}, {}}, Bytes(4, std::byte{0xff}))) << "a NaN";
}

}  // namespace
}  // namespace starling::data
