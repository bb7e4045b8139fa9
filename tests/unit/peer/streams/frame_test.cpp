// Goal: bytes from strangers never break the parsing of frames and greetings. Method: tables, every
// truncation, and mutations.

#include "peer/streams/frame.hpp"

#include <gtest/gtest.h>

#include "peer/streams/hello.hpp"

namespace starling::peer {
namespace {

Hello sample_hello() {
    Hello hello;
    hello.id.bytes[0] = 7;
    hello.swarm.bytes[31] = 9;
    hello.address = Endpoint::v4(0x7f000001, 7300);
    return hello;
}

TEST(FrameHeader, SurvivesARoundTrip) {
    const FrameHeader header{1234, FrameType::Exchange, kFrameVersion};
    const auto decoded = decode_frame_header(encode_frame_header(header));
    ASSERT_TRUE(decoded.has_value());
    EXPECT_EQ(decoded->length, 1234U);
    EXPECT_EQ(decoded->type, FrameType::Exchange);
}

TEST(FrameHeader, LengthAboveTheTypesLimitIsRefused) {
    for (int type = 1; type <= 12; ++type) {
        const auto frame = static_cast<FrameType>(type);
        const auto limit = static_cast<std::uint32_t>(frame_limit(frame));
        ASSERT_GT(limit, 0U);
        EXPECT_TRUE(
            decode_frame_header(encode_frame_header({limit, frame, kFrameVersion})).has_value()
        );
        const auto over =
            decode_frame_header(encode_frame_header({limit + 1, frame, kFrameVersion}));
        ASSERT_TRUE(over.has_error());
        EXPECT_EQ(over.error().code, FaultCode::Oversized);
    }
}

TEST(FrameHeader, UnknownTypesVersionsAndReservedBitsAreRefused) {
    EXPECT_EQ(
        decode_frame_header(encode_frame_header({0, static_cast<FrameType>(99), 1})).error().code,
        FaultCode::BadFormat
    );
    EXPECT_EQ(
        decode_frame_header(encode_frame_header({0, FrameType::Hello, 2})).error().code,
        FaultCode::BadVersion
    );
    auto bytes = encode_frame_header({0, FrameType::Hello, 1});
    bytes[7] = std::byte{1};
    EXPECT_EQ(decode_frame_header(bytes).error().code, FaultCode::BadFormat);
}

TEST(Hello, SurvivesARoundTripAndIgnoresLaterFields) {
    Bytes bytes = encode_hello(sample_hello());
    bytes.push_back(std::byte{42});
    const auto decoded = decode_hello(bytes);
    ASSERT_TRUE(decoded.has_value());
    EXPECT_EQ(decoded->id, sample_hello().id);
    EXPECT_EQ(decoded->swarm, sample_hello().swarm);
    EXPECT_EQ(decoded->address, sample_hello().address);
}

TEST(Hello, SaysWhatItsStreamIsForAndWhichProcessSpeaks) {
    Hello hello = sample_hello();
    EXPECT_EQ(encode_hello(hello).size(), 147U);
    constexpr std::size_t kKindAt = 138;
    EXPECT_EQ(encode_hello(hello)[kKindAt], std::byte{0});
    hello.kind = StreamKind::Lane;
    hello.process = 0x0102030405060708;
    Bytes bytes = encode_hello(hello);
    EXPECT_EQ(bytes[kKindAt], std::byte{1});
    EXPECT_EQ(bytes.back(), std::byte{1}) << "little-endian";
    EXPECT_EQ(decode_hello(bytes)->kind, StreamKind::Lane);
    EXPECT_EQ(decode_hello(bytes)->process, hello.process);
    bytes[kKindAt] = std::byte{2};
    EXPECT_EQ(decode_hello(bytes).error().code, FaultCode::BadFormat);
}

TEST(Hello, OfMinorVersionThreeNamesNoProcess) {
    Hello hello = sample_hello();
    hello.minor = 3;
    Bytes bytes = encode_hello(hello);
    bytes.resize(bytes.size() - 8);
    const auto decoded = decode_hello(bytes);
    ASSERT_TRUE(decoded.has_value());
    EXPECT_EQ(decoded->process, 0U);
    EXPECT_FALSE(other_process(*decoded, hello)) << "nothing is known of it";
}

TEST(Hello, OfMinorVersionOneHasNoKind) {
    Hello hello = sample_hello();
    hello.minor = 1;
    Bytes bytes = encode_hello(hello);
    bytes.resize(bytes.size() - 9);
    const auto decoded = decode_hello(bytes);
    ASSERT_TRUE(decoded.has_value());
    EXPECT_EQ(decoded->kind, StreamKind::Main);
}

TEST(Hello, EveryTruncationIsAnError) {
    const Bytes bytes = encode_hello(sample_hello());
    for (std::size_t length = 0; length < bytes.size(); ++length) {
        EXPECT_TRUE(decode_hello(ByteView(bytes).first(length)).has_error()) << length;
    }
}

TEST(Hello, AnotherMajorVersionIsRefusedWithASentence) {
    Hello hello = sample_hello();
    hello.major = 2;
    const auto decoded = decode_hello(encode_hello(hello));
    ASSERT_TRUE(decoded.has_error());
    EXPECT_EQ(decoded.error().code, FaultCode::BadVersion);
    EXPECT_NE(decoded.error().message.find("run the same release"), std::string::npos);
}

}  // namespace
}  // namespace starling::peer
