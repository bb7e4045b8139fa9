#pragma once

// Checks one operator over random shapes: reference against central differences, plan against
// reference. The seed of a failure is in its trace.

#include <functional>
#include <string>

#include "tests/unit/compute/support/graph_fixture.hpp"

namespace starling::compute {

using Ints = std::vector<std::int64_t>;

/// A draw in [low, high].
inline std::int64_t draw(Rng& rng, std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(high - low + 1)));
}

/// Not a template, which would be compiled anew for each operator.
inline void check_operator(
    const std::function<ValueId(TestGraph&, Rng&)>& build, double tolerance = 2e-5
) {
    constexpr std::uint64_t kSeeds = 6;
    for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Rng rng(seed);
        TestGraph test;
        test.finish(build(test, rng));
        expect_reference_gradients(test, seed);
        expect_plan_matches(test, seed, 1 + static_cast<int>(seed % 2), tolerance);
    }
}

}  // namespace starling::compute
