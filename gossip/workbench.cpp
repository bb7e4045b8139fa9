#include "gossip/workbench.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "base/check.hpp"
#include "gossip/encoding/registry.hpp"

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
      paces(config_in),
      // A window of frames on their way, one of snapshots, and some for the other role.
      pool(
          2 * (config_in.adapt_window ? kWindowMax : config_in.window_bytes) +
          (std::size_t{4} << 20U)
      ),
      wish(config_in.encoding),
      buffer_encoding_(encoding_of_buffers(*find_encoding(config_in.encoding))) {
    STARLING_CHECK(config.validate());
    STARLING_CHECK(find_encoding(config.encoding)->element() == parameters.element());
    STARLING_CHECK(parameters.chunk_count() <= std::numeric_limits<std::uint32_t>::max());
    chunk_count_ = static_cast<std::uint32_t>(parameters.chunk_count());
    // Noloco sends its slow weights too.
    if (config.mix.rule == Rule::Noloco) payloads_ = 4;
    for (std::uint32_t chunk = 0; chunk < chunk_count_; ++chunk) {
        const std::size_t count = parameters.chunk_elements(chunk);
        STARLING_CHECK(count >= 1 && count <= kChunkElementsMax);
        // Deadlines allow for the largest form: a partner may wish for f32, and for the whole.
        model_bytes_ += raw_bytes(chunk, {});
        chunk_bytes_max_ = std::max(chunk_bytes_max_, raw_bytes(chunk, {}));
    }
}

const ChunkEncoding& Workbench::encoding_for(std::uint32_t chunk, Encoding encoding) const {
    return parameters.is_buffer(chunk) ? buffer_encoding_ : *find_encoding(encoding);
}

std::uint32_t Workbench::chunks_in(const Part& part) const {
    if (part.whole()) return chunk_count_;
    std::uint32_t count = 0;
    for (std::uint32_t chunk = 0; chunk < chunk_count_; ++chunk) {
        if (elements(chunk, part) > 0) ++count;
    }
    return count;
}

bool Workbench::try_read(std::uint32_t chunk, const Part& wanted, std::span<std::byte> out) {
    const Part part = part_of(chunk, wanted);
    if (part.whole()) return parameters.try_read(chunk, out);
    whole_.resize(raw_bytes(chunk, {}));
    if (!parameters.try_read(chunk, whole_)) return false;
    part.gather(chunk, element_size(parameters.element()), whole_, out);
    return true;
}

bool Workbench::try_add(std::uint32_t chunk, const Part& wanted, ByteView delta) {
    const Part part = part_of(chunk, wanted);
    if (part.whole()) return parameters.try_add(chunk, delta);
    whole_.assign(raw_bytes(chunk, {}), std::byte{0});
    part.scatter(chunk, element_size(parameters.element()), delta, whole_);
    return parameters.try_add(chunk, whole_);
}

std::span<BlockGap> Workbench::gaps_room(std::uint32_t chunk, const Part& part) {
    if (!is_lattice(config.encoding) || parameters.is_buffer(chunk)) return {};
    return std::span(gaps_).first(block_count(elements(chunk, part)));
}

std::span<const float> Workbench::known_gaps(
    const GapMemory& memory, std::uint32_t chunk, const Part& part, double apart
) {
    if (!has_gaps(chunk, part)) return {};
    const auto latest = memory.latest(gap_slot(chunk, part));
    const auto known = std::span(known_gaps_).first(latest.size());
    const auto times = static_cast<float>(apart * memory.caution());
    std::transform(latest.begin(), latest.end(), known.begin(), [times](const BlockGap& gap) {
        return gap.largest * times;
    });
    return known;
}

double Workbench::known_deviation(
    const GapMemory& memory, std::uint32_t chunk, const Part& part, std::size_t at
) const {
    if (!has_gaps(chunk, part)) return 0.0;
    const auto latest = memory.latest(gap_slot(chunk, part));
    return latest.empty() ? 0.0 : double{latest[at / kBlockElements].deviation};
}

void Workbench::note_gaps(
    GapMemory& memory, std::uint32_t chunk, const Part& part, std::span<const BlockGap> gaps
) const {
    if (!gaps.empty() && has_gaps(chunk, part)) memory.note(gap_slot(chunk, part), gaps);
}

void Workbench::lay_out(GapMemory& memory) const {
    std::vector<std::size_t> sizes;
    for (std::uint32_t chunk = 0; chunk < chunk_count_; ++chunk) {
        for (std::uint32_t part = 0; part < config.parts; ++part) {
            sizes.push_back(elements(chunk, {part, config.parts}));
        }
    }
    memory.lay_out(sizes);
}

Misdeed Workbench::enter(std::uint32_t chunk, const Difference& difference, Tally& tally) {
    if (!difference.finite) {
        ++counters.refused_values;
        return count(sound(chunk) ? Misdeed::Values : Misdeed::Own);
    }
    if (!parameters.is_buffer(chunk)) {
        tally.squared_distance += difference.squared_distance;
        tally.squared_norm += difference.squared_norm;
    }
    return Misdeed::None;
}

double Workbench::share_within_clip(
    std::uint32_t chunk, const Part& part, const Difference& difference
) const {
    if (config.clip <= 0.0 || parameters.is_buffer(chunk)) return 1.0;
    if (parameters.element() != Element::F32) return 1.0;
    const auto ones = static_cast<double>(elements(chunk, part));
    const double reach = config.clip * (std::sqrt(difference.squared_norm) + std::sqrt(ones));
    const double distance = std::sqrt(difference.squared_distance);
    if (distance <= reach) return 1.0;
    // A sum of squares that overflowed is beyond, too.
    return std::isfinite(distance) ? reach / distance : 0.0;
}

Misdeed Workbench::check_clip(std::uint32_t chunk, const Part& part, const Difference& difference) {
    if (share_within_clip(chunk, part, difference) == 1.0) return Misdeed::None;
    return count(Misdeed::Norm);
}

Misdeed Workbench::check(
    std::uint32_t chunk, const Part& part, const Difference& difference, Tally& tally
) {
    const Misdeed misdeed = enter(chunk, difference, tally);
    return misdeed == Misdeed::None ? check_clip(chunk, part, difference) : misdeed;
}

Misdeed Workbench::count(Misdeed misdeed) {
    ++counters.misdeeds[static_cast<std::size_t>(misdeed)];
    return misdeed;
}

/// Whether our own chunk is free of NaN and infinity. One that is locked now counts as sound.
bool Workbench::sound(std::uint32_t chunk) {
    if (parameters.element() != Element::F32) return true;
    whole_.resize(raw_bytes(chunk, {}));
    if (!parameters.try_read(chunk, whole_)) return true;
    for (std::size_t at = 0; at < whole_.size(); at += sizeof(float)) {
        float value = 0.0F;
        std::memcpy(&value, whole_.data() + at, sizeof(value));
        if (!std::isfinite(value)) return false;
    }
    return true;
}

void Workbench::send(const PeerId& to, Bytes frame, Passage passage) {
    outbox.push_back(Outgoing{to, std::move(frame), passage});
}

void Workbench::count_payload(Tally& tally, std::size_t bytes) {
    tally.payload_bytes += bytes;
    counters.payload_bytes += bytes;
}

}  // namespace starling::gossip
