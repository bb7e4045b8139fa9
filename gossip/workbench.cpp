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
      encoding_(*find_encoding(config_in.encoding)),
      buffer_encoding_(encoding_of_buffers(encoding_)) {
    STARLING_CHECK(config.validate());
    STARLING_CHECK(encoding_.element() == parameters.element());
    STARLING_CHECK(parameters.chunk_count() <= std::numeric_limits<std::uint32_t>::max());
    chunk_count_ = static_cast<std::uint32_t>(parameters.chunk_count());
    for (std::uint32_t chunk = 0; chunk < chunk_count_; ++chunk) {
        const std::size_t elements = parameters.chunk_elements(chunk);
        STARLING_CHECK(elements >= 1 && elements <= kChunkElementsMax);
        model_bytes_ += wire_bytes(chunk);
        chunk_bytes_max_ = std::max(chunk_bytes_max_, wire_bytes(chunk));
    }
}

const ChunkEncoding& Workbench::encoding_for(std::uint32_t chunk) const {
    return parameters.is_buffer(chunk) ? buffer_encoding_ : encoding_;
}

std::size_t Workbench::wire_bytes(std::uint32_t chunk) const {
    return encoding_for(chunk).wire_bytes(parameters.chunk_elements(chunk));
}

bool Workbench::fits(std::uint32_t chunk, std::uint32_t elements, ByteView payload) const {
    return chunk < chunk_count_ && elements == parameters.chunk_elements(chunk) &&
           payload.size() == wire_bytes(chunk);
}

bool Workbench::read_into_frame(std::uint32_t chunk, Bytes& frame) {
    const auto& encoding = encoding_for(chunk);
    frame = pool.take(kPayloadOffset + wire_bytes(chunk));
    const auto wire = std::span(frame).subspan(kPayloadOffset);
    bool done = false;
    if (encoding.wire_is_raw()) {
        done = parameters.try_read(chunk, wire);
    } else {
        raw_.resize(parameters.chunk_elements(chunk) * element_size(encoding.element()));
        done = parameters.try_read(chunk, raw_);
        if (done) encoding.encode(raw_, wire);
    }
    if (!done) pool.give(std::exchange(frame, {}));
    return done;
}

bool Workbench::difference(
    std::uint32_t chunk,
    ByteView theirs,
    ByteView mine,
    double coefficient,
    std::span<std::byte> delta_out,
    Tally& tally
) {
    const auto result = encoding_for(chunk).difference(theirs, mine, coefficient, delta_out);
    if (!result.finite) {
        ++counters.refused_values;
        return false;
    }
    if (!parameters.is_buffer(chunk)) {
        tally.squared_distance += result.squared_distance;
        tally.squared_norm += result.squared_norm;
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
