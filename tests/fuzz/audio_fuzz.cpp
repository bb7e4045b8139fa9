// Goal: no bytes that claim to be a sound crash or give samples out of range.
// Method: the input is the file. It is decoded as it is and to another rate, up to 10,000 frames.
// mpg123 writes about damaged MP3 files on stderr; -close_fd_mask=2 silences it.

#include <cmath>
#include <cstdint>
#include <cstdlib>

#include "data/media/audio.hpp"

namespace {

using namespace starling;
using namespace starling::data;

constexpr std::uint64_t kFramesMax = 10'000;

void require(bool holds) {
    if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto bytes = std::as_bytes(std::span(data, size));
    const auto facts = probe_audio(bytes);
    if (facts.has_value()) {
        require(facts->channels >= 1 && facts->channels <= kAudioChannelsMax);
        require(facts->rate >= 1 && facts->rate <= kAudioRateMax);
    }
    for (const std::uint32_t rate : {0U, 8000U}) {
        const auto samples = decode_audio(bytes, {.rate = rate, .frames_max = kFramesMax});
        if (!samples.has_value()) continue;
        require(facts.has_value() && !samples->empty() && samples->size() <= kFramesMax);
        // A filter overshoots, but not by much.
        for (const float sample : *samples) require(std::abs(sample) <= 10 * kAudioLevelMax);
    }
    return 0;
}
