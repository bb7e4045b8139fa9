// Goal: streams that exist are broken, those that come later pass, and a reset is what the kernel of the sender
// believes. Method: made-up packets; and the checksums of the answer by another computation.

#include "peer/fleet/broken_streams.hpp"

#include <gtest/gtest.h>
#include <vector>

namespace starling::peer {
namespace {

using How = BrokenStreams::How;
using Verdict = BrokenStreams::Verdict;
using Bytes = std::vector<std::byte>;

constexpr unsigned kSyn = 2;
constexpr unsigned kRst = 4;
constexpr unsigned kAck = 16;

void put(Bytes& bytes, std::size_t at, std::size_t size, std::uint32_t value) {
    for (std::size_t i = 0; i < size; ++i) {
        bytes[at + i] = static_cast<std::byte>(value >> 8U * (size - 1 - i));
    }
}

std::uint32_t get(const Bytes& bytes, std::size_t at, std::size_t size) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < size; ++i) {
        value = value << 8U | std::to_integer<std::uint32_t>(bytes[at + i]);
    }
    return value;
}

/// From 10.77.0.1 to 10.77.0.2, or back.
Bytes packet(unsigned flags, std::uint32_t port = 40'000, bool back = false, std::size_t data = 0) {
    Bytes bytes(40 + data);
    put(bytes, 0, 1, 0x45);
    put(bytes, 2, 2, static_cast<std::uint32_t>(bytes.size()));
    put(bytes, 9, 1, 6);
    put(bytes, 12, 4, 0x0A4D0001U + (back ? 1 : 0));
    put(bytes, 16, 4, 0x0A4D0001U + (back ? 0 : 1));
    put(bytes, 20, 2, back ? 7300 : port);
    put(bytes, 22, 2, back ? port : 7300);
    put(bytes, 24, 4, 1000);
    put(bytes, 28, 4, 0xFFFFFFFEU);
    put(bytes, 32, 1, 5U << 4U);
    put(bytes, 33, 1, flags);
    return bytes;
}

TEST(BrokenStreams, OldOnesAreBrokenAndNewOnesPass) {
    BrokenStreams streams;
    EXPECT_EQ(streams.judge(packet(kAck)), Verdict::Pass);
    streams.begin(How::Reset);
    EXPECT_EQ(streams.judge(packet(kAck)), Verdict::Answer);
    EXPECT_EQ(streams.judge(packet(kAck, 40'000, true)), Verdict::Answer);
    EXPECT_EQ(streams.judge(packet(kSyn, 50'000)), Verdict::Pass);
    EXPECT_EQ(streams.judge(packet(kSyn | kAck, 50'000, true)), Verdict::Pass);
    EXPECT_EQ(streams.judge(packet(kAck, 50'000)), Verdict::Pass);
    EXPECT_EQ(streams.judge(packet(kAck)), Verdict::Answer);
    streams.begin(How::HalfOpen);
    EXPECT_EQ(streams.judge(packet(kAck, 50'000)), Verdict::Lose);
}

TEST(BrokenStreams, WhatIsNoStreamPasses) {
    BrokenStreams streams;
    streams.begin(How::Reset);
    auto udp = packet(kAck);
    put(udp, 9, 1, 17);
    EXPECT_EQ(streams.judge(udp), Verdict::Pass);
    EXPECT_EQ(streams.judge({}), Verdict::Pass);
    auto lying = packet(kAck);
    put(lying, 2, 2, 41);  // longer than it is
    EXPECT_EQ(streams.judge(lying), Verdict::Pass);
    lying = packet(kAck);
    put(lying, 32, 1, 15U << 4U);  // a header beyond its end
    EXPECT_EQ(streams.judge(lying), Verdict::Pass);
    lying = packet(kAck);
    lying.resize(30);
    EXPECT_TRUE(reset_answer(lying).empty());
}

/// The sum of all words with their checksum among them, which is 0xFFFF (RFC 1071).
std::uint32_t sum(const Bytes& bytes, std::size_t begin, std::size_t end, std::uint32_t more) {
    std::uint64_t all = more;
    for (std::size_t i = begin; i < end; i += 2) all += get(bytes, i, 2);
    while (all > 0xFFFF) all = (all & 0xFFFF) + (all >> 16U);
    return static_cast<std::uint32_t>(all);
}

TEST(ResetAnswer, IsWhatTheSenderWaitsFor) {
    const auto answer = reset_answer(packet(kAck, 40'000, false, 7));
    ASSERT_EQ(answer.size(), 40U);
    EXPECT_EQ(get(answer, 12, 4), 0x0A4D0002U);
    EXPECT_EQ(get(answer, 16, 4), 0x0A4D0001U);
    EXPECT_EQ(get(answer, 20, 2), 7300U);
    EXPECT_EQ(get(answer, 22, 2), 40'000U);
    EXPECT_EQ(get(answer, 24, 4), 0xFFFFFFFEU);  // what it has acknowledged comes next
    EXPECT_EQ(get(answer, 33, 1), kRst);
    EXPECT_EQ(sum(answer, 0, 20, 0), 0xFFFFU);
    EXPECT_EQ(sum(answer, 12, 40, 6 + 20), 0xFFFFU);
}

TEST(ResetAnswer, AcknowledgesWhatItKnowsNothingOf) {
    const auto answer = reset_answer(packet(kSyn, 40'000, false, 7));
    ASSERT_EQ(answer.size(), 40U);
    EXPECT_EQ(get(answer, 28, 4), 1008U);
    EXPECT_EQ(get(answer, 33, 1), kRst | kAck);
    EXPECT_EQ(sum(answer, 12, 40, 6 + 20), 0xFFFFU);
}

TEST(ResetAnswer, NobodyAnswersAReset) {
    EXPECT_TRUE(reset_answer(packet(kRst)).empty());
}

}  // namespace
}  // namespace starling::peer
