#include "peer/training/checkpoint_writer.hpp"

#include <algorithm>
#include <sys/resource.h>
#include <unistd.h>
#include <utility>

#include "base/check.hpp"

namespace starling::peer {

namespace {

/// Less than that of the compute threads: hashing must not hold up a step.
constexpr int kWriterNice = 10;

}  // namespace

CheckpointWriter::CheckpointWriter(
    Disk& disk,
    std::filesystem::path directory,
    const Bytes& descriptor,
    compute::ParameterStore& parameters,
    std::size_t keep
)
    : disk_(disk),
      directory_(std::move(directory)),
      descriptor_(descriptor),
      parameters_(parameters),
      keep_(keep) {
    if (!directory_.empty()) thread_ = std::thread([this] { run(); });
}

CheckpointWriter::~CheckpointWriter() {
    {
        const std::scoped_lock lock(mutex_);
        stop_ = true;
    }
    changed_.notify_one();
    if (thread_.joinable()) thread_.join();
}

void CheckpointWriter::set_known(std::vector<std::string> addresses, std::uint64_t learned) {
    const std::scoped_lock lock(mutex_);
    addresses_ = std::move(addresses);
    learned_ = learned;
}

void CheckpointWriter::prepare(std::size_t state) {
    {
        const std::scoped_lock lock(mutex_);
        wanted_ = state;
    }
    changed_.notify_one();
}

void CheckpointWriter::write(
    const TrainerReport& report, std::span<const float> optimizer_state, Done done
) {
    STARLING_CHECK(thread_.joinable());
    Job job;
    job.done = std::move(done);
    auto& checkpoint = job.checkpoint;
    {
        const std::scoped_lock lock(mutex_);
        STARLING_CHECK(!job_);
        wanted_.reset();
        checkpoint = std::exchange(room_, {});
        checkpoint.addresses = addresses_;
        checkpoint.learned = learned_;
    }
    // Memory that is ready costs nothing here; other memory is made now.
    checkpoint.parameters.resize(parameters_.layout().elements());
    parameters_.read_all(checkpoint.parameters);
    checkpoint.optimizer_state.resize(optimizer_state.size());
    std::copy(optimizer_state.begin(), optimizer_state.end(), checkpoint.optimizer_state.begin());
    checkpoint.position = report.position;
    checkpoint.steps = report.steps;
    checkpoint.samples = report.samples;
    checkpoint.schedule_step = report.schedule_step;
    {
        const std::scoped_lock lock(mutex_);
        job_ = std::move(job);
    }
    changed_.notify_one();
}

void CheckpointWriter::run() {
    (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kWriterNice);
    std::unique_lock lock(mutex_);
    while (true) {
        changed_.wait(lock, [this] { return stop_ || job_ || wanted_; });
        if (job_) {
            auto job = std::move(*job_);
            job_.reset();
            lock.unlock();
            carry_out(std::move(job));
            lock.lock();
        } else if (stop_) {
            return;
        } else {
            const auto state = *std::exchange(wanted_, std::nullopt);
            lock.unlock();
            make_room(state);
            lock.lock();
        }
    }
}

/// Writes zeros, so that the kernel gives us the pages now and not while the compute thread copies.
void CheckpointWriter::make_room(std::size_t state) {
    Checkpoint room;
    room.parameters.resize(parameters_.layout().elements());
    room.optimizer_state.resize(state);
    const std::scoped_lock lock(mutex_);
    room_ = std::move(room);
}

void CheckpointWriter::carry_out(Job job) {
    job.checkpoint.descriptor = descriptor_;
    auto written = write_checkpoint(disk_, directory_, job.checkpoint, newest_, keep_);
    if (written) newest_ = NewestFile::Sound;
    job.checkpoint = {};
    job.done(std::move(written));
}

}  // namespace starling::peer
