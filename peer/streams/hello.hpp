#pragma once

// The first frame of both sides of a stream. It says who they are and which swarm they belong to, and
// proves the first with a signature that is good for this stream only. docs/protocol/streams.md has
// the bytes.

#include <array>
#include <cstdint>

#include "base/bytes.hpp"
#include "base/endpoint.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "membership/notary.hpp"
#include "peer/crypto/channel.hpp"

namespace starling::peer {

inline constexpr std::uint16_t kProtocolMajor = 2;
inline constexpr std::uint16_t kProtocolMinor = 0;

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
    PeerId id;  ///< not on the wire: that of the key which has signed
    SwarmId swarm;
    Endpoint address;  ///< where this peer can be dialled
    StreamKind kind = StreamKind::Main;
    /// Drawn by each process, so that streams of two processes with one identity can be told apart;
    /// 0 says nothing.
    std::uint64_t process = 0;
};

/// Whether two greetings with one id come from two processes.
[[nodiscard]] inline bool other_process(const Hello& a, const Hello& b) {
    return a.process != 0 && b.process != 0 && a.process != b.process;
}

/// Who signs a Hello, and for which stream.
struct HelloContext {
    ChannelRole signer = ChannelRole::Dialler;
    ChannelBinding binding{};
};

/// Returns the bytes of a Hello of ours, signed for one stream.
[[nodiscard]] Bytes encode_hello(
    const Hello& hello, const HelloContext& context, const membership::Notary& notary
);

/// Reads the partner's Hello, and says in `id` who has signed it.
/// Errors    Truncated, BadFormat (magic, an unknown kind, a signature that is not good for this
///           stream), BadVersion (another major version, with a sentence)
[[nodiscard]] Result<Hello> decode_hello(
    ByteView bytes, const HelloContext& context, const membership::Notary& notary
);

}  // namespace starling::peer
