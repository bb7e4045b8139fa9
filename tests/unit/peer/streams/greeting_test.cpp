// Goal: only peers of one swarm get past the greeting, each as who has signed it, and a guest gets no
// further than the descriptor. Method: two greetings handed to each other frame by frame.

#include "peer/streams/greeting.hpp"

#include <gtest/gtest.h>

#include "tests/support/introductions.hpp"

namespace starling::peer {
namespace {

using Step = Greeting::Step;

ChannelBinding binding(std::uint8_t n) {
    ChannelBinding made{};
    made.fill(n);
    return made;
}

/// Hands the next frame of one side to the other.
Result<Step> pass(Greeting& from, Greeting& to) {
    const auto frame = from.poll_transmit();
    EXPECT_TRUE(frame.has_value());
    return to.handle_frame(frame->type, frame->payload);
}

struct Pair {
    Pair(Introduction a, Introduction b, Admission admission = Admission::Member)
        : dialler(ChannelRole::Dialler, std::move(a), admission, binding(1)),
          acceptor(ChannelRole::Acceptor, std::move(b), admission, binding(1)) {}

    Greeting dialler;
    Greeting acceptor;
};

TEST(Greeting, OfTwoOfOneSwarmIsOverAfterOneFrameEach) {
    const auto a = new_introduction(9);
    const auto b = new_introduction(9);
    Pair pair(a, b);
    EXPECT_EQ(*pass(pair.dialler, pair.acceptor), Step::Over);
    EXPECT_EQ(*pass(pair.acceptor, pair.dialler), Step::Over);
    EXPECT_EQ(pair.acceptor.partner()->id, a.ours.id);
    EXPECT_EQ(pair.dialler.partner()->id, b.ours.id);
    EXPECT_EQ(*pair.acceptor.handle_frame(FrameType::PushPull, {}), Step::Pass);
}

TEST(Greeting, AnAcceptorSaysNothingBeforeItIsGreeted) {
    Greeting acceptor(ChannelRole::Acceptor, new_introduction(9), Admission::Member, binding(1));
    EXPECT_FALSE(acceptor.poll_transmit().has_value());
    EXPECT_TRUE(acceptor.handle_frame(FrameType::PushPull, {}).has_error());
    EXPECT_FALSE(acceptor.poll_transmit().has_value());
}

TEST(Greeting, APeerIsWhoHasSignedAndNotWhoItSaysItIs) {
    auto liar = new_introduction(9);
    const auto victim = new_introduction(9);
    liar.ours.id = victim.ours.id;
    Pair pair(liar, new_introduction(9));
    ASSERT_TRUE(pass(pair.dialler, pair.acceptor).has_value());
    EXPECT_NE(pair.acceptor.partner()->id, victim.ours.id);
}

TEST(Greeting, AHelloIsGoodForItsOwnStreamOnly) {
    Greeting dialler(ChannelRole::Dialler, new_introduction(9), Admission::Member, binding(1));
    Greeting other(ChannelRole::Acceptor, new_introduction(9), Admission::Member, binding(2));
    const auto heard = pass(dialler, other);
    ASSERT_TRUE(heard.has_error());
    EXPECT_EQ(heard.error().code, FaultCode::BadFormat);
    EXPECT_FALSE(other.poll_transmit().has_value()) << "it hears nothing of us";
}

TEST(Greeting, AHelloIsNotGoodInTheOtherDirection) {
    Greeting a(ChannelRole::Dialler, new_introduction(9), Admission::Member, binding(1));
    Greeting b(ChannelRole::Dialler, new_introduction(9), Admission::Member, binding(1));
    EXPECT_TRUE(pass(a, b).has_error());
}

TEST(Greeting, EachBitOfAHelloIsSigned) {
    Greeting dialler(ChannelRole::Dialler, new_introduction(9), Admission::Member, binding(1));
    const auto hello = dialler.poll_transmit()->payload;
    for (std::size_t i = 0; i < hello.size(); ++i) {
        Greeting acceptor(
            ChannelRole::Acceptor, new_introduction(9), Admission::Member, binding(1)
        );
        auto altered = hello;
        altered[i] ^= std::byte{4};
        EXPECT_TRUE(acceptor.handle_frame(FrameType::Hello, altered).has_error()) << i;
    }
    for (std::size_t size = 0; size < hello.size(); ++size) {
        Greeting acceptor(
            ChannelRole::Acceptor, new_introduction(9), Admission::Member, binding(1)
        );
        EXPECT_TRUE(acceptor.handle_frame(FrameType::Hello, ByteView(hello).first(size)).has_error()
        );
    }
}

TEST(Greeting, WhoNamesNoSwarmMayOnlyAskForTheDescriptor) {
    Pair pair(new_introduction(0), new_introduction(9));
    EXPECT_EQ(*pass(pair.dialler, pair.acceptor), Step::Taken);
    EXPECT_EQ(*pass(pair.acceptor, pair.dialler), Step::Over)
        << "it takes the descriptor of anybody";
    EXPECT_EQ(*pair.acceptor.handle_frame(FrameType::DescriptorRequest, {}), Step::Pass);
    const auto refused = pair.acceptor.handle_frame(FrameType::PushPull, {});
    ASSERT_TRUE(refused.has_error());
    EXPECT_EQ(refused.error().code, FaultCode::Refused);
    EXPECT_FALSE(pair.acceptor.over());
}

TEST(Greeting, WhoComesWithoutTheSwarmsKeyIsAGuestWhateverItNames) {
    Pair pair(new_introduction(9), new_introduction(9), Admission::Guest);
    EXPECT_EQ(*pass(pair.dialler, pair.acceptor), Step::Taken);
    EXPECT_TRUE(pair.acceptor.handle_frame(FrameType::Exchange, {}).has_error());
}

TEST(Greeting, ASecondHelloIsAFault) {
    Pair pair(new_introduction(9), new_introduction(9));
    const auto hello = pair.dialler.poll_transmit();
    ASSERT_TRUE(pair.acceptor.handle_frame(hello->type, hello->payload).has_value());
    const auto again = pair.acceptor.handle_frame(hello->type, hello->payload);
    ASSERT_TRUE(again.has_error());
    EXPECT_EQ(again.error().code, FaultCode::BadFormat);
}

TEST(Greeting, AnotherSwarmIsRefused) {
    Pair pair(new_introduction(9), new_introduction(8));
    const auto refused = pass(pair.dialler, pair.acceptor);
    ASSERT_TRUE(refused.has_error());
    EXPECT_EQ(refused.error().code, FaultCode::SwarmMismatch);
    EXPECT_TRUE(pair.acceptor.refused());
}

TEST(Greeting, WeAreNotOurOwnPartnerUnlessAnotherProcessIsUs) {
    auto a = new_introduction(9, 1);
    Pair same(a, a);
    EXPECT_TRUE(pass(same.dialler, same.acceptor).has_error());
    auto copy = a;
    copy.ours.process = 2;
    Pair two(a, copy);
    EXPECT_EQ(*pass(two.dialler, two.acceptor), Step::Over);
}

TEST(Greeting, OnlyTheWantedPeerWillDo) {
    const auto b = new_introduction(9);
    auto a = new_introduction(9);
    a.wanted = b.ours.id;
    Pair right(a, b);
    ASSERT_TRUE(pass(right.dialler, right.acceptor).has_value());
    EXPECT_EQ(*pass(right.acceptor, right.dialler), Step::Over);
    Pair wrong(a, new_introduction(9));
    ASSERT_TRUE(pass(wrong.dialler, wrong.acceptor).has_value());
    const auto refused = pass(wrong.acceptor, wrong.dialler);
    ASSERT_TRUE(refused.has_error());
    EXPECT_EQ(refused.error().code, FaultCode::Unreachable);
}

TEST(Greeting, TheDiallerSaysWhatTheStreamIsFor) {
    auto a = new_introduction(9);
    a.ours.kind = StreamKind::Lane;
    Pair pair(a, new_introduction(9));
    ASSERT_TRUE(pass(pair.dialler, pair.acceptor).has_value());
    EXPECT_EQ(pair.acceptor.kind(), StreamKind::Lane);
    ASSERT_TRUE(pass(pair.acceptor, pair.dialler).has_value());
    EXPECT_EQ(pair.dialler.kind(), StreamKind::Lane);
}

}  // namespace
}  // namespace starling::peer
