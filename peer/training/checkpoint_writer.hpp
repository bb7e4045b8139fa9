#pragma once

// Brings together what a checkpoint holds: parameters and the trainer's position from the compute
// thread, whom the peer knows from the network thread.

#include <filesystem>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "compute/arena/parameter_store.hpp"
#include "peer/training/trainer.hpp"

namespace starling::peer {

class CheckpointWriter {
public:
    /// Requires  `descriptor` and `parameters` outlive it
    CheckpointWriter(
        std::filesystem::path directory,
        const Bytes& descriptor,
        compute::ParameterStore& parameters
    );

    /// Whom a restarted peer will ask. Thread any
    void set_addresses(std::vector<std::string> addresses);

    /// Replaces the newest checkpoint.
    ///
    /// Errors    as write_checkpoint; what was there is intact
    /// Thread    compute
    [[nodiscard]] Result<void> write(
        const TrainerReport& report, std::span<const float> optimizer_state
    );

private:
    std::filesystem::path directory_;
    const Bytes& descriptor_;
    compute::ParameterStore& parameters_;
    std::mutex mutex_;
    std::vector<std::string> addresses_;
};

}  // namespace starling::peer
