#pragma once

// How a peer that trains gives its present parameters to a newcomer, as a machine without I/O. It goes
// on training.
//
// StateInfoRequest: empty      StateInfo: 32 B layout hash, u64 schedule step, u8 ready, u8 1: gives pieces
// StateRequest: u32 chunk, and for a piece of it u32 offset, u32 bytes
// StateChunk: u32 chunk, u8 status; 0: the chunk as f32; 1 busy (u32 offset, if a piece was asked for);
//             2: u32 offset, f32 from there on
//
// Thread    network

#include <cstdint>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "peer/transfer/outbox.hpp"
#include "peer/transfer/parameter_chunks.hpp"

namespace starling::peer {

/// It answers "busy" for a chunk that the trainer has locked; the newcomer asks anew.
class StateDonor {
public:
    /// Requires  `parameters` and `out` outlive the donor
    StateDonor(ParameterChunks& parameters, const LayoutHash& layout, Outbox& out)
        : parameters_(parameters),
          layout_(layout),
          out_(out) {}

    void handle_info_request(const PeerId& from, bool ready, std::uint64_t schedule_step);
    /// Answers a request. With `overloaded`, the answer is "busy".
    void handle_request(const PeerId& from, ByteView payload, bool overloaded);

private:
    void give_whole(const PeerId& to, std::uint32_t chunk, bool overloaded);

    ParameterChunks& parameters_;
    LayoutHash layout_;
    Outbox& out_;
    Bytes chunk_;  ///< of which a piece is given
};

}  // namespace starling::peer
