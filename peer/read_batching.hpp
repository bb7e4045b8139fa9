#pragma once

// How fast payloads come in on one stream, and hence how long its reader may sleep for the rest of
// one. While a payload comes in, it is read again when about 256 KiB must be there: on a slow link
// each packet would otherwise wake us, 8,000 times a second at 100 Mbit/s, and take the core from
// the trainer each time. Not by SO_RCVLOWAT on slow streams: as long as it alone holds the reader
// back the receive window does not grow, and a window below it is one wake-up a round trip. On a
// link of 1 Gbit/s and 100 ms that left 28 Mbit/s.
//
// Thread    network

#include <cstddef>

#include "base/instant.hpp"

namespace starling::peer {

class ReadBatching {
public:
    /// As many bytes are worth waking up for.
    static constexpr std::size_t kBytes = std::size_t{256} * 1024;

    /// A payload of `bytes` took so long. The mean is one of times, so that a payload which waited
    /// for us in the kernel does not pass for a fast stream.
    void measured(std::size_t bytes, Duration elapsed);

    /// Returns for how long to leave the stream alone while `missing` bytes of a payload are; zero:
    /// read on.
    [[nodiscard]] Duration wait(std::size_t missing) const;

    /// Returns whether it comes in faster than any timer runs out.
    [[nodiscard]] bool fast() const;

private:
    double seconds_ = 0.0;  ///< of one byte; 0: not known yet
};

}  // namespace starling::peer
