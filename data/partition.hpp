#pragma once

// How the founder divides the training samples among a number of owners, to study owners whose data
// differ. Each sample belongs to one partition, and a partition has one owner.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace starling::data {

enum class PartitionKind : std::uint8_t { Iid, Dirichlet, Labels, Column };

struct Partition {
    PartitionKind kind = PartitionKind::Iid;
    /// Number of partitions. 0: with iid each shard has an owner, with a column each of its values.
    std::uint32_t owners = 0;
    double alpha = 0.5;          ///< for dirichlet: the smaller, the fewer labels an owner has
    std::uint32_t per_peer = 2;  ///< for labels: how many labels an owner has
    std::uint64_t seed = 1;
    std::string column;  ///< for column: its name (data/groups.hpp)

    /// Returns whether samples are divided at all.
    [[nodiscard]] bool divides() const { return owners > 0 || kind == PartitionKind::Column; }

    /// Parses `iid`, `iid?owners=10`, `dirichlet?alpha=0.5&owners=10&seed=1`,
    /// `labels?per-peer=2&owners=10`, `column=speaker` or `column=speaker?owners=3`.
    /// Errors    Usage
    [[nodiscard]] static Result<Partition> parse(std::string_view text);

    /// Returns the text that parse() takes, with every value. It is empty if nothing is
    /// divided.
    [[nodiscard]] std::string to_string() const;
};

/// Draws the partition of each sample. Every partition gets at least ten samples.
///
/// dirichlet: the samples of each label are divided by a draw from Dirichlet(alpha, ...) over the
/// owners that have less than an even share so far. labels: owner i has the label i modulo the
/// number of classes, and its other labels are drawn. Every label has an owner, and the samples of
/// a label are divided evenly among its owners.
///
/// Requires  partition.owners > 0, no column, labels below `classes`
/// Errors    Usage (fewer than ten samples for an owner; labels that the owners cannot cover)
/// Source    Li et al., "Federated Learning on Non-IID Data Silos" (ICDE 2022), section IV, as its
///           experiments and Flower's niid_bench do it. We add that every label has an owner, so
///           that no sample is left out.
[[nodiscard]] Result<std::vector<std::uint32_t>> draw_partitions(
    const Partition& partition, std::span<const std::uint16_t> labels, std::uint32_t classes
);

}  // namespace starling::data
