// Goal: folders of DICOM files become the same samples as folders of pictures, and nothing of a patient
// gets into a shard. Method: small files that the test writes.

#include <gtest/gtest.h>

#include "data/media/draw.hpp"
#include "tests/unit/data/support/dicom_file.hpp"
#include "tests/unit/data/support/sources.hpp"

namespace starling::data {
namespace {

using testing::class_of;
using testing::DicomFile;
using testing::open;
using testing::refusal;

class DicomSources : public testing::SourceFiles {
protected:
    void put_dicom(const std::string& name, const DicomFile& file) const {
        const auto bytes = file.bytes();
        put(name, as_text(bytes));
    }

    static DicomFile slice(int first) {
        DicomFile file;
        for (int i = 0; i < 6; ++i) file.pixels.push_back(first + 500 * i);
        return file;
    }

    void put_two_classes(int files) const {
        for (int i = 0; i < files; ++i) {
            const auto name = std::to_string(100 + i) + ".dcm";
            put_dicom(
                "chest/train/" + std::string(i % 2 == 0 ? "healthy/" : "ill/") + name, slice(i)
            );
        }
        put_dicom("chest/test/ill/1.DCM", slice(3));
    }
};

TEST_F(DicomSources, FoldersNameTheClassesAndNoNameOfAPatientIsKept) {
    put_two_classes(4);
    put("chest/train/ill/notes.txt", "no picture");
    const auto source = open("dicom:" + path("chest"));
    ASSERT_NE(source, nullptr);
    EXPECT_EQ(source->schema().label.names, (std::vector<std::string>{"healthy", "ill"}));
    EXPECT_EQ(source->count(Split::Train), 4U);
    EXPECT_EQ(source->count(Split::Test), 1U);
    EXPECT_EQ(class_of(*source, Split::Train, 0), 0U);
    EXPECT_EQ(class_of(*source, Split::Train, 3), 1U);
    for (std::uint64_t i = 0; i < 4; ++i) {
        Bytes record;
        ASSERT_TRUE(source->read(Split::Train, i, record).has_value());
        EXPECT_EQ(as_text(record).find("DOE"), std::string::npos);
        const auto picture = decode_image(record, {});
        ASSERT_TRUE(picture.has_value()) << picture.error().message;
        EXPECT_EQ(picture->channels, 1U);
        EXPECT_EQ(picture->values, (std::vector<std::uint8_t>{0, 51, 102, 153, 204, 255}));
    }
    const testing::Prepared prepared(*source);
    EXPECT_EQ(prepared.values.size(), 4U);
    EXPECT_EQ(prepared.manifest.shape(), (std::vector<std::uint32_t>{1, 2, 3}));
}

TEST_F(DicomSources, OneWindowIsForAll) {
    put_two_classes(2);
    const auto source = open("dicom:" + path("chest") + "?window=1000.5:1001");
    ASSERT_NE(source, nullptr);
    Bytes record;
    ASSERT_TRUE(source->read(Split::Train, 0, record).has_value());
    EXPECT_EQ(
        decode_image(record, {})->values, (std::vector<std::uint8_t>{0, 0, 128, 255, 255, 255})
    );
    for (const auto* wrong : {"40", "40:", ":400", "40:0", "40:-1", "nan:1", "40:400x"}) {
        const auto fault = refusal("dicom:" + path("chest") + "?window=" + wrong);
        EXPECT_EQ(fault.code, FaultCode::Usage) << wrong;
        EXPECT_NE(fault.message.find("window=40:400"), std::string::npos) << fault.message;
    }
}

TEST_F(DicomSources, OneBadFileOfManyIsLeftOutAndNamed) {
    put_two_classes(120);
    auto compressed = slice(0);
    compressed.syntax = "1.2.840.10008.1.2.4.90";
    put_dicom("chest/train/ill/bad.dcm", compressed);
    const auto source = open("dicom:" + path("chest"));
    ASSERT_NE(source, nullptr);
    EXPECT_EQ(source->count(Split::Train), 120U);
    ASSERT_EQ(source->notes().skipped, 1U);
    EXPECT_NE(source->notes().first[0].where.find("train/ill/bad.dcm"), std::string::npos);
    EXPECT_NE(source->notes().first[0].what.find("gdcmconv"), std::string::npos);
    put_dicom("chest/train/ill/worse.dcm", compressed);
    EXPECT_EQ(refusal("dicom:" + path("chest")).code, FaultCode::BadValue) << "over 1 %";
}

TEST(Png, WhatWasEncodedIsDecodedExactly) {
    for (const std::uint32_t width : {1U, 3U, 257U}) {
        Image image{1, 5, width, {}};
        for (std::uint32_t i = 0; i < 5 * width; ++i) {
            image.values.push_back(static_cast<std::uint8_t>(i * 7919 % 256));
        }
        const auto png = encode_png(image);
        ASSERT_TRUE(png.has_value());
        const auto again = decode_image(*png, {});
        ASSERT_TRUE(again.has_value()) << again.error().message;
        EXPECT_EQ(again->channels, 1U);
        EXPECT_EQ(again->width, width);
        EXPECT_EQ(again->values, image.values);
    }
}

}  // namespace
}  // namespace starling::data
