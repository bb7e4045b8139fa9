#pragma once

// Where shards go that are cut one after another, so that not all of them are in memory.

#include <functional>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"

namespace starling::data {

/// Takes one shard's id and bytes, in the manifest's order. What it returns ends the cutting.
using ShardSink = std::function<Result<void>(const ShardId& id, Bytes shard)>;

}  // namespace starling::data
