#pragma once

// The present model of a swarm, for somebody who wants to use it and not to take part: it fetches descriptor
// and parameters as a newcomer does, and is never a member. No peer counts it, and none gives it samples.

#include <functional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "peer/terms/model_file.hpp"
#include "peer/training/trained_model.hpp"

namespace starling::peer {

struct BorrowedFrom {
    std::vector<std::string>
        seeds;        ///< HOST:PORT of members; with several, their copies are compared
    std::string key;  ///< file of the swarm's key; empty: the swarm is open
};

/// Fetches the model. Blocks until it is whole, or until nothing has come for half a minute. Calls `note` with
/// lines for people. `other` replaces the descriptor's model by another one that the parameters fit.
/// Errors    Usage (a key that cannot be read, or is not the swarm's), Unreachable (nobody gives
///           parameters), LayoutMismatch, those of plan_joining and lay_out; Cancelled
/// Thread    one that runs nothing else meanwhile
[[nodiscard]] Result<TrainedModel> borrow_model(
    const BorrowedFrom& from,
    const ModelChoice* other,
    const std::function<void(const std::string&)>& note
);

}  // namespace starling::peer
