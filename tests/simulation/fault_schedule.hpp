#pragma once

// Random faults for a virtual swarm. Which families are on, and how often each strikes, is drawn
// from the seed over orders of magnitude, so that rare combinations come up by themselves (swarm
// testing: Groce et al., ISSTA 2012).

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/rng.hpp"
#include "tests/simulation/simulation.hpp"

namespace starling::simulation {

class FaultSchedule {
public:
    /// Strikes are numbered in the order of their times; those in `skipped` do not happen, and the
    /// others stay what they are.
    explicit FaultSchedule(std::uint64_t seed, std::set<std::size_t> skipped = {});

    /// Draws the swarm: its size, its links, its averaging. By default pairwise on exact integers.
    [[nodiscard]] peer_virtual::SwarmOptions draw_options();

    /// Gives some nodes clocks that are off by up to a hundredth. Before any starts.
    void prepare(Swarm& swarm);

    /// The same with a rule, an encoding and a share on floats.
    [[nodiscard]] peer_virtual::SwarmOptions draw_options_on_floats();

    /// The same with liars among the nodes, and sometimes a stranger.
    [[nodiscard]] peer_virtual::SwarmOptions draw_options_with_liars();

    /// Runs `simulation` for `duration` under faults. False after a violation.
    bool torment(Simulation& simulation, Duration duration);

    /// Ends every fault: links whole and lossless, sleepers awake, the dead restarted.
    void heal(Simulation& simulation);

    /// Strikes so far, the skipped ones included.
    [[nodiscard]] std::size_t strikes() const { return strikes_; }

    /// What was done and when, for the report of a failing run.
    [[nodiscard]] const std::string& story() const { return story_; }

private:
    enum class Family : std::uint8_t {
        Crash,
        PowerCut,
        Pause,
        Leave,
        Partition,
        OneWayCut,
        Clog,
        SlowCpu,
    };

    void strike(Simulation& simulation, Family family);
    void partition(Swarm& swarm);
    void undo_due(Swarm& swarm);
    void tell(const std::string& what);
    void tell(const Swarm& swarm, const std::string& what);
    [[nodiscard]] std::vector<NodeIndex> draw_seeds(const Swarm& swarm);
    [[nodiscard]] Duration draw_length();
    void end_later(Swarm& swarm, Family family, NodeIndex node);

    struct End {
        Family family;
        NodeIndex node;
    };

    std::uint64_t seed_;
    std::set<std::size_t> skipped_;
    std::size_t strikes_ = 0;
    Rng luck_;         ///< plans the strikes
    Rng shape_luck_;   ///< drawn from later than luck_ was, so that old seeds stay what they are
    Rng strike_luck_;  ///< of the one strike at hand, so that a skipped one changes no other
    Rng rule_luck_;    ///< draws rules, so that they change nothing else
    std::vector<std::pair<Family, double>> rates_;  ///< mean seconds between strikes
    std::multimap<Instant, End> ends_;
    std::string story_;
};

}  // namespace starling::simulation
