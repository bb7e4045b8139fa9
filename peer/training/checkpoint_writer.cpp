#include "peer/training/checkpoint_writer.hpp"

#include <utility>

#include "peer/machine/files.hpp"
#include "peer/training/checkpoint.hpp"

namespace starling::peer {

CheckpointWriter::CheckpointWriter(
    std::filesystem::path directory, const Bytes& descriptor, compute::ParameterStore& parameters
)
    : directory_(std::move(directory)),
      descriptor_(descriptor),
      parameters_(parameters) {}

void CheckpointWriter::set_addresses(std::vector<std::string> addresses) {
    const std::scoped_lock lock(mutex_);
    addresses_ = std::move(addresses);
}

Result<void> CheckpointWriter::write(
    const TrainerReport& report, std::span<const float> optimizer_state
) {
    Checkpoint checkpoint;
    checkpoint.descriptor = descriptor_;
    checkpoint.parameters.resize(parameters_.layout().elements());
    parameters_.read_all(checkpoint.parameters);
    checkpoint.optimizer_state.assign(optimizer_state.begin(), optimizer_state.end());
    checkpoint.position = report.position;
    checkpoint.steps = report.steps;
    checkpoint.samples = report.samples;
    checkpoint.schedule_step = report.schedule_step;
    {
        const std::scoped_lock lock(mutex_);
        checkpoint.addresses = addresses_;
    }
    auto written = write_checkpoint(real_disk(), directory_, checkpoint, newest_);
    if (written) newest_ = NewestFile::Sound;
    return written;
}

}  // namespace starling::peer
