// Goal: only peers of one swarm that hold its key get past the greeting, and a stranger learns
// nothing. Method: two greetings handed to each other frame by frame; the key's MAC is a stand-in.

#include "peer/streams/greeting.hpp"

#include <gtest/gtest.h>

namespace starling::peer {
namespace {

using Step = Greeting::Step;

PeerId peer_id(std::uint8_t n) {
    PeerId id;
    id.bytes[0] = n;
    return id;
}

SwarmId swarm_id(std::uint8_t n) {
    SwarmId id;
    id.bytes[0] = n;
    return id;
}

/// Stands in for a MAC: depends on the key and on each byte of the text.
ProveKey key(std::uint8_t n) {
    return [n](ByteView text) {
        std::array<std::uint8_t, 32> mac{};
        std::uint32_t sum = n;
        for (std::size_t i = 0; i < text.size(); ++i) {
            sum = sum * 31 + std::to_integer<std::uint32_t>(text[i]);
            mac[i % 32] = static_cast<std::uint8_t>(mac[i % 32] ^ (sum >> 8U));
        }
        return mac;
    };
}

Introduction introduce(std::uint8_t id, std::uint8_t swarm, ProveKey prove = {}) {
    static std::uint8_t nonce = 0;
    Introduction introduction{{}, std::move(prove)};
    introduction.ours.id = peer_id(id);
    introduction.ours.swarm = swarm_id(swarm);
    introduction.ours.nonce[0] = ++nonce;
    return introduction;
}

/// Hands the next frame of one side to the other.
Result<Step> pass(Greeting& from, Greeting& to) {
    const auto frame = from.poll_transmit();
    EXPECT_TRUE(frame.has_value());
    return to.handle_frame(frame->type, frame->payload);
}

struct Pair {
    Pair(Introduction a, Introduction b)
        : dialler(StreamRole::Dialler, std::move(a)),
          acceptor(StreamRole::Acceptor, std::move(b)) {}

