#pragma once

// The boot epoch of a state directory, in its file `epoch`: a decimal number that rises with every
// start. No two lives of a peer may have one epoch. Others would take what the new life says for what
// the old one has said, and its datagrams would be sealed with the nonces of the old one.
//
// Thread    any

#include <cstdint>
#include <filesystem>

#include "base/result.hpp"
#include "peer/machine/disk.hpp"

namespace starling::peer {

/// Raises the epoch to one more than the last, or to `at_least` if that is larger, and returns it.
/// Blocks until it is on the disk. On a full disk the new number is written over the old one, which
/// needs no room, so a peer starts there as well.
/// Requires  the state directory is locked
/// Errors    kDiskFull (no file yet, or a disk that never writes in place), Io, BadFormat
[[nodiscard]] Result<std::uint64_t> raise_epoch(
    Disk& disk, const std::filesystem::path& path, std::uint64_t at_least
);

}  // namespace starling::peer
