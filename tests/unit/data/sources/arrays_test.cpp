// Goal: arrays of NumPy become the samples and labels that they mean, and shapes that mean nothing are
// refused. Method: small .npy files written by the test; the shared set of X-rays, whose counts and
// sums numpy has computed from the same file.

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <numeric>

#include "data/arrays/idx_arrays.hpp"
#include "tests/unit/data/support/shared_data.hpp"
#include "tests/unit/data/support/sources.hpp"

namespace starling::data {
namespace {

using testing::open;
using testing::Prepared;
using testing::refusal;
using testing::shared_data;

/// Returns the bytes of a .npy file of version 1.
std::string npy(const std::string& type, const std::string& shape, const std::string& content) {
    std::string header =
        "{'descr': '" + type + "', 'fortran_order': False, 'shape': (" + shape + "), }";
    header.resize(118, ' ');
    header.back() = '\n';
    return std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(118) + '\0' + header + content;
}

template <class T>
std::string raw(const std::vector<T>& values) {
    std::string bytes(values.size() * sizeof(T), '\0');
    std::memcpy(bytes.data(), values.data(), bytes.size());
    return bytes;
}

std::string counting(std::size_t count) {
    std::vector<std::uint8_t> values(count);
    std::iota(values.begin(), values.end(), std::uint8_t{0});
    return raw(values);
}

std::vector<int> bytes_of(const Source& source, std::uint64_t sample) {
    Bytes bytes;
    EXPECT_TRUE(source.read(Split::Train, sample, bytes).has_value());
    std::vector<int> values;
    for (const auto byte : bytes) values.push_back(std::to_integer<int>(byte));
    return values;
}

LabelValue label_of(const Source& source, Split split, std::uint64_t sample) {
    return *read_label(source.schema().label, source.labels(split).at(sample));
}

class Arrays : public testing::SourceFiles {
protected:
    void put_array(
        const std::string& name,
        const std::string& type,
        const std::string& shape,
        const std::string& content
    ) const {
        put("a/" + name + ".npy", npy(type, shape, content));
    }

