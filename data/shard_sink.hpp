#pragma once

// Where shards go that are cut one after another, so that not all of them are in memory.

#include <functional>
#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "data/shard_extents.hpp"

namespace starling::data {

/// A shard that was cut.
struct CutShard {
    ShardId id;
    Bytes bytes;
    /// Where all bytes behind the first `head` ones lie in users' files; empty where they do not lie there as
    /// they are.
    std::vector<FileExtent> extents = {};
    std::size_t head = 0;
};

/// Takes one shard, in the manifest's order. What it returns ends the cutting.
using ShardSink = std::function<Result<void>(CutShard shard)>;

}  // namespace starling::data
