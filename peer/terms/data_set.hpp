#pragma once

// How a swarm reads a data set and cuts it into shards: for a new swarm, for one that is there, and
// for an evaluation. All of it takes as long as reading and hashing the files; the data::Reading of
// the calling thread is told how far it is.

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/shared_bytes.hpp"
#include "data/dataset.hpp"
#include "data/shard_sink.hpp"
#include "data/source.hpp"
#include "data/stored_shard.hpp"
#include "peer/terms/shard_tally.hpp"

namespace starling::peer {

/// A data set that was cut. Its shards lie in files that are mapped, or where the user has them.
struct CutShards {
    data::Manifest manifest;
    std::vector<data::StoredShard> shards;  ///< parallel to manifest.shards
};

/// What is known of a data set that was read.
struct CutData {
    CutShards sharded;
    std::vector<std::string> notes;  ///< lines for people: what is odd about the files
};

/// What people want to know of a data set. Its shards were cut, counted and hashed, and not kept.
struct LookedAt {
    data::Manifest manifest;
    ShardTally tally;
    std::vector<data::StoredShard> first;  ///< the first shards, for samples of them
    std::vector<std::string> notes;
};

/// Shards that look_at() keeps.
inline constexpr std::size_t kShardsLookedAt = 3;

/// Checks what can be checked without reading: that the kind is known and that the path leads to
/// what this kind reads. Takes no time, so that a joiner can do it before it joins.
/// Errors    Usage
[[nodiscard]] Result<void> check_data_set(const std::string& dataset);

/// Returns all that a scan has to say, as lines for people.
[[nodiscard]] std::vector<std::string> notes_of(const data::Source& source);

/// Reads a data set of any kind and cuts it for a new swarm that trains `model`. If the spec
/// of a text does not set the windows, the model does: `gpt?context=64`. The shards go into
/// files in `directory`, or into files without a name. A small data set for which the disk has no room
/// stays in memory. Few samples are cut so fine that each of `peers` gets some.
/// Errors    those of data::load_dataset and data::open_source, Usage; Busy, Io (no room for a large
///           one); Cancelled
[[nodiscard]] Result<CutData> cut_for_swarm(
    const std::string& dataset,
    const std::string& model,
    const data::Partition& partition = {},
    const std::filesystem::path& directory = {},
    std::uint32_t peers = 1
);

/// Reads a data set and cuts it as cut_for_swarm does, and keeps its first shards alone, in files without
/// names. It takes no room on the disk for the others.
/// Errors    those of cut_for_swarm
[[nodiscard]] Result<LookedAt> look_at(const std::string& dataset);

/// Reads a data set as a founder would, and returns schema and recipe alone (data::agreed_part), with what is odd about
/// the files in `notes`.
/// Errors    those of cut_for_swarm
[[nodiscard]] Result<data::Manifest> schema_of(
    const std::string& dataset, std::vector<std::string>& notes
);

/// Reads a data set of any kind and writes its shards into a folder as they are cut: of a source one
/// is in memory at a time. Returns the manifest, and in `notes` what is odd about the files.
/// Errors    Usage (something is in the folder already), those of cut_for_swarm and of write_shard
[[nodiscard]] Result<data::Manifest> cut_into_folder(
    const std::string& dataset,
    const std::filesystem::path& directory,
    const data::Partition& partition,
    std::vector<std::string>& notes
);

/// Reads a data set and cuts it as the swarm of this manifest did, to serve that swarm. If the data
/// differ from the swarm's, the shards have ids that the swarm does not know. Hands over one shard at a
/// time.
/// Errors    as cut_for_swarm, and what the sink returns
[[nodiscard]] Result<data::Manifest> cut_like(
    const std::string& dataset, const data::Manifest& manifest, const data::ShardSink& sink
);

/// Reads the samples that a peer brings into a swarm of private data. They are prepared and labelled as
/// the swarm has agreed, and stay with the peer.
/// Errors    as cut_for_swarm; Usage (samples that the model cannot take, named)
[[nodiscard]] Result<CutData> cut_private(
    const std::string& dataset, const data::Manifest& agreed, const std::filesystem::path& directory
);

/// Reads a data set and cuts it to evaluate a model of this swarm. Samples are prepared and labels
/// numbered as the swarm's own.
/// Errors    as cut_for_swarm; Usage (data that the model cannot take)
[[nodiscard]] Result<CutData> cut_for_eval(const std::string& dataset, const data::Manifest& swarm);

}  // namespace starling::peer
