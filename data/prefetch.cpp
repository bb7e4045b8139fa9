#include "data/prefetch.hpp"

#include <pthread.h>
#include <utility>

#include "base/check.hpp"

namespace starling::data {

namespace {

constexpr std::size_t kLargeBatchBytes = 4 * 1024 * 1024;
constexpr std::size_t kHugeBatchBytes = 16 * 1024 * 1024;

}  // namespace

std::size_t batches_ahead(std::size_t batch_bytes) {
    if (batch_bytes > kHugeBatchBytes) return 2;
    return batch_bytes > kLargeBatchBytes ? 3 : 4;
}

class Prefetcher::Pause {
public:
    explicit Pause(Prefetcher& of) : of_(of), lock_(of.mutex_) {
        of_.pausing_ = true;
        of_.changed_.wait(lock_, [this] { return !of_.drawing_; });
        while (!of_.ready_.empty()) {
            of_.free_.push_back(std::move(of_.ready_.front()));
            of_.ready_.pop_front();
        }
        of_.batcher_.resume(of_.taken_);
    }

    Pause(const Pause&) = delete;
    Pause& operator=(const Pause&) = delete;

    ~Pause() {
        of_.taken_ = of_.batcher_.position();
        of_.pausing_ = false;
        of_.dry_ = false;
        of_.changed_.notify_all();
    }

private:
    Prefetcher& of_;
    std::unique_lock<std::mutex> lock_;
};

Prefetcher::Prefetcher(const ShardStore& store, std::uint64_t seed, std::size_t samples)
    : batch_(samples),
      elements_(store.manifest().sample_elements()),
      labels_(labels_of(store.manifest())),
      targets_(targets_of(store.manifest())),
      ahead_(batches_ahead(samples * elements_ * sizeof(float))),
      batcher_(store, seed) {
    STARLING_CHECK(samples > 0);
    taken_ = batcher_.position();
}

Prefetcher::~Prefetcher() {
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
}

void Prefetcher::set_shards(std::span<const ShardId> shards) {
    const Pause pause(*this);
    batcher_.set_shards(shards);
    ++places_version_;
}

void Prefetcher::set_shards_from(std::span<const ShardStart> shards) {
    const Pause pause(*this);
    batcher_.set_shards_from(shards);
    ++places_version_;
}

void Prefetcher::resume(const BatcherPosition& position) {
    const Pause pause(*this);
    batcher_.resume(position);
}

const PreparedBatch* Prefetcher::next() {
    if (batcher_.arrived()) {
        const Pause pause(*this);
        batcher_.take_arrivals();
        ++places_version_;
    }
    if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !ready_.empty() || dry_ || failed_; });
    if (failed_) std::rethrow_exception(failed_);
    if (ready_.empty()) return nullptr;
    free_.push_back(std::exchange(current_, std::move(ready_.front())));
    ready_.pop_front();
    current_.before = taken_;
    taken_ = current_.after;
    // The thread wakes for two batches at a time: each waking may take a core from the step.
    const bool wake = 2 * ready_.size() <= ahead_;
    lock.unlock();
    if (wake) changed_.notify_all();
    return &current_;
}

PreparedBatch Prefetcher::make_batch() const {
    PreparedBatch batch;
    batch.values.resize(batch_ * elements_);
    batch.labels.resize(batch_ * labels_);
    batch.targets.resize(batch_ * targets_);
    return batch;
}

void Prefetcher::run() {
    // A name for debuggers and top; nothing depends on it.
    (void)::pthread_setname_np(::pthread_self(), "prefetch");
    std::unique_lock lock(mutex_);
    while (true) {
        changed_.wait(lock, [this] {
            return stop_ || (!pausing_ && !dry_ && !failed_ && ready_.size() < ahead_);
        });
        if (stop_) return;
        drawing_ = true;
        PreparedBatch batch;
        if (!free_.empty()) {
            batch = std::move(free_.back());
            free_.pop_back();
        }
        lock.unlock();
        bool drawn = false;
        std::exception_ptr failed;
        try {
            if (batch.values.empty()) batch = make_batch();
            drawn = batcher_.draw({batch.values, batch.labels, batch.targets});
            batch.after = batcher_.position();
            batch.damaged = batcher_.damaged();
            batch.damage = batcher_.first_damage();
        } catch (...) {
            failed = std::current_exception();
        }
        lock.lock();
        drawing_ = false;
        failed_ = failed;
        dry_ = !drawn;
        if (drawn) {
            ready_.push_back(std::move(batch));
        } else {
            free_.push_back(std::move(batch));
        }
        changed_.notify_all();
    }
}

}  // namespace starling::data
