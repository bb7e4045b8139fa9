#pragma once

// What a peer must not lose: descriptor, parameters, optimizer, position in the data, counters and
// the addresses of other members. The file `checkpoint` is the newest one, `checkpoint.prev` the
// one before it. If the newest file is torn or damaged, the peer loses only the work since the
// previous one.
//
//   magic "STARCKPT", version u32, then sections {kind u32, length u64, bytes} in any order, then
//   the SHA-256 of everything before it. All numbers are little-endian. A reader skips unknown
//   kinds: a newer release may add some without a new version, as that of the seed of the shuffle.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "data/batcher.hpp"
#include "peer/machine/disk.hpp"

namespace starling::peer {

inline constexpr std::uint64_t kCheckpointBytesMax = std::uint64_t{64} << 30U;
inline constexpr std::size_t kCheckpointDescriptorMax = std::size_t{16} << 20U;
inline constexpr std::size_t kCheckpointAddressesMax = 1024;
inline constexpr std::size_t kCheckpointAddressBytesMax = 300;

struct Checkpoint {
    Bytes descriptor;
    std::vector<float> parameters;
    std::vector<float> optimizer_state;
    data::BatcherPosition position;
    std::uint64_t samples = 0;  ///< samples that this peer has trained on, over all its lives
    std::uint64_t steps = 0;    ///< steps of this peer, over all its lives
    std::uint64_t schedule_step = 0;
    /// `host:port` of other members, best first. The file keeps at most 1024 of them, and only
    /// those of at most 300 bytes.
    std::vector<std::string> addresses;

    /// read_checkpoint() sets it if the newest file was unusable and this is the previous one. It
    /// is not stored.
    bool from_previous = false;
};

/// Replaces the newest checkpoint of a directory and keeps the one before. Returns when the new
/// file is on the disk.
/// Errors    Oversized (descriptor), Io; the old files are intact
[[nodiscard]] Result<void> write_checkpoint(
    Disk& disk, const std::filesystem::path& directory, const Checkpoint& checkpoint
);

/// Reads the newest usable checkpoint. Compares each length with the file's size before it
/// allocates.
/// Errors    NotFound (there is none), else the fault of the newest file: Truncated, BadFormat,
///           BadVersion, BadValue, Oversized, Corrupt, Io
[[nodiscard]] Result<Checkpoint> read_checkpoint(
    Disk& disk, const std::filesystem::path& directory
);

}  // namespace starling::peer
