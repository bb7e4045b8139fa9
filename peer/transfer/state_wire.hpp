#pragma once

// The bytes of the frames by which parameters travel (docs/protocol/streams.md, "Parameters for a
// newcomer"). Only the sources of this room include this.

#include <cstddef>
#include <cstdint>

namespace starling::peer {

enum class ChunkStatus : std::uint8_t {
    Here = 0,   ///< a whole chunk
    Busy = 1,   ///< not now; if a piece was asked for, its offset follows
    Piece = 2,  ///< an offset, and bytes of the chunk from there on
};

inline constexpr std::size_t kChunkHeadBytes = 5;
inline constexpr std::size_t kChunkPieceHeadBytes = 9;

/// Bits of what a donor can do, in the last byte of StateInfo. Earlier releases do not send it.
inline constexpr std::uint8_t kGivesPieces = 1;

}  // namespace starling::peer
