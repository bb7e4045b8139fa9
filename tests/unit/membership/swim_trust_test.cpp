// Goal: nobody but its owner moves a member, and accusations count only as far as they may. Method:
// one machine, forged and honest statements.

#include <gtest/gtest.h>

#include "membership/swim.hpp"
#include "tests/unit/membership/support/alone.hpp"

namespace starling::membership {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

TEST(Swim, AForgedStatementChangesNothingAndIsCounted) {
    Alone alone;
    alone.hear(3, {claim(3, {1, 0}, MemberState::Alive)});
    const auto before = alone.swim.find(peer(3));
    ASSERT_TRUE(before.has_value());
    auto moved = claim(3, {1, 5}, MemberState::Alive);
    moved.address = address_of(9);
    auto raised = claim(3, {1, 5}, MemberState::Alive);
    raised.incarnation.counter = 6;
    auto elsewhere = claim(3, {1, 5}, MemberState::Alive);
    SwarmId other;
    other.bytes.fill(0x78);
    sign(elsewhere, other);
    auto goodbye = claim(3, {1, 5}, MemberState::Alive);
    goodbye.state = MemberState::Left;
    auto stranger = claim(4, {1, 0}, MemberState::Alive);
    stranger.signature[63] ^= 1U;
    std::uint64_t forged = 0;
    for (const auto& lie : {moved, raised, elsewhere, goodbye, stranger}) {
        alone.hear(2, {lie});
        EXPECT_EQ(alone.swim.counters().forged, ++forged);
    }
    EXPECT_EQ(alone.swim.find(peer(3))->incarnation, before->incarnation);
    EXPECT_EQ(alone.swim.find(peer(3))->address, before->address);
    EXPECT_FALSE(alone.swim.find(peer(4)).has_value());
}

TEST(Swim, SignaturesAreLookedAtOnlyWhenTheyWouldChangeTheTable) {
    const auto notary = std::make_shared<SampleNotary>(peer(1));
    SwimConfig config;
    config.swarm = sample_swarm();
    Swim swim(config, {peer(1), address_of(1), 1, notary, nullptr}, Rng(1), {});
    const auto alive = claim(3, {1, 1}, MemberState::Alive);
    const auto older = claim(3, {1, 0}, MemberState::Alive);
    const Packet packet{peer(2), {alive, alive, older, claim(3, {0, 9}, MemberState::Left)}};
    for (int i = 0; i < 10; ++i) {
        swim.handle_datagram({}, address_of(2), encode(packet, kTag, kPacketMax));
    }
    EXPECT_EQ(notary->verified, 1U);
}

TEST(Swim, AVerdictOfOthersCountsOnlyAfterTheAccusedHadItsTime) {
    Alone alone;
    for (std::uint8_t i = 2; i < 6; ++i) alone.hear(i, {claim(i, {1, 0}, MemberState::Alive)});
    alone.hear(2, {claim(3, {1, 0}, MemberState::Failed)});
    EXPECT_EQ(alone.swim.find(peer(3))->state, MemberState::Suspect);
    alone.now += milliseconds(100);
    alone.hear(2, {claim(3, {1, 0}, MemberState::Failed)});
    EXPECT_EQ(alone.swim.find(peer(3))->state, MemberState::Suspect);
    alone.now += seconds(3);
    alone.hear(2, {claim(3, {1, 0}, MemberState::Failed)});
    EXPECT_EQ(alone.swim.find(peer(3))->state, MemberState::Failed);
}

TEST(Swim, AccusationsOfTheUnknownMakeNoMembers) {
    Alone alone;
    alone.hear(2, {claim(3, {1, 0}, MemberState::Suspect), claim(4, {1, 0}, MemberState::Failed)});
    EXPECT_EQ(alone.swim.members().size(), 1U);
    alone.hear(3, {claim(3, {1, 0}, MemberState::Alive)});
    alone.hear(2, {claim(3, {1, 1}, MemberState::Suspect)});
    EXPECT_EQ(alone.swim.find(peer(3))->state, MemberState::Alive) << "not its incarnation";
}

TEST(Swim, OneSenderRaisesOnlySoManySuspicions) {
    Alone alone;
    for (std::uint8_t i = 3; i < 200; ++i) alone.hear(i, {claim(i, {1, 0}, MemberState::Alive)});
    const auto suspects = [&] {
        std::size_t count = 0;
        for (const auto& member : alone.swim.members()) {
            if (member.state == MemberState::Suspect) ++count;
        }
        return count;
    };
    for (std::uint8_t i = 3; i < 200; ++i) alone.hear(2, {claim(i, {1, 0}, MemberState::Suspect)});
    EXPECT_GT(suspects(), 16U);
    EXPECT_LT(suspects(), 80U);
    EXPECT_EQ(suspects() + alone.swim.counters().throttled, 197U);
    const auto before = suspects();
    for (std::uint8_t i = 3; i < 200; ++i) alone.hear(9, {claim(i, {1, 0}, MemberState::Suspect)});
    EXPECT_GT(suspects(), before) << "another sender has its own measure";
}

}  // namespace
}  // namespace starling::membership
