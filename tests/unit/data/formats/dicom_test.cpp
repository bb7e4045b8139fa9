// Goal: pictures of scanners come out as the standard says, and no damaged file does harm. Method: files that
// the test writes, of each kind, with the values that the formulas of PS3.3 give; then the same cut
// short and changed at every byte.

#include "data/formats/dicom.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <gtest/gtest.h>

#include "tests/unit/data/support/datasets.hpp"
#include "tests/unit/data/support/dicom_file.hpp"
#include "tests/unit/data/support/golden.hpp"

namespace starling::data {
namespace {

using testing::DicomFile;
using Values = std::vector<std::uint8_t>;

/// Returns the grey values, or the message of the fault.
Values read(const DicomFile& file, const std::optional<GreyWindow>& window = std::nullopt) {
    const auto picture = read_dicom(file.bytes(), window);
    EXPECT_TRUE(picture.has_value()) << picture.error().message;
    if (!picture) return {};
    EXPECT_EQ(picture->channels, 1U);
    EXPECT_EQ(picture->height, static_cast<std::uint32_t>(file.rows));
    EXPECT_EQ(picture->width, static_cast<std::uint32_t>(file.columns));
    return picture->values;
}

std::string refusal(const DicomFile& file) {
    const auto picture = read_dicom(file.bytes());
    return picture ? "" : picture.error().message;
}

DicomFile twelve_bits() {
    DicomFile file;
    file.pixels = {0, 1000, 2000, 3000, 4000, 4095};
    return file;
}

TEST(Dicom, WithoutAWindowTheLeastAndTheLargestValueAreBlackAndWhite) {
    auto file = twelve_bits();
    const Values expected{0, 62, 125, 187, 249, 255};  // round(255 v / 4095)
    EXPECT_EQ(read(file), expected);
    file.explicit_vr = false;
    EXPECT_EQ(read(file), expected);
    file.sequences = true;
    EXPECT_EQ(read(file), expected);
    file.explicit_vr = true;
    EXPECT_EQ(read(file), expected);
}

TEST(Dicom, EightBitsAreReadAndFilledUpToAnEvenLength) {
    DicomFile file;
    file.allocated = file.stored = 8;
    file.high_bit = 7;
    file.rows = 1;
    file.pixels = {10, 110, 210};
    EXPECT_EQ(read(file), (Values{0, 128, 255}));
}

TEST(Dicom, Monochrome1IsBrightWhereItsValuesAreLow) {
    auto file = twelve_bits();
    file.photometric = "MONOCHROME1";
    EXPECT_EQ(read(file), (Values{255, 193, 130, 68, 6, 0}));
}

TEST(Dicom, BitsBesideTheValuesCountForNothing) {
    auto file = twelve_bits();
    for (auto& pixel : file.pixels) pixel |= 0xA000;  // an overlay of old scanners
    EXPECT_EQ(read(file), read(twelve_bits()));
    auto shifted = twelve_bits();
    shifted.high_bit = 13;
    for (auto& pixel : shifted.pixels) pixel <<= 2;
    EXPECT_EQ(read(shifted), read(twelve_bits()));
}

TEST(Dicom, TheWindowIsThatOfTheStandard) {
    // A CT in Hounsfield units: stored with a sign, rescaled, soft tissue.
    DicomFile file;
    file.stored = 16;
    file.high_bit = 15;
    file.has_sign = 1;
    file.slope = "2";
    file.intercept = "-1024 ";
    file.centre = "40\\50";
    file.width = "+400\\1500";
    file.pixels = {-100, 412, 432, 532, 631, 32767};
    Values expected;
    for (const int pixel : file.pixels) {
        const double x = 2.0 * pixel - 1024;
        const double y = x <= 39.5 - 199.5  ? 0.0
                         : x > 39.5 + 199.5 ? 255.0
                                            : ((x - 39.5) / 399.0 + 0.5) * 255.0;
        expected.push_back(static_cast<std::uint8_t>(std::lround(y)));
    }
    EXPECT_EQ(read(file), expected);
    EXPECT_EQ(expected.front(), 0);
    EXPECT_EQ(expected.back(), 255);
    file.function = "LINEAR_EXACT";
    EXPECT_EQ(read(file)[3], 128);  // x = 40: the centre
    file.function = "SIGMOID";
    EXPECT_EQ(read(file)[3], 128);
    const double sigmoid = 255.0 / (1.0 + std::exp(-4.0 * (-160.0 - 40.0) / 400.0));
    EXPECT_EQ(read(file)[2], static_cast<std::uint8_t>(std::lround(sigmoid)));
    EXPECT_EQ(read(file, GreyWindow{-2000.0, 1.0}), Values(6, 255)) << "the caller's counts";
}

TEST(Dicom, PaddingIsNoValue) {
    auto file = twelve_bits();
    file.pixels = {100, 100, 200, 300, 4095, 4095};
    file.padding = 4095;
    EXPECT_EQ(read(file), (Values{0, 0, 128, 255, 255, 255}));
    file.pixels.assign(6, 4095);
    EXPECT_EQ(read(file).size(), 6U);
}

TEST(Dicom, APictureOfOneValueIsGreyAndNoDivisionByZero) {
    auto file = twelve_bits();
    file.pixels.assign(6, 7);
    EXPECT_EQ(read(file), Values(6, 128));
}

TEST(Dicom, WhatIsNotReadIsNamed) {
    const auto with = [](auto change) {
        auto file = twelve_bits();
        change(file);
        return refusal(file);
    };
    EXPECT_NE(
        with([](auto& f) { f.syntax = "1.2.840.10008.1.2.4.70"; }).find("gdcmconv"),
        std::string::npos
    );
    EXPECT_NE(with([](auto& f) { f.photometric = "RGB"; }).find("RGB"), std::string::npos);
    EXPECT_NE(with([](auto& f) { f.samples = 3; }).find("MONOCHROME2"), std::string::npos);
    EXPECT_NE(with([](auto& f) { f.frames = "30"; }).find("frames"), std::string::npos);
    EXPECT_NE(with([](auto& f) { f.allocated = 32; }).find("32 bits"), std::string::npos);
    EXPECT_NE(with([](auto& f) { f.stored = 17; }).find("contradict"), std::string::npos);
    EXPECT_NE(with([](auto& f) { f.stored = 0; }).find("contradict"), std::string::npos);
    EXPECT_NE(with([](auto& f) { f.high_bit = 16; }).find("contradict"), std::string::npos);
    EXPECT_NE(with([](auto& f) { f.high_bit = 3; }).find("contradict"), std::string::npos);
    EXPECT_NE(with([](auto& f) { f.rows = 0; }), "");
    EXPECT_NE(
        with([](auto& f) { f.columns = 4; }).find("12 bytes of pixels, and 16"), std::string::npos
    );
    EXPECT_NE(with([](auto& f) { f.slope = "nan"; }).find("number"), std::string::npos);
    EXPECT_NE(with([](auto& f) { f.slope = "1e300"; }).find("number"), std::string::npos);
    EXPECT_NE(
        with([](auto& f) { f.centre = "1", f.width = "0"; }).find("window"), std::string::npos
    );
    EXPECT_NE(read_dicom(as_byte_view("DICM")).error().message.find("byte 128"), std::string::npos);
}

TEST(Dicom, ASizeThatIsTooLargeTakesNoMemory) {
    auto file = twelve_bits();
    file.rows = file.columns = 65535;
    EXPECT_EQ(read_dicom(file.bytes()).error().code, FaultCode::Oversized);
}

TEST(Dicom, SequencesInSequencesEndSomewhere) {
    Bytes bytes = twelve_bits().bytes();
    bytes.resize(128 + 4 + 14 + 28);  // mark, two elements of the first group
    ByteWriter writer(bytes);
    for (int i = 0; i < 1000; ++i) {
        writer.put(std::uint16_t{8});
        writer.put(std::uint16_t{0x1140});
        writer.put_bytes(as_byte_view("SQ"));
        writer.put(std::uint16_t{0});
        writer.put(std::uint32_t{0xFFFFFFFF});
    }
    const auto picture = read_dicom(bytes);
    ASSERT_FALSE(picture.has_value());
    EXPECT_NE(picture.error().message.find("sequences"), std::string::npos)
        << picture.error().message;
}

TEST(Dicom, NoCutAndNoChangedByteDoesHarm) {
    for (const bool kinds : {true, false}) {
        auto file = twelve_bits();
        file.explicit_vr = kinds;
        file.sequences = true;
        file.centre = "40";
        file.width = "400";
        const auto whole = file.bytes();
        for (std::size_t size = 0; size < whole.size(); ++size) {
            EXPECT_FALSE(read_dicom(ByteView(whole).first(size)).has_value()) << size;
        }
        for (std::size_t at = 128; at < whole.size(); ++at) {
            for (const int bits : {1, 0x80, 0xFF}) {
                auto changed = whole;
                changed[at] ^= static_cast<std::byte>(bits);
                const auto picture = read_dicom(changed);
                if (!picture) continue;
                EXPECT_EQ(picture->values.size(), std::size_t{picture->height} * picture->width);
            }
        }
    }
}

std::vector<std::pair<std::string, DicomFile>> corpus() {
    auto kinds = twelve_bits();
    kinds.sequences = true;
    auto no_kinds = kinds;
    no_kinds.explicit_vr = false;
    auto bytes = twelve_bits();
    bytes.allocated = bytes.stored = 8;
    bytes.high_bit = 7;
    bytes.photometric = "MONOCHROME1";
    bytes.function = "SIGMOID";
    bytes.centre = "100";
    bytes.width = "50";
    auto tissue = twelve_bits();
    tissue.has_sign = 1;
    tissue.padding = 2048;
    tissue.slope = "2.5";
    tissue.intercept = "-1024";
    auto compressed = twelve_bits();
    compressed.syntax = "1.2.840.10008.1.2.4.70";
    return {
        {"kinds", kinds},
        {"nokinds", no_kinds},
        {"bytes", bytes},
        {"tissue", tissue},
        {"refused", compressed}};
}

TEST(Dicom, TheFuzzersCorpusIsReadOrRefused) {
    const auto folder = std::filesystem::path(STARLING_SOURCE_DIR) / "tests/fuzz/corpus/dicom";
    const char* wanted =
        std::getenv("STARLING_CORPUS_DIR");  // NOLINT(concurrency-mt-unsafe) one thread
    for (const auto& [name, file] : corpus()) {
        const auto made = file.bytes();
        if (wanted != nullptr)
            testing::write_file(std::filesystem::path(wanted) / "dicom" / name, as_text(made));
        EXPECT_EQ(testing::read_bytes(folder / name), made) << name;
        EXPECT_EQ(read_dicom(made).has_value(), name != "refused") << name;
    }
}

}  // namespace
}  // namespace starling::data
