#pragma once

// The problem that a data set poses to a model, and how a swarm cuts a data set.

#include <cstdint>
#include <string>

#include "base/result.hpp"
#include "compute/task.hpp"
#include "data/dataset.hpp"
#include "data/manifest.hpp"

namespace starling::peer {

[[nodiscard]] compute::Task task_of(const data::Manifest& manifest);

/// Samples in one evaluation batch, which is also one estimate while training: fewer of a text,
/// whose windows have many labels each.
[[nodiscard]] std::int64_t evaluation_batch(const data::Manifest& manifest);

/// Loads the data that a model is to be trained on: `gpt?context=64` decides a text's windows where
/// the text's own spec does not.
/// Errors    those of data::load_dataset
[[nodiscard]] Result<data::Dataset> load_for_model(
    const std::string& dataset, const std::string& model
);

/// Cuts a data set as every peer does: a joiner with the same files must get the same shards. A
/// small data set is cut finer, so that each of a few peers owns some of it.
/// Errors    Usage (a partition that the data do not allow)
[[nodiscard]] Result<data::Sharded> cut_dataset(
    const data::Dataset& dataset, const data::Partition& partition = {}
);

/// Loads and cuts a data set to serve a swarm with this manifest: with its windows and partitions.
/// Shards of other data than the swarm's have ids that it does not know.
/// Errors    those of data::load_dataset, Usage
[[nodiscard]] Result<data::Sharded> cut_like(
    const std::string& dataset, const data::Manifest& manifest
);

}  // namespace starling::peer
