#pragma once

// How the founder deals the training samples out to so many owners, so that their data differ as
// much as one wants to study: each sample belongs to one partition, and a partition is owned whole.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace starling::data {

enum class PartitionKind : std::uint8_t { Iid, Dirichlet, Labels };

struct Partition {
    PartitionKind kind = PartitionKind::Iid;
    std::uint32_t owners = 0;    ///< how many partitions; 0, for iid only: shards owned one by one
    double alpha = 0.5;          ///< dirichlet: the smaller, the fewer labels an owner has
    std::uint32_t per_peer = 2;  ///< labels: how many labels an owner has
    std::uint64_t seed = 1;

    /// Parses `iid`, `iid?owners=10`, `dirichlet?alpha=0.5&owners=10&seed=1` or
    /// `labels?per-peer=2&owners=10`. Errors    Usage
    [[nodiscard]] static Result<Partition> parse(std::string_view text);

    /// Returns the text that parse() takes, with every value; empty where shards are owned one by
    /// one.
    [[nodiscard]] std::string to_string() const;
};

/// Draws the partition of each sample. Every partition gets at least ten samples.
///
/// dirichlet: each label's samples are divided by a draw from Dirichlet(alpha, ...) over the owners
/// that have less than an even share so far. labels: owner i has label i modulo the classes, the
/// others are drawn, all labels have an owner, and a label's samples are divided evenly among its
/// owners.
///
/// Requires  partition.owners > 0, labels below `classes`
/// Errors    Usage (fewer than ten samples an owner; labels that the owners cannot cover)
/// Source    Li et al., "Federated Learning on Non-IID Data Silos" (ICDE 2022), section IV, as its
///           experiments and Flower's niid_bench do it; that all labels have an owner is ours, so
///           that no sample is left out
[[nodiscard]] Result<std::vector<std::uint32_t>> draw_partitions(
    const Partition& partition, std::span<const std::uint16_t> labels, std::uint32_t classes
);

}  // namespace starling::data
