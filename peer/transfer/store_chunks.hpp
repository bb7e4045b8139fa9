#pragma once

// The compute arena as a transfer sees it.

#include <cstdint>

#include "compute/arena/parameter_store.hpp"
#include "peer/transfer/parameter_chunks.hpp"

namespace starling::peer {

/// Thread    network
class StoreChunks final : public ParameterChunks {
public:
    /// `seed` is the swarm's. Requires  `store` outlives this
    StoreChunks(compute::ParameterStore& store, std::uint64_t seed) : store_(store), seed_(seed) {}

    [[nodiscard]] std::size_t chunk_count() const override;
    [[nodiscard]] std::size_t chunk_bytes(std::size_t chunk) const override;
    [[nodiscard]] bool try_read(std::size_t chunk, std::span<std::byte> out) override;
    /// Waits for the chunk's lock. Only a peer that does not train writes.
    [[nodiscard]] bool write(std::size_t chunk, ByteView bytes) override;
    void initialize() override;

private:
    compute::ParameterStore& store_;
    std::uint64_t seed_;
};

}  // namespace starling::peer
