#pragma once

// IDX files of any element type and of 1 to 4 axes, as arrays. What MNIST has, grey images of bytes, is
// read by data/formats/idx.hpp, and its shards stay what they always were.

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/arrays/npy.hpp"

namespace starling::data {

inline constexpr std::size_t kIdxHeaderBytesMax = 4 + 4 * 4;

/// Reads the header at the beginning of `bytes`.
/// Errors    BadFormat (magic, element type, no axis or more than four), BadValue (an axis of zero),
///           Truncated, Oversized; messages do not name the source
/// Thread    any (pure)
[[nodiscard]] Result<NpyHeader> parse_idx_header(std::string_view bytes);

/// Opens an array in IDX's format. `stream` must outlive the reader.
/// Errors    those of parse_idx_header and of the stream
[[nodiscard]] Result<NpyReader> open_idx_array(ByteStream& stream);

/// Finds the IDX files of a folder, plain or gzipped, whatever else stands in their names: the names
/// that ArraySet has for them (train_images, train_labels, test_images, test_labels), each with its
/// file.
/// Errors    Io, Usage (two files for one)
[[nodiscard]] Result<std::vector<std::pair<std::string, std::filesystem::path>>> idx_files(
    const std::filesystem::path& folder
);

/// Returns whether the training images of a folder are no grey images of bytes, but an array that
/// parse_idx_header understands.
[[nodiscard]] bool has_idx_arrays(const std::filesystem::path& folder);

}  // namespace starling::data
