#include "peer/training/shard_file_thread.hpp"

#include <exception>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>
#include <utility>

#include "peer/machine/clock.hpp"

namespace starling::peer {

namespace {

/// How long after a failure the disk is tried again.
constexpr auto kRetryAfter = std::chrono::seconds(10);
constexpr int kFilesNice = 10;
constexpr Duration kRememberEvery = std::chrono::seconds(10);

}  // namespace

ShardFileThread::ShardFileThread(
    Disk& disk, std::filesystem::path directory, data::ShardStore& shards
)
    : shards_(shards),
      shelf_(disk, std::move(directory), shards) {}

ShardFileThread::~ShardFileThread() {
    stop();
}

void ShardFileThread::start() {
    shards_.on_arrival([this] {
        const std::scoped_lock lock(mutex_);
        arrived_ = true;
        changed_.notify_all();
    });
    thread_ = std::thread([this] { run(); });
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return read_; });
}

bool ShardFileThread::await_room() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !report_.error.empty() || !shards_.crowded(); });
    return !shards_.crowded();
}

void ShardFileThread::stop() {
    if (!thread_.joinable()) return;
    shards_.on_arrival({});
    {
        const std::scoped_lock lock(mutex_);
        stop_ = true;
        changed_.notify_all();
    }
    thread_.join();
}

ShardFileReport ShardFileThread::report() const {
    const std::scoped_lock lock(mutex_);
    return report_;
}

void ShardFileThread::run() {
    (void)::pthread_setname_np(::pthread_self(), "shard files");
    // Steps come first: shards that arrive are trained on from memory. No kernel refuses this.
    (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kFilesNice);
    // The trainer goes on without what cannot be read, as if there were no files.
    try {
        shelf_.read();
    } catch (const std::exception& error) {
        const std::scoped_lock lock(mutex_);
        report_.error = error.what();
    }
    std::unique_lock lock(mutex_);
    note_lost();
    read_ = true;
    changed_.notify_all();
    while (!stop_) {
        arrived_ = false;
        lock.unlock();
        keep();
        lock.lock();
        changed_.notify_all();
        const bool failed = !report_.error.empty();
        const auto wake = [this, failed] { return stop_ || (arrived_ && !failed); };
        // A disk that is full is not asked again for each shard that comes.
        changed_.wait_for(lock, kRetryAfter, wake);
    }
    lock.unlock();
    remembered_ = Instant{};
    keep();
}

/// A peer that is killed forgets what came since the last time; its next life then hashes those files.
void ShardFileThread::remember() {
    const Instant now = real_now();
    if (now - remembered_ <= kRememberEvery) return;
    remembered_ = now;
    shelf_.remember();
}

/// Requires  mutex_ is held
void ShardFileThread::note_lost() {
    report_.lost = shelf_.lost().shards;
    report_.lost_file = shelf_.lost().file;
}

/// Writes what is in memory, and notes how that went.
void ShardFileThread::keep() {
    std::string error;
    // Memory may be short. An exception that leaves a thread would end the process.
    try {
        const auto kept = shelf_.keep([this] {
            const std::scoped_lock lock(mutex_);
            report_.cpu = thread_cpu_time();
        });
        if (kept.has_error()) error = kept.error().message;
        remember();
    } catch (const std::exception& exception) {
        error = exception.what();
    }
    const std::scoped_lock lock(mutex_);
    note_lost();
    if (!error.empty()) ++report_.failed;
    report_.error = std::move(error);
    report_.cpu = thread_cpu_time();
}

}  // namespace starling::peer
