#include "gossip/workbench.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/check.hpp"
#include "gossip/codec.hpp"

namespace starling::gossip {
namespace {

/// Smaller buffers cost more to keep than to make.
constexpr std::size_t kPooledMin = 1024;

/// Buffers travel as f32 whatever the encoding, because a lossy one could turn a small variance
/// into a negative one; a vector of integers has no f32, and its encoding loses nothing.
const ChunkEncoding& encoding_of_buffers(const ChunkEncoding& encoding) {
    return encoding.element() == Element::F32 ? *find_encoding(Encoding::F32) : encoding;
}

}  // namespace

Bytes BufferPool::take(std::size_t size) {
    if (free_.empty()) return Bytes(size);
    Bytes buffer = std::move(free_.back());
    free_.pop_back();
    bytes_ -= buffer.capacity();
    // A buffer keeps its length in the pool: shrinking writes nothing, growing writes the rest
    // only.
    buffer.resize(size);
    return buffer;
}

void BufferPool::give(Bytes buffer) {
    if (buffer.capacity() < kPooledMin || bytes_ + buffer.capacity() > bytes_max_) return;
    bytes_ += buffer.capacity();
    free_.push_back(std::move(buffer));
}

double Tally::relative_distance() const {
    if (squared_norm > 0.0) return std::sqrt(squared_distance / squared_norm);
    return squared_distance > 0.0 ? 1.0 : 0.0;
}

Workbench::Workbench(const AveragerConfig& config_in, ParameterVector& parameters_in)
    : config(config_in),
      parameters(parameters_in),
      pace(config_in),
      // A window of frames on their way, one of snapshots, and some for the other role.
      pool(2 * config_in.window_bytes + (std::size_t{4} << 20U)),
      wish(config_in.encoding),
      buffer_encoding_(encoding_of_buffers(*find_encoding(config_in.encoding))) {
    STARLING_CHECK(config.validate());
    STARLING_CHECK(find_encoding(config.encoding)->element() == parameters.element());
    STARLING_CHECK(parameters.chunk_count() <= std::numeric_limits<std::uint32_t>::max());
    chunk_count_ = static_cast<std::uint32_t>(parameters.chunk_count());
    std::vector<std::size_t> sizes;
    for (std::uint32_t chunk = 0; chunk < chunk_count_; ++chunk) {
        const std::size_t elements = parameters.chunk_elements(chunk);
        STARLING_CHECK(elements >= 1 && elements <= kChunkElementsMax);
        // Deadlines allow for the largest form: a partner may wish for f32.
        model_bytes_ += raw_bytes(chunk);
        chunk_bytes_max_ = std::max(chunk_bytes_max_, raw_bytes(chunk));
        sizes.push_back(elements);
    }
    gaps.lay_out(sizes);
}

const ChunkEncoding& Workbench::encoding_for(std::uint32_t chunk, Encoding encoding) const {
    return parameters.is_buffer(chunk) ? buffer_encoding_ : *find_encoding(encoding);
}

std::size_t Workbench::raw_bytes(std::uint32_t chunk) const {
    return parameters.chunk_elements(chunk) * element_size(parameters.element());
}

bool Workbench::read_offer(
    std::uint32_t chunk,
    const ChunkEncoding& encoding,
    std::span<const float> known_gaps,
    Bytes& frame,
    Offer& offer
) {
    frame = pool.take(kPayloadOffset + encoding.wire_bytes(parameters.chunk_elements(chunk)));
    auto wire = std::span(frame).subspan(kPayloadOffset);
    if (!encoding.wire_is_raw()) raw_.resize(raw_bytes(chunk));
    const auto raw = encoding.wire_is_raw() ? wire : std::span(raw_);
    if (!parameters.try_read(chunk, raw)) {
        pool.give(std::exchange(frame, {}));
        return false;
    }
    offer = encoding.offer(raw, known_gaps, wire);
    frame.resize(kPayloadOffset + offer.bytes);
    return true;
}

bool Workbench::read_answer(
    std::uint32_t chunk,
    const ChunkEncoding& encoding,
    ByteView offer,
    double coefficient,
    Bytes& frame,
    Difference& difference
) {
    frame = pool.take(kPayloadOffset + encoding.wire_bytes(parameters.chunk_elements(chunk)));
    auto wire = std::span(frame).subspan(kPayloadOffset);
    delta.resize(raw_bytes(chunk));
    if (!encoding.wire_is_raw()) raw_.resize(raw_bytes(chunk));
    const auto raw = encoding.wire_is_raw() ? wire : std::span(raw_);
    if (!parameters.try_read(chunk, raw)) {
        pool.give(std::exchange(frame, {}));
        return false;
    }
    std::size_t reply_bytes = 0;
    const auto room = gaps_scratch(chunk, config.encoding);
    difference = encoding.answer(offer, raw, coefficient, wire, reply_bytes, delta, room);
    frame.resize(kPayloadOffset + reply_bytes);
    return true;
}

std::span<float> Workbench::gaps_scratch(std::uint32_t chunk, Encoding encoding) {
    const bool lattice = encoding == Encoding::Lattice8 || encoding == Encoding::Lattice4;
    if (!lattice || parameters.is_buffer(chunk)) return {};
    return std::span(gaps_).first(block_count(parameters.chunk_elements(chunk)));
}

bool Workbench::enter(std::uint32_t chunk, const Difference& difference, Tally& tally) {
    if (!difference.finite) {
        ++counters.refused_values;
        return false;
    }
    if (!parameters.is_buffer(chunk)) {
        tally.squared_distance += difference.squared_distance;
        tally.squared_norm += difference.squared_norm;
    }
    return true;
}

void Workbench::send(const PeerId& to, Bytes frame) {
    outbox.push_back(Outgoing{to, std::move(frame)});
}

void Workbench::count_payload(Tally& tally, std::size_t bytes) {
    tally.payload_bytes += bytes;
    counters.payload_bytes += bytes;
}

}  // namespace starling::gossip
