#pragma once

// The first frame of both sides of a stream. It says who they are and which swarm they
// belong to, and it proves that they hold the swarm's key. docs/protocol/streams.md has the bytes.

#include <array>
#include <cstdint>
#include <functional>

#include "base/bytes.hpp"
#include "base/endpoint.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"

namespace starling::peer {

inline constexpr std::uint16_t kProtocolMajor = 1;
inline constexpr std::uint16_t kProtocolMinor = 5;

/// What a stream carries. Its dialler decides.
enum class StreamKind : std::uint8_t {
    Main = 0,  ///< everything, in order
    Lane = 1,  ///< chunks only, in any order, beside the main stream of a pair
};

/// The greeting. A peer that does not know its swarm sends zero and may only ask for the
/// descriptor.
struct Hello {
    std::uint16_t major = kProtocolMajor;
    std::uint16_t minor = kProtocolMinor;
    PeerId id;
    SwarmId swarm;
    Endpoint address;  ///< where this peer can be dialled
    /// Drawn anew for each stream, so that no proof can be used twice; since minor version 1.
    std::array<std::uint8_t, 16> nonce{};
    /// The acceptor's proof that it holds the swarm key: a MAC over proof_text(). It is zero in the
    /// dialler's greeting, because the dialler knows only one nonce then; its proof is a frame.
    std::array<std::uint8_t, 32> proof{};
    StreamKind kind = StreamKind::Main;  ///< since minor version 2
    /// Drawn by each process, so that streams of two processes with one identity can be told apart;
    /// 0 says nothing. Since minor version 4.
    std::uint64_t process = 0;
};

/// Whether two greetings with one id come from two processes.
[[nodiscard]] inline bool other_process(const Hello& a, const Hello& b) {
    return a.process != 0 && b.process != 0 && a.process != b.process;
}

/// Makes a MAC with the swarm key.
using ProveKey = std::function<std::array<std::uint8_t, 32>(ByteView text)>;

enum class StreamRole : std::uint8_t { Dialler = 1, Acceptor = 2 };

/// Returns the text of one stream over which a peer in this role makes its MAC, to prove that it
/// holds the swarm key.
[[nodiscard]] Bytes proof_text(
    StreamRole role, const SwarmId& swarm, const Hello& dialler, const Hello& acceptor
);

[[nodiscard]] Bytes encode_hello(const Hello& hello);

/// Errors    Truncated, BadFormat (magic, an unknown kind), BadVersion (another major version, with
/// a sentence)
[[nodiscard]] Result<Hello> decode_hello(ByteView bytes);

}  // namespace starling::peer
