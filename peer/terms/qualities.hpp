#pragma once

// Which qualities of a model suit which labels.

#include <vector>

#include "base/result.hpp"
#include "compute/metrics/quality.hpp"
#include "compute/metrics/tally.hpp"
#include "data/manifest.hpp"
#include "peer/terms/until.hpp"

namespace starling::peer {

/// Returns the qualities that an evaluation with such labels knows, the one that tells most first. The loss
/// is always among them.
/// Errors    none
/// Thread    any
[[nodiscard]] std::vector<compute::QualityKind> known_qualities(const data::Manifest& manifest);

/// Returns the tallies that suit such labels, without anything in them. The first one that knows a quality tells it.
/// Errors    none
/// Thread    any
[[nodiscard]] std::vector<compute::Tally> empty_tallies(const data::Label& label);

/// Returns the quality that peers of a swarm with this target estimate while they train, besides
/// accuracy and loss: the target's own, or else the one that tells most.
/// Errors    none
/// Thread    any
[[nodiscard]] compute::QualityKind watched_quality(
    const data::Manifest& manifest, const Until& until
);

/// Checks that an evaluation can tell whether the target is reached.
/// Errors    Usage, which lists the qualities that there are
/// Thread    any
[[nodiscard]] Result<void> check_quality(const data::Manifest& manifest, const Until& until);

}  // namespace starling::peer
