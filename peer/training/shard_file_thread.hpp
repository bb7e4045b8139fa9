#pragma once

// The thread that reads and writes the files of shards, so that neither a step nor a checkpoint waits
// for them. A shard that arrives lies in memory until this thread has written it. If the disk is full,
// it lies there longer, and the store is soon crowded: no more shards are then fetched until there is
// room. So memory is bounded, and training goes on with what is there.

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>

#include "base/instant.hpp"
#include "data/shard_store.hpp"
#include "peer/machine/disk.hpp"
#include "peer/terms/training.hpp"
#include "peer/training/shard_shelf.hpp"

namespace starling::peer {

/// Thread    compute, except where stated
class ShardFileThread {
public:
    /// With an empty `directory` the files have no names.
    /// Requires  `disk` and `shards` outlive this; whoever puts shards does not do so any more when
    ///           this is destroyed
    ShardFileThread(Disk& disk, std::filesystem::path directory, data::ShardStore& shards);
    ShardFileThread(const ShardFileThread&) = delete;
    ShardFileThread& operator=(const ShardFileThread&) = delete;
    /// Calls stop().
    ~ShardFileThread();

    /// Starts the thread, and waits until it has read the shards of the last life.
    void start();

    /// Waits until the store is not crowded. Returns false if it stays so, because the disk
    /// takes nothing.
    [[nodiscard]] bool await_room();

    /// Writes what is still in memory, as far as there is room, and ends the thread. Shards that come
    /// later stay in memory.
    void stop();

    /// Thread    any
    [[nodiscard]] ShardFileReport report() const;

private:
    void run();
    void keep();
    void remember();
    void note_lost();

    data::ShardStore& shards_;
    // Owned by the thread.
    ShardShelf shelf_;
    Instant remembered_;  ///< when the list of verified files was written

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    bool read_ = false;
    bool arrived_ = false;
    bool stop_ = false;
    ShardFileReport report_;
    std::thread thread_;
};

}  // namespace starling::peer
