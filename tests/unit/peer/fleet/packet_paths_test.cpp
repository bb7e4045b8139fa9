// Goal: each packet arrives when and where its links say, or not at all, and memory stays bounded.
// Method: made-up IPv4 packets and a made-up time.

#include "peer/fleet/packet_paths.hpp"

#include <gtest/gtest.h>
#include <string>
#include <utility>
#include <vector>

namespace starling::peer {
namespace {

using namespace std::chrono_literals;
using scenario::Barrier;
using scenario::LinkFaults;

enum Protocol : unsigned char { Icmp = 1, Tcp = 6, Udp = 17 };

PacketPaths::Packet packet(
    std::uint32_t to, Protocol protocol = Udp, std::size_t size = 100, unsigned char mark = 0
) {
    PacketPaths::Packet bytes(size);
    bytes[0] = std::byte{0x45};
    bytes[9] = std::byte{protocol};
    for (unsigned i = 0; i < 4; ++i) {
        bytes[16 + i] = static_cast<std::byte>((kLinksNet + to) >> (24 - 8 * i));
    }
    bytes[size - 1] = std::byte{mark};
    return bytes;
}

/// Three peers. Time is what a test says.
struct Net {
    PacketPaths paths{3, 7};
    Instant start{};
    std::vector<std::pair<std::size_t, unsigned char>> arrived;  ///< to whom, and the last byte

    void send(std::size_t from, const PacketPaths::Packet& bytes, Duration at = 0ms) {
        paths.take(start + at, from, bytes);
    }

    std::size_t by(Duration at) {
        paths.deliver(start + at, [this](std::size_t to, std::span<const std::byte> bytes) {
            arrived.emplace_back(to, std::to_integer<unsigned char>(bytes.back()));
        });
        return std::exchange(arrived, {}).size();
    }

