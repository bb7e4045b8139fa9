#pragma once

// Carries out a scenario in virtual time, with whole peers: they join, train, restart and average as
// the daemon does. The same scenario and seed give the same run and the same report.

#include <functional>
#include <memory>

#include "base/result.hpp"
#include "peer/scenario/report.hpp"
#include "peer/virtual/swarm.hpp"

namespace starling::peer_virtual {

class ScenarioCampaign {
public:
    /// `options.peers` is set here: the peers of the scenario and those that it adds.
    /// Requires  options.training, averaging on floats, and steps from scenario::expand()
    ScenarioCampaign(
        scenario::Scenario scenario, std::vector<scenario::Step> steps, SwarmOptions options
    );
    ~ScenarioCampaign();
    ScenarioCampaign(const ScenarioCampaign&) = delete;
    ScenarioCampaign& operator=(const ScenarioCampaign&) = delete;

    /// Runs it to its end. Calls `progress` about once per virtual second.
    void run(const std::function<void(Instant, scenario::Phase)>& progress = {});

    /// Returns what the reports are made of.
    [[nodiscard]] scenario::Run result() const;

    /// Returns the trace hash of the virtual swarm.
    [[nodiscard]] std::uint64_t trace_hash() const;

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace starling::peer_virtual
