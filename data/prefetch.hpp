#pragma once

// Batches that a thread of its own draws and prepares ahead of need, so that reading and decoding
// do not stand in a step's way.
//
// What the caller gets is exactly what a Batcher would give at the same calls, whatever the thread's
// timing: batches that were drawn ahead are thrown away when the set changes or a shard arrives, and
// the thread continues from the position of what the caller has taken.

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "data/batcher.hpp"

namespace starling::data {

/// N samples, as Batcher::next() fills them in.
struct PreparedBatch {
    std::vector<float> values;  ///< N times what Preparation says of one sample, as below
    std::vector<std::int32_t> labels;
    std::vector<float> targets;
    BatcherPosition before;     ///< its first sample, or one that was left out
    BatcherPosition after;      ///< behind its last sample
    std::uint64_t damaged = 0;  ///< records that were left out until then, as Batcher::damaged()
    std::string damage;         ///< what was wrong with the first of them
};

/// Returns how many batches of so many bytes are prepared ahead: from 4 down to 2 as they grow.
[[nodiscard]] std::size_t batches_ahead(std::size_t batch_bytes);

/// Thread    compute. The preparing thread starts with the first next(), so that it has the
///           priority of the thread that calls it
class Prefetcher {
public:
    /// Prepares batches of `samples` samples.
    /// Requires  `store` outlives the prefetcher; samples > 0
    Prefetcher(const ShardStore& store, std::uint64_t seed, std::size_t samples);
    Prefetcher(const Prefetcher&) = delete;
    Prefetcher& operator=(const Prefetcher&) = delete;
    /// Joins the thread.
    ~Prefetcher();

    /// As Batcher::set_shards().
    void set_shards(std::span<const ShardId> shards);
    void set_shards_from(std::span<const ShardStart> shards);

    /// As Batcher::places(), of what the caller has taken.
    [[nodiscard]] std::vector<ShardPlace> places() const { return batcher_.places(); }

    /// Returns a number that rises whenever places() may have changed.
    [[nodiscard]] std::uint64_t places_version() const { return places_version_; }

    /// Returns the next batch, or null while no sample is held. The batch stays as it is until the
    /// next call of a member that is not const. Waits until it is prepared.
    /// Errors    rethrows what the preparing thread threw (out of memory)
    [[nodiscard]] const PreparedBatch* next();

    /// As Batcher::samples().
    [[nodiscard]] std::uint64_t samples() const { return batcher_.samples(); }

    /// Returns the position behind the batch that was taken last, not behind what was drawn ahead.
    [[nodiscard]] const BatcherPosition& position() const { return taken_; }

    /// As Batcher::resume().
    void resume(const BatcherPosition& position);

private:
    /// Keeps the thread away from the batcher while it lives. What was drawn ahead is then gone, and
    /// the batcher stands where the caller does.
    class Pause;

    void run();
    [[nodiscard]] PreparedBatch make_batch() const;

    const std::size_t batch_;
    const std::size_t elements_;
    const std::size_t labels_;
    const std::size_t targets_;
    const std::size_t ahead_;

    // The caller's.
    PreparedBatch current_;
    BatcherPosition taken_;
    std::uint64_t places_version_ = 0;

    // The thread draws from it while `drawing_`, the caller changes it while `pausing_`.
    Batcher batcher_;

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<PreparedBatch> ready_;
    std::vector<PreparedBatch> free_;
    bool drawing_ = false;
    bool pausing_ = false;
    bool dry_ = false;  ///< no sample is held; until a pause ends
    bool stop_ = false;
    std::exception_ptr failed_;
    std::thread thread_;
};

}  // namespace starling::data