    bool passes(std::size_t from, std::uint32_t to, Protocol protocol) {
        send(from, packet(to, protocol));
        return by(0ms) == 1;
    }
};

TEST(PacketPaths, WithoutFaultsAPacketArrivesAtOnceWhereItShould) {
    Net net;
    net.send(1, packet(3, Tcp, 100, 42));
    net.paths.deliver(net.start, [](std::size_t to, std::span<const std::byte> bytes) {
        EXPECT_EQ(to, 3U);
        EXPECT_EQ(bytes.back(), std::byte{42});
    });
    EXPECT_FALSE(net.paths.next().has_value());
}

TEST(PacketPaths, WhatIsForNobodyOrIsNoPacketIsLost) {
    Net net;
    net.send(1, packet(4));
    net.send(1, packet(0));
    net.send(1, packet(0xff00));
    auto other = packet(2);
    other[16] = std::byte{11};
    net.send(1, other);
    net.send(1, {});
    net.send(1, PacketPaths::Packet(19, std::byte{0x45}));
    net.send(1, PacketPaths::Packet(60, std::byte{0x60}));  // version 6
    EXPECT_EQ(net.by(1s), 0U);
}

TEST(PacketPaths, BarriersStopWhatTheyStopInOneDirection) {
    Net net;
    LinkFaults faults;
    faults.barriers = {
        {{1}, {1, 2}, Barrier::What::Everything},
        {{2}, {3}, Barrier::What::Datagrams},
        {{3}, {2}, Barrier::What::Streams}};
    net.paths.set(faults);
    EXPECT_FALSE(net.passes(1, 2, Udp));
    EXPECT_FALSE(net.passes(1, 2, Icmp));
    EXPECT_TRUE(net.passes(2, 1, Tcp));
    EXPECT_FALSE(net.passes(2, 3, Udp));
    EXPECT_TRUE(net.passes(2, 3, Tcp));
    EXPECT_TRUE(net.passes(3, 2, Udp));
    EXPECT_FALSE(net.passes(3, 2, Tcp));
    net.paths.set({});
    EXPECT_TRUE(net.passes(1, 2, Udp));
}

TEST(PacketPaths, ABarrierAlsoStopsWhatIsOnItsWay) {
    Net net;
    LinkFaults faults;
    faults.delay = 50ms;
    net.paths.set(faults);
    net.send(1, packet(2));
    faults.barriers = {{{1}, {2}, Barrier::What::Everything}};
    net.paths.set(faults);
    EXPECT_EQ(net.by(1s), 0U);
}

TEST(PacketPaths, ADarkMachineIsSilent) {
    Net net;
    net.paths.set_dark(2, true);
    EXPECT_FALSE(net.passes(1, 2, Tcp));
    EXPECT_FALSE(net.passes(2, 1, Tcp));
    EXPECT_TRUE(net.passes(1, 3, Tcp));
    net.paths.set_dark(2, false);
    EXPECT_TRUE(net.passes(2, 1, Tcp));
}

TEST(PacketPaths, DelayIsExactAndJitterNeitherReordersNorExceeds) {
    Net net;
    LinkFaults faults;
    faults.delay = 10ms;
    net.paths.set(faults);
    net.send(1, packet(2));
    EXPECT_EQ(net.paths.next(), net.start + 10ms);
    EXPECT_EQ(net.by(10ms - 1ns), 0U);
    EXPECT_EQ(net.by(10ms), 1U);
    faults.jitter = 20ms;
    net.paths.set(faults);
    for (unsigned char i = 0; i < 100; ++i) net.send(1, packet(2, Udp, 100, i), 20ms);
    unsigned char expected = 0;
    net.paths.deliver(net.start + 50ms, [&](std::size_t, std::span<const std::byte> bytes) {
        EXPECT_EQ(std::to_integer<unsigned char>(bytes.back()), expected++);
    });
    EXPECT_EQ(expected, 100U);
}

TEST(PacketPaths, ARateLetsSoManyBytesPassAndTheQueueIsBounded) {
    Net net;
    LinkFaults faults;
    faults.rate = 1e6;  // bytes a second; 400 ms are 400 packets of 1,000 bytes
    net.paths.set(faults);
    for (int i = 0; i < 1000; ++i) net.send(1, packet(2, Udp, 1000));
    const auto soon = net.by(100ms);
    EXPECT_EQ(soon, 100U);
    const auto all = soon + net.by(10s);
    EXPECT_NEAR(static_cast<double>(all), 400.0, 2.0);
    net.send(1, packet(2, Udp, 1000), 10s);  // the queue is empty again
    EXPECT_EQ(net.by(10s + 1ms), 1U);
}

TEST(PacketPaths, LinksOfSomePeersDifferFromTheOthers) {
    Net net;
    LinkFaults faults;
    faults.delay = 10ms;
    scenario::LinkPart own{{2}, {}, {}};
    own.values.delay = 30ms;
    scenario::LinkPart one_way{{1}, {3}, {}};
    one_way.values.loss = 1.0;
    faults.parts = {own, one_way};
    net.paths.set(faults);
    EXPECT_FALSE(net.passes(1, 3, Udp));
    net.send(3, packet(1));
    net.send(1, packet(2));
    net.send(2, packet(3));
    EXPECT_EQ(net.by(10ms), 1U);
    EXPECT_EQ(net.by(30ms), 2U);
}

TEST(PacketPaths, ARateOfOnePeerIsOfAllThatItSendsAndOfAllThatItGets) {
    Net net;
    LinkFaults faults;
    scenario::LinkPart own{{2}, {}, {}};
    own.values.rate = 1e6;
    faults.parts = {own};
    net.paths.set(faults);
    for (int i = 0; i < 150; ++i) {
        net.send(1, packet(2, Udp, 1000));
        net.send(3, packet(2, Udp, 1000));
        net.send(1, packet(3, Udp, 1000));
    }
    EXPECT_EQ(net.by(0ms), 150U);  // between the others
    EXPECT_EQ(net.by(100ms), 100U);
    net.by(1s);
    for (int i = 0; i < 150; ++i) {
        net.send(2, packet(1, Udp, 1000), 1s);
        net.send(2, packet(3, Udp, 1000), 1s);
    }
    EXPECT_EQ(net.by(1100ms), 100U);
}

TEST(PacketPaths, APeerThatHasMovedIsReachedAtItsNewAddress) {
    Net net;
    net.send(1, packet(2 | kMovedBit));
    EXPECT_EQ(net.by(0ms), 1U);
}

TEST(PacketPaths, SharesOfLossAndDuplicatesAreThoseThatWereAsked) {
    Net net;
    LinkFaults faults;
    faults.loss = 0.2;
    net.paths.set(faults);
    for (int i = 0; i < 10'000; ++i) net.send(1, packet(2));
    EXPECT_NEAR(static_cast<double>(net.by(1s)), 8000.0, 200.0);
    faults.loss.reset();
    faults.duplicate = 0.1;
    net.paths.set(faults);
    for (int i = 0; i < 10'000; ++i) net.send(1, packet(2));
    EXPECT_NEAR(static_cast<double>(net.by(1s)), 11'000.0, 200.0);
}

TEST(PacketPaths, SomeAreOvertakenAndNoneIsLost) {
    Net net;
    LinkFaults faults;
    faults.reorder = 0.1;
    net.paths.set(faults);
    for (int i = 0; i < 1000; ++i) net.send(1, packet(2));
    const auto at_once = net.by(0ms);
    EXPECT_NEAR(static_cast<double>(at_once), 900.0, 50.0);
    EXPECT_EQ(at_once + net.by(PacketPaths::kHeldBack), 1000U);
}

TEST(PacketPaths, LargePacketsAreLostAboveTheMtu) {
    Net net;
    LinkFaults faults;
    faults.mtu = 1280;
    net.paths.set(faults);
    net.send(1, packet(2, Udp, 1280));
    net.send(1, packet(2, Udp, 1281));
    EXPECT_EQ(net.by(1s), 1U);
}

TEST(PacketPaths, BytesOnTheirWayAreBounded) {
    Net net;
    LinkFaults faults;
    faults.delay = 1h;
    net.paths.set(faults);
    constexpr std::size_t kSize = 65'535;
    const auto large = packet(2, Udp, kSize);
    for (std::size_t i = 0; i < 2 * (PacketPaths::kBytesMax / kSize); ++i) net.send(1, large);
    EXPECT_EQ(net.by(2h), PacketPaths::kBytesMax / kSize);
}

TEST(PacketPaths, TheSameSeedLosesTheSamePackets) {
    const auto lost = [] {
        Net net;
        LinkFaults faults;
        faults.loss = 0.5;
        net.paths.set(faults);
        std::string passed;
        for (int i = 0; i < 64; ++i) passed += net.passes(1, 2, Udp) ? '1' : '0';
        return passed;
    };
    EXPECT_EQ(lost(), lost());
}

}  // namespace
}  // namespace starling::peer
