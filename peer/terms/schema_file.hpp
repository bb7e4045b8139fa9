#pragma once

// schema.json: what a sample is and how it is prepared, as text that people read and agree on before their private
// swarm is founded (docs/FORMATS.md). `starling data schema SPEC` writes it, `starling peer --private --schema FILE`
// founds a swarm by it.
//
// A manifest here is that of private data (data::agreed_part): schema and recipe, no shards, no path.

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "data/manifest.hpp"

namespace starling::peer {

/// Largest file. Its values take at most some 25 times as much memory while it is read.
inline constexpr std::size_t kSchemaFileMax = std::size_t{8} << 20U;

/// Returns the file's text. Equal schemas and recipes give equal texts, and parse_schema() gives them back bit for
/// bit.
/// Requires  a manifest that check_manifest accepts
/// Thread    any
[[nodiscard]] std::string schema_text(const data::Manifest& manifest);

/// Reads such a text, whoever wrote it.
/// Errors    Oversized; BadFormat (no JSON, too deep); BadValue (a field that is missing, unknown, or has another
///           value than it may have, named with its place)
/// Thread    any
[[nodiscard]] Result<data::Manifest> parse_schema(std::string_view text);

/// Errors    those of parse_schema; NotFound, Io; each names the file
[[nodiscard]] Result<data::Manifest> read_schema_file(const std::filesystem::path& path);

/// Writes a file that is not there yet: others may have agreed on the one that is.
/// Errors    Usage (the file is there), Oversized (more than read_schema_file takes), kDiskFull, Io
[[nodiscard]] Result<void> write_schema_file(
    const std::filesystem::path& path, const data::Manifest& manifest
);

}  // namespace starling::peer
