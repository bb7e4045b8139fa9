#pragma once

// What a peer must not lose: descriptor, parameters, optimizer, position in the data, counters and
// whom it knew. `checkpoint` is the newest, `checkpoint.prev` the one before it; a torn or damaged
// newest file costs the work since the previous one, not the peer.
//
//   magic "STARCKPT", version u32, then sections {kind u32, length u64, bytes} in any order, then
//   the SHA-256 of everything before it. All little-endian. Unknown kinds are skipped: a newer
//   minor version may add some.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "data/batcher.hpp"

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
    std::uint64_t samples = 0;  ///< that this peer has trained on, over all its lives
    std::uint64_t steps = 0;    ///< likewise
    std::uint64_t schedule_step = 0;
    /// `host:port` of other members, best first. At most 1024 of at most 300 bytes are kept.
    std::vector<std::string> addresses;

    /// Set by read_checkpoint: the newest file was unusable, this is the previous one. Not stored.
    bool from_previous = false;
};

/// Replaces the newest checkpoint of a directory and keeps the one before.
/// Errors    Oversized (descriptor), Io; what was there is intact
[[nodiscard]] Result<void> write_checkpoint(
    const std::filesystem::path& directory, const Checkpoint& checkpoint
);

/// Reads the newest usable checkpoint. Lengths are checked against the file before any allocation.
/// Errors    NotFound (none), otherwise the fault of the newest: Truncated, BadFormat, BadVersion,
///           BadValue, Oversized, Corrupt, Io
[[nodiscard]] Result<Checkpoint> read_checkpoint(const std::filesystem::path& directory);

}  // namespace starling::peer
