// Goal: token files of nanoGPT and llm.c are told apart and read, and no place lies outside. Method:
// small files as those programs write them, and one test for each wrong header.

#include "data/tokens/token_file.hpp"

#include <gtest/gtest.h>

#include "base/bytes.hpp"
#include "tests/unit/data/support/datasets.hpp"

namespace starling::data {
namespace {

using starling::testing::TemporaryDirectory;
using testing::write_file;

std::string tokens(std::size_t count) {
    Bytes bytes;
    ByteWriter out(bytes);
    for (std::size_t i = 0; i < count; ++i) out.put(static_cast<std::uint16_t>(i * 257));
    return std::string(as_text(bytes));
}

std::string llm_c(std::uint32_t magic, std::uint32_t version, std::uint32_t count) {
    Bytes bytes;
    ByteWriter out(bytes);
    out.put(magic);
    out.put(version);
    out.put(count);
    bytes.resize(1024);
    return std::string(as_text(bytes));
}

FaultCode refusal(const std::string& bytes) {
    const auto file = TokenFile::open(std::make_unique<MemoryBytes>(bytes));
    EXPECT_FALSE(file.has_value());
    return file.error().code;
}

TEST(TokenFile, BothKindsAreRead) {
    const TemporaryDirectory directory;
    const auto path = directory.path() / "train.bin";
    for (const auto& header : {std::string(), llm_c(20240520, 1, 200)}) {
        write_file(path, header + tokens(200));
        const auto file = TokenFile::open(path);
        ASSERT_TRUE(file.has_value()) << file.error().message;
        EXPECT_EQ(
            file->facts().kind, header.empty() ? TokenFileKind::NanoGpt : TokenFileKind::LlmC
        );
        EXPECT_EQ(file->facts().tokens, 200U);
        EXPECT_EQ(*file->largest(), 199 * 257);
        std::array<std::uint16_t, 3> out{};
        ASSERT_TRUE(file->read(197, out).has_value());
        EXPECT_EQ(out, (std::array<std::uint16_t, 3>{197 * 257, 198 * 257, 199 * 257}));
        EXPECT_EQ(file->read(198, out).error().code, FaultCode::BadValue);
        EXPECT_EQ(file->read(std::uint64_t{1} << 63U, out).error().code, FaultCode::BadValue);
        std::filesystem::resize_file(path, header.size() + 10);
        EXPECT_EQ(file->read(100, out).error().code, FaultCode::Truncated);
    }
}

TEST(TokenFile, WrongFilesAreRefused) {
    EXPECT_EQ(refusal(""), FaultCode::Usage);
    EXPECT_EQ(refusal("abc"), FaultCode::BadFormat);
    EXPECT_EQ(refusal(llm_c(20240520, 1, 4) + tokens(5)), FaultCode::BadFormat);
    EXPECT_EQ(refusal(llm_c(20240520, 1, 4) + tokens(4) + "x"), FaultCode::BadFormat);
    EXPECT_EQ(refusal(llm_c(20240520, 1, 0xffffffff)), FaultCode::BadFormat);
    EXPECT_EQ(refusal(llm_c(20240520, 1, 0)), FaultCode::Usage);
    EXPECT_EQ(refusal(llm_c(20240520, 2, 4) + tokens(4)), FaultCode::BadVersion);
    EXPECT_EQ(refusal(llm_c(20240801, 7, 4) + tokens(8)), FaultCode::Unsupported);
    EXPECT_EQ(refusal(llm_c(20240520, 1, 4).substr(0, 100)), FaultCode::Truncated);
    EXPECT_EQ(refusal(llm_c(20240520, 1, 4).substr(0, 8)), FaultCode::Truncated);
    EXPECT_EQ(TokenFile::open("/nowhere/train.bin").error().code, FaultCode::NotFound);
    EXPECT_EQ(TokenFile::open("/dev/null").error().code, FaultCode::Usage);
}

}  // namespace
}  // namespace starling::data
