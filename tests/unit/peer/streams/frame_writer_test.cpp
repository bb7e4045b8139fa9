// Goal: frames leave whole and in order however little a socket takes at once, and their memory
// comes back as soon as they are written. Method: the test plays the socket.

#include "peer/streams/frame_writer.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <numeric>

namespace starling::peer {
namespace {

std::size_t size_of(const std::vector<ByteView>& views) {
    return std::accumulate(views.begin(), views.end(), std::size_t{0}, [](auto sum, auto view) {
        return sum + view.size();
    });
}

/// Takes up to `most` of the bytes that are to be written next.
void write(FrameWriter& writer, std::size_t most, Bytes& out) {
    std::size_t taken = 0;
    for (const auto view : writer.next()) {
        const auto piece = view.first(std::min(most - taken, view.size()));
        out.insert(out.end(), piece.begin(), piece.end());
        taken += piece.size();
    }
    writer.written(taken);
}

TEST(FrameWriter, WritesFramesInOrderHoweverLittleIsTakenAtOnce) {
    for (const std::size_t most : {1U, 5U, 8U, 13U, 100U, 10'000U}) {
        FrameWriter writer;
        Bytes expected;
        for (std::uint8_t i = 0; i < 40; ++i) {
            const Bytes payload(i * 7U, std::byte{i});
            const auto header = encode_frame_header(
                {static_cast<std::uint32_t>(payload.size()), FrameType::Exchange, kFrameVersion}
            );
            expected.insert(expected.end(), header.begin(), header.end());
            expected.insert(expected.end(), payload.begin(), payload.end());
            writer.put(FrameType::Exchange, payload);
        }
        EXPECT_EQ(writer.queued_bytes(), expected.size());
        Bytes out;
        std::size_t sent = 0;
        while (!writer.next().empty()) {
            write(writer, most, out);
            while (const auto frame = writer.poll_written()) {
                EXPECT_EQ(frame->payload, Bytes(sent * 7, static_cast<std::byte>(sent)));
                ++sent;
            }
        }
        EXPECT_EQ(out, expected) << most;
        EXPECT_EQ(sent, 40U);
        EXPECT_EQ(writer.queued_bytes(), 0U);
    }
}

TEST(FrameWriter, HandsAPayloadsMemoryBackWithoutACopy) {
    FrameWriter writer;
    Bytes payload(100'000);
    const auto* memory = payload.data();
    writer.put(FrameType::Exchange, std::move(payload));
    ASSERT_EQ(writer.next().size(), 2U);
    EXPECT_EQ(writer.next()[1].data(), memory);
    writer.written(kFrameHeaderSize + 99'999);
    EXPECT_FALSE(writer.poll_written()) << "a byte is missing";
    writer.written(1);
    const auto frame = writer.poll_written();
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->payload.data(), memory);
}

TEST(FrameWriter, OneWriteTakesSixteenFramesAtMost) {
    FrameWriter writer;
    for (int i = 0; i < 20; ++i) writer.put(FrameType::Ping, {});
    EXPECT_EQ(size_of(writer.next()), 16 * kFrameHeaderSize);
}

TEST(FrameWriter, DroppingKeepsWhatAWriteInFlightReads) {
    FrameWriter writer;
    writer.put(FrameType::Exchange, Bytes(10, std::byte{1}));
    const auto before = writer.next();
    writer.put(FrameType::Exchange, Bytes(10, std::byte{2}));
    writer.drop();
    const auto after = writer.next();
    ASSERT_EQ(after.size(), before.size());
    for (std::size_t i = 0; i < before.size(); ++i) EXPECT_EQ(after[i].data(), before[i].data());
}

TEST(FrameWriter, APacedStreamLeavesInPackets) {
    FrameWriter writer;
    writer.put(FrameType::Exchange, Bytes(100'000));
    EXPECT_GT(size_of(writer.next()), StreamPace::kPacket);
    // A link of 1 MB/s that is busy all the time, looked at until a limit is set.
    Instant now{std::chrono::seconds(10)};
    TcpFacts facts;
    facts.round_trip = facts.smoothed = std::chrono::milliseconds(20);
    std::optional<double> limit;
    for (int i = 0; i < 1000 && !limit; ++i) {
        now += std::chrono::milliseconds(10);
        facts.acknowledged += 10'000;
        facts.busy += std::chrono::milliseconds(10);
        if (writer.pace_due(now)) limit = writer.heard(now, facts);
    }
    ASSERT_TRUE(limit);
    EXPECT_GT(*limit, 1e6);
    EXPECT_EQ(size_of(writer.next()), StreamPace::kPacket);
}

}  // namespace
}  // namespace starling::peer
