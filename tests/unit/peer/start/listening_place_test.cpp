// Goal: a peer does not announce an address of loopback to other machines. Method: a table of
// addresses; routes are those of the machine that runs the test, which needs none to the outside.

#include "peer/start/listening_place.hpp"

#include <gtest/gtest.h>

#include "peer/machine/resolve.hpp"

namespace starling::peer {
namespace {

Endpoint at(const char* text) {
    return *Endpoint::parse(text);
}

TEST(ListeningPlace, WhatIsNotLoopbackStaysAsTheUserWantsIt) {
    const auto place = listening_place(at("10.0.0.1:7300"), {at("10.0.0.2:7300")});
    EXPECT_EQ(place.at, at("10.0.0.1:7300"));
    EXPECT_FALSE(place.because);
}

TEST(ListeningPlace, AmongPeersOfOneMachineLoopbackIsRight) {
    const auto place = listening_place(at("127.0.0.1:0"), {at("127.0.0.1:1"), at("[::1]:1")});
    EXPECT_EQ(place.at, at("127.0.0.1:0"));
}

TEST(ListeningPlace, APeerOnAnotherMachineMovesUs) {
    const auto other = at("192.0.2.7:7300");  // an address that nobody has (RFC 5737)
    const auto local = local_address_towards(other);
    if (!local || local->is_loopback()) GTEST_SKIP() << "no route to the outside here";
    Endpoint expected = *local;
    expected.port = 7301;
    const auto place = listening_place(at("127.0.0.1:7301"), {at("127.0.0.1:1"), other});
    EXPECT_EQ(place.at, expected);
    EXPECT_EQ(place.because, other);
    EXPECT_EQ(outward_address(7301, {at("127.0.0.1:1")}), expected);
    EXPECT_EQ(outward_address(7301, {other}), expected);
}

}  // namespace
}  // namespace starling::peer
