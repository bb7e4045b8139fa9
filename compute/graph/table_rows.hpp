#pragma once

// Which elements of an input choose the rows of tables.

#include <cstdint>
#include <vector>

#include "compute/graph/graph.hpp"

namespace starling::compute {

/// Returns for each element of a sample how many rows the table has of which the element picks one
/// by number, and 0 for an element that picks none; empty if no element of the input does. If an
/// element picks rows of several tables, the smallest one counts. Only operators that move the
/// elements may stand between input and Gather: behind any other one the numbers of the input say
/// nothing about the row.
///
/// Requires  the first axis of `input` is the batch
/// Errors    none
/// Thread    any
[[nodiscard]] std::vector<std::int64_t> table_rows(const Graph& graph, ValueId input);

}  // namespace starling::compute
