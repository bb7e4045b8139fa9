#pragma once

// A data set in memory as it comes out of its files: samples of raw bytes with a label each, or a
// text as numbers of characters.

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/manifest.hpp"
#include "data/partition.hpp"

namespace starling::data {

struct Samples {
    std::vector<std::uint8_t> values;  ///< count * product of shape, row by row
    std::vector<std::uint16_t> labels;

    [[nodiscard]] std::size_t count() const { return labels.size(); }
};

struct Dataset {
    std::string name;
    std::vector<std::uint32_t> shape;  ///< C, H, W of one sample; for a text its context
    std::uint32_t classes = 0;
    Samples train;
    Samples test;

    // Of a text, which has no samples of its own: windows are cut from shards as they are needed.
    std::string vocabulary;  ///< see Manifest
    std::vector<std::uint16_t> train_tokens;
    std::vector<std::uint16_t> test_tokens;

    [[nodiscard]] bool is_text() const { return !vocabulary.empty(); }

    [[nodiscard]] std::size_t count(Split split) const;  ///< of samples, or of a text's characters
};

/// Reads the dataset that a SPEC names.
///
/// `idx:DIR[?train=N&test=N]`, where DIR holds train-images-idx3-ubyte, train-labels-idx1-ubyte and
/// the t10k- twins, each plain or .gz, also behind a prefix while only one file ends so. `train`
/// and `test` keep at most the first N samples; the classes stay those of the whole training file,
/// at least 2.
///
/// `text:FILE[?context=64&split=0.9]`, UTF-8, plain or .gz: the first part, `split` of the
/// characters, is for training, the rest for testing; a sample is a window of `context` characters
/// and the one that follows each of them.
///
/// Errors    Usage (unknown kind or key, two files that could be meant; a text that is empty, too
///           short for its context, not UTF-8, or of too many characters), NotFound, BadFormat
///           (wrong magic, bytes after the end), Truncated, Corrupt (gzip checksum), BadValue
///           (label count or label that does not fit), Oversized, Io; each names the file
[[nodiscard]] Result<Dataset> load_dataset(std::string_view spec);

/// Numbers a text's characters by another vocabulary, such as that of the swarm that a model was
/// trained in. Errors    Usage (no text, a character that is not in it)
[[nodiscard]] Result<void> adopt_vocabulary(Dataset& dataset, const std::string& vocabulary);

/// Cuts a dataset into shards. Samples are dealt out by a fixed seeded shuffle, so every training
/// shard is a fair sample of the whole whatever order the file had.
struct Sharded {
    Manifest manifest;
    std::vector<Bytes> shards;  ///< parallel to manifest.shards
};

/// Returns a name that is short enough for a manifest and without terminal escapes, which must not
/// reach other peers' screens.
[[nodiscard]] std::string printable_name(std::string_view name);

/// Requires  samples, not a text
[[nodiscard]] Sharded shard_dataset(
    const Dataset& dataset, std::size_t samples_per_shard, HashFunction sha256
);

/// Deals the training samples out to partitions first; a shard then holds samples of one partition.
/// Errors    Usage (a draw that these labels do not allow)
[[nodiscard]] Result<Sharded> shard_dataset(
    const Dataset& dataset,
    std::size_t samples_per_shard,
    const Partition& partition,
    HashFunction sha256
);

/// Cuts a text into runs of about so many characters, in the text's order. Windows do not cross
/// from one run into the next. The runs do not depend on the context unless they would be shorter
/// than four windows.
/// Errors    Usage (a partition that a text cannot have)
[[nodiscard]] Result<Sharded> shard_text(
    const Dataset& dataset,
    std::size_t tokens_per_shard,
    const Partition& partition,
    HashFunction sha256
);

}  // namespace starling::data