    [[nodiscard]] std::string spec(const std::string& options = "") const {
        return "npy:" + path("a") + "?x=x&y=y&test=0" + options;
    }
};

/// Returns the bytes of an IDX file.
std::string idx(int type, const std::vector<std::uint32_t>& shape, const std::string& content) {
    std::string bytes{'\0', '\0', static_cast<char>(type), static_cast<char>(shape.size())};
    for (const auto size : shape) {
        for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(size >> shift);
    }
    return bytes + content;
}

TEST_F(Arrays, IdxOfColoursBecomesImages) {
    put("a/train-images-idx4-ubyte", idx(8, {2, 1, 2, 3}, counting(12)));
    put("a/train-labels-idx1-ubyte", idx(8, {2}, std::string("\0\1", 2)));
    put("a/t10k-images-idx4-ubyte", idx(8, {1, 1, 2, 3}, counting(6)));
    put("a/t10k-labels-idx1-ubyte", idx(8, {1}, std::string("\1", 1)));
    const auto source = open("idx:" + path("a"));
    EXPECT_EQ(source->count(Split::Train), 2U);
    EXPECT_EQ(source->count(Split::Test), 1U);
    EXPECT_EQ(bytes_of(*source, 0), (std::vector<int>{0, 3, 1, 4, 2, 5})) << "channels first";
    EXPECT_EQ(label_of(*source, Split::Test, 0).classes, std::vector<std::uint16_t>{1});
    EXPECT_EQ(open("idx:" + path("a") + "?train=1")->count(Split::Train), 1U);
    EXPECT_FALSE(is_source_spec(*Spec::parse("idx:" + path("nowhere"))));
}

TEST_F(Arrays, IdxOfEveryElementTypeIsRead) {
    // The numbers 1 and 258, the second of which has two bytes that differ, in IDX's byte order.
    const std::vector<std::pair<int, std::string>> types{
        {0x0b, std::string("\x00\x01\x01\x02", 4)},
        {0x0c, std::string("\0\0\0\x01\0\0\x01\x02", 8)},
        {0x0d, std::string("\x3f\x80\0\0\x43\x81\0\0", 8)},
        {0x0e, std::string("\x3f\xf0\0\0\0\0\0\0\x40\x70\x20\0\0\0\0\0", 16)}};
    put("a/train-labels.idx", idx(8, {2}, std::string("\0\1", 2)));
    for (const auto& [type, content] : types) {
        SCOPED_TRACE(type);
        put("a/train-images.idx", idx(type, {2, 1, 1}, content));
        const auto source = open("idx:" + path("a"));
        Bytes bytes;
        ASSERT_TRUE(source->read(Split::Train, 0, bytes).has_value());
        ASSERT_TRUE(source->read(Split::Train, 1, bytes).has_value());
        std::vector<float> values(2);
        ASSERT_EQ(bytes.size(), 2 * sizeof(float));
        std::memcpy(values.data(), bytes.data(), bytes.size());
        EXPECT_EQ(values, (std::vector<float>{1.0F, 258.0F}));
    }
    put("a/train-images.idx", idx(9, {2, 1, 1}, std::string("\xff\x02", 2)));
    Bytes bytes;
    ASSERT_TRUE(open("idx:" + path("a"))->read(Split::Train, 0, bytes).has_value());
    float value = 0.0F;
    std::memcpy(&value, bytes.data(), sizeof(value));
    EXPECT_EQ(value, -1.0F);
}

TEST_F(Arrays, IdxHeadersThatLieAreRefused) {
    EXPECT_EQ(parse_idx_header("abc").error().code, FaultCode::Truncated);
    EXPECT_EQ(parse_idx_header("PNG image").error().code, FaultCode::BadFormat);
    EXPECT_EQ(parse_idx_header(idx(7, {1}, "")).error().code, FaultCode::BadFormat);
    EXPECT_EQ(parse_idx_header(idx(8, {}, "")).error().code, FaultCode::BadFormat);
    EXPECT_EQ(parse_idx_header(idx(8, {1, 0}, "")).error().code, FaultCode::BadValue);
    EXPECT_EQ(
        parse_idx_header(idx(8, {~0U, ~0U, ~0U, ~0U}, "")).error().code, FaultCode::Oversized
    );
    put("a/train-labels.idx", idx(8, {2}, std::string("\0\1", 2)));
    put("a/train-images.idx", idx(0x0d, {2, 1, 1}, "abc"));
    EXPECT_EQ(refusal("idx:" + path("a")).code, FaultCode::Truncated);
    put("a/more-train-images.idx", idx(0x0d, {2, 1, 1}, "abc"));
    EXPECT_FALSE(is_source_spec(*Spec::parse("idx:" + path("a")))) << "two files for one";
}

TEST_F(Arrays, ChannelsComeFirstWhereverTheyWere) {
    put_array("y", "|u1", "2,", raw<std::uint8_t>({0, 1}));
    put_array("x", "|u1", "2, 2, 2", counting(8));
    EXPECT_EQ(bytes_of(*open(spec()), 1), (std::vector<int>{4, 5, 6, 7})) << "bytes stay bytes";
    put_array("x", "|u1", "2, 1, 2, 3", counting(12));
    const auto last = open(spec());
    EXPECT_EQ(bytes_of(*last, 0), (std::vector<int>{0, 3, 1, 4, 2, 5})) << "of H x W x C";
    EXPECT_EQ(
        last->schema().inputs[0].shape, (std::vector<Axis>{{3, false}, {1, false}, {2, false}})
    );
    put_array("x", "|u1", "2, 3, 1, 2", counting(12));
    EXPECT_EQ(bytes_of(*open(spec()), 0), (std::vector<int>{0, 1, 2, 3, 4, 5})) << "of C x H x W";
    put_array("x", "|u1", "2, 2, 2, 2", counting(16));
    EXPECT_NE(refusal(spec()).message.find("2 x 2 x 2 x 2"), std::string::npos);
}

TEST_F(Arrays, BigEndianFloatsAndColumnsAreReadAndScaled) {
    put_array("y", "<i8", "4, 1", raw<std::int64_t>({0, 2, 1, 2}));
    const float nan = std::nanf("");
    put_array("x", "<f4", "4, 2", raw<float>({1, 10, 2, 10, 3, nan, 4, 40}));
    const auto source = open(spec());
    ASSERT_NE(source, nullptr);
    EXPECT_EQ(source->schema().label.count, 3U);
    EXPECT_EQ(label_of(*source, Split::Train, 1).classes, (std::vector<std::uint16_t>{2}));
    const auto& columns = std::get<TableRecipe>(source->recipe()).columns;
    ASSERT_EQ(columns.size(), 2U);
    EXPECT_FLOAT_EQ(columns[0].scale.mean, 2.5F);
    EXPECT_FLOAT_EQ(columns[0].scale.stddev, std::sqrt(1.25F));
    EXPECT_FLOAT_EQ(columns[1].scale.mean, 20.0F) << "without what is missing";
    EXPECT_TRUE(columns[1].mask);
    EXPECT_FALSE(columns[0].mask);
    const Prepared prepared(*source);
    EXPECT_EQ(prepared.manifest.shape(), (std::vector<std::uint32_t>{3}));
    put_array(
        "x", ">f4", "4, 1, 2", std::string("\x3f\x80\0\0\x40\0\0\0", 8) + std::string(24, '\0')
    );
    const auto images = open(spec());
    ASSERT_NE(images, nullptr);
    Bytes record;
    ASSERT_TRUE(images->read(Split::Train, 0, record).has_value());
    EXPECT_EQ(as_text(record), raw<float>({1.0F, 2.0F}));
    put_array("x", "<f4", "4, 1, 2", raw<float>({0, 0, 0, 0, 0, nan, 0, 0}));
    EXPECT_NE(refusal(spec()).message.find("row 2"), std::string::npos) << "a pixel";
}

TEST_F(Arrays, LabelsAreWhatTheirTypeAndShapeSay) {
    put_array("x", "|u1", "3, 2", counting(6));
    put_array("y", "|u1", "3, 3", raw<std::uint8_t>({1, 0, 1, 0, 0, 0, 0, 1, 0}));
    const auto several = open(spec());
    EXPECT_EQ(several->schema().label.kind, LabelKind::Classes);
    EXPECT_EQ(label_of(*several, Split::Train, 0).classes, (std::vector<std::uint16_t>{0, 2}));
    EXPECT_TRUE(label_of(*several, Split::Train, 1).classes.empty());
    put_array("y", "<f8", "3, 2", raw<double>({0.5, 1, 2, -3, 4, 5}));
    const auto numbers = open(spec());
    EXPECT_EQ(numbers->schema().label.kind, LabelKind::Numbers);
    EXPECT_EQ(label_of(*numbers, Split::Train, 1).numbers, (std::vector<float>{2.0F, -3.0F}));
    put_array("y", "<i2", "3,", raw<std::int16_t>({0, -1, 1}));
    EXPECT_EQ(refusal(spec()).code, FaultCode::BadValue);
    put_array("y", "|u1", "2,", raw<std::uint8_t>({0, 1}));
    EXPECT_NE(refusal(spec()).message.find("3 samples, but 2 labels"), std::string::npos);
    put_array("y", "<f4", "3,", raw<float>({1.0F, std::nanf(""), 2.0F}));
    EXPECT_NE(refusal(spec()).message.find("row 1"), std::string::npos);
}

TEST_F(Arrays, NamesOfMedMnistAreTheSplits) {
    put_array("train_images", "|u1", "3, 2, 2", counting(12));
    put_array("train_labels", "|u1", "3, 1", raw<std::uint8_t>({0, 1, 1}));
    put_array("val_images", "|u1", "2, 2, 2", counting(8));
    put_array("val_labels", "|u1", "2, 1", raw<std::uint8_t>({1, 0}));
    const auto folder = "npy:" + path("a");
    const auto two = open(folder);
    ASSERT_NE(two, nullptr);
    EXPECT_EQ(two->count(Split::Train), 3U);
    EXPECT_EQ(two->count(Split::Test), 2U) << "without a test part, models are judged by val";
    EXPECT_EQ(label_of(*two, Split::Test, 0).classes, (std::vector<std::uint16_t>{1}));
    put_array("test_images", "|u1", "1, 2, 2", counting(4));
    EXPECT_EQ(refusal(folder).code, FaultCode::Usage) << "its labels are missing";
    put_array("test_labels", "|u1", "1, 1", raw<std::uint8_t>({1}));
    const auto three = open(folder);
    EXPECT_EQ(three->count(Split::Valid), 2U);
    EXPECT_EQ(three->count(Split::Test), 1U);
    put_array("test_images", "|u1", "1, 2, 3", counting(6));
    EXPECT_EQ(refusal(folder).code, FaultCode::BadFormat) << "another shape";
}

TEST_F(Arrays, WhatCannotBeReadIsRefusedInOneLine) {
    EXPECT_EQ(refusal("npy:" + path("none")).code, FaultCode::NotFound);
    EXPECT_EQ(refusal("npz:" + path("none")).code, FaultCode::NotFound);
    put_array("a", "|u1", "3, 2", counting(6));
    put_array("b", "|u1", "3,", counting(3));
    EXPECT_NE(refusal("npy:" + path("a")).message.find("a, b"), std::string::npos);
    EXPECT_EQ(refusal("npy:" + path("a") + "?x=a").code, FaultCode::Usage);
    EXPECT_EQ(refusal("npy:" + path("a") + "?x=a&y=c").code, FaultCode::Usage);
    EXPECT_EQ(refusal("npy:" + path("a") + "?x=a&y=b&flip=1").code, FaultCode::Usage);
    put_array("a", "|u1", "4, 2", counting(6));
    EXPECT_TRUE(
        refusal("npy:" + path("a") + "?x=a&y=b").message.find("a.npy") != std::string::npos
    );
}

TEST(SharedSets, XRays) {
    const auto file = shared_data("pneumoniamnist") / "pneumoniamnist_trainval.npz";
    STARLING_NEEDS_SHARED(file);
    const auto source = open("npz:" + file.string());
    ASSERT_NE(source, nullptr);
    EXPECT_EQ(source->count(Split::Train), 4708U);
    EXPECT_EQ(source->count(Split::Test), 524U);
    EXPECT_EQ(source->schema().label.count, 2U);
    std::uint64_t sick = 0;
    for (std::uint64_t i = 0; i < 4708; ++i) {
        sick += label_of(*source, Split::Train, i).classes[0];
    }
    EXPECT_EQ(sick, 3494U);
    std::uint64_t sum = 0;
    Bytes image;
    for (std::uint64_t i = 0; i < 4708; ++i) {
        image.clear();
        ASSERT_TRUE(source->read(Split::Train, i, image).has_value());
        for (std::size_t k = 0; k < image.size(); ++k) {
            sum += (k + 1) * std::to_integer<std::uint64_t>(image[k]);
        }
    }
    EXPECT_EQ(sum, 220839216464U) << "pixels, weighed by their place";
    const auto& scales = std::get<ImageRecipe>(source->recipe()).scales;
    ASSERT_EQ(scales.size(), 1U);
    EXPECT_NEAR(scales[0].mean, 0.57192156, 1e-6);
    EXPECT_NEAR(scales[0].stddev, 0.16835126, 1e-6);
}

}  // namespace
}  // namespace starling::data
