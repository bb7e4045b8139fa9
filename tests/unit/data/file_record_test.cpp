// Goal: a file becomes a sample as the shards of a data set store it. Method: pictures of the golden
// tests, for sets of raw pixels and of files.

#include "data/file_record.hpp"

#include <gtest/gtest.h>
#include <span>
#include <string>
#include <vector>

#include "data/formats/random_bytes.hpp"
#include "data/media/image.hpp"
#include "data/media/resize.hpp"

namespace starling::data {
namespace {

Bytes golden(const std::string& name) {
    auto file = FileBytes::open(std::string(STARLING_SOURCE_DIR) + "/tests/golden/media/" + name);
    EXPECT_TRUE(file.has_value()) << name;
    std::vector<std::uint8_t> bytes((*file)->size());
    EXPECT_TRUE((*file)->read_at(0, bytes).has_value());
    const auto view = std::as_bytes(std::span<const std::uint8_t>(bytes));
    return {view.begin(), view.end()};
}

Manifest pictures(Storage storage, std::vector<Axis> shape) {
    Manifest manifest;
    Input input;
    input.name = "values";
    input.storage = storage;
    input.shape = std::move(shape);
    manifest.schema.inputs = {input};
    return manifest;
}

TEST(FileRecord, APictureBecomesPlanesOfTheStoredShape) {
    const auto file = golden("full.jpg");
    const auto record =
        record_of_file(pictures(Storage::Raw, {{3, false}, {8, false}, {6, false}}), file);
    ASSERT_TRUE(record.has_value());
    ImageRequest request;
    request.channels = 3;
    const auto small = resize(*decode_image(file, request), {8, 6});
    ASSERT_EQ(record->size(), 3U * 8 * 6);
    for (std::size_t channel = 0; channel < 3; ++channel) {
        for (std::size_t i = 0; i < 48; ++i) {
            EXPECT_EQ(
                std::to_integer<std::uint8_t>((*record)[channel * 48 + i]),
                small.values[i * 3 + channel]
            );
        }
    }
    // Two axes are a grey picture.
    EXPECT_EQ(record_of_file(pictures(Storage::Raw, {{8, false}, {6, false}}), file)->size(), 48U);
}

TEST(FileRecord, WhereFilesAreStoredTheyStayAsTheyAre) {
    const auto file = golden("full.jpg");
    const auto encoded = pictures(Storage::Encoded, {{3, true}, {512, true}, {512, true}});
    EXPECT_EQ(*record_of_file(encoded, file), file);
    EXPECT_TRUE(record_of_file(encoded, as_byte_view(std::string("no picture"))).has_error());
}

TEST(FileRecord, OtherSamplesAreRefused) {
    const auto file = golden("full.jpg");
    auto columns = pictures(Storage::Raw, {{4, false}});
    columns.schema.inputs[0].meaning = Meaning::Columns;
    EXPECT_EQ(record_of_file(columns, file).error().code, FaultCode::Unsupported);
    auto floats = pictures(Storage::Raw, {{1, false}, {4, false}, {4, false}});
    floats.schema.inputs[0].element = Element::F32;
    EXPECT_EQ(record_of_file(floats, file).error().code, FaultCode::Unsupported);
}

}  // namespace
}  // namespace starling::data
