// Goal: an address is understood as people write it or refused with the text that they wrote.
// Method: a table of literals, names of this machine, and mistakes. No row asks a name server: a
// mistake is found before the look-up, and the names are in /etc/hosts or, by RFC 6761, nowhere.

#include "peer/machine/resolve.hpp"

#include <gtest/gtest.h>
#include <memory>
#include <optional>
#include <sys/resource.h>

#include "peer/machine/loop.hpp"

namespace starling::peer {
namespace {

using namespace std::chrono_literals;
using Found = Result<std::vector<Endpoint>>;

/// Looks an address up on a loop and returns the answer when the loop has brought it.
Found resolve_on(Loop& loop, const std::string& text) {
    std::optional<Found> answer;
    resolve_later(loop, text, [&answer](Found found) { answer = std::move(found); });
    EXPECT_FALSE(answer.has_value()) << text << ": the answer came inside the call";
    loop.run_until([&answer] { return answer.has_value(); });
    return *answer;
}

TEST(Resolve, LiteralsAreTakenAsTheyAreByBothWays) {
    Loop loop;
    for (const char* text :
         {"127.0.0.1:7000",
          "127.0.0.1:0",
          "0.0.0.0:65535",
          "10.1.2.3:1",
          "[::1]:7000",
          "[::]:0",
          "[2001:db8::7]:65535"}) {
        const std::vector<Endpoint> expected{*Endpoint::parse(text)};
        const auto now = resolve(text);
        ASSERT_TRUE(now.has_value()) << now.error().message;
        EXPECT_EQ(*now, expected);
        const auto later = resolve_on(loop, text);
        ASSERT_TRUE(later.has_value()) << later.error().message;
        EXPECT_EQ(*later, expected);
    }
}

TEST(Resolve, MistakesAreRefusedAndQuotedByBothWays) {
    Loop loop;
    for (const char* text :
         {"",
          ":",
          ":7000",
          "nowhere",
          "127.0.0.1",
          "127.0.0.1:",
          "localhost:",
          "localhost:65536",
          "localhost:-1",
          "localhost:+1",
          "localhost:http",
          "localhost:80x",
          "localhost: 80",
          "localhost:0x50",
          "127.0.0.1:65536",
          "127.0.0.1:99999999999999999999",
          "[::1]:",
          "[::1]",
          "[::1]:65536",
          "::1"}) {
        for (const auto& found : {resolve(text), resolve_on(loop, text)}) {
            ASSERT_TRUE(found.has_error()) << text;
            EXPECT_EQ(found.error().code, FaultCode::BadFormat) << found.error().message;
            const auto& message = found.error().message;
            EXPECT_EQ(message.rfind("'" + std::string(text) + "' is not", 0), 0U) << message;
            EXPECT_NE(message.find("HOST:PORT"), std::string::npos) << message;
        }
    }
}

TEST(Resolve, LocalhostIsThisMachineByBothWays) {
    Loop loop;
    for (const auto& found : {resolve("localhost:7000"), resolve_on(loop, "localhost:7000")}) {
        ASSERT_TRUE(found.has_value()) << found.error().message;
        ASSERT_FALSE(found->empty());
        for (const auto& endpoint : *found) {
            EXPECT_TRUE(endpoint.is_loopback()) << endpoint.to_string();
            EXPECT_EQ(endpoint.port, 7000);
        }
    }
}

TEST(Resolve, ANameMayHaveAnyPortWhereALiteralMay) {
    const auto found = resolve("localhost:0");
    ASSERT_TRUE(found.has_value()) << found.error().message;
    EXPECT_EQ(found->front().port, 0);
}

TEST(Resolve, AnswersOfManyQuestionsComeOnceEach) {
    Loop loop;
    std::size_t good = 0;
    std::size_t bad = 0;
    for (int i = 0; i < 20; ++i) {
        const std::string text = i % 2 == 0 ? "localhost:7000" : "localhost:none";
        resolve_later(loop, text, [&](const Found& found) { ++(found.has_value() ? good : bad); });
    }
    loop.run_until([&] { return good + bad == 20; });
    EXPECT_EQ(good, 10U);
    EXPECT_EQ(bad, 10U);
}

TEST(Resolve, WhoeverWaitsOnTheLoopGetsTheFirstAddressOrTheMistake) {
    Loop loop;
    EXPECT_EQ(*resolve_within(loop, "127.0.0.1:7000", 10s), *Endpoint::parse("127.0.0.1:7000"));
    EXPECT_TRUE(resolve_within(loop, "localhost:7000", 10s)->is_loopback());
    EXPECT_EQ(resolve_within(loop, "localhost:none", 10s).error().code, FaultCode::BadFormat);
    EXPECT_EQ(
        resolve_within(loop, "no-such-host.invalid:1", 10s).error().code, FaultCode::Unreachable
    );
}

TEST(Resolve, WhoeverWaitsHearsWhatElseHappensOnTheLoop) {
    Loop loop;
    loop.post([&loop] { loop.stop(); });
    const auto found = resolve_within(loop, "localhost:7000", 10s);
    ASSERT_TRUE(found.has_error());
    EXPECT_EQ(found.error().code, FaultCode::Cancelled);
}

TEST(Resolve, AQuestionThatNobodyWaitsForIsDroppedWithItsLoop) {
    auto token = std::make_shared<int>(0);
    {
        Loop loop;
        resolve_later(loop, "localhost:7000", [token](const Found&) { ++*token; });
        resolve_later(loop, "127.0.0.1:7000", [token](const Found&) { ++*token; });
    }
    EXPECT_EQ(*token, 0);
    EXPECT_EQ(token.use_count(), 1);
}

TEST(Resolve, TheLocalAddressTowardsThisMachineIsItsOwn) {
    EXPECT_EQ(
        local_address_towards(*Endpoint::parse("127.0.0.1:7000")), *Endpoint::parse("127.0.0.1:0")
    );
    EXPECT_EQ(local_address_towards(*Endpoint::parse("255.255.255.255:1")), std::nullopt)
        << "no route";
}

/// A look-up runs on a thread of its own, where an exception would end the process.
TEST(Resolve, WithoutADescriptorItFailsAndThrowsNothing) {
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    const rlimit none{0, before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
    Result<std::vector<Endpoint>> found = std::vector<Endpoint>{};
    std::optional<Endpoint> here;
    EXPECT_NO_THROW(found = resolve("localhost:80"));
    EXPECT_NO_THROW(here = local_address_towards(Endpoint::v4(0x7f000001, 80)));
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    ASSERT_TRUE(found.has_error());
    EXPECT_EQ(found.error().code, FaultCode::Unreachable);
    EXPECT_FALSE(here.has_value());
}

}  // namespace
}  // namespace starling::peer
