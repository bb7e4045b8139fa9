#pragma once

// Samples in memory as they come out of a file: raw bytes, one label each.

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/manifest.hpp"

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
};

/// Reads the dataset that a SPEC names: `idx:DIR[?train=N&test=N]`, where DIR holds
/// train-images-idx3-ubyte, train-labels-idx1-ubyte and the t10k- twins, each plain or .gz, also
/// behind a prefix while only one file ends so. `train` and `test` keep at most the first N
/// samples; the classes stay those of the whole training file, at least 2. Errors    Usage (unknown
/// kind or key, two files that could be meant), NotFound, BadFormat (wrong
///           magic, bytes after the end), Truncated, Corrupt (gzip checksum), BadValue (label count
///           or label that does not fit), Oversized, Io; each names the file
[[nodiscard]] Result<Dataset> load_dataset(std::string_view spec);

/// Cuts a dataset into shards. Samples are dealt out by a fixed seeded shuffle, so every training
/// shard is a fair sample of the whole whatever order the file had.
struct Sharded {
    Manifest manifest;
    std::vector<Bytes> shards;  ///< parallel to manifest.shards
};

[[nodiscard]] Sharded shard_dataset(
    const Dataset& dataset, std::size_t samples_per_shard, HashFunction sha256
);

}  // namespace starling::data
