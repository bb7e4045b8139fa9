// Goal: what a process sends in a network of its own comes out of the device as a packet, and nothing of
// the network is left when its descriptors are closed.
// Method: real namespaces. Where the machine does not let us make any, the tests skip and say why.

#include "peer/machine/net_space.hpp"

#include <array>
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <filesystem>
#include <gtest/gtest.h>
#include <poll.h>
#include <span>
#include <string>
#include <unistd.h>

#include "peer/machine/process.hpp"

namespace starling::peer {
namespace {

constexpr std::uint32_t kAddress = (10U << 24U) | (77U << 16U) | 1U;

Result<NetSpace> make_space() {
    if (::geteuid() != 0) return fail(FaultCode::Refused, "this needs root");
    NetSpaceOptions options;
    options.address = kAddress;
    return NetSpace::make(options);
}

/// Runs a shell command in the network and returns its exit code.
int run_inside(const NetSpace& network, const std::string& command) {
    int code = -1;
    boost::asio::io_context io;
    ProcessOptions options{"/bin/bash", {"-c", command}, {}, network.space()};
    ProcessEvents events{
        [](std::string_view) {},
        [](std::string_view) {},
        [&](ProcessExit how) { code = how.code; }};
    const auto process = Process::spawn(io, options, std::move(events));
    EXPECT_TRUE(process.has_value());
    io.run();
    return code;
}

/// Returns the first UDP packet to 10.77.0.2, without its headers. The kernel also asks for routers.
std::string next_datagram(const NetSpace& network) {
    constexpr std::size_t kHeaders = 28;
    std::array<char, 2048> bytes{};
    pollfd device{network.device(), POLLIN, 0};
    while (::poll(&device, 1, 10'000) == 1) {
        const auto size = ::read(network.device(), bytes.data(), bytes.size());
        if (size < static_cast<ssize_t>(kHeaders) || bytes[0] != 0x45 || bytes[9] != 17) continue;
        EXPECT_EQ(bytes[19], 2);
        return {bytes.data() + kHeaders, static_cast<std::size_t>(size) - kHeaders};
    }
    return "nothing came";
}

TEST(NetSpace, WhatAProcessSendsComesOutOfTheDevice) {
    const auto network = make_space();
    if (!network) GTEST_SKIP() << network.error().message;
    EXPECT_EQ(run_inside(*network, "echo -n hello > /dev/udp/10.77.0.2/7300"), 0);
    EXPECT_EQ(next_datagram(*network), "hello");
}

TEST(NetSpace, ItCanHaveAnotherAddress) {
    auto network = make_space();
    if (!network) GTEST_SKIP() << network.error().message;
    NetSpaceOptions options;
    options.address = kAddress | 1U << 15U;
    ASSERT_TRUE(network->set_address(options).has_value());
    EXPECT_EQ(run_inside(*network, "grep -q 10.77.128.1 /proc/net/fib_trie"), 0);
    EXPECT_NE(run_inside(*network, "grep -q 10.77.0.1 /proc/net/fib_trie"), 0);
    EXPECT_EQ(run_inside(*network, "echo -n hello > /dev/udp/10.77.0.2/7300"), 0);
    EXPECT_EQ(next_datagram(*network), "hello");
}

TEST(NetSpace, ItHasLoopbackAndNoWayToTheOutside) {
    const auto network = make_space();
    if (!network) GTEST_SKIP() << network.error().message;
    EXPECT_EQ(run_inside(*network, "echo -n x > /dev/udp/127.0.0.1/9"), 0);
    EXPECT_NE(run_inside(*network, "echo -n x > /dev/udp/192.0.2.1/9"), 0);
    EXPECT_EQ(run_inside(*network, "[ $(grep -c : /proc/self/net/dev) = 2 ]"), 0);
}

TEST(NetSpace, OursStaysAsItWas) {
    const auto name = [] { return std::filesystem::read_symlink("/proc/thread-self/ns/net"); };
    const auto before = name();
    const auto network = make_space();
    if (!network) GTEST_SKIP() << network.error().message;
    EXPECT_EQ(name(), before);
    const auto inside =
        std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(network->space()));
    EXPECT_NE(inside, before);
}

}  // namespace
}  // namespace starling::peer
