// Goal: a peer does not announce an address of loopback to other machines. Method: a table of
// addresses; routes are those of the machine that runs the test, which needs none to the outside.

#include "peer/start/listening_place.hpp"

#include <gtest/gtest.h>

#include "peer/machine/resolve.hpp"
#include "peer/terms/config.hpp"

namespace starling::peer {
namespace {

Endpoint at(const char* text) {
    return *Endpoint::parse(text);
}

TEST(ListeningPlace, WhatIsNotLoopbackStaysAsTheUserWantsIt) {
    const auto place = listening_place(at("10.0.0.1:7300"), {at("10.0.0.2:7300")}, true);
    ASSERT_TRUE(place.has_value());
    EXPECT_EQ(place->at, at("10.0.0.1:7300"));
    EXPECT_FALSE(place->because);
}

TEST(ListeningPlace, AmongPeersOfOneMachineLoopbackIsRight) {
    const auto place =
        listening_place(at("127.0.0.1:0"), {at("127.0.0.1:1"), at("[::1]:1")}, false);
    ASSERT_TRUE(place.has_value());
    EXPECT_EQ(place->at, at("127.0.0.1:0"));
}

TEST(ListeningPlace, APeerOnAnotherMachineMovesUsOrIsTheReasonOfARefusal) {
    const auto other = at("192.0.2.7:7300");  // an address that nobody has (RFC 5737)
    const auto local = local_address_towards(other);
    if (!local || local->is_loopback()) GTEST_SKIP() << "no route to the outside here";
    Endpoint expected = *local;
    expected.port = 7301;
    const auto place = listening_place(at("127.0.0.1:7301"), {at("127.0.0.1:1"), other}, true);
    ASSERT_TRUE(place.has_value());
    EXPECT_EQ(place->at, expected);
    EXPECT_EQ(place->because, other);
    const auto careful = listening_place(at("127.0.0.1:7301"), {other}, false);
    if (check_exposure(expected, false).has_value()) {
        ASSERT_TRUE(careful.has_value()) << "a network namespace of its own";
        return;
    }
    ASSERT_TRUE(careful.has_error());
    EXPECT_EQ(careful.error().code, FaultCode::Refused);
    const auto& message = careful.error().message;
    EXPECT_NE(message.find("--listen " + expected.to_string() + " --insecure"), std::string::npos)
        << message;
}

}  // namespace
}  // namespace starling::peer
