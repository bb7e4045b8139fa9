#pragma once

// What both roles of an exchange work with: the parameters, how they travel, buffers, the outbox.

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/instant.hpp"
#include "gossip/averager.hpp"
#include "gossip/encoding/encoding.hpp"
#include "gossip/gap_memory.hpp"
#include "gossip/messages.hpp"
#include "gossip/pace.hpp"
#include "gossip/parameter_vector.hpp"

namespace starling::gossip {

/// Chunk buffers for reuse: a frame of 256 KiB from the allocator costs page faults each time.
class BufferPool {
public:
    /// Holds at most `bytes` of free buffers.
    explicit BufferPool(std::size_t bytes) : bytes_max_(bytes) {}

    /// Returns a buffer of exactly `size` bytes with any content.
    [[nodiscard]] Bytes take(std::size_t size);
    void give(Bytes buffer);

private:
    std::size_t bytes_max_;
    std::size_t bytes_ = 0;
    std::vector<Bytes> free_;
};

/// What one exchange has moved so far.
struct Tally {
    std::size_t chunks_applied = 0;
    std::uint64_t payload_bytes = 0;
    double squared_distance = 0.0;  ///< parameter chunks only, without buffers
    double squared_norm = 0.0;

    /// Returns ||x - y|| / ||x||, or 1 when only x is zero.
    [[nodiscard]] double relative_distance() const;
};

/// Thread    network
class Workbench {
public:
    /// Requires  config validates and fits parameters.element()
    Workbench(const AveragerConfig& config, ParameterVector& parameters);

    [[nodiscard]] std::uint32_t chunk_count() const { return chunk_count_; }

    /// Returns how a chunk travels in an exchange that uses `encoding`: buffers have their own.
    [[nodiscard]] const ChunkEncoding& encoding_for(std::uint32_t chunk, Encoding encoding) const;

    [[nodiscard]] std::size_t raw_bytes(std::uint32_t chunk) const;

    /// True when the chunk exists and has so many elements.
    [[nodiscard]] bool has(std::uint32_t chunk, std::uint32_t elements) const {
        return chunk < chunk_count_ && elements == parameters.chunk_elements(chunk);
    }

    /// Writes our offer of a chunk to the end of a frame whose front is left for the header. False
    /// when the chunk is locked; then `frame` is empty. `gaps` as for ChunkEncoding::offer.
    [[nodiscard]] bool read_offer(
        std::uint32_t chunk,
        const ChunkEncoding& encoding,
        std::span<const float> gaps,
        Bytes& frame,
        Offer& offer
    );

    /// Answers an offer into a frame as above, with the delta in `delta`.
    [[nodiscard]] bool read_answer(
        std::uint32_t chunk,
        const ChunkEncoding& encoding,
        ByteView offer,
        double coefficient,
        Bytes& frame,
        Difference& difference
    );

    /// Returns room for the gaps of one chunk; empty when they are of no use to the encoding.
    [[nodiscard]] std::span<float> gaps_scratch(std::uint32_t chunk, Encoding encoding);

    /// Enters the distances of a chunk in the tally. False when a value was not finite: counted,
    /// and the delta must not be used.
    [[nodiscard]] bool enter(std::uint32_t chunk, const Difference& difference, Tally& tally);

    void send(const PeerId& to, Bytes frame);
    void count_payload(Tally& tally, std::size_t bytes);

    /// Returns how long a trading exchange may take in all, and without any progress.
    [[nodiscard]] Duration whole_allowance() const { return pace.allowance(2 * model_bytes_); }

    [[nodiscard]] Duration stall_allowance() const { return pace.allowance(2 * chunk_bytes_max_); }

    const AveragerConfig config;
    ParameterVector& parameters;
    Pace pace;
    BufferPool pool;
    std::deque<Outgoing> outbox;
    AveragerCounters counters;
    GapMemory gaps;
    Encoding wish;  ///< of the exchanges to come
    Bytes delta;    ///< scratch of the responder

private:
    const ChunkEncoding& buffer_encoding_;
    std::uint32_t chunk_count_ = 0;
    std::size_t model_bytes_ = 0;
    std::size_t chunk_bytes_max_ = 0;
    Bytes raw_;  ///< scratch for encodings whose wire is not raw
    std::array<float, kBlocksMax> gaps_{};
};

}  // namespace starling::gossip