    Greeting dialler;
    Greeting acceptor;
};

TEST(Greeting, OfTwoThatHoldTheKeyIsOverAfterTheProof) {
    Pair pair(introduce(1, 9, key(5)), introduce(2, 9, key(5)));
    EXPECT_EQ(*pass(pair.dialler, pair.acceptor), Step::Taken);
    EXPECT_FALSE(pair.acceptor.over());
    EXPECT_EQ(*pass(pair.acceptor, pair.dialler), Step::Over);
    EXPECT_EQ(*pass(pair.dialler, pair.acceptor), Step::Over);
    EXPECT_TRUE(pair.dialler.over());
    EXPECT_TRUE(pair.acceptor.over());
    EXPECT_EQ(pair.acceptor.partner()->id, peer_id(1));
    EXPECT_EQ(*pair.acceptor.handle_frame(FrameType::Exchange, {}), Step::Pass);
}

TEST(Greeting, OfAnOpenSwarmNeedsNoProof) {
    Pair pair(introduce(1, 9), introduce(2, 9));
    EXPECT_EQ(*pass(pair.dialler, pair.acceptor), Step::Over);
    EXPECT_EQ(*pass(pair.acceptor, pair.dialler), Step::Over);
    EXPECT_FALSE(pair.dialler.poll_transmit());
}

TEST(Greeting, AnAcceptorSaysNothingBeforeItIsGreeted) {
    Greeting acceptor(StreamRole::Acceptor, introduce(2, 9, key(5)));
    EXPECT_EQ(
        acceptor.handle_frame(FrameType::DescriptorRequest, {}).error().code, FaultCode::BadFormat
    );
    EXPECT_EQ(acceptor.handle_frame(FrameType::Hello, Bytes(5)).error().code, FaultCode::Truncated);
    EXPECT_FALSE(acceptor.poll_transmit());
    EXPECT_EQ(acceptor.partner(), nullptr);
}

TEST(Greeting, ADiallerRefusesAnAcceptorWithAnotherKey) {
    Pair pair(introduce(1, 9, key(5)), introduce(2, 9, key(6)));
    ASSERT_TRUE(pass(pair.dialler, pair.acceptor).has_value());
    EXPECT_EQ(pass(pair.acceptor, pair.dialler).error().code, FaultCode::Refused);
    EXPECT_TRUE(pair.dialler.refused());
    EXPECT_FALSE(pair.dialler.poll_transmit()) << "our proof is not for everybody";
}

TEST(Greeting, AnAcceptorRefusesAWrongProof) {
    Pair pair(introduce(1, 9, key(5)), introduce(2, 9, key(5)));
    ASSERT_TRUE(pass(pair.dialler, pair.acceptor).has_value());
    EXPECT_EQ(
        pair.acceptor.handle_frame(FrameType::Proof, Bytes(32)).error().code, FaultCode::Refused
    );
    EXPECT_TRUE(pair.acceptor.refused());
    EXPECT_FALSE(pair.acceptor.over());
}

TEST(Greeting, AProofIsGoodForOneStreamOnly) {
    Pair first(introduce(1, 9, key(5)), introduce(2, 9, key(5)));
    ASSERT_TRUE(pass(first.dialler, first.acceptor).has_value());
    ASSERT_TRUE(pass(first.acceptor, first.dialler).has_value());
    const auto proof = first.dialler.poll_transmit();
    Pair second(introduce(1, 9, key(5)), introduce(2, 9, key(5)));
    ASSERT_TRUE(pass(second.dialler, second.acceptor).has_value());
    EXPECT_TRUE(second.acceptor.handle_frame(proof->type, proof->payload).has_error());
    // The second proof of a stream is wrong too: one is enough.
    ASSERT_TRUE(first.acceptor.handle_frame(proof->type, proof->payload).has_value());
    EXPECT_TRUE(first.acceptor.handle_frame(proof->type, proof->payload).has_error());
}

TEST(Greeting, WhoOwesAProofMayOnlyAskForTheDescriptor) {
    Pair pair(introduce(1, 9, key(5)), introduce(2, 9, key(5)));
    ASSERT_TRUE(pass(pair.dialler, pair.acceptor).has_value());
    EXPECT_EQ(*pair.acceptor.handle_frame(FrameType::DescriptorRequest, {}), Step::Pass);
    EXPECT_EQ(pair.acceptor.handle_frame(FrameType::Exchange, {}).error().code, FaultCode::Refused);
    EXPECT_TRUE(pair.acceptor.refused());
}

TEST(Greeting, WhoNamesNoSwarmMayOnlyAskForTheDescriptor) {
    Pair pair(introduce(1, 0), introduce(2, 9, key(5)));
    EXPECT_EQ(*pass(pair.dialler, pair.acceptor), Step::Taken);
    EXPECT_EQ(*pass(pair.acceptor, pair.dialler), Step::Over);
    EXPECT_EQ(*pair.acceptor.handle_frame(FrameType::DescriptorRequest, {}), Step::Pass);
    EXPECT_EQ(*pair.dialler.handle_frame(FrameType::DescriptorPiece, {}), Step::Pass);
    EXPECT_TRUE(pair.acceptor.handle_frame(FrameType::PushPull, {}).has_error());
    EXPECT_TRUE(pair.acceptor.handle_frame(FrameType::Proof, Bytes(32)).has_error());
    // Whoever holds the key can check with this text that the acceptor held it too.
    EXPECT_EQ(key(5)(pair.dialler.text_of(StreamRole::Acceptor)), pair.dialler.partner()->proof);
}

TEST(Greeting, ASecondHelloIsAFault) {
    Pair pair(introduce(1, 9), introduce(2, 9));
    ASSERT_TRUE(pass(pair.dialler, pair.acceptor).has_value());
    const Bytes hello = encode_hello(pair.dialler.ours());
    EXPECT_EQ(
        pair.acceptor.handle_frame(FrameType::Hello, hello).error().code, FaultCode::BadFormat
    );
}

TEST(Greeting, AnotherSwarmIsRefusedAfterItHasHeardOurs) {
    Pair pair(introduce(1, 8, key(5)), introduce(2, 9, key(6)));
    EXPECT_EQ(pass(pair.dialler, pair.acceptor).error().code, FaultCode::SwarmMismatch);
    EXPECT_TRUE(pair.acceptor.refused());
    EXPECT_EQ(pass(pair.acceptor, pair.dialler).error().code, FaultCode::SwarmMismatch);
}

TEST(Greeting, WeAreNotOurOwnPartner) {
    Pair pair(introduce(1, 9), introduce(1, 9));
    EXPECT_EQ(pass(pair.dialler, pair.acceptor).error().code, FaultCode::Refused);
}

TEST(Greeting, OnlyTheWantedPeerWillDo) {
    auto wanting = introduce(1, 9, key(5));
    wanting.wanted = peer_id(3);
    Pair pair(wanting, introduce(2, 9, key(5)));
    ASSERT_TRUE(pass(pair.dialler, pair.acceptor).has_value());
    EXPECT_EQ(pass(pair.acceptor, pair.dialler).error().code, FaultCode::Unreachable);
    EXPECT_FALSE(pair.dialler.refused()) << "it has done nothing wrong";
}

TEST(Greeting, TheDiallerSaysWhatTheStreamIsFor) {
    auto lane = introduce(1, 9);
    lane.ours.kind = StreamKind::Lane;
    Pair pair(lane, introduce(2, 9));
    ASSERT_TRUE(pass(pair.dialler, pair.acceptor).has_value());
    EXPECT_EQ(pair.acceptor.kind(), StreamKind::Lane);
    EXPECT_EQ(pair.dialler.kind(), StreamKind::Lane);
}

}  // namespace
}  // namespace starling::peer
