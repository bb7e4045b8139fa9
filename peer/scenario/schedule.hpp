#pragma once

// Expands a scenario: every `random`, `half` and rate becomes peers and times, from the seed alone.
// So the same file and seed give the same schedule, whoever carries it out and however long things
// take. What is drawn follows from the order of the file: a fault with `for` counts as over, one
// without stays until a later step undoes it.

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "base/rng.hpp"
#include "peer/scenario/scenario.hpp"
#include "peer/scenario/view.hpp"

namespace starling::scenario {

/// Resolves names, step by step. It remembers what the steps before did to whom.
class Resolver {
public:
    explicit Resolver(const Scenario& scenario);

    /// Resolves the names of a step, which comes after those before.
    /// Errors    Usage (it can hit nobody; the message has its line)
    Result<void> resolve(Step& step);

    /// Takes what is so for what should be so: who ended by itself is down, who was continued is up.
    void observe(const View& view);

    /// Returns the steps that a rate comes to. `index` counts the rates of the scenario.
    [[nodiscard]] std::vector<Step> expand(const Repeat& repeat, std::size_t index) const;

private:
    enum class Status : std::uint8_t { Absent, Up, Down, Stopped };

    Result<std::vector<std::size_t>> choose(const Step& step, const Who& who);
    Result<void> resolve_sides(Step& step);
    [[nodiscard]] std::vector<std::size_t> candidates(const Action& action) const;
    void apply(const Step& step);

    const Scenario& scenario_;
    std::vector<Status> status_;
    Rng rng_;
    std::size_t next_new_;
    std::vector<std::size_t> last_;
    std::map<std::string, std::pair<Who, Who>> sides_;
};

/// Returns the steps with all names resolved, and after them those that the rates come to.
/// Errors    Usage (a step that can hit nobody; the message has its line)
[[nodiscard]] Result<std::vector<Step>> expand(const Scenario& scenario);

/// Returns expanded steps as `[[step]]` tables of a scenario file.
[[nodiscard]] std::string to_toml(const std::vector<Step>& steps);

}  // namespace starling::scenario
