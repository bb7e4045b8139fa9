// Goal: a newcomer whose seed is cut off goes on for minutes, and one whose seed is not there, or is somebody else,
// soon says so. Method: the test plays the seeds and the clock.

#include <gtest/gtest.h>

#include "tests/unit/peer/transfer/support/descriptor_seeds.hpp"

namespace starling::peer {
namespace {

using std::chrono::seconds;
using Command = DescriptorFetch::Command;

TEST_F(DescriptorFetchTest, ASeedThatIsCutOffIsTriedForMinutesWithGrowingPausesAndALineEach) {
    std::vector<Instant> dialled;
    Instant back = now_ + seconds(200);
    seeds_[seed_at(1)] = [&](Command::Kind kind, const Endpoint& at) {
        if (kind == Command::Kind::Dial) dialled.push_back(now_);
        if (now_ >= back) return honest()(kind, at);
        now_ += DescriptorFetch::kStreamTimeout;
        close(at, "cannot reach 127.0.0.1:1: no answer", FaultCode::Timeout);
    };
    const Instant began = now_;
    begin({seed_at(1)});
    run();
    ASSERT_TRUE(fetch_->outcome() && fetch_->outcome()->has_value());
    EXPECT_LE(now_, back + DescriptorFetch::kPauseMax + seconds(7));
    EXPECT_LT(dialled.size(), 20U);
    EXPECT_EQ(notes_.size(), dialled.size() - 1) << "a line for each try that failed";
    EXPECT_EQ(
        notes_[1], "cannot reach 127.0.0.1:1: no answer; trying again in 1 s, for 588 s more"
    );
    // For ever it does not go on.
    back = Instant::max();
    dialled.clear();
    const Instant again = now_;
    begin({seed_at(1)});
    run();
    ASSERT_TRUE(fetch_->outcome() && fetch_->outcome()->has_error());
    EXPECT_EQ(fault().code, FaultCode::Timeout);
    EXPECT_GE(now_, again + DescriptorFetch::kLongPatience);
    EXPECT_LT(now_, again + DescriptorFetch::kLongPatience + seconds(45));
    EXPECT_LT(dialled.size(), 40U);
    EXPECT_GT(now_, began);
}

TEST_F(DescriptorFetchTest, ASeedThatGreetsAndIsLostThenIsTriedForMinutesAndAStrangerIsNot) {
    for (const bool greets : {true, false}) {
        seeds_[seed_at(1)] = [&](Command::Kind kind, const Endpoint& at) {
            if (greets && kind == Command::Kind::Dial) {
                fetch_->handle_greeted(now_, at, peer_id(2), swarm_id_of(blob_));
            } else {
                close(at, "closed by the other side", FaultCode::Closed);
            }
        };
        const Instant began = now_;
        begin({seed_at(1)});
        run();
        ASSERT_TRUE(fetch_->outcome() && fetch_->outcome()->has_error());
        if (greets) {
            EXPECT_GE(now_, began + DescriptorFetch::kLongPatience);
        } else {
            EXPECT_LT(now_, began + kPatience + seconds(1));
        }
    }
}

}  // namespace
}  // namespace starling::peer
