// Goal: the judge hears of each fault that was carried out, and of none that was not; and of a run that lasts too long.
// Method: the plan of a small scenario, whose orders are answered by hand.

#include "peer/scenario/watch.hpp"

#include <gtest/gtest.h>
#include <string>

#include "peer/scenario/parse.hpp"
#include "peer/scenario/schedule.hpp"

namespace starling::scenario {
namespace {

using namespace std::chrono_literals;

constexpr Instant kStart = Instant{} + 100s;

class Watched : public ::testing::Test {
protected:
    /// Answers the one order that is due with `result`.
    void carry_out(const Result<void>& result) {
        const auto order = plan_.poll(kStart, view_);
        ASSERT_TRUE(order);
        plan_.answer(kStart, *order, result);
        watch_order(judge_, plan_, kStart, *order, {});
    }

    Scenario scenario_ = *parse(
        "quiet = \"0s\"\nlimit = \"60s\"\n[swarm]\npeers = 3\n[[step]]\nwhen = \"all train\"\ndo = "
        "\"kill peer 2\"\n",
        "file",
        Mode::Simulate
    );
    Plan plan_{scenario_, *expand(scenario_)};
    Judge judge_{scenario_};
    View view_ = [] {
        View view;
        view.peers.resize(3);
        for (auto& peer : view.peers) peer.started = peer.running = peer.trains = true;
        return view;
    }();
};

TEST_F(Watched, AFaultThatWasCarriedOutIsTold) {
    carry_out({});
    EXPECT_EQ(judge_.measures().faults, 1U);
}

TEST_F(Watched, AFaultThatCouldNotBeCarriedOutHurtsNobody) {
    carry_out(fail(FaultCode::Io, "no such process"));
    EXPECT_EQ(judge_.measures().faults, 0U);
    EXPECT_FALSE(plan_.failure().empty());
    watch_end(judge_, plan_, kStart, view_, History());
    ASSERT_EQ(judge_.count(), 1U);
    EXPECT_EQ(judge_.findings()[0].what, plan_.failure());
}

TEST_F(Watched, ARunThatLastsTooLongIsAFinding) {
    EXPECT_FALSE(watch_limit(judge_, scenario_, kStart, 60s));
    EXPECT_EQ(judge_.count(), 0U);
    EXPECT_TRUE(watch_limit(judge_, scenario_, kStart, 61s));
    EXPECT_EQ(judge_.count(), 1U);
}

}  // namespace
}  // namespace starling::scenario
