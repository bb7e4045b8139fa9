#include "peer/transfer/chunk_keeper.hpp"

namespace starling::peer {

ChunkKeeper::~ChunkKeeper() {
    {
        const std::scoped_lock lock(mutex_);
        stop_ = true;
    }
    changed_.notify_one();
    if (thread_.joinable()) thread_.join();
}

void ChunkKeeper::begin(KeptChunks files) {
    files_.emplace(std::move(files));
    keeps_ = true;
    thread_ = std::thread([this] { run(); });
}

void ChunkKeeper::finish() {
    if (!keeps_) return;
    keeps_ = false;
    {
        const std::scoped_lock lock(mutex_);
        queue_.clear();
        clear_ = true;
    }
    changed_.notify_one();
}

bool ChunkKeeper::write(std::size_t chunk, ByteView bytes) {
    if (!inner_.write(chunk, bytes)) return false;
    if (!keeps_) return true;
    {
        const std::scoped_lock lock(mutex_);
        // What finds no room is fetched again by the next life.
        if (queue_.size() >= kQueueMax) return true;
        queue_.emplace_back(static_cast<std::uint32_t>(chunk), Bytes(bytes.begin(), bytes.end()));
    }
    changed_.notify_one();
    return true;
}

void ChunkKeeper::run() {
    std::unique_lock lock(mutex_);
    while (true) {
        changed_.wait(lock, [this] { return stop_ || clear_ || !queue_.empty(); });
        if (!queue_.empty()) {
            const auto [chunk, bytes] = std::move(queue_.front());
            queue_.pop_front();
            lock.unlock();
            // A disk that takes nothing costs the next life a fetch, and this one nothing.
            (void)files_->keep(chunk, bytes);
            lock.lock();
        } else if (clear_) {
            lock.unlock();
            return files_->clear();
        } else {
            return;
        }
    }
}

}  // namespace starling::peer
