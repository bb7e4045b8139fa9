// The home of libsndfile and libsamplerate.

#include "data/media/audio.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <samplerate.h>
#include <sndfile.h>
#include <string>

#include "base/check.hpp"
#include "data/media/ogg_headers.hpp"

namespace starling::data {

namespace {

/// Frames that are decoded at once.
constexpr std::size_t kBlockFrames = 4096;
/// How far libsamplerate's filter of medium quality looks ahead, in frames of the lower rate: 46.
constexpr double kFilterReach = 64;

constexpr sf_count_t kSeekMax = sf_count_t{1} << 40U;

/// The bytes as a file for libsndfile.
struct Memory {
    ByteView bytes;
    std::size_t at = 0;
};

Memory& memory_of(void* user) {
    return *static_cast<Memory*>(user);
}

sf_count_t length_of(void* user) {
    return static_cast<sf_count_t>(memory_of(user).bytes.size());
}

/// As with a file, one may go behind the end and finds nothing there; mpg123 does that.
sf_count_t seek_in(sf_count_t offset, int whence, void* user) {
    auto& memory = memory_of(user);
    const auto size = static_cast<sf_count_t>(memory.bytes.size());
    const auto at = static_cast<sf_count_t>(memory.at);
    const sf_count_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? at : size;
    if (offset < -base || offset > kSeekMax - base) return -1;
    memory.at = static_cast<std::size_t>(base + offset);
    return base + offset;
}

sf_count_t read_from(void* out, sf_count_t count, void* user) {
    auto& memory = memory_of(user);
    if (count <= 0) return 0;
    const auto left = memory.bytes.size() - std::min(memory.at, memory.bytes.size());
    const auto taken = std::min(static_cast<std::size_t>(count), left);
    if (taken > 0) std::memcpy(out, memory.bytes.data() + memory.at, taken);
    memory.at += taken;
    return static_cast<sf_count_t>(taken);
}

sf_count_t write_nothing(const void* /*from*/, sf_count_t /*count*/, void* /*user*/) {
    return 0;
}

sf_count_t tell(void* user) {
    return static_cast<sf_count_t>(memory_of(user).at);
}

struct CloseSound {
    void operator()(SNDFILE* file) const { sf_close(file); }
};

/// An open clip. It is not moved: the library holds the address of `memory`.
struct Sound {
    Memory memory;
    SF_INFO info{};
    std::unique_ptr<SNDFILE, CloseSound> file;
    AudioFacts facts;
};

bool has_at(ByteView bytes, std::size_t at, std::string_view text) {
    return bytes.size() >= at + text.size() && as_text(bytes.subspan(at, text.size())) == text;
}

/// The library reads some 25 formats more, which we leave alone.
std::optional<AudioFormat> format_of(ByteView bytes) {
    for (const auto* name : {"RIFF", "RIFX", "RF64"}) {
        if (has_at(bytes, 0, name) && has_at(bytes, 8, "WAVE")) return AudioFormat::Wav;
    }
    if (has_at(bytes, 0, "fLaC")) return AudioFormat::Flac;
    if (has_at(bytes, 0, "OggS")) return AudioFormat::Ogg;
    if (has_at(bytes, 0, "ID3")) return AudioFormat::Mp3;
    // The first eleven bits of an MPEG frame are set, and the layer's are not 0.
    if (bytes.size() >= 2 && bytes[0] == std::byte{0xff} &&
        (bytes[1] & std::byte{0xe0}) == std::byte{0xe0} &&
        (bytes[1] & std::byte{0x06}) != std::byte{0}) {
        return AudioFormat::Mp3;
    }
    return std::nullopt;
}

bool is_major_format(int format, AudioFormat expected) {
    const int major = format & SF_FORMAT_TYPEMASK;
    switch (expected) {
        case AudioFormat::Wav:
            return major == SF_FORMAT_WAV || major == SF_FORMAT_WAVEX || major == SF_FORMAT_RF64;
        case AudioFormat::Flac:
            return major == SF_FORMAT_FLAC;
        case AudioFormat::Ogg:
            return major == SF_FORMAT_OGG;
        case AudioFormat::Mp3:
            return major == SF_FORMAT_MPEG;
    }
    STARLING_UNREACHABLE("a format that does not exist");
}

Result<void> check_facts(const AudioFacts& facts) {
    if (facts.channels == 0 || facts.channels > kAudioChannelsMax) {
        return fail(
            FaultCode::Oversized,
            "sound: " + std::to_string(facts.channels) + " channels; at most " +
                std::to_string(kAudioChannelsMax) + " can be read"
        );
    }
    if (facts.rate == 0 || facts.rate > kAudioRateMax) {
        return fail(
            FaultCode::Oversized,
            "sound: " + std::to_string(facts.rate) + " Hz; at most " +
                std::to_string(kAudioRateMax) + " can be read"
        );
    }
    return {};
}

Result<void> open_sound(ByteView bytes, Sound& sound) {
    const auto format = format_of(bytes);
    if (!format) {
        return fail(
            FaultCode::BadFormat, "neither WAV, FLAC, Ogg nor MP3; convert the sound to one of them"
        );
    }
    if (format == AudioFormat::Ogg) {
        if (auto ok = check_ogg_headers(bytes); !ok) return ok;
    }
    sound.memory.bytes = bytes;
    SF_VIRTUAL_IO io{length_of, seek_in, read_from, write_nothing, tell};
    sound.file.reset(sf_open_virtual(&io, SFM_READ, &sound.info, &sound.memory));
    if (!sound.file) {
        std::string why = sf_strerror(nullptr);
        std::replace(why.begin(), why.end(), '\n', ' ');
        return fail(
            FaultCode::BadFormat,
            "sound: damaged headers, read up to byte " +
                std::to_string(std::min(sound.memory.at, bytes.size())) + " of " +
                std::to_string(bytes.size()) + ": " + why + "; replace the file"
        );
    }
    if (!is_major_format(sound.info.format, *format)) {
        return fail(FaultCode::BadFormat, "sound: contradicts its first bytes; replace the file");
    }
    sound.facts = {
        *format,
        static_cast<std::uint64_t>(std::max<sf_count_t>(sound.info.frames, 0)),
        static_cast<std::uint32_t>(std::max(sound.info.samplerate, 0)),
        static_cast<std::uint32_t>(std::max(sound.info.channels, 0))};
    return check_facts(sound.facts);
}

/// Reads at most `frames_max` frames, a block at a time, so that memory follows what is there and
/// not what the header says. `frames_max` is at most kAudioFramesMax + 1.
Result<std::vector<float>> read_mono(Sound& sound, std::uint64_t frames_max) {
    const std::size_t channels = sound.facts.channels;
    std::vector<float> block(kBlockFrames * channels);
    std::vector<float> mono;
    mono.reserve(std::min({sound.facts.frames, frames_max, std::uint64_t{sound.memory.bytes.size()}}
    ));
    while (mono.size() < frames_max) {
        const auto wanted = std::min<std::uint64_t>(kBlockFrames, frames_max - mono.size());
        const auto got =
            sf_readf_float(sound.file.get(), block.data(), static_cast<sf_count_t>(wanted));
        if (got <= 0) break;
        for (std::size_t i = 0; i < static_cast<std::size_t>(got); ++i) {
            double sum = 0;
            for (std::size_t c = 0; c < channels; ++c) sum += block[i * channels + c];
            const auto mean = static_cast<float>(sum / static_cast<double>(channels));
            // Written so that a number that is none is refused, too.
            if (!(std::abs(mean) <= kAudioLevelMax)) {
                return fail(
                    FaultCode::BadValue,
                    "sound: frame " + std::to_string(mono.size()) + " is not finite or above " +
                        std::to_string(static_cast<int>(kAudioLevelMax)) + "; repair the file"
                );
            }
            mono.push_back(mean);
        }
    }
    return mono;
}

Result<std::vector<float>> resampled(const std::vector<float>& mono, double ratio) {
    std::vector<float> out(
        static_cast<std::size_t>(std::ceil(static_cast<double>(mono.size()) * ratio)) + 1
    );
    SRC_DATA job{};
    job.data_in = mono.data();
    job.data_out = out.data();
    job.input_frames = static_cast<long>(mono.size());
    job.output_frames = static_cast<long>(out.size());
    job.src_ratio = ratio;
    if (const int error = src_simple(&job, SRC_SINC_MEDIUM_QUALITY, 1); error != 0) {
        return fail(
            FaultCode::Unsupported,
            std::string("sound: cannot be resampled: ") + src_strerror(error)
        );
    }
    out.resize(static_cast<std::size_t>(job.output_frames_gen));
    return out;
}

Fault too_long(std::uint32_t rate) {
    return fail(
        FaultCode::Oversized,
        "sound: longer than " + std::to_string(kAudioFramesMax / rate) + " s at " +
            std::to_string(rate) + " Hz; cut it into clips"
    );
}

}  // namespace

Result<AudioFacts> probe_audio(ByteView bytes) {
    Sound sound;
    if (auto ok = open_sound(bytes, sound); !ok) return ok.error();
    return sound.facts;
}

Result<std::vector<float>> decode_audio(ByteView bytes, const AudioRequest& request) {
    STARLING_CHECK(request.rate <= kAudioRateMax);
    Sound sound;
    if (auto ok = open_sound(bytes, sound); !ok) return ok.error();
    const auto rate = request.rate == 0 ? sound.facts.rate : request.rate;
    const double ratio = static_cast<double>(rate) / sound.facts.rate;
    if (rate != sound.facts.rate && src_is_valid_ratio(ratio) == 0) {
        return fail(
            FaultCode::Unsupported,
            "sound: " + std::to_string(sound.facts.rate) + " Hz cannot become " +
                std::to_string(rate) + " Hz"
        );
    }
    const auto result_max = request.frames_max == 0 ? kAudioFramesMax + 1 : request.frames_max;
    const double needed =
        std::ceil((static_cast<double>(result_max) + kFilterReach) / std::min(ratio, 1.0));
    const auto stored_max =
        static_cast<std::uint64_t>(std::min(needed, static_cast<double>(kAudioFramesMax + 1)));
    auto mono = read_mono(
        sound, rate == sound.facts.rate ? std::min(result_max, kAudioFramesMax + 1) : stored_max
    );
    if (!mono) return mono;
    if (mono->empty()) {
        return fail(FaultCode::Truncated, "sound: no samples; leave the file out");
    }
    const double result_frames = std::min(
        std::floor(static_cast<double>(mono->size()) * ratio), static_cast<double>(result_max)
    );
    if (mono->size() > kAudioFramesMax || result_frames > static_cast<double>(kAudioFramesMax))
        return too_long(std::max(rate, sound.facts.rate));
    if (rate != sound.facts.rate) {
        mono = resampled(*mono, ratio);
        if (!mono) return mono;
        if (mono->empty()) {
            return fail(
                FaultCode::Truncated, "sound: too short for its new rate; leave the file out"
            );
        }
    }
    if (request.frames_max != 0 && mono->size() > request.frames_max)
        mono->resize(request.frames_max);
    return mono;
}

}  // namespace starling::data
