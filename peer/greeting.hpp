#pragma once

// What both sides of a stream say first: who they are, of which swarm, and that they hold its key.
// docs/protocol/streams.md has the bytes.

#include <array>
#include <cstdint>
#include <functional>

#include "base/bytes.hpp"
#include "base/endpoint.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"

namespace starling::peer {

inline constexpr std::uint16_t kProtocolMajor = 1;
inline constexpr std::uint16_t kProtocolMinor = 2;

/// What a stream is for, as its dialler says.
enum class StreamKind : std::uint8_t {
    Main = 0,  ///< everything, in order
    Lane = 1,  ///< chunks beside the main stream of a pair, in any order
};

/// Who we are, the first thing both sides say. A peer that does not know its swarm yet says zero
/// and may only ask for the descriptor.
struct Hello {
    std::uint16_t major = kProtocolMajor;
    std::uint16_t minor = kProtocolMinor;
    PeerId id;
    SwarmId swarm;
    Endpoint address;  ///< where this peer can be dialled
    /// Drawn anew for each stream, so that no proof serves twice; since minor version 1.
    std::array<std::uint8_t, 16> nonce{};
    /// That an accepting peer holds the swarm key: its MAC over proof_text(). Zero in the dialler's
    /// greeting, who knows only one nonce then and sends its own as a frame.
    std::array<std::uint8_t, 32> proof{};
    StreamKind kind = StreamKind::Main;  ///< since minor version 2
};

/// Makes a MAC with the swarm key.
using ProveKey = std::function<std::array<std::uint8_t, 32>(ByteView text)>;

enum class StreamRole : std::uint8_t { Dialler = 1, Acceptor = 2 };

/// Returns what a peer that holds the swarm key makes a MAC over, in its role on one stream.
[[nodiscard]] Bytes proof_text(
    StreamRole role, const SwarmId& swarm, const Hello& dialler, const Hello& acceptor
);

[[nodiscard]] Bytes encode_hello(const Hello& hello);

/// Errors    Truncated, BadFormat (magic, an unknown kind), BadVersion (another major version, with
/// a sentence)
[[nodiscard]] Result<Hello> decode_hello(ByteView bytes);

}  // namespace starling::peer
