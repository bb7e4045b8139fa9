#pragma once

// What a swarm trains on: the list of content-addressed shards, and all facts that a peer needs to
// use them. The founder builds the manifest from files. It travels inside the swarm descriptor and
// never changes.

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"

namespace starling::data {

/// The SHA-256 function. Callers pass it in, because only peer/ may use OpenSSL.
using HashFunction = std::array<std::uint8_t, 32> (*)(ByteView);

enum class Split : std::uint8_t { Train = 0, Test = 1 };

/// Limits for manifests that other peers send.
inline constexpr std::size_t kShardsMax = std::size_t{1} << 16U;
inline constexpr std::size_t kShardBytesMax = std::size_t{16} << 20U;
inline constexpr std::size_t kSampleBytesMax = std::size_t{4} << 20U;
inline constexpr std::size_t kManifestNameMax = 4096;
inline constexpr std::size_t kShapeRankMax = 8;
inline constexpr std::uint32_t kClassesMax = std::uint32_t{1} << 16U;
inline constexpr std::uint32_t kContextMax = 8192;
/// Assigning partitions to owners sorts all pairs of a partition and a peer.
inline constexpr std::uint32_t kPartitionsMax = 1024;
inline constexpr std::size_t kPartitionTextMax = 256;

struct ShardInfo {
    ShardId id;  ///< SHA-256 of the shard's bytes
    Split split = Split::Train;
    std::uint32_t samples = 0;
    std::uint32_t bytes = 0;
    std::uint32_t partition = 0;  ///< of a training shard, below Manifest::partitions
};

/// Of a text a sample is a window. `shape` is the number of its characters, each character has the
/// next one as its label, and the classes are the vocabulary. All counts of samples count windows
/// that do not overlap.
struct Manifest {
    std::string name;                  ///< for people, as "idx:/usr/share/datasets/fashion-mnist"
    std::vector<std::uint32_t> shape;  ///< of one sample: C, H, W
    std::uint32_t classes = 0;
    float mean = 0.0F;    ///< of the training values scaled to [0, 1]
    float stddev = 1.0F;  ///< likewise; the batcher gives (value / 255 - mean) / stddev
    /// Of a text: its characters in UTF-8, in ascending order. Token i stands for the i-th. Empty
    /// for labelled samples.
    std::string vocabulary;
    /// How the training samples were divided among the partitions, as a SPEC with all its values. A
    /// peer with the same files needs it to cut the same shards. Empty without partitions.
    std::string partition;
    /// Each partition has one owner. If this is 0, each shard has an owner of its own.
    std::uint32_t partitions = 0;
    std::vector<ShardInfo> shards;

    [[nodiscard]] bool is_text() const { return !vocabulary.empty(); }

    /// Returns the number of labels of one sample. A text has one for each character of a window.
    [[nodiscard]] std::size_t labels_per_sample() const { return is_text() ? shape[0] : 1; }

    [[nodiscard]] std::uint64_t samples(Split split) const;
    [[nodiscard]] std::size_t sample_elements() const;  ///< product of shape
};

/// Checks that a manifest keeps every limit. decode_manifest accepts no other manifest.
/// Errors    BadValue, Oversized
[[nodiscard]] Result<void> check_manifest(const Manifest& manifest);

/// Encodes a manifest (cereal, portable binary).
/// Requires  a manifest that check_manifest accepts
[[nodiscard]] Bytes encode_manifest(const Manifest& manifest);

/// Decodes a manifest. Checks each count before it allocates.
/// Errors    Truncated, BadFormat, BadVersion, Oversized, BadValue (zero samples, shape or class
///           count out of range, shard bytes that do not fit samples and shape)
[[nodiscard]] Result<Manifest> decode_manifest(ByteView bytes);

}  // namespace starling::data
