#pragma once

// Sounds from WAV, FLAC, Ogg (Vorbis or Opus) and MP3 bytes. The bytes come from strangers: the first ones must be
// those of one of these formats, counts are checked before memory is taken, and a header that
// promises more samples than there are is not believed.
//
// audio.cpp is the only home of libsndfile and libsamplerate. libsndfile decodes MP3 with mpg123, which
// writes a fixed line on stderr about some damaged files; nothing of ours can switch that off.

#include <cstdint>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace starling::data {

/// Most frames (one value for each channel) of a clip, as stored and as resampled: ten minutes at
/// 48 kHz, 110 MiB of mono floats.
inline constexpr std::uint64_t kAudioFramesMax = std::uint64_t{600} * 48'000;
/// Most channels; 7.1.4 has 12.
inline constexpr std::uint32_t kAudioChannelsMax = 32;
/// Highest sampling rate, in hertz.
inline constexpr std::uint32_t kAudioRateMax = 768'000;

/// Largest sample of a float file, whose loudest is meant to be 1. Its power still fits into a float.
inline constexpr float kAudioLevelMax = 1e6F;

enum class AudioFormat : std::uint8_t { Wav, Flac, Ogg, Mp3 };

/// What the headers say.
struct AudioFacts {
    AudioFormat format = AudioFormat::Wav;
    std::uint64_t frames =
        0;                   ///< as stored; the true number may be smaller if the file is cut short
    std::uint32_t rate = 0;  ///< hertz
    std::uint32_t channels = 0;
};

struct AudioRequest {
    std::uint32_t rate = 0;        ///< hertz of the result; 0 as the file
    std::uint64_t frames_max = 0;  ///< cuts the result after so many frames; 0 cuts nothing
};

/// Reads the headers of a clip. The samples may be damaged.
///
/// Errors    BadFormat (none of the formats, or damaged headers), Oversized (channels or rate)
/// Thread    any
[[nodiscard]] Result<AudioFacts> probe_audio(ByteView bytes);

/// Decodes a clip: the mean of its channels, from -1 to 1, at the rate that is asked for.
///
/// 16-bit samples are exactly value / 32768. What is there counts: a clip that is cut short gives
/// the samples before the cut, and a WAV whose header promises 2^32 - 1 bytes (a recorder that
/// could not go back) gives those that it has. Resampling is libsamplerate's sinc filter of medium
/// quality, which keeps 121 dB between signal and noise and 90 % of the band: more than 16 bits
/// hold, in a third of the time of its best one.
///
/// Requires  request.rate <= kAudioRateMax
/// Units     see AudioRequest
/// Errors    as probe_audio; Truncated (no sample at all, or none is left at the new rate), Oversized (more than kAudioFramesMax that
///           the request does not cut off), BadValue (a float sample that is not finite or above kAudioLevelMax),
///           Unsupported (rates that differ by more than 256 times)
/// Thread    any
[[nodiscard]] Result<std::vector<float>> decode_audio(ByteView bytes, const AudioRequest& request);

}  // namespace starling::data
