// Goal: people hear once that a peer learns by heart, and never because of noise or a short rise.
// Method: rows of estimates on a clock that the test moves.

#include "peer/session/overfitting.hpp"

#include <cmath>
#include <gtest/gtest.h>
#include <vector>

namespace starling::peer {
namespace {

using namespace std::chrono_literals;

class Watch {
public:
    /// Gives an estimate every 5 s for so long; returns the lines that were said.
    std::vector<std::string> pass(Duration time, double loss, double test_loss) {
        std::vector<std::string> said;
        for (const Instant until = now_ + time; now_ < until; now_ += 5s) {
            steps_ += 100;
            auto line = overfitting_.handle_estimate(now_, {steps_, loss, test_loss});
            if (line) said.push_back(std::move(*line));
        }
        return said;
    }

private:
    Overfitting overfitting_;
    Instant now_{1000s};
    std::uint64_t steps_ = 0;
};

TEST(Overfitting, IsSaidOnceWhenTheTestLossStaysFarAboveItsBest) {
    Watch watch;
    EXPECT_TRUE(watch.pass(5s, 0.5, 0.8).empty());
    EXPECT_TRUE(watch.pass(5s, 0.4, 0.61).empty());
    EXPECT_TRUE(watch.pass(60s, 0.0, 1.7).empty()) << "not for long yet";
    const auto said = watch.pass(10h, 0.0, 1.7);
    ASSERT_EQ(said.size(), 1U);
    EXPECT_EQ(
        said[0],
        "test loss has risen from 0.61 to 1.70 since step 200, while the training loss fell from "
        "0.40 to 0.00: overfitting"
    );
}

TEST(Overfitting, IsSaidAgainOnlyAfterANewBest) {
    Watch watch;
    (void)watch.pass(5s, 0.4, 0.6);
    EXPECT_EQ(watch.pass(10min, 0.1, 1.7).size(), 1U);
    EXPECT_TRUE(watch.pass(10min, 0.1, 0.7).empty());
    EXPECT_TRUE(watch.pass(10min, 0.1, 1.7).empty());
    (void)watch.pass(5s, 0.3, 0.5);
    EXPECT_EQ(watch.pass(10min, 0.1, 1.7).size(), 1U);
}

TEST(Overfitting, IsNotSaidOfASmallRiseANoisyOneOrOfTrainingThatGetsWorse) {
    Watch small;
    (void)small.pass(5s, 0.4, 0.6);
    EXPECT_TRUE(small.pass(10h, 0.0, 0.85).empty());
    Watch tiny;
    (void)tiny.pass(5s, 0.01, 0.02);
    EXPECT_TRUE(tiny.pass(10h, 0.001, 0.1).empty()) << "five times the best, and still nothing";
    Watch noisy;
    (void)noisy.pass(5s, 0.4, 0.6);
    for (int i = 0; i < 100; ++i) {
        EXPECT_TRUE(noisy.pass(50s, 0.1, 1.7).empty());
        EXPECT_TRUE(noisy.pass(5s, 0.1, 0.8).empty());
    }
    Watch worse;
    (void)worse.pass(5s, 0.4, 0.6);
    EXPECT_TRUE(worse.pass(10h, 0.5, 1.7).empty()) << "this is no overfitting, but a bad rate";
    Watch broken;
    (void)broken.pass(5s, 0.4, 0.6);
    EXPECT_TRUE(broken.pass(10h, 0.1, std::nan("")).empty());
}

}  // namespace
}  // namespace starling::peer
