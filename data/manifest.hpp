#pragma once

// What a swarm trains on: content-addressed shards of samples and the facts needed to use them. The
// founder builds a manifest from files; it travels inside the swarm descriptor and never changes.

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"

namespace starling::data {

/// SHA-256, handed in: OpenSSL lives in peer/ alone.
using HashFunction = std::array<std::uint8_t, 32> (*)(ByteView);

enum class Split : std::uint8_t { Train = 0, Test = 1 };

/// Limits for manifests from strangers.
inline constexpr std::size_t kShardsMax = std::size_t{1} << 16U;
inline constexpr std::size_t kShardBytesMax = std::size_t{16} << 20U;
inline constexpr std::size_t kSampleBytesMax = std::size_t{4} << 20U;
inline constexpr std::size_t kManifestNameMax = 4096;
inline constexpr std::size_t kShapeRankMax = 8;
inline constexpr std::uint32_t kClassesMax = std::uint32_t{1} << 16U;
inline constexpr std::uint32_t kContextMax = 8192;
inline constexpr std::uint32_t kPartitionsMax = 1024;  ///< who owns them is n log n in pairs
inline constexpr std::size_t kPartitionTextMax = 256;

struct ShardInfo {
    ShardId id;  ///< SHA-256 of the shard's bytes
    Split split = Split::Train;
    std::uint32_t samples = 0;
    std::uint32_t bytes = 0;
    std::uint32_t partition = 0;  ///< of a training shard, below Manifest::partitions
};

/// For a text a sample is a window: `shape` is the number of its characters, each of which has the
/// next one as its label, and the classes are the vocabulary. Counts of samples, everywhere, count
/// windows that do not overlap.
struct Manifest {
    std::string name;                  ///< for people: "idx:/usr/share/datasets/fashion-mnist"
    std::vector<std::uint32_t> shape;  ///< of one sample: C, H, W
    std::uint32_t classes = 0;
    float mean = 0.0F;    ///< of the training values scaled to [0, 1]
    float stddev = 1.0F;  ///< likewise; the batcher feeds (value / 255 - mean) / stddev
    /// Of a text: its characters in UTF-8, in ascending order; token i stands for the i-th. Empty
    /// for labelled samples.
    std::string vocabulary;
    /// How training samples were dealt out to the partitions, a SPEC with all its values; for
    /// whoever cuts the same files into the same shards. Empty without partitions.
    std::string partition;
    std::uint32_t partitions = 0;  ///< owned as wholes; 0: each shard is owned for itself
    std::vector<ShardInfo> shards;

    [[nodiscard]] bool is_text() const { return !vocabulary.empty(); }

    /// Labels of one sample: a text has one for each character.
    [[nodiscard]] std::size_t labels_per_sample() const { return is_text() ? shape[0] : 1; }

    [[nodiscard]] std::uint64_t samples(Split split) const;
    [[nodiscard]] std::size_t sample_elements() const;  ///< product of shape
};

/// Says whether a manifest keeps every limit; decode_manifest accepts nothing else.
/// Errors    BadValue, Oversized
[[nodiscard]] Result<void> check_manifest(const Manifest& manifest);

/// Encodes a manifest (cereal, portable binary). Requires one that check_manifest accepts.
[[nodiscard]] Bytes encode_manifest(const Manifest& manifest);

/// Errors    Truncated, BadFormat, BadVersion, Oversized, BadValue (zero samples, shape or class
/// count out of
///           range, shard bytes that do not fit samples and shape); counts are checked before any
///           allocation
[[nodiscard]] Result<Manifest> decode_manifest(ByteView bytes);

}  // namespace starling::data
