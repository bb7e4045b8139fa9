#pragma once

// Breaks the TCP streams of one peer that exist at some moment, as seen by a router that carries its packets. It needs
// to know none of them: a stream whose first packet has not passed since that moment is an old one. A machine
// without I/O.

#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <tuple>
#include <vector>

namespace starling::peer {

class BrokenStreams {
public:
    enum class How : std::uint8_t {
        Nothing,   ///< all streams pass
        Reset,     ///< whoever sends on an old one is told that it does not exist
        HalfOpen,  ///< what is sent on an old one is lost
    };

    enum class Verdict : std::uint8_t { Pass, Lose, Answer };

    /// From now on the streams that exist are old.
    void begin(How how);

    /// Says what becomes of a packet between the peer and somebody else.
    [[nodiscard]] Verdict judge(std::span<const std::byte> packet);

    /// Most streams that are remembered as new. With more, all pass.
    static constexpr std::size_t kNewMax = 65'536;

private:
    /// Addresses and ports, the smaller pair first, so that both directions are the same stream.
    using Stream = std::tuple<std::uint64_t, std::uint64_t>;

    How how_ = How::Nothing;
    std::set<Stream> new_;
};

/// Returns the packet by which a machine says to the sender of a TCP packet that it knows no such stream (RFC 9293,
/// section 3.5.2), or nothing for a packet that is itself such an answer or no TCP packet.
[[nodiscard]] std::vector<std::byte> reset_answer(std::span<const std::byte> packet);

}  // namespace starling::peer
