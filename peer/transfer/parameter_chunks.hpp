#pragma once

// The parameters as a transfer sees them: chunks of bytes. The daemon has the compute arena behind
// this, the simulator floats of its own.

#include <cstddef>
#include <span>

#include "base/bytes.hpp"

namespace starling::peer {

class ParameterChunks {
public:
    virtual ~ParameterChunks() = default;

    [[nodiscard]] virtual std::size_t chunk_count() const = 0;
    [[nodiscard]] virtual std::size_t chunk_bytes(std::size_t chunk) const = 0;

    /// Copies a chunk. Returns false and leaves `out` unspecified while the trainer has locked it.
    /// Requires  out.size() == chunk_bytes(chunk)
    [[nodiscard]] virtual bool try_read(std::size_t chunk, std::span<std::byte> out) = 0;

    /// Replaces a chunk. Returns false and changes nothing if a value is not finite.
    /// Requires  bytes.size() == chunk_bytes(chunk)
    [[nodiscard]] virtual bool write(std::size_t chunk, ByteView bytes) = 0;

    /// Replaces all of them by those with which every peer of the swarm begins.
    virtual void initialize() = 0;

protected:
    ParameterChunks() = default;
    ParameterChunks(const ParameterChunks&) = default;
    ParameterChunks& operator=(const ParameterChunks&) = default;
};

}  // namespace starling::peer
