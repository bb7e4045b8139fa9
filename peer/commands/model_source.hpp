#pragma once

// Where a command takes a trained model from: a state directory, several of them, or a swarm that runs.

#include <string>
#include <vector>

#include "base/result.hpp"
#include "peer/terms/model_file.hpp"
#include "peer/training/trained_model.hpp"

namespace CLI {
class App;
}

namespace starling::peer {

struct ModelSource {
    std::vector<std::string> states;  ///< the mean of their checkpoints
    std::vector<std::string> from;    ///< members of a swarm that runs, HOST:PORT
    std::string key;                  ///< file with the swarm's key

    [[nodiscard]] bool empty() const { return states.empty() && from.empty(); }
};

/// Adds --state, --from and --key.
void add_model_source(CLI::App& command, ModelSource& source);

/// Loads the model, and says on standard error what people should know. `other` replaces the descriptor's
/// model by another one that the parameters fit.
/// Errors    Usage (none is named, or two sources), those of load_trained, load_mean and borrow_model
[[nodiscard]] Result<TrainedModel> load_model(
    const ModelSource& source, const ModelChoice* other = nullptr
);

}  // namespace starling::peer
