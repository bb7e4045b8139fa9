#pragma once

// Files of our own that are mapped for reading. Their pages are no memory of ours: the system drops
// them when it needs room, and reads them again.

#include <cstdint>

#include "base/result.hpp"
#include "base/shared_bytes.hpp"

namespace starling::peer {

/// A process may have 65,530 mappings by default, and the allocator needs some. What comes after so
/// many files is read into memory instead.
inline constexpr std::size_t kMappingsMax = 32768;

/// Maps a regular file. It stays mapped until the last owner of the bytes is gone; the descriptor may
/// be closed before.
/// Requires  a file that nobody shortens meanwhile
/// Errors    Oversized (longer than `limit`), Io
/// Thread    any
[[nodiscard]] Result<SharedBytes> map_file(int descriptor, std::uint64_t limit);

/// Writes bytes to a new file without a name, in the directory for temporary files, and maps it. The
/// file is gone with the last owner, and with the process.
/// Errors    Busy (the disk is full), Io
/// Thread    any
[[nodiscard]] Result<SharedBytes> map_unnamed(ByteView bytes);

}  // namespace starling::peer
