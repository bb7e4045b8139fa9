#pragma once

// The task that a data set gives a model, and how a swarm cuts a data set into shards.

#include <cstdint>
#include <string>

#include "base/result.hpp"
#include "compute/values/task.hpp"
#include "data/dataset.hpp"
#include "data/manifest.hpp"

namespace starling::peer {

/// Returns the task of this data set: the shape of its samples, its number of classes,
/// and how many labels a sample has.
[[nodiscard]] compute::Task task_of(const data::Manifest& manifest);

/// Returns the number of samples in one evaluation batch, which is also one estimate while
/// training. A text gets fewer, because each of its windows has many labels.
[[nodiscard]] std::int64_t evaluation_batch(const data::Manifest& manifest);

/// Loads the data set for a model; blocks until it is read. If the spec of a text does not set the
/// windows, the model does: `gpt?context=64`.
/// Errors    those of data::load_dataset
[[nodiscard]] Result<data::Dataset> load_for_model(
    const std::string& dataset, const std::string& model
);

/// Cuts a data set in the same way on every peer: a joiner with the same files must get the same
/// shards. A small data set is cut finer, so that each of a few peers owns some of it. Takes time,
/// because it hashes all data.
/// Errors    Usage (a partition that the data do not allow)
[[nodiscard]] Result<data::Sharded> cut_dataset(
    const data::Dataset& dataset, const data::Partition& partition = {}
);

/// Loads a data set and cuts it with the windows and partitions of a swarm's manifest, to serve
/// that swarm. If the data differ from the swarm's, the shards have ids that the swarm does not
/// know. Blocks until all data are read and hashed.
/// Errors    those of data::load_dataset, Usage
[[nodiscard]] Result<data::Sharded> cut_like(
    const std::string& dataset, const data::Manifest& manifest
);

}  // namespace starling::peer
