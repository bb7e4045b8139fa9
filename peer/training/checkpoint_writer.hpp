#pragma once

// Collects the contents of a checkpoint from two threads. The compute thread gives the parameters
// and the trainer's position, the network thread the addresses of other members.

#include <filesystem>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "compute/arena/parameter_store.hpp"
#include "peer/terms/training.hpp"
#include "peer/training/checkpoint.hpp"

namespace starling::peer {

class CheckpointWriter {
public:
    /// Requires  `descriptor` and `parameters` outlive the writer
    CheckpointWriter(
        std::filesystem::path directory,
        const Bytes& descriptor,
        compute::ParameterStore& parameters
    );

    /// Sets the addresses that a restarted peer will ask.
    /// Thread    any
    void set_addresses(std::vector<std::string> addresses);

    /// Replaces the newest checkpoint. Returns when the file is on the disk.
    ///
    /// Errors    as write_checkpoint
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
    /// Each later checkpoint replaces one of this process. Reading back what it has just written
    /// would double the time that training waits.
    NewestFile newest_ = NewestFile::Unknown;
};

}  // namespace starling::peer
