#pragma once

// Compares what others say of portions with what we have found in the same ones: the samples are the same and the models
// nearly so, and who differs by more than another draw of samples would lets its device or its words lie.
//
// Thread    any (pure)

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "compute/metrics/quality.hpp"
#include "compute/values/eval_result.hpp"

namespace starling::peer {

/// What somebody has found in a portion.
struct PortionValues {
    compute::EvalResult result;
    std::optional<double> quality;  ///< the one that is watched
};

/// By portion.
using PortionFindings = std::map<std::size_t, PortionValues>;

/// One whose findings are off, and what people should read of it.
struct Suspect {
    PeerId peer;
    std::string what;
};

struct CrossCheck {
    std::size_t compared = 0;       ///< others that have judged a portion of ours
    std::vector<Suspect> suspects;  ///< of these, in order of id
    /// Most of them differ from us, so we are the one that is off; then nobody is named.
    bool we_differ = false;
};

/// Compares accuracy, loss and `kind`. Where we have fewer than three portions, accuracy alone.
[[nodiscard]] CrossCheck cross_check(
    const PortionFindings& ours,
    const std::map<PeerId, PortionFindings>& others,
    compute::QualityKind kind
);

}  // namespace starling::peer
