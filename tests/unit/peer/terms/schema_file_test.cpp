// Goal: a schema that people agree on survives as text bit for bit, and whatever else a file holds is refused in one
// line that says where. Method: schemas of the samples that the repository has and made-up ones, slips in their text,
// each truncation, and texts that want much memory.

#include "peer/terms/schema_file.hpp"

#include <gtest/gtest.h>

#include "peer/terms/data_set.hpp"
#include "tests/support/temporary_directory.hpp"

namespace starling::peer {
namespace {

using starling::testing::TemporaryDirectory;

void expect_round_trip(const data::Manifest& manifest) {
    const auto text = schema_text(manifest);
    const auto read = parse_schema(text);
    ASSERT_TRUE(read.has_value()) << read.error().message << "\n" << text;
    EXPECT_EQ(data::encode_manifest(*read), data::encode_manifest(manifest));
    EXPECT_EQ(schema_text(*read), text);
}

data::Manifest private_part(const data::Schema& schema, const data::Recipe& recipe) {
    data::Manifest manifest;
    manifest.schema = schema;
    manifest.recipe = recipe;
    return data::agreed_part(manifest);
}

/// Numbers with a logarithm and missing values, a category, and classes with weights.
data::Manifest table() {
    data::Schema schema;
    data::Input input;
    input.name = "columns";
    input.meaning = data::Meaning::Columns;
    input.element = data::Element::F32;
    input.shape = {{2, false}};
    schema.inputs = {input};
    schema.label = {data::LabelKind::Class, 2, {"no", "yes"}, {1.0F, 2.5F}};
    data::Column amount;
    amount.name = "amount";
    amount.scale = {0.1F, 1.0F / 3.0F};
    amount.mask = true;
    amount.log_unit = 12.7F;
    amount.clip = 8.0F;
    data::Column town;
    town.name = "town";
    town.kind = data::ColumnRole::Category;
    town.categories = {"Bern", "Z\xc3\xbcrich"};
    town.unknown = true;
    return private_part(schema, data::TableRecipe{{amount, town}, 0.01F});
}

TEST(SchemaFile, WhatASampleSetHasSurvivesBitForBit) {
    const std::string samples = std::string(STARLING_SOURCE_DIR) + "/data/samples/";
    for (const auto& spec :
         {"csv:" + samples + "breast_cancer.csv?skip=1&header=0&balance=1",
          "idx:" + samples + "?train=500&test=100",
          "text:" + samples + "moby-dick.txt.gz",
          "text:" + samples + "moby-dick.txt.gz?tokens=bytes",
          "text:" + samples + "moby-dick.txt.gz?tokens=bpe:300",
          "audio:" + samples + "spoken-digits-5lang.tar.gz"}) {
        SCOPED_TRACE(spec);
        std::vector<std::string> notes;
        const auto manifest = schema_of(spec, notes);
        ASSERT_TRUE(manifest.has_value()) << manifest.error().message;
        EXPECT_TRUE(manifest->shards.empty());
        expect_round_trip(*manifest);
        EXPECT_EQ(schema_text(*manifest).find(samples), std::string::npos) << "no path";
    }
}

TEST(SchemaFile, WhatOnlyAFounderMayChooseSurvivesToo) {
    expect_round_trip(table());
    data::Schema schema;
    data::Input input;
    input.name = "image";
    input.storage = data::Storage::Encoded;
    input.shape = {{3, false}, {480, true}, {640, true}};
    schema.inputs = {input};
    schema.label = {data::LabelKind::Boxes, 2, {"cat", "dog"}, {}};
    data::ImageRecipe image{
        3, 224, 192, data::Fit::Pad, {{0.485F, 0.229F}}, true, 4, true, 0.1F, 9};
    expect_round_trip(private_part(schema, image));
    schema.label = {data::LabelKind::Numbers, 2, {"width", "height"}, {}};
    image = {1, 8, 8, data::Fit::Crop, {{0.5F, 0.25F}}};
    expect_round_trip(private_part(schema, image));
    schema.label = {data::LabelKind::Classes, 3, {}, {1.0F, 2.0F, 3.0F}};
    schema.inputs[0].meaning = data::Meaning::Audio;
    schema.inputs[0].element = data::Element::I16;
    schema.inputs[0].shape = {{16000, true}};
    data::AudioRecipe audio;
    audio.centred = true;
    audio.scale = {-3.25F, 1e-7F};
    audio.shift = 100;
    audio.band_mask = 6;
    audio.time_mask = 9;
    audio.noise = 0.3F;
    expect_round_trip(private_part(schema, audio));
}

TEST(SchemaFile, ASlipIsRefusedInOneLineThatNamesItsPlace) {
    const auto text = schema_text(table());
    ASSERT_TRUE(parse_schema(text).has_value());

    struct Slip {
        std::string from;
        std::string to;
        std::string said;
    };

    for (const auto& [from, to, said] : std::vector<Slip>{
             {"\"starling_schema\": 1", "\"starling_schema\": 2", "starling_schema: version 1"},
             {"\"starling_schema\": 1,", "", "starling_schema: it is missing"},
             {"\"count\": 2", "\"count\": 2.5", "label.count: a whole number"},
             {"\"count\": 2", "\"count\": -2", "label.count: a whole number"},
             {"\"count\": 2", "\"count\": 3", "one name for each class"},
             {"\"kind\": \"class\"", "\"kind\": \"klass\"", "label.kind: one of none, class, "},
             {"\"kind\": \"number\"", "\"kind\": 7", "recipe.columns[0].kind: a text"},
             {"\"mean\": 0.1", "\"mean\": \"0.1\"", "recipe.columns[0].mean: a number"},
             {"\"mean\": 0.1", "\"mean\": 1e300", "recipe.columns[0].mean: a number"},
             {"\"mean\": 0.1", "\"average\": 0.1", "recipe.columns[0].mean: it is missing"},
             {"\"clip\": 8.0", "\"klip\": 8.0", "recipe.columns[0].klip: no such field"},
             {"\"missing_flag\": true", "\"missing_flag\": 1", "missing_flag: true or false"},
             {"\"Bern\",", "\"Bern\", 7,", "recipe.columns[1].categories: a list of texts"},
             {"\"meaning\": \"columns\"",
              "\"meaning\": \"image\"",
              "recipe.channels: it is missing"},
             {"\"element\": \"f32\"", "\"element\": \"f64\"", "inputs[0].element: one of u8, "},
             {"\"inputs\": [", "\"inputs\": 3, \"more\": [", "inputs: a list"},
             {"\"amount\"", "\"am\\u0007ount\"", "not printable"},
             {"}\n", "", "it is no JSON: parse error at line"}}) {
        SCOPED_TRACE(to);
        auto wrong = text;
        const auto at = from == "}\n" ? wrong.rfind(from) : wrong.find(from);
        ASSERT_NE(at, std::string::npos) << from << "\n" << text;
        wrong.replace(at, from.size(), to);
        const auto read = parse_schema(wrong);
        ASSERT_TRUE(read.has_error());
        EXPECT_NE(read.error().message.find(said), std::string::npos) << read.error().message;
        EXPECT_EQ(read.error().message.find('\n'), std::string::npos) << read.error().message;
    }
}

TEST(SchemaFile, HostileTextsTakeNeitherMemoryNorTheStack) {
    const auto text = schema_text(table());
    for (std::size_t length = 0; length + 2 < text.size(); ++length) {
        EXPECT_TRUE(parse_schema(text.substr(0, length)).has_error()) << length;
    }
    EXPECT_EQ(
        parse_schema(std::string(kSchemaFileMax + 1, ' ')).error().code, FaultCode::Oversized
    );
    for (const std::string open : {"[", "{\"a\":"}) {
        std::string deep;
        while (deep.size() < 1'000'000) deep += open;
        EXPECT_EQ(parse_schema(deep).error().code, FaultCode::BadFormat);
    }
    EXPECT_TRUE(parse_schema("[]").has_error());
    EXPECT_TRUE(parse_schema("\"\xff\"").has_error());
}

TEST(SchemaFile, AFileThatOthersMayHaveAgreedOnIsNotReplaced) {
    const TemporaryDirectory directory;
    const auto path = directory.path() / "schema.json";
    EXPECT_EQ(read_schema_file(path).error().code, FaultCode::NotFound);
    ASSERT_TRUE(write_schema_file(path, table()).has_value());
    const auto read = read_schema_file(path);
    ASSERT_TRUE(read.has_value()) << read.error().message;
    EXPECT_EQ(data::encode_manifest(*read), data::encode_manifest(table()));
    EXPECT_EQ(write_schema_file(path, table()).error().code, FaultCode::Usage);
    starling::testing::write_quickly(path, as_byte_view(std::string("{}")));
    EXPECT_EQ(read_schema_file(path).error().message.find(path.string()), 0U);
}

}  // namespace
}  // namespace starling::peer
