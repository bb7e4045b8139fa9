#pragma once

// A data set in memory, as its files hold it: samples of raw bytes with one label each.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/manifest.hpp"
#include "data/partition.hpp"
#include "data/shard_sink.hpp"

namespace starling::data {

struct Samples {
    std::vector<std::uint8_t> values;  ///< count * product of shape, row by row
    std::vector<std::uint16_t> labels;

    [[nodiscard]] std::size_t count() const { return labels.size(); }
};

struct Dataset {
    std::string name;
    std::vector<std::uint32_t> shape;  ///< C, H, W of one sample
    std::uint32_t classes = 0;
    Samples train;
    Samples test;

    std::vector<std::string> notes;  ///< lines for people: what is odd about the files

    [[nodiscard]] std::size_t count(Split split) const;  ///< of samples
};

/// Reads the dataset that a SPEC names.
///
/// `idx:DIR[?train=N&test=N]`: DIR holds train-images-idx3-ubyte, train-labels-idx1-ubyte and the
/// same two files for t10k. Each may end in .gz, and may have a prefix if only one file has that
/// ending. `train` and `test` keep at most the first N samples. The classes are those of the whole
/// training file, at least 2.
///
/// Reads all files before it returns.
///
/// Errors    Usage (unknown kind or key; two files that could be meant), NotFound, BadFormat (wrong magic,
///           bytes after the end), Truncated, Corrupt (gzip checksum), BadValue (a label or a number of
///           labels that does not fit), Oversized, Io; each names the file
[[nodiscard]] Result<Dataset> load_dataset(std::string_view spec);

/// A dataset that is cut into shards. A shuffle with a fixed seed deals out the samples, so every
/// training shard is a fair subset of the whole, in whatever order the file had them.
struct Sharded {
    Manifest manifest;
    std::vector<Bytes> shards;  ///< parallel to manifest.shards
};

/// Returns the name, cut to the length that a manifest allows, with `?` for control characters:
/// terminal escapes must not reach other peers' screens.
[[nodiscard]] std::string printable_name(std::string_view name);

/// Cuts a dataset into shards of about `samples_per_shard` samples.
[[nodiscard]] Sharded shard_dataset(
    const Dataset& dataset, std::size_t samples_per_shard, HashFunction sha256
);

/// Returns a sink that appends each shard's bytes to `shards`, which outlives it.
[[nodiscard]] ShardSink collect_in(std::vector<Bytes>& shards);

/// Divides the training samples among partitions first. Each shard then holds samples of one
/// partition only.
/// Errors    Usage (a partition that these labels do not allow, or too many shards)
[[nodiscard]] Result<Sharded> shard_dataset(
    const Dataset& dataset,
    std::size_t samples_per_shard,
    const Partition& partition,
    HashFunction sha256
);

/// As above, and hands each shard over; only one of them is in memory.
/// Errors    as above, and what the sink returns
[[nodiscard]] Result<Manifest> shard_dataset(
    const Dataset& dataset,
    std::size_t samples_per_shard,
    const Partition& partition,
    HashFunction sha256,
    const ShardSink& sink
);

}  // namespace starling::data
