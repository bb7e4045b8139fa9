#pragma once

// What a peer must not lose: descriptor, parameters, optimizer, position in the data, counters and
// the addresses of other members. The file `checkpoint` is the newest one, `checkpoint.prev` the
// one before it, `checkpoint.prev2` the one before that. If the newest file is torn or damaged, the peer
// loses only the work since the previous one. The last sound file is never given up for a worse one: not for a damaged file, and
// not for one that a full disk cannot take.
//
//   magic "STARCKPT", version u32, then sections {kind u32, length u64, bytes} in any order, then
//   the SHA-256 of everything before it. All numbers are little-endian. A reader skips unknown
//   kinds: a newer release may add some without a new version, as that of the seed of the shuffle and
//   that of the samples that the parameters have learned from.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "data/batcher.hpp"
#include "peer/machine/disk.hpp"

namespace starling::peer {

inline constexpr std::uint64_t kCheckpointBytesMax = std::uint64_t{64} << 30U;
/// The most files that a directory keeps, with the newest one.
inline constexpr std::size_t kCheckpointsMax = 100;
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
    /// Samples of the swarm that the parameters have learned from; 0: an earlier release has written it.
    std::uint64_t learned = 0;
    /// `host:port` of other members, best first. The file keeps at most 1024 of them, and only
    /// those of at most 300 bytes.
    std::vector<std::string> addresses;

    /// read_checkpoint() sets it if the newest file was damaged and this is the previous one: what was
    /// wrong with the newest. It is not stored.
    std::optional<Fault> damage{};
};

/// What the writer of a checkpoint knows of the newest file that is there.
enum class NewestFile {
    Unknown,  ///< it may be damaged, so it is read first
    Sound,    ///< this process has written it, or has read it whole
};

/// Replaces the newest checkpoint of a directory and keeps those before it, `keep` files in all, but not a
/// damaged one. Where the disk has no room for another file, the oldest one is given up for the new one, as
/// long as the newest is sound. Returns when the new file is on the disk.
///
/// Requires  1 <= keep <= kCheckpointsMax
/// Errors    Oversized (descriptor), kDiskFull, Io; the newest sound file is intact
[[nodiscard]] Result<void> write_checkpoint(
    Disk& disk,
    const std::filesystem::path& directory,
    const Checkpoint& checkpoint,
    NewestFile newest = NewestFile::Unknown,
    std::size_t keep = 2
);

/// Removes what a writer that was killed has left of a new file. It takes room and is of no use.
void remove_torn_checkpoint(Disk& disk, const std::filesystem::path& directory);

/// Reads the newest usable checkpoint. Compares each length with the file's size before it
/// allocates.
/// Errors    NotFound (there is none), else the fault of the newest file: Truncated, BadFormat,
///           BadVersion, BadValue, Oversized, Corrupt, Io
[[nodiscard]] Result<Checkpoint> read_checkpoint(
    Disk& disk, const std::filesystem::path& directory
);

}  // namespace starling::peer
