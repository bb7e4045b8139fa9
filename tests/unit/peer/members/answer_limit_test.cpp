// Goal: answers to push/pulls that nobody reads are bounded, and answers that are read take no
// place from others. Method: the test moves a clock and fills queues.

#include "peer/members/answer_limit.hpp"

#include <gtest/gtest.h>
#include <set>

namespace starling::peer {
namespace {

PeerId peer(std::size_t number) {
    PeerId id;
    id.bytes[0] = static_cast<std::uint8_t>(number);
    return id;
}

struct Queues {
    std::set<PeerId> full;
    AnswerLimit answers;

    bool ask(Instant now, const PeerId& id) {
        return answers.admit(now, id, [this](const PeerId& of) { return full.contains(of); });
    }
};

TEST(AnswerLimit, OneOnItsWayToAPeerIsEnough) {
    Queues queues;
    queues.full.insert(peer(1));
    EXPECT_TRUE(queues.ask(Instant{}, peer(1)));
    EXPECT_FALSE(queues.ask(Instant{}, peer(1)));
    queues.full.clear();
    EXPECT_TRUE(queues.ask(Instant{}, peer(1)));
}

TEST(AnswerLimit, AnswersAreBoundedInNumberUntilTheyAreReadOrOld) {
    Queues queues;
    for (std::size_t i = 0; i < kAnswersAtOnce; ++i) {
        queues.full.insert(peer(i));
        ASSERT_TRUE(queues.ask(Instant{}, peer(i)));
    }
    EXPECT_FALSE(queues.ask(Instant{}, peer(100)));
    queues.full.erase(peer(3));
    EXPECT_TRUE(queues.ask(Instant{}, peer(100))) << "one has been read";
    queues.full.insert(peer(100));
    EXPECT_FALSE(queues.ask(Instant{}, peer(101)));
    EXPECT_TRUE(queues.ask(Instant{} + kAnswerLife, peer(101)));
}

}  // namespace
}  // namespace starling::peer
