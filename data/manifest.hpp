#pragma once

// What a swarm trains on: the list of content-addressed shards, and all facts that a peer needs to
// use them. The founder builds the manifest from files. It travels inside the swarm descriptor and
// never changes.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "data/recipe.hpp"
#include "data/schema.hpp"

namespace starling::data {

/// The SHA-256 function. Callers pass it in, because only peer/ may use OpenSSL.
using HashFunction = std::array<std::uint8_t, 32> (*)(ByteView);

/// Train: for learning. Test: for the final word. Valid: for what is decided while training, such as
/// a target's end; where there is none, Test serves.
enum class Split : std::uint8_t { Train = 0, Test = 1, Valid = 2 };

/// Shared: every peer may fetch every shard. Private: shards stay with the peer that has the files.
enum class DataMode : std::uint8_t { Shared = 0, Private = 1 };

/// Limits for manifests that other peers send.
inline constexpr std::size_t kShardsMax = std::size_t{1} << 16U;
inline constexpr std::size_t kShardBytesMax = std::size_t{16} << 20U;
inline constexpr std::size_t kManifestNameMax = 4096;
/// Assigning partitions to owners sorts all pairs of a partition and a peer.
inline constexpr std::uint32_t kPartitionsMax = 1024;
inline constexpr std::size_t kPartitionTextMax = 256;

/// Versions of an encoded manifest: samples of bytes with a class; texts and partitions; a schema.
inline constexpr std::uint16_t kManifestVersionPlain = 1;
inline constexpr std::uint16_t kManifestVersionText = 2;
inline constexpr std::uint16_t kManifestVersionSchema = 3;

struct ShardInfo {
    ShardId id;  ///< SHA-256 of the shard's bytes
    Split split = Split::Train;
    std::uint32_t samples = 0;
    std::uint32_t bytes = 0;
    std::uint32_t partition = 0;  ///< of a training shard, below Manifest::partitions
};

/// Of a text a sample is a window. Its label kind is Tokens: each token has the next one as its
/// label. All counts of samples count windows that do not overlap.
struct Manifest {
    std::string
        name;  ///< for people, as "idx:fashion-mnist"; where it was read, with path and options
    Schema schema;
    Recipe recipe;
    /// Private: each peer has samples of its own, of this schema. The manifest that travels lists no shards, and
    /// that of a peer's own samples never leaves it.
    DataMode mode = DataMode::Shared;
    /// How the training samples were divided among the partitions, as a SPEC with all its values. A
    /// peer with the same files needs it to cut the same shards. Empty without partitions.
    std::string partition;
    /// Each partition has one owner. If this is 0, each shard has an owner of its own.
    std::uint32_t partitions = 0;
    std::vector<ShardInfo> shards;

    [[nodiscard]] bool is_text() const { return schema.label.kind == LabelKind::Tokens; }

    [[nodiscard]] std::uint32_t classes() const { return schema.label.count; }

    /// Returns the shape of what a model is fed, as fed_shape.
    [[nodiscard]] std::vector<std::uint32_t> shape() const { return fed_shape(recipe, schema); }

    /// Returns the number of values that a model is fed for one sample: the product of shape().
    [[nodiscard]] std::size_t sample_elements() const;

    /// Returns the number of labels of one sample. A text has one for each token of a window.
    [[nodiscard]] std::size_t labels_per_sample() const;

    /// Returns the size of one stored sample, or 0 where it varies. Of a text that of one token.
    [[nodiscard]] std::size_t stored_bytes() const;

    [[nodiscard]] std::uint64_t samples(Split split) const;

    /// Returns the split on which targets are measured: Valid where there is one, else Test.
    [[nodiscard]] Split target_split() const;
};

/// Returns the name under which strangers may know a data set: its kind and the last part of its path.
/// Folders of the founder's machine, and options such as a query, are nobody else's business.
[[nodiscard]] std::string public_name(std::string_view name);

/// Returns what a swarm of private data agrees on: schema and recipe, without shards, and without a
/// name, because that is a path.
[[nodiscard]] Manifest agreed_part(const Manifest& own);

/// Describes raw samples of bytes with one class each: what manifests of version 1 can say.
/// Shapes    `shape` is that of one sample, as C, H, W
void describe_bytes(
    Manifest& manifest, const std::vector<std::uint32_t>& shape, std::uint32_t classes, Scale scale
);

/// Describes a text whose tokens are characters: what manifests of version 2 can say.
void describe_characters(
    Manifest& manifest, std::string vocabulary, std::uint32_t characters, std::uint32_t context
);

/// Returns the version with which a manifest is written: the lowest one that can say all of it, so
/// that the ids of existing swarms stay.
[[nodiscard]] std::uint16_t manifest_version(const Manifest& manifest);

/// Returns the version of this manifest's shards: 2 for tokens, 1 for what a manifest of version 1 or
/// 2 describes, else 3.
[[nodiscard]] std::uint16_t shard_version(const Manifest& manifest);

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
