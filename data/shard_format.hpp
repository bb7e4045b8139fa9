#pragma once

// The bytes of one shard. The header contains the split and the ordinal, so that two shards with
// equal samples have different bytes and different ids.
//
// Versions 1 and 2 hold header, values (samples * sample bytes), labels (samples * 2 bytes).
//
//   offset  size  field
//        0     4  magic "SHRD"
//        4     2  version: 1 samples, 2 a run of a text, 3 records
//        6     2  split: 0 train, 1 test, 2 valid
//        8     4  ordinal within the manifest
//       12     4  samples
//       16     4  bytes of one sample's values
//       20        values, then labels as little-endian 16-bit numbers
//
// Of a text: the number of tokens at 12, the bytes of one token (2) at 16, and from 20 on the
// tokens as little-endian 16-bit numbers. Windows are cut when they are needed, so the bytes do not
// depend on a context.
//
// Version 3 is a container of records. A record has the bytes of one sample as its source has them:
// raw elements, or a whole JPEG or WAV file. The same files so give the same shards on every
// machine, whatever decoder it has.
//
//       16     4  bytes of all labels
//       20        samples + 1 ends of records, u32, counted from the first record's first byte; the
//                 first is 0
//                 boxes only: samples + 1 ends of labels, likewise
//                 labels, each as in append_label()
//                 records

#include <cstddef>
#include <cstdint>

#include "data/schema.hpp"

namespace starling::data {

inline constexpr std::uint32_t kShardMagic = 0x44524853;  // "SHRD" in little-endian order
inline constexpr std::uint16_t kShardVersion = 1;
inline constexpr std::uint16_t kShardVersionText = 2;
inline constexpr std::uint16_t kShardVersionRecords = 3;
inline constexpr std::size_t kShardHeaderBytes = 20;
inline constexpr std::size_t kLabelBytes = 2;
inline constexpr std::size_t kTokenBytes = 2;
inline constexpr std::size_t kEndBytes = 4;
inline constexpr std::size_t kLeastBoxLabelBytes = 2;  ///< a count of zero

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

/// Returns where the records of a shard of version 3 begin at the earliest: exactly there, except
/// that labels of boxes may be longer.
[[nodiscard]] inline std::uint64_t records_begin(const Label& label, std::uint64_t samples) {
    const bool boxes = label.kind == LabelKind::Boxes;
    const std::uint64_t ends = (boxes ? 2 : 1) * (samples + 1) * kEndBytes;
    return kShardHeaderBytes + ends + samples * (boxes ? kLeastBoxLabelBytes : label_bytes(label));
}

}  // namespace starling::data
