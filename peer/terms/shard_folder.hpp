#pragma once

// A data set that was cut already: DIR/manifest, and each shard in DIR/ID. `starling data shard`
// writes such a folder, and `--dataset shards:DIR` founds a swarm from it or serves one. Nothing is
// scanned then, and the ids are the manifest's on every machine.

#include <filesystem>
#include <functional>

#include "base/result.hpp"
#include "data/manifest.hpp"
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

/// Returns whether a shard is wanted.
using ShardChoice = std::function<bool(const data::ShardInfo& shard)>;

/// Reads the manifest alone.
/// Errors    NotFound, those of decode_manifest, Io; each names the file
[[nodiscard]] Result<data::Manifest> read_folder_manifest(const std::filesystem::path& directory);

/// Reads the manifest and all shards that `choice` takes, without one all of them, verifies each one by its hash and hands it over; only one is in
/// memory.
/// Errors    NotFound (no manifest, or a shard of it is missing), Corrupt (a shard is not what the
///           manifest says), those of decode_manifest, Io; each names the file; what the sink returns
[[nodiscard]] Result<data::Manifest> read_shard_folder(
    const std::filesystem::path& directory,
    const data::ShardSink& sink,
    const ShardChoice& choice = {}
);

}  // namespace starling::peer
