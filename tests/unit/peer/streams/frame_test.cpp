// Goal: bytes from strangers never break the parsing of frames and greetings. Method: tables, every
// truncation, and mutations.

#include "peer/streams/frame.hpp"

#include <gtest/gtest.h>

#include "peer/streams/hello.hpp"
#include "tests/support/introductions.hpp"

namespace starling::peer {
namespace {

Hello sample_hello() {
    Hello hello;
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
    for (std::size_t type = 1; type < kFrameTypes; ++type) {
        const auto frame = static_cast<FrameType>(type);
        const auto limit = static_cast<std::uint32_t>(frame_limit(frame));
        if (limit == 0) continue;  // reserved
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

class HelloTest : public ::testing::Test {
protected:
    [[nodiscard]] Bytes encoded(const Hello& hello) const {
        return encode_hello(hello, context_, *notary_);
    }

    [[nodiscard]] Result<Hello> decoded(ByteView bytes) const {
        return decode_hello(bytes, context_, *notary_);
    }

    /// Signs a greeting as docs/protocol/streams.md says.
    [[nodiscard]] Bytes signed_as_the_page_says(const Bytes& greeting) const {
        Bytes text;
        ByteWriter writer(text);
        writer.put_bytes(as_byte_view("starling hello 2, dialler to acceptor"));
        writer.put_array(context_.binding);
        writer.put_bytes(greeting);
        Bytes bytes = greeting;
        ByteWriter(bytes).put_array(notary_->sign(text));
        return bytes;
    }

    std::shared_ptr<const membership::Notary> notary_ = new_introduction(9).notary;
    HelloContext context_{ChannelRole::Dialler, {5}};
    static constexpr std::size_t kSignature = 64;
};

TEST_F(HelloTest, SurvivesARoundTripAndIgnoresLaterFields) {
    Bytes bytes = encoded(sample_hello());
    EXPECT_EQ(bytes.size(), 163U);
    bytes.resize(bytes.size() - kSignature);
    bytes.push_back(std::byte{42});
    const auto hello = decoded(signed_as_the_page_says(bytes));
    ASSERT_TRUE(hello.has_value()) << hello.error().message;
    EXPECT_EQ(hello->id, notary_->id_of(notary_->key()));
    EXPECT_EQ(hello->swarm, sample_hello().swarm);
    EXPECT_EQ(hello->address, sample_hello().address);
}

TEST_F(HelloTest, SaysWhatItsStreamIsForAndWhichProcessSpeaks) {
    Hello hello = sample_hello();
    constexpr std::size_t kKindAt = 90;
    EXPECT_EQ(encoded(hello)[kKindAt], std::byte{0});
    hello.kind = StreamKind::Lane;
    hello.process = 0x0102030405060708;
    Bytes bytes = encoded(hello);
    EXPECT_EQ(bytes[kKindAt], std::byte{1});
    EXPECT_EQ(bytes[kKindAt + 1], std::byte{8}) << "little-endian";
    EXPECT_EQ(decoded(bytes)->kind, StreamKind::Lane);
    EXPECT_EQ(decoded(bytes)->process, hello.process);
    bytes[kKindAt] = std::byte{2};
    bytes.resize(bytes.size() - kSignature);
    EXPECT_EQ(decoded(signed_as_the_page_says(bytes)).error().code, FaultCode::BadFormat);
}

TEST_F(HelloTest, EveryTruncationIsAnError) {
    const Bytes bytes = encoded(sample_hello());
    for (std::size_t length = 0; length < bytes.size(); ++length) {
        EXPECT_TRUE(decoded(ByteView(bytes).first(length)).has_error()) << length;
    }
}

TEST_F(HelloTest, AnotherMajorVersionIsRefusedWithASentence) {
    Hello hello = sample_hello();
    hello.major = 3;
    const auto refused = decoded(encoded(hello));
    ASSERT_TRUE(refused.has_error());
    EXPECT_EQ(refused.error().code, FaultCode::BadVersion);
    EXPECT_NE(refused.error().message.find("run the same release"), std::string::npos);
}

}  // namespace
}  // namespace starling::peer
