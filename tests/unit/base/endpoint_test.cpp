// Goal: addresses survive a round trip through text and bad text is refused. Method: tables.

#include "base/endpoint.hpp"

#include <gtest/gtest.h>

namespace starling {
namespace {

TEST(Endpoint, TextSurvivesARoundTrip) {
    for (const char* text :
         {"127.0.0.1:7000", "0.0.0.0:0", "255.255.255.255:65535", "[::1]:7", "[2001:db8::1]:443"}) {
        const auto endpoint = Endpoint::parse(text);
        ASSERT_TRUE(endpoint.has_value()) << text;
        EXPECT_EQ(endpoint->to_string(), text);
    }
}

TEST(Endpoint, BadTextIsRefusedWithAHint) {
    for (const char* text :
         {"",
          "localhost",
          "1.2.3.4",
          "1.2.3.4:",
          "1.2.3.4:65536",
          "1.2.3:4",
          "::1:7",
          "[::1]",
          "1.2.3.4:7x",
          "[1.2.3.4]:5"}) {
        const auto endpoint = Endpoint::parse(text);
        ASSERT_FALSE(endpoint.has_value()) << text;
        EXPECT_NE(endpoint.error().message.find("127.0.0.1:7000"), std::string::npos);
    }
}

TEST(Endpoint, KnowsLoopbackAndUnspecified) {
    EXPECT_TRUE(Endpoint::v4(0x7f000005, 1).is_loopback());
    EXPECT_TRUE(Endpoint::parse("[::1]:1")->is_loopback());
    EXPECT_FALSE(Endpoint::v4(0x0a000001, 1).is_loopback());
    EXPECT_TRUE(Endpoint::v4(0, 1).is_unspecified());
    EXPECT_TRUE(Endpoint::parse("[::]:1")->is_unspecified());
    EXPECT_FALSE(Endpoint::v4(1, 1).is_unspecified());
}

}  // namespace
}  // namespace starling
