#pragma once

// A data set that was cut already: DIR/manifest, and each shard in DIR/ID. `starling data shard`
// writes such a folder, and `--dataset shards:DIR` founds a swarm from it or serves one. Nothing is
// scanned then, and the ids are the manifest's on every machine.

#include <filesystem>

#include "base/result.hpp"
#include "base/spec.hpp"
#include "data/manifest.hpp"
#include "data/partition.hpp"
#include "data/shard_sink.hpp"

namespace starling::peer {

/// Checks that a folder is new or empty: what lies in one may be another data set.
/// Errors    Usage
[[nodiscard]] Result<void> check_empty(const std::filesystem::path& directory);

/// Writes one shard; makes the folder if it is missing.
/// Errors    kDiskFull, Io
[[nodiscard]] Result<void> write_shard(
    const std::filesystem::path& directory, const ShardId& id, ByteView shard
);

/// Writes the manifest. It is written last, so a folder that has one is whole.
/// Errors    kDiskFull, Io
[[nodiscard]] Result<void> write_manifest(
    const std::filesystem::path& directory, const data::Manifest& manifest
);

/// Reads the manifest alone.
/// Errors    NotFound, those of decode_manifest, Io; each names the file
[[nodiscard]] Result<data::Manifest> read_folder_manifest(const std::filesystem::path& directory);

/// Reads the shards of a manifest, verifies each one by its hash and hands it over; only one is in memory.
/// Errors    NotFound (a shard is missing), Corrupt (a shard is not what the manifest says), Io; each names
///           the file; what the sink returns
[[nodiscard]] Result<void> read_folder_shards(
    const std::filesystem::path& directory,
    const data::Manifest& manifest,
    const data::ShardSink& sink
);

/// Reads the manifest and all of its shards.
/// Errors    those of read_folder_manifest and read_folder_shards
[[nodiscard]] Result<data::Manifest> read_shard_folder(
    const std::filesystem::path& directory, const data::ShardSink& sink
);

/// Reads what `shards:DIR` or `shards:DIR?part=N` names: all shards, or those of one owner of the partition and every so
/// manieth one of the other splits.
/// Errors    Usage (an unknown key, no partition to take a part of, another partition than the folder's), those of
///           read_shard_folder
[[nodiscard]] Result<data::Manifest> read_cut(
    const Spec& spec, const data::Partition& partition, const data::ShardSink& sink
);

/// The same for a model whose swarm stores and labels samples alike; they are prepared as the swarm prepares its own.
/// Errors    Usage (samples, labels, or the numbers of words that are not the swarm's), those of read_cut
[[nodiscard]] Result<data::Manifest> read_cut_like(
    const Spec& spec, const data::Manifest& swarm, const data::ShardSink& sink
);

}  // namespace starling::peer
