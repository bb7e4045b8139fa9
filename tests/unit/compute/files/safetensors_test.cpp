// Goal: parameters survive the way through a safetensors file, and no file harms the reader.
// Method: a round trip, a file written by hand, a header for each rule that it can break, and every
// truncation and many random changes of a good file.

#include "compute/files/safetensors.hpp"

#include <cmath>
#include <gtest/gtest.h>

#include "tests/unit/compute/support/contents.hpp"
#include "tests/unit/compute/support/homes.hpp"

namespace starling::compute {
namespace {

ParameterLayout small_layout() {
    return ParameterLayout(
        {{"conv.weight", {3, 2}, false, Init::UniformFanIn, 4},
         {"bn.mean", {5}, true, Init::UniformFanIn, 4},
         {"conv.bias", {70000}, false, Init::UniformFanIn, 4}}
    );
}

Bytes file(const std::string& header, const std::vector<std::uint8_t>& data) {
    Bytes bytes;
    ByteWriter writer(bytes);
    writer.put(static_cast<std::uint64_t>(header.size()));
    writer.put_bytes(as_byte_view(header));
    for (const auto byte : data) writer.put(byte);
    return bytes;
}

class SafetensorsOf : public testing::TestWithParam<HomeKind> {};

INSTANTIATE_TEST_SUITE_P(In, SafetensorsOf, kHomes, name_of);

TEST_P(SafetensorsOf, ParametersSurviveTheRoundTrip) {
    auto from = store_in(GetParam(), small_layout());
    from.initialize(Rng(1));
    auto to = store_in(GetParam(), small_layout());
    const auto bytes = export_safetensors(from);
    ASSERT_TRUE(import_safetensors(bytes, to).has_value());
    EXPECT_EQ(contents(from), contents(to));
    // The file does not depend on where the parameters lie.
    auto other = store_in(kHostHome, small_layout());
    other.initialize(Rng(1));
    EXPECT_EQ(export_safetensors(other), bytes);
}

TEST(Safetensors, FileByHandIsReadAsWritten) {
    const auto bytes = file(
        R"({"__metadata__":{"by":"h\"{[{[{["},)"
        R"("h":{"dtype":"F16","shape":[3],"data_offsets":[4,10]},)"
        R"("b":{"dtype":"BF16","shape":[1,2],"data_offsets":[0,4]}})",
        {0x80, 0x3F, 0x00, 0xC0, 0x00, 0x3C, 0x01, 0x00, 0x00, 0xFC}
    );
    const auto tensors = parse_safetensors(bytes);
    ASSERT_TRUE(tensors.has_value()) << tensors.error().message;
    ASSERT_EQ(tensors->size(), 2U);
    EXPECT_EQ((*tensors)[0].name, "b");
    EXPECT_EQ((*tensors)[0].shape, (Shape{1, 2}));
    EXPECT_EQ((*tensors)[0].values(), (std::vector<float>{1.0F, -2.0F}));
    EXPECT_EQ((*tensors)[1].values(), (std::vector<float>{1.0F, 5.9604645e-08F, -HUGE_VALF}));
}

TEST(Safetensors, LiesAreRefused) {
    const std::vector<std::uint8_t> eight(8, 0);
    const char* headers[] = {
        "",
        "[]",
        "{",
        R"({"a":1})",
        R"({"a":{"dtype":"F32","shape":[2]}})",
        R"({"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}})",
        R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,9]}})",
        R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})",
        R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0]}})",
        R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})",
        R"({"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}})",
        R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}})",
        R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
        R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
        R"({"a":{"dtype":"F32","shape":[1152921504606846976],"data_offsets":[0,8]}})",
        R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}})",
        (R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
         R"("b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})"),
        R"({"a":[[[[[[]]]]]]})",
    };
    for (const auto* header : headers) {
        EXPECT_TRUE(parse_safetensors(file(header, eight)).has_error()) << header;
    }
    const auto* evil = R"({"a\nb\u001b[2J":{"dtype":"F32\n","shape":[2],"data_offsets":[0,8]}})";
    const auto refused = parse_safetensors(file(evil, eight));
    ASSERT_TRUE(refused.has_error());
    EXPECT_NE(refused.error().message.find("'a?b?[2J': element type F32? is"), std::string::npos)
        << refused.error().message;
    Bytes huge(16, std::byte{0xFF});
    EXPECT_EQ(parse_safetensors(huge).error().code, FaultCode::Oversized);
}

TEST(Safetensors, TruncatedAndChangedFilesAreRefusedOrReadable) {
    ParameterStore store(ParameterLayout({{"a", {2, 3}, false}, {"b", {4}, false}}));
    const auto good = export_safetensors(store);
    for (std::size_t size = 0; size < good.size(); ++size) {
        EXPECT_TRUE(parse_safetensors(ByteView(good).first(size)).has_error()) << size;
    }
    Rng rng(5);
    for (int i = 0; i < 3000; ++i) {
        auto changed = good;
        changed[rng.below(changed.size())] = static_cast<std::byte>(rng.below(256));
        const auto parsed = parse_safetensors(changed);
        if (parsed.has_error()) {
            EXPECT_EQ(parsed.error().message.find('\n'), std::string::npos);
            continue;
        }
        for (const auto& tensor : *parsed) EXPECT_FALSE(tensor.values().empty());
    }
}

TEST(Safetensors, ImportThatDoesNotFitLeavesTheStoreAlone) {
    ParameterStore small(ParameterLayout({{"a", {2, 3}, false}}));
    ParameterStore other(ParameterLayout({{"a", {3, 2}, false}}));
    other.initialize(Rng(1));
    const auto before = contents(other);
    const auto refused = import_safetensors(export_safetensors(small), other);
    ASSERT_TRUE(refused.has_error());
    EXPECT_EQ(refused.error().code, FaultCode::LayoutMismatch);
    EXPECT_NE(refused.error().message.find("'a' [3, 2]"), std::string::npos);
    EXPECT_EQ(contents(other), before);
}

}  // namespace
}  // namespace starling::compute
