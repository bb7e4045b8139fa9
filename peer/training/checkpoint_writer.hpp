#pragma once

// Writes checkpoints on a thread of its own. The compute thread waits only while what must be kept is
// copied, into memory that this thread has made ready before; hashing, writing and flushing happen
// beside the next steps. So a checkpoint is of one moment between two steps, except for what exchanges
// add to later chunks while earlier ones are copied. The copy is given back when the file is written.

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "compute/arena/parameter_store.hpp"
#include "peer/machine/disk.hpp"
#include "peer/terms/training.hpp"
#include "peer/training/checkpoint.hpp"

namespace starling::peer {

class CheckpointWriter {
public:
    using Done = std::function<void(Result<void>)>;

    /// It keeps so many files in the directory. Requires  `disk`, `descriptor` and `parameters` outlive the writer
    CheckpointWriter(
        Disk& disk,
        std::filesystem::path directory,
        const Bytes& descriptor,
        compute::ParameterStore& parameters,
        std::size_t keep = 2
    );
    CheckpointWriter(const CheckpointWriter&) = delete;
    CheckpointWriter& operator=(const CheckpointWriter&) = delete;
    /// Waits until what was begun is written.
    ~CheckpointWriter();

    /// Sets the addresses that a restarted peer will ask, and from how many samples of the swarm the
    /// parameters have learned.
    /// Thread    any
    void set_known(std::vector<std::string> addresses, std::uint64_t learned);

    /// Makes memory ready for the next checkpoint, with so many floats of optimizer state.
    /// Thread    compute
    void prepare(std::size_t state);

    /// Copies what is to be kept, and returns. When the file has replaced the newest checkpoint and is on
    /// the disk, or has failed to, the writer's thread calls `done`.
    ///
    /// Requires  the last one has called `done`
    /// Errors    to `done`, as write_checkpoint
    /// Thread    compute
    void write(const TrainerReport& report, std::span<const float> optimizer_state, Done done);

private:
    struct Job {
        Checkpoint checkpoint;
        Done done;
    };

    void run();
    void make_room(std::size_t state);
    void carry_out(Job job);

    Disk& disk_;
    std::filesystem::path directory_;
    const Bytes& descriptor_;
    compute::ParameterStore& parameters_;
    std::size_t keep_;

    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::string> addresses_;
    std::uint64_t learned_ = 0;
    std::optional<std::size_t> wanted_;  ///< floats of optimizer state to make room for
    Checkpoint room_;                    ///< memory that was made ready
    std::optional<Job> job_;
    bool stop_ = false;

    /// Each later checkpoint replaces one of this process, which need not be read back. Owned by the
    /// writer's thread.
    NewestFile newest_ = NewestFile::Unknown;
    std::thread thread_;
};

}  // namespace starling::peer
