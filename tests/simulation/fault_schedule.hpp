#pragma once

// Random faults for a virtual swarm. The seed decides which families of faults there are and how
// often each one occurs. The rates differ by orders of magnitude, so that rare combinations come up
// by themselves (swarm testing: Groce et al., ISSTA 2012).

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/rng.hpp"
#include "tests/simulation/simulation.hpp"

namespace starling::simulation {

class FaultSchedule {
public:
    /// The faults are numbered in the order of their times. Those in `skipped` do not happen, and
    /// the others do not change.
    explicit FaultSchedule(std::uint64_t seed, std::set<std::size_t> skipped = {});

    /// Draws the swarm: its size, links and averaging, which is pairwise on exact integers.
    [[nodiscard]] peer_virtual::SwarmOptions draw_options();

    /// In half of the runs, gives the nodes clocks that are off by up to a hundredth. Call it
    /// before any node starts.
    void prepare(Swarm& swarm);

    /// Like draw_options(), but with floats, and a rule, an encoding and a share for them.
    [[nodiscard]] peer_virtual::SwarmOptions draw_options_on_floats();

    /// Like draw_options_on_floats(), but with liars among the nodes, and sometimes a misfit.
    [[nodiscard]] peer_virtual::SwarmOptions draw_options_with_liars();

    /// Like draw_options_on_floats(), but with whole peers, which train for ever.
    [[nodiscard]] peer_virtual::SwarmOptions draw_options_of_sessions();

    /// Runs `simulation` for `duration` under faults. Returns false after a violation.
    bool run_with_faults(Simulation& simulation, Duration duration);

    /// Ends every fault: links are whole and lose nothing, paused nodes run again, dead ones start.
    void heal(Simulation& simulation);

    /// Returns the number of faults so far, the skipped ones included.
    [[nodiscard]] std::size_t faults() const { return faults_; }

    /// Returns what was done and when, for the report of a failing run.
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

    void inject_fault(Simulation& simulation, Family family);
    [[nodiscard]] static std::size_t survivors(const Swarm& swarm);
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
    std::size_t faults_ = 0;
    Rng rng_;        ///< plans the faults
    Rng shape_rng_;  ///< for what was added later, so that old seeds keep their runs
    Rng fault_rng_;  ///< for the current fault, so that a skipped one changes no other
    Rng rule_rng_;   ///< for the rules, so that they change nothing else
    std::vector<std::pair<Family, double>> rates_;  ///< mean seconds between faults
    std::multimap<Instant, End> ends_;
    std::string story_;
};

}  // namespace starling::simulation
