#pragma once

// Parameters whose chunks are also kept in files while a newcomer fetches them. A thread writes the files:
// a slow disk must not hold up the network thread.
//
// Thread    network, but for the thread inside

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "peer/transfer/kept_chunks.hpp"
#include "peer/transfer/parameter_chunks.hpp"

namespace starling::peer {

class ChunkKeeper final : public ParameterChunks {
public:
    /// So many chunks wait for the disk, 16 MiB. Further ones are not kept.
    static constexpr std::size_t kQueueMax = 64;

    /// Requires  `inner` outlives this
    explicit ChunkKeeper(ParameterChunks& inner) : inner_(inner) {}

    ChunkKeeper(const ChunkKeeper&) = delete;
    ChunkKeeper& operator=(const ChunkKeeper&) = delete;
    /// Waits until what waits for the disk is written.
    ~ChunkKeeper() override;

    /// Keeps the chunks that are written from now on.
    void begin(KeptChunks files);

    /// The parameters are whole and kept elsewhere: removes the files, and keeps nothing any more.
    void finish();

    [[nodiscard]] std::size_t chunk_count() const override { return inner_.chunk_count(); }

    [[nodiscard]] std::size_t chunk_bytes(std::size_t chunk) const override {
        return inner_.chunk_bytes(chunk);
    }

    [[nodiscard]] bool try_read(std::size_t chunk, std::span<std::byte> out) override {
        return inner_.try_read(chunk, out);
    }

    [[nodiscard]] bool write(std::size_t chunk, ByteView bytes) override;

    void initialize() override { inner_.initialize(); }

private:
    void run();

    ParameterChunks& inner_;
    std::optional<KeptChunks> files_;  ///< of the thread, once it runs
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::pair<std::uint32_t, Bytes>> queue_;
    bool keeps_ = false;
    bool clear_ = false;
    bool stop_ = false;
    std::thread thread_;
};

}  // namespace starling::peer
