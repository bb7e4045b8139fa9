#pragma once

// A table as a source of samples, whatever its file's format: one column is to be learned from the
// others. What a format must give is small, and all options and rules are the same for all.

#include <memory>

#include "data/source.hpp"
#include "data/sources/table_format.hpp"

namespace starling::data {

/// Opens a table. `spec` has the options that `csv:` has.
/// Errors    Usage, those of the format
[[nodiscard]] Result<SourcePointer> open_table(
    const Spec& spec, const ScanOptions& options, std::unique_ptr<TableFormat> format
);

}  // namespace starling::data
