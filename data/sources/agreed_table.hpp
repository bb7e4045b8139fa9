#pragma once

// A labelled table as a swarm has agreed on it.

#include <memory>

#include "base/spec.hpp"
#include "data/source.hpp"

namespace starling::data {

class TableFormat;

/// Opens a labelled table as `options.like` has agreed; every option that says how columns are fed is left to it.
/// Errors    as AgreedRows::open; Usage (a column that is not there, a label that is none of the classes)
[[nodiscard]] Result<SourcePointer> open_agreed_table(
    const Spec& spec, const ScanOptions& options, std::unique_ptr<TableFormat> format
);

}  // namespace starling::data
