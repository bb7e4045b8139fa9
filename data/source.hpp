#pragma once

// Samples as a reader of some format has found them: counted and described by one pass over the
// files, and read one by one when shards are cut. Labels stay in memory (2 bytes for a class);
// records stay in the files.

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/spec.hpp"
#include "data/groups.hpp"
#include "data/manifest.hpp"
#include "data/partition.hpp"
#include "data/shard_sink.hpp"

namespace starling::data {

inline constexpr std::size_t kSplits = 3;

/// The labels of one split, each in the form of append_label.
class LabelList {
public:
    explicit LabelList(const Label& label = {}) : each_(label_bytes(label)), boxes_(false) {
        boxes_ = label.kind == LabelKind::Boxes;
    }

    /// Requires  a value that fits the schema
    void add(const Label& label, const LabelValue& value);

    [[nodiscard]] std::uint64_t count() const { return count_; }

    [[nodiscard]] ByteView at(std::uint64_t sample) const;

private:
    std::size_t each_ = 0;
    bool boxes_ = false;
    std::uint64_t count_ = 0;
    /// In pieces: one list of ten million labels would be copied, and be there twice, as it grows.
    std::vector<Bytes> pieces_;
    Bytes boxes_bytes_;
    std::vector<std::uint64_t> ends_;  ///< of boxes_bytes_
};

/// One record that a reader left out, and why.
struct Skipped {
    std::string where;  ///< file, with line, byte or record
    std::string what;
};

/// What a scan found, for people.
struct ScanNotes {
    static constexpr std::size_t kNamedMax = 10;

    std::vector<std::string> lines;  ///< what is odd about the files
    std::uint64_t skipped = 0;
    std::vector<Skipped> first;  ///< the first kNamedMax records that were skipped

    void skip(std::string where, std::string what);
};

/// What a scan has to know. How far it is, it tells to the thread's Reading.
struct ScanOptions {
    bool strict = false;  ///< the first bad record ends the scan
    /// Of tables: what a model was trained with. Columns are then found by their names, words by its
    /// categories and labels by the names of its classes. It outlives the scan.
    const Manifest* like = nullptr;
};

/// Thread    any one at a time
class Source {
public:
    virtual ~Source() = default;

    /// Appends the bytes of one record, as the schema stores it.
    /// Requires  sample < count(split)
    /// Errors    Io, Truncated, Corrupt (the file is not what it was when it was scanned)
    [[nodiscard]] virtual Result<void> read(Split split, std::uint64_t sample, Bytes& out)
        const = 0;

    /// Returns where the bytes of a record lie, if they lie in a user's file as the schema stores them.
    /// Requires  sample < count(split)
    [[nodiscard]] virtual std::optional<FileExtent> file_extent(Split, std::uint64_t) const {
        return std::nullopt;
    }

    [[nodiscard]] std::uint64_t count(Split split) const { return labels(split).count(); }

    [[nodiscard]] const LabelList& labels(Split split) const {
        return labels_[static_cast<std::size_t>(split)];
    }

    [[nodiscard]] const std::string& name() const { return name_; }

    [[nodiscard]] const Schema& schema() const { return schema_; }

    [[nodiscard]] const Recipe& recipe() const { return recipe_; }

    [[nodiscard]] const ScanNotes& notes() const { return notes_; }

    /// Replaces the recipe: `eval` prepares samples as the model's swarm does.
    /// Errors    Usage (a recipe that cannot prepare these samples)
    [[nodiscard]] virtual Result<void> adopt_recipe(const Recipe& recipe);

    /// Reads a field of all training samples, by which they can be divided. Every source whose labels
    /// are classes has the field `label`.
    /// Errors    Usage (no such field: the message lists them; too many values), those of read
    [[nodiscard]] virtual Result<Groups> groups(const std::string& field) const;

    /// Numbers the labels as another data set does: classes by their names, where both have names.
    /// Errors    Usage (another kind of label, a class that the other has not)
    [[nodiscard]] Result<void> adopt_label(const Label& label);

protected:
    /// Returns the classes of the training samples as a field.
    /// Requires  labels that are classes
    [[nodiscard]] Result<Groups> classes_as_groups() const;

    std::string name_;
    Schema schema_;
    Recipe recipe_;
    std::array<LabelList, kSplits> labels_;
    ScanNotes notes_;
};

using SourcePointer = std::unique_ptr<Source>;

/// Returns whether open_source reads what a SPEC names. Of `idx:` it reads all but grey images of bytes,
/// for which the folder is looked at.
[[nodiscard]] bool is_source_spec(const Spec& spec);

/// Opens the files that a SPEC names and scans them once. Blocks as long as that takes.
/// Errors    Usage (unknown kind or key, no training samples), NotFound, BadFormat, Truncated,
///           Corrupt, BadValue, Oversized, Io; each names file and place
[[nodiscard]] Result<SourcePointer> open_source(const Spec& spec, const ScanOptions& options);

/// Returns what is odd about the classes of the training part: classes without a sample, or one class
/// alone.
[[nodiscard]] std::vector<std::string> notes_on_classes(const Source& source);

/// How many shards each split is cut into.
struct ShardCounts {
    /// Of each partition; one entry where there are no partitions.
    std::vector<std::uint32_t> train;
    std::uint32_t test = 0;
    std::uint32_t valid = 0;
};

/// Counts the shards of a manifest, so that a peer with the same files cuts the same ones.
[[nodiscard]] ShardCounts shard_counts(const Manifest& manifest);

/// Returns how many shards a new swarm cuts from so many samples: at most 8 MiB each, and 2,048 of
/// them where each then has at least eight samples, so that some ten peers of unlike speed get shares
/// that fit them. Few samples are cut down to shards of one, so that each of `peers` gets some: with 16
/// shards for each of them one in ten million goes without.
[[nodiscard]] std::uint32_t shards_wanted(
    std::uint64_t samples, std::uint64_t bytes, std::uint32_t peers = 1
);

/// Cuts a source into shards of version 3 and hands each over; only one is in memory. A shuffle with
/// a fixed seed deals out the samples, so every training shard is a fair subset of the whole. There are
/// as many as `counts` says, else as shards_wanted().
///
/// Errors    Usage (a partition that these labels do not allow), those of Source::read, and what the
///           sink returns
[[nodiscard]] Result<Manifest> cut_source(
    const Source& source,
    const Partition& partition,
    const std::optional<ShardCounts>& counts,
    HashFunction sha256,
    const ShardSink& sink,
    std::uint32_t peers = 1
);

}  // namespace starling::data
