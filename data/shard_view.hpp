#pragma once

// How the bytes of a shard are read: where each sample's record and label lie. A view owns nothing.

#include <cstdint>
#include <span>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "data/manifest.hpp"
#include "data/stored_shard.hpp"

namespace starling::data {

/// One shard's samples. The spans point into the shard's bytes.
struct ShardView {
    /// The records one after another; of a text its tokens, as little-endian 16-bit numbers. Empty where
    /// they lie at `extents`.
    std::span<const std::uint8_t> values;
    std::size_t values_bytes = 0;           ///< of all records, wherever they lie
    const ShardExtents* extents = nullptr;  ///< null: in `values`
    /// The labels one after another; of a text none.
    std::span<const std::uint8_t> labels;
    std::uint32_t samples = 0;
    std::size_t record_bytes = 0;  ///< of each record; 0 where `record_ends` say it
    std::size_t label_bytes = 0;   ///< of each label; 0 where `label_ends` say it
    /// samples + 1 ends as little-endian 32-bit numbers, the first of which is 0; may be empty.
    std::span<const std::uint8_t> record_ends;
    std::span<const std::uint8_t> label_ends;

    /// Returns the stored bytes of one sample.
    /// Requires  sample < samples; no text; no extents
    [[nodiscard]] ByteView record(std::size_t sample) const {
        return piece(values, record_ends, record_bytes, sample);
    }

    /// The same of a shard that may lie elsewhere. `room` then holds the bytes.
    /// Requires  sample < samples; no text
    /// Errors    those of ShardExtents::read
    [[nodiscard]] Result<ByteView> record(std::size_t sample, Bytes& room) const;

    /// Returns `count` tokens of a text from number `at` on, as little-endian 16-bit numbers. `room`
    /// holds them where they lie elsewhere.
    /// Requires  at + count <= tokens()
    /// Errors    those of ShardExtents::read
    [[nodiscard]] Result<ByteView> tokens_at(std::size_t at, std::size_t count, Bytes& room) const;

    /// Returns the bytes of one label, as append_label wrote them.
    /// Requires  sample < samples; no text
    [[nodiscard]] ByteView label_of(std::size_t sample) const {
        return piece(labels, label_ends, label_bytes, sample);
    }

    [[nodiscard]] std::size_t tokens() const { return values_bytes / 2; }

    /// Requires  no extents
    [[nodiscard]] std::uint16_t token(std::size_t at) const { return number(values, at); }

    /// Returns the class of a sample that has one.
    [[nodiscard]] std::uint16_t label(std::size_t sample) const { return number(labels, sample); }

private:
    [[nodiscard]] Result<ByteView> values_at(std::size_t begin, std::size_t size, Bytes& room)
        const;

    static std::uint16_t number(std::span<const std::uint8_t> from, std::size_t at) {
        return static_cast<std::uint16_t>(from[2 * at] | (from[2 * at + 1] << 8U));
    }

    static std::size_t end(std::span<const std::uint8_t> ends, std::size_t at);
    static ByteView piece(
        std::span<const std::uint8_t> all,
        std::span<const std::uint8_t> ends,
        std::size_t each,
        std::size_t at
    );
};

/// Returns a view of a shard, after a check of all that a stranger may have written: the header, the
/// ends, every label and every token. A shard with the right hash may still be wrong, because its
/// founder may have hashed anything. Takes a pass over labels or tokens; records are not looked at.
///
/// Errors    BadFormat
/// Thread    any
[[nodiscard]] Result<ShardView> open_shard(
    ByteView bytes, const ShardInfo& info, const Manifest& manifest
);

/// The same of a shard that may lie in users' files. Its tokens are not looked at then.
/// Requires  a shard of records or of a text, where it does
[[nodiscard]] Result<ShardView> open_shard(
    const StoredShard& shard, const ShardInfo& info, const Manifest& manifest
);

/// Returns a view of a shard that open_shard has accepted before. Takes no time.
/// Requires  bytes that open_shard has accepted for this manifest
[[nodiscard]] ShardView view_shard(ByteView bytes, const Manifest& manifest);

[[nodiscard]] ShardView view_shard(const StoredShard& shard, const Manifest& manifest);

/// Returns how many bytes of a shard precede its records or tokens; 0 where labels follow them.
/// Requires  the bytes of a shard that was cut for this manifest
[[nodiscard]] std::size_t shard_head_bytes(ByteView bytes, const Manifest& manifest);

}  // namespace starling::data
