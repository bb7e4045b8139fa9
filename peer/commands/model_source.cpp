#include "peer/commands/model_source.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/printable.hpp"
#include "peer/commands/commands.hpp"
#include "peer/node/borrowed_model.hpp"

namespace starling::peer {

void add_model_source(CLI::App& command, ModelSource& source) {
    command
        .add_option(
            "--state",
            source.states,
            "State directory with the checkpoint; given several times, the mean of their models"
        )
        ->allow_extra_args(false)
        ->transform(&expand_home)
        ->envname("STARLING_STATE");
    command
        .add_option(
            "--from",
            source.from,
            "Members of a swarm that runs, HOST:PORT[,...], whose present model is fetched; nobody "
            "is joined"
        )
        ->allow_extra_args(false)
        ->delimiter(',');
    command
        .add_option(
            "--key", source.key, "With --from: file with the swarm's key, unless it is open"
        )
        ->transform(&expand_home)
        ->envname("STARLING_KEY");
}

Result<TrainedModel> load_model(const ModelSource& source, const ModelChoice* other) {
    if (source.empty()) {
        return fail(
            FaultCode::Usage,
            "no model is named: give --state DIR with a checkpoint, or --from HOST:PORT of a member"
        );
    }
    if (source.from.empty()) {
        return load_mean({source.states.begin(), source.states.end()}, other);
    }
    // A state directory in the environment is not meant when a swarm is named.
    return borrow_model({source.from, source.key}, other, [](const std::string& line) {
        std::fputs(("starling: " + printable(line) + "\n").c_str(), stderr);
    });
}

}  // namespace starling::peer
