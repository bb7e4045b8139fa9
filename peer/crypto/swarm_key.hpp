#pragma once

// The secret of a swarm: 32 random bytes that its founder makes. A peer that has them can read and
// write the swarm's datagrams and is admitted on streams. A swarm whose founder has no secret is
// open: its key follows from its id. Its datagrams are sealed, too, which protects against
// accidents but not against people.

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"

namespace starling::peer {

struct SwarmKey {
    std::array<std::uint8_t, 32> bytes{};

    bool operator==(const SwarmKey&) const = default;
};

/// Returns 32 bytes of the system's randomness.
[[nodiscard]] SwarmKey random_swarm_key();

/// Returns the key of an open swarm, which anybody can compute.
[[nodiscard]] SwarmKey open_swarm_key(const SwarmId& swarm);

/// Reads a key: one line of 64 hexadecimal digits, from a file that others cannot read, or from
/// standard input when `path` is `-`. Blocks until standard input ends.
/// Errors    NotFound, Io, Usage (others may read it), BadFormat
[[nodiscard]] Result<SwarmKey> read_swarm_key(const std::filesystem::path& path);

/// Writes a key to a file that only its owner can read. Blocks until it is on the disk.
/// Errors    Io
[[nodiscard]] Result<void> write_swarm_key(const std::filesystem::path& path, const SwarmKey& key);

using Mac = std::array<std::uint8_t, 32>;

/// Returns the HMAC-SHA256 of a text.
[[nodiscard]] Mac mac_of(const SwarmKey& key, ByteView text);

/// Returns a key derived with HKDF-SHA256 (RFC 5869): the swarm id is the salt, `purpose` is the
/// info, and the output has one block.
[[nodiscard]] SwarmKey derive_key(const SwarmKey& key, const SwarmId& swarm, ByteView purpose);

}  // namespace starling::peer
