// Goal: a report holds what was seen, in JSON that programs read and in HTML that no text of a peer can
// break. Method: a made-up run of two peers, one of which says something nasty.

#include "peer/scenario/report.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <string>

#include "peer/scenario/parse.hpp"
#include "peer/scenario/schedule.hpp"

namespace starling::scenario {
namespace {

using namespace std::chrono_literals;

struct Made {
    Made()
        : scenario(*parse(
              "name = \"<b>\"\nseed = 3\nquiet = \"0s\"\n[swarm]\npeers = 2\n[[step]]\ndo = \"kill "
              "peer 1\"\n",
              "file",
              Mode::Loopback
          )),
          plan(scenario, *expand(scenario)),
          judge(scenario) {
        View view;
        view.peers.resize(2);
        for (auto& peer : view.peers) {
            peer.started = peer.running = peer.trains = true;
            peer.state = "training";
            peer.loss = 0.5;
        }
        history.observe(Instant{}, view);
        const auto order = plan.poll(Instant{} + 1s, view);
        EXPECT_TRUE(order.has_value());
        if (order) plan.answer(Instant{} + 1s, *order, {});
        view.peers[0].running = false;
        history.observe(Instant{} + 2s, view);
        judge.add(Instant{} + 2s, "peer 1 said", {"<script>alert(1)</script>\x1b[2J"});
    }

    [[nodiscard]] Run run() const {
        return {scenario, plan, judge, history, Mode::Loopback, 2.0, Instant{}, {}};
    }

    Scenario scenario;
    Plan plan;
    Judge judge;
    History history;
};

TEST(Report, JsonHoldsScheduleFaultsFindingsAndSeries) {
    const Made made;
    const auto report = nlohmann::json::parse(report_json(made.run()));
    EXPECT_EQ(report["scenario"], "<b>");
    EXPECT_EQ(report["seed"], 3);
    EXPECT_EQ(report["clean"], false);
    EXPECT_EQ(report["faults_carried_out"], 1);
    EXPECT_EQ(report["faults"][0]["do"], "kill peer 1");
    EXPECT_EQ(report["faults"][0]["state"], "done");
    EXPECT_EQ(report["faults"][0]["done"], 1.0);
    EXPECT_EQ(report["faults"][0]["undone"], nullptr);
    EXPECT_EQ(report["findings"][0]["what"], "peer 1 said");
    EXPECT_EQ(
        report["series"]["peers"][0]["state"], (std::vector<std::string>{"training", "dead"})
    );
    EXPECT_EQ(report["series"]["peers"][1]["loss"][1], 0.5);
    EXPECT_NE(report["schedule"].get<std::string>().find("kill peer 1"), std::string::npos);
    const auto line = nlohmann::json::parse(verdict_json(made.run()));
    EXPECT_EQ(line["event"], "verdict");
    EXPECT_EQ(line["clean"], false);
}

TEST(Report, HtmlShowsTextAndObeysNone) {
    const Made made;
    const auto page = report_html(made.run());
    EXPECT_EQ(page.find("<script"), std::string::npos);
    EXPECT_EQ(page.find('\x1b'), std::string::npos);
    EXPECT_EQ(page.find("<b>\n"), std::string::npos);
    EXPECT_NE(page.find("&lt;script&gt;"), std::string::npos);
    EXPECT_NE(page.find("kill peer 1"), std::string::npos);
    EXPECT_EQ(page.find("http"), std::string::npos);  // nothing is fetched
}

}  // namespace
}  // namespace starling::scenario
