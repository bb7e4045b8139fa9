#pragma once

// How the channels of images lie in memory, as loops over channels see it.

#include <cstdint>

namespace starling::compute::cpu {

/// An image has `blocks` planes, a plane has `places` rows, and a row has `inner` channels: 1 for
/// row-major images, the block of a blocked layout, or all channels where these come last. Channels
/// beyond the last one only fill up a block; they are zero and stay zero.
struct ChannelShape {
    int threads = 1;
    std::int64_t images = 0;
    std::int64_t blocks = 0;
    std::int64_t places = 0;
    std::int64_t inner = 1;
    std::int64_t channels = 0;

    [[nodiscard]] std::int64_t values() const { return images * places; }  ///< per channel
};

}  // namespace starling::compute::cpu
