#pragma once

// How a swarm reads a data set and cuts it into shards: for a new swarm, for one that is there, and
// for an evaluation. All of it takes as long as reading and hashing the files.

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "data/dataset.hpp"
#include "data/source.hpp"

namespace starling::peer {

/// A data set that was read and cut.
struct CutData {
    data::Sharded sharded;
    std::vector<std::string> notes;  ///< lines for people: what is odd about the files
};

/// Takes a line that says how far reading is; may be empty.
using DataProgress = std::function<void(const std::string& line)>;

/// Checks what can be checked without reading: that the kind is known and that the path leads to
/// what this kind reads. Takes no time, so that a joiner can do it before it joins.
/// Errors    Usage
[[nodiscard]] Result<void> check_data_set(const std::string& dataset);

/// Returns all that a scan has to say, as lines for people.
[[nodiscard]] std::vector<std::string> notes_of(const data::Source& source);

/// Loads an `idx:` or `text:` data set for a model; blocks until it is read. If the spec of a text
/// does not set the windows, the model does: `gpt?context=64`.
/// Errors    those of data::load_dataset
[[nodiscard]] Result<data::Dataset> load_for_model(
    const std::string& dataset, const std::string& model
);

/// Cuts such a data set. A small one is cut finer, so that each of a few peers owns some of it.
/// Errors    Usage (a partition that the data do not allow)
[[nodiscard]] Result<data::Sharded> cut_dataset(
    const data::Dataset& dataset, const data::Partition& partition = {}
);

/// Reads a data set of any kind and cuts it for a new swarm that trains `model`.
/// Errors    those of data::load_dataset and data::open_source, Usage
[[nodiscard]] Result<CutData> cut_for_swarm(
    const std::string& dataset,
    const std::string& model,
    const data::Partition& partition = {},
    const DataProgress& progress = {}
);

/// Reads a data set of any kind and writes its shards into a folder as they are cut: of a source one
/// is in memory at a time. Returns the manifest, and in `notes` what is odd about the files.
/// Errors    Usage (something is in the folder already), those of cut_for_swarm and of write_shard
[[nodiscard]] Result<data::Manifest> cut_into_folder(
    const std::string& dataset,
    const std::filesystem::path& directory,
    const data::Partition& partition,
    const DataProgress& progress,
    std::vector<std::string>& notes
);

/// Reads a data set and cuts it as the swarm of this manifest did, to serve that swarm. If the data
/// differ from the swarm's, the shards have ids that the swarm does not know.
/// Errors    as cut_for_swarm
[[nodiscard]] Result<data::Sharded> cut_like(
    const std::string& dataset, const data::Manifest& manifest
);

/// Reads a data set and cuts it to evaluate a model of this swarm. Samples are prepared and labels
/// numbered as the swarm's own.
/// Errors    as cut_for_swarm; Usage (data that the model cannot take)
[[nodiscard]] Result<CutData> cut_for_eval(const std::string& dataset, const data::Manifest& swarm);

}  // namespace starling::peer
