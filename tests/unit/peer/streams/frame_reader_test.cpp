// Goal: whatever pieces the bytes of a stream come in, the same frames come out, and a length that
// is too large is refused before it costs memory. Method: a stream of bytes that the test cuts.

#include "peer/streams/frame_reader.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <vector>

namespace starling::peer {
namespace {

void append(Bytes& stream, FrameType type, const Bytes& payload) {
    const auto header =
        encode_frame_header({static_cast<std::uint32_t>(payload.size()), type, kFrameVersion});
    stream.insert(stream.end(), header.begin(), header.end());
    stream.insert(stream.end(), payload.begin(), payload.end());
}

/// Gives the reader up to `most` bytes of the stream, as one read would, and removes them.
void read(FrameReader& reader, ByteView& stream, std::size_t most) {
    std::size_t bytes = 0;
    for (const auto room : reader.room()) {
        const auto piece = stream.first(std::min({most - bytes, room.size(), stream.size()}));
        std::copy(piece.begin(), piece.end(), room.begin());
        stream = stream.subspan(piece.size());
        bytes += piece.size();
    }
    reader.filled(bytes);
}

TEST(FrameReader, GivesTheSameFramesWhateverPiecesTheBytesComeIn) {
    Bytes bytes;
    append(bytes, FrameType::Exchange, Bytes(1000, std::byte{1}));
    append(bytes, FrameType::Ping, {});
    append(bytes, FrameType::Pong, {});
    append(bytes, FrameType::StateInfo, Bytes(7, std::byte{2}));
    for (const std::size_t most : {1U, 2U, 3U, 7U, 8U, 9U, 500U, 1007U, 1008U, 5000U}) {
        FrameReader reader;
        reader.admit();
        ByteView stream(bytes);
        std::vector<std::pair<FrameType, Bytes>> frames;
        while (true) {
            const auto frame = reader.next();
            ASSERT_TRUE(frame.has_value());
            if (frame->has_value()) {
                const auto& payload = (*frame)->payload;
                frames.emplace_back((*frame)->type, Bytes(payload.begin(), payload.end()));
            } else if (stream.empty()) {
                break;
            } else {
                read(reader, stream, most);
            }
        }
        const std::vector<std::pair<FrameType, Bytes>> expected = {
            {FrameType::Exchange, Bytes(1000, std::byte{1})},
            {FrameType::Ping, {}},
            {FrameType::Pong, {}},
            {FrameType::StateInfo, Bytes(7, std::byte{2})}};
        EXPECT_EQ(frames, expected) << most;
    }
}

TEST(FrameReader, PutsAPayloadWhereItsFrameIsRead) {
    FrameReader reader;
    reader.admit();
    Bytes bytes;
    append(bytes, FrameType::Exchange, Bytes(1000, std::byte{1}));
    ByteView stream(bytes);
    read(reader, stream, kFrameHeaderSize);
    ASSERT_FALSE(reader.next()->has_value());
    EXPECT_EQ(reader.payload_size(), 1000U);
    const auto* memory = reader.room()[0].data();
    read(reader, stream, 400);
    EXPECT_EQ(reader.missing(), 600U);
    EXPECT_EQ(reader.room()[0].data(), memory + 400);
    read(reader, stream, 600);
    const auto frame = reader.next();
    ASSERT_TRUE(frame->has_value());
    EXPECT_EQ((*frame)->payload.data(), memory);
    EXPECT_EQ(reader.missing(), 0U);
}

TEST(FrameReader, GivesAStrangerNoMoreMemoryThanAGreetingNeeds) {
    const auto large = static_cast<std::uint32_t>(frame_limit(FrameType::Hello) + 1);
    const auto header = encode_frame_header({large, FrameType::Exchange, kFrameVersion});
    FrameReader stranger;
    ByteView stream(header);
    read(stranger, stream, header.size());
    EXPECT_EQ(stranger.next().error().code, FaultCode::BadFormat);
    EXPECT_EQ(stranger.payload_size(), 0U);

    FrameReader partner;
    partner.admit();
    stream = ByteView(header);
    read(partner, stream, header.size());
    EXPECT_TRUE(partner.next().has_value());
    EXPECT_EQ(partner.payload_size(), large);
}

TEST(FrameReader, RefusesALengthAboveItsTypesLimit) {
    const auto large = static_cast<std::uint32_t>(frame_limit(FrameType::Ping) + 1);
    const auto header = encode_frame_header({large, FrameType::Ping, kFrameVersion});
    FrameReader reader;
    reader.admit();
    ByteView stream(header);
    read(reader, stream, header.size());
    EXPECT_EQ(reader.next().error().code, FaultCode::Oversized);
}

}  // namespace
}  // namespace starling::peer
