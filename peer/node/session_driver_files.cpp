// What people are told of the files that a peer writes and reads while it trains: checkpoints and shards.

#include <filesystem>
#include <system_error>

#include "peer/node/session_driver.hpp"

namespace starling::peer {

/// A full disk fails each attempt: people read it once, and once that it is over.
void SessionDriver::note_checkpoints(const CheckpointReport& told) {
    const bool fails = !told.error.empty();
    const bool failed = !checkpoints_told_.error.empty();
    if (fails && !failed) around_.reporter.note("no checkpoint is written: " + told.error);
    if (!fails && failed) around_.reporter.note("checkpoints are written again");
    checkpoints_told_ = told;
}

/// Likewise of the files of shards.
void SessionDriver::note_shard_files(const ShardFileReport& told) {
    const bool fails = !told.error.empty();
    const bool failed = !shard_files_told_.error.empty();
    if (fails && !failed) {
        around_.reporter.note(
            "shards cannot be written, and few are fetched until they can: " + told.error
        );
    }
    if (!fails && failed) around_.reporter.note("shards are written again");
    if (told.lost > 0 && shard_files_told_.lost == 0) {
        around_.reporter.note(
            "the data set's files have changed or are gone, such as " + told.lost_file +
            ": what lay there is no longer trained on unless another peer has it; put them back, "
            "or start this peer with --dataset again"
        );
    }
    shard_files_told_ = told;
}

std::optional<Fault> SessionDriver::lost_checkpoint() const {
    owner_.check();
    const auto& why = checkpoints_told_.error;
    if (why.empty()) return std::nullopt;
    const auto file = around_.config.state / "checkpoint";
    std::error_code error;
    const bool older = std::filesystem::exists(file, error);
    return fail(
        FaultCode::Io,
        "the last checkpoint is not written: " + why +
            (older ? "; " + file.string() + " holds an older one" : "; there is none")
    );
}

}  // namespace starling::peer
