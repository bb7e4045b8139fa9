#pragma once

// The training samples of a data set for `starling bench`, cut into shards and drawn as a peer does
// it that owns all of them.

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.hpp"
#include "data/prefetch.hpp"
#include "peer/terms/data_set.hpp"

namespace starling::peer {

/// Thread    one
class BenchData {
public:
    /// Loads a data set, with the windows that the model wants. Blocks until it is read and cut.
    /// Requires  batch > 0
    /// Errors    those of cut_for_swarm(); BadValue: no training sample
    [[nodiscard]] static Result<std::unique_ptr<BenchData>> load(
        const std::string& dataset, const std::string& model, std::int64_t batch
    );

    BenchData(CutShards sharded, std::int64_t batch);

    [[nodiscard]] const data::Manifest& manifest() const { return shards_.manifest(); }

    /// Waits for the next batch.
    [[nodiscard]] const data::PreparedBatch& next();

private:
    data::ShardStore shards_;
    data::Prefetcher batches_;
};

}  // namespace starling::peer
