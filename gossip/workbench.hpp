#pragma once

// The workbench of an averager: what its two exchanges and its mixing rules share. That is the
// configuration, the parameters and how they travel, scratch memory, the outbox and the counters.

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/instant.hpp"
#include "gossip/config.hpp"
#include "gossip/encoding/encoding.hpp"
#include "gossip/gap_memory.hpp"
#include "gossip/outcome.hpp"
#include "gossip/pace.hpp"
#include "gossip/parameter_vector.hpp"
#include "gossip/part.hpp"

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

    /// Returns the part of a chunk that an exchange of `part` averages. Of buffers that is all,
    /// because they are small and mean something only together.
    [[nodiscard]] Part part_of(std::uint32_t chunk, const Part& part) const {
        return parameters.is_buffer(chunk) ? Part{} : part;
    }

    [[nodiscard]] std::size_t elements(std::uint32_t chunk, const Part& part) const {
        return part_of(chunk, part).elements_of(chunk, parameters.chunk_elements(chunk));
    }

    [[nodiscard]] std::size_t raw_bytes(std::uint32_t chunk, const Part& part) const {
        return elements(chunk, part) * element_size(parameters.element());
    }

    /// Returns how many chunks have elements in this part.
    [[nodiscard]] std::uint32_t chunks_in(const Part& part) const;

    /// True when the chunk exists and has so many elements in this part, at least one.
    [[nodiscard]] bool has(std::uint32_t chunk, std::uint32_t count, const Part& part) const {
        return count > 0 && chunk < chunk_count_ && count == elements(chunk, part);
    }

    /// Reads a part of a chunk, or adds to it; false when the chunk is locked now.
    [[nodiscard]] bool try_read(std::uint32_t chunk, const Part& part, std::span<std::byte> out);
    [[nodiscard]] bool try_add(std::uint32_t chunk, const Part& part, ByteView delta);

    /// Returns room for the gaps of a part of a chunk; empty when they are of no use to the swarm's
    /// encoding.
    [[nodiscard]] std::span<BlockGap> gaps_room(std::uint32_t chunk, const Part& part);

    /// Returns the gaps to expect of a partner that is so many times as far as the last one was.
    /// They are remembered for each part of each chunk by itself, because parts that shared an
    /// entry would spoil each other's scale. Where exchanges are of parts, one of all elements has
    /// no gaps.
    [[nodiscard]] std::span<const float> known_gaps(
        const GapMemory& memory, std::uint32_t chunk, const Part& part, double apart
    );
    /// Returns the deviation of the differences at the last exchange, in the block of this element of the
    /// part; 0 if unknown.
    [[nodiscard]] double known_deviation(
        const GapMemory& memory, std::uint32_t chunk, const Part& part, std::size_t at
    ) const;
    void note_gaps(
        GapMemory& memory, std::uint32_t chunk, const Part& part, std::span<const BlockGap> gaps
    ) const;

    /// Gives a memory room for the gaps of our chunks.
    void lay_out(GapMemory& memory) const;

    /// Enters the distances of a chunk in the tally. Returns Values or Own when a value was not
    /// finite: then that is counted, and the delta must not be used.
    [[nodiscard]] Misdeed enter(std::uint32_t chunk, const Difference& difference, Tally& tally);

    /// Returns the share of the way to the partner's chunk that the clip allows: 1 within it, else
    /// less. Averaged buffers follow the data and have no such bound.
    [[nodiscard]] double share_within_clip(
        std::uint32_t chunk, const Part& part, const Difference& difference
    ) const;

    /// Returns Norm when the partner's chunk is further from ours than the clip allows: then that
    /// is counted, and the delta must not be used.
    [[nodiscard]] Misdeed check_clip(
        std::uint32_t chunk, const Part& part, const Difference& difference
    );

    /// Both: enters the distances, then checks the clip. Returns what is wrong first.
    [[nodiscard]] Misdeed check(
        std::uint32_t chunk, const Part& part, const Difference& difference, Tally& tally
    );

    /// Counts a misdeed and returns it.
    Misdeed count(Misdeed misdeed);

    /// Counts what a partner did wrong. Returns the ending of the exchange.
    [[nodiscard]] Ending violated(Misdeed misdeed) {
        return Ending{Outcome::Violated, count(misdeed)};
    }

    void send(const PeerId& to, Bytes frame, Passage passage = Passage::InOrder);
    void count_payload(Tally& tally, std::size_t bytes);

    /// Returns how long a trading exchange may take in all, and without any progress.
    [[nodiscard]] Duration whole_allowance(const PeerId& partner) {
        return paces.allowance(partner, payloads_ * model_bytes_);
    }

    [[nodiscard]] Duration stall_allowance(const PeerId& partner) {
        return paces.allowance(partner, payloads_ * chunk_bytes_max_);
    }

    const AveragerConfig config;
    ParameterVector& parameters;
    Paces paces;
    BufferPool pool;
    std::deque<Outgoing> outbox;
    AveragerCounters counters;
    Encoding wish;  ///< of the exchanges to come
    bool settling = false;
    double spread = 0.0;

private:
    [[nodiscard]] bool sound(std::uint32_t chunk);

    [[nodiscard]] bool has_gaps(std::uint32_t chunk, const Part& part) const {
        return !parameters.is_buffer(chunk) && part.count == config.parts;
    }

    [[nodiscard]] std::uint32_t gap_slot(std::uint32_t chunk, const Part& part) const {
        return chunk * config.parts + part.index;
    }

    const ChunkEncoding& buffer_encoding_;
    std::uint32_t chunk_count_ = 0;
    std::size_t model_bytes_ = 0;
    std::size_t chunk_bytes_max_ = 0;
    std::size_t payloads_ = 2;  ///< of a chunk in one exchange, both directions
    Bytes whole_;               ///< scratch for parts
    std::array<BlockGap, kBlocksMax> gaps_{};
    std::array<float, kBlocksMax> known_gaps_{};
};

}  // namespace starling::gossip
