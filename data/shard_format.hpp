#pragma once

// The bytes of one shard: header, values (samples * sample bytes), labels (samples * 2 bytes). The
// header contains the split and the ordinal, so that two shards with equal samples have different
// bytes and different ids.
//
//   offset  size  field
//        0     4  magic "SHRD"
//        4     2  version: 1 samples, 2 a run of a text
//        6     2  split: 0 train, 1 test
//        8     4  ordinal within the manifest
//       12     4  samples
//       16     4  bytes of one sample's values
//       20        values, then labels as little-endian 16-bit numbers
//
// Of a text: the number of tokens at 12, the bytes of one token (2) at 16, and from 20 on the
// tokens as little-endian 16-bit numbers. Windows are cut when they are needed, so the bytes do not
// depend on a context.

#include <cstddef>
#include <cstdint>

namespace starling::data {

inline constexpr std::uint32_t kShardMagic = 0x44524853;  // "SHRD" in little-endian order
inline constexpr std::uint16_t kShardVersion = 1;
inline constexpr std::uint16_t kShardVersionText = 2;
inline constexpr std::size_t kShardHeaderBytes = 20;
inline constexpr std::size_t kLabelBytes = 2;
inline constexpr std::size_t kTokenBytes = 2;

/// Returns the size of a shard. It fits 64 bits for any 32-bit count and any allowed sample size.
[[nodiscard]] constexpr std::uint64_t shard_bytes(std::uint64_t samples, std::uint64_t elements) {
    return kShardHeaderBytes + samples * (elements + kLabelBytes);
}

/// Returns how many tokens a text's shard of `bytes` bytes holds.
/// Requires  bytes >= kShardHeaderBytes
[[nodiscard]] constexpr std::size_t shard_tokens(std::size_t bytes) {
    return (bytes - kShardHeaderBytes) / kTokenBytes;
}

/// Returns how many windows fit that do not overlap. Each window needs one token more for its last
/// label; that token may be the first one of the next window.
[[nodiscard]] constexpr std::size_t windows_in(std::size_t tokens, std::size_t context) {
    return tokens == 0 ? 0 : (tokens - 1) / context;
}

}  // namespace starling::data
