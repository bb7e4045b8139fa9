#pragma once

// How fast payloads come in on one stream, and hence how long its reader may sleep while a payload
// comes in. The reader wakes up when about 256 KiB must be there. Otherwise each packet of a slow
// link would wake us, 8,000 times a second at 100 Mbit/s, and take the core from the trainer each
// time. SO_RCVLOWAT cannot do this on slow streams: while it alone holds the reader back, the
// receive window does not grow, and with a window smaller than the mark we wake up once a round
// trip. On a link of 1 Gbit/s and 100 ms that left 28 Mbit/s.
//
// Thread    network

#include <cstddef>

#include "base/instant.hpp"

namespace starling::peer {

class ReadBatching {
public:
    /// The reader wakes up for this many bytes.
    static constexpr std::size_t kBytes = std::size_t{256} * 1024;

    /// Takes in that a payload of `bytes` took `elapsed`. The running mean is one of times and not
    /// of rates, so that a payload which had waited in the kernel does not make a stream look fast.
    void measured(std::size_t bytes, Duration elapsed);

    /// Returns how long the reader may sleep while `missing` bytes of a payload have not come;
    /// zero: read on.
    [[nodiscard]] Duration wait(std::size_t missing) const;

    /// Returns whether `kBytes` come in faster than the shortest sleep lasts.
    [[nodiscard]] bool fast() const;

private:
    double seconds_ = 0.0;  ///< mean time of one byte; 0: not known yet
};

}  // namespace starling::peer
