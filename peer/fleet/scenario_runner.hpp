#pragma once

// One run of a scenario: what it holds, and what it does from the first process to the last. The ends of runs are in
// scenario_run_end.cpp. Only scenario_run.cpp makes one.

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "peer/fleet/display.hpp"
#include "peer/fleet/live_control.hpp"
#include "peer/fleet/scenario_job.hpp"
#include "peer/fleet/scenario_peers.hpp"
#include "peer/machine/clock.hpp"
#include "peer/machine/surroundings.hpp"
#include "peer/scenario/history.hpp"
#include "peer/scenario/judge.hpp"
#include "peer/scenario/plan.hpp"

namespace starling::peer {

class ScenarioRun {
public:
    ScenarioRun(const SwarmOptions& options, const ScenarioJob& job)
        : options_(options),
          job_(job),
          display_(options.output),
          signals_(io_),
          ticker_(io_),
          began_(real_now()),
          plan_(job.scenario, job.steps),
          judge_(job.scenario, began_),
          peers_(
              io_,
              options,
              job.surroundings,
              {[this](std::size_t slot, std::string_view line, const PeerEvent& event) {
                   on_line(slot, line, event);
               },
               [this](std::size_t slot, std::string_view line) { on_error_line(slot, line); },
               [this](std::size_t slot, ProcessExit how, bool expected) {
                   on_exit(slot, how, expected);
               }}
          ) {
        for (const int signal : ending_signals()) signals_.add(signal);
        if (job.live) {
            live_.emplace(io_, job_.scenario, plan_, judge_, &Display::answer);
        }
    }

    ScenarioEnd run();

private:
    void on_line(std::size_t slot, std::string_view line, const PeerEvent& event);
    void on_error_line(std::size_t slot, std::string_view line);
    void on_exit(std::size_t slot, ProcessExit how, bool expected);
    void note_early_end(Instant now);
    void look_for_lingerers(Instant now);
    void note_member(std::size_t slot, const PeerEvent& event);
    [[nodiscard]] bool all_ended() const;
    void on_accused(std::size_t slot, const PeerEvent& event);
    void on_listening(std::size_t slot);
    void await_signal();
    void await_tick();
    void on_tick();
    void go_on(Instant now);
    void carry_out(Instant now, const scenario::Order& order);
    void begin_end(Instant now);
    void await_end(Instant now);
    void stop_all(Instant now);
    void judge_end();
    void judge_accuracy();
    [[nodiscard]] std::optional<double> accuracy() const;
    void tell_findings();
    [[nodiscard]] FleetView fleet() const;
    int finish();
    int finish_plain();

    const SwarmOptions& options_;
    const ScenarioJob& job_;
    Display display_;
    boost::asio::io_context io_{1};
    boost::asio::signal_set signals_;
    boost::asio::steady_timer ticker_;
    Instant began_;
    Instant next_look_;
    Instant next_usage_;
    scenario::Plan plan_;
    scenario::Judge judge_;
    scenario::History history_;
    scenario::View view_;
    std::optional<LiveControl> live_;
    std::vector<std::size_t> added_;  ///< by the order that is carried out now
    std::optional<Instant> ending_since_;
    std::optional<Instant> kill_at_;
    std::optional<Instant> all_final_since_;
    bool stopped_ = false;      ///< we have asked the peers to leave
    bool interrupted_ = false;  ///< because somebody has asked us to end
    std::size_t told_ = 0;      ///< findings that were shown when they were found
    bool refused_configuration_ = false;
    ScenarioPeers peers_;  ///< last: it ends its processes before what they call is gone
};

}  // namespace starling::peer
