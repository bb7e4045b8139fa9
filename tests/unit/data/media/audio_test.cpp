// Goal: sounds are what Python's wave and numpy read from the same bytes, and no bytes do harm.
// Method: short clips with their samples, made by tests/golden/sounds.py; the same clips cut at every
// length and with bits flipped; tones that are resampled; and the spoken digits where they are there.

#include "data/media/audio.hpp"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <limits>
#include <numbers>

#include "base/rng.hpp"
#include "tests/unit/data/support/golden.hpp"

namespace starling::data {
namespace {

using testing::golden;

std::vector<float> golden_samples(const std::string& name) {
    const auto bytes = golden("media/" + name + ".f32");
    std::vector<float> samples(bytes.size() / sizeof(float));
    std::memcpy(samples.data(), bytes.data(), bytes.size());
    return samples;
}

void expect_fault(const Result<std::vector<float>>& got, FaultCode code, const std::string& words) {
    ASSERT_FALSE(got.has_value());
    EXPECT_EQ(to_string(got.error().code), to_string(code)) << got.error().message;
    EXPECT_NE(got.error().message.find(words), std::string::npos) << got.error().message;
    EXPECT_EQ(got.error().message.find('\n'), std::string::npos) << got.error().message;
}

void append(Bytes& out, std::string_view text) {
    ByteWriter(out).put_bytes(as_byte_view(text));
}

/// A WAV of 16-bit samples whose data chunk claims `claimed` bytes.
Bytes wav(const std::vector<std::int16_t>& samples, std::uint32_t rate, std::uint32_t claimed) {
    Bytes out;
    ByteWriter writer(out);
    append(out, "RIFF");
    writer.put(claimed < 0xffffffffU - 36 ? claimed + 36 : claimed);
    append(out, "WAVEfmt ");
    writer.put(std::uint32_t{16});
    writer.put(std::uint16_t{1});
    writer.put(std::uint16_t{1});
    writer.put(rate);
    writer.put(rate * 2);
    writer.put(std::uint16_t{2});
    writer.put(std::uint16_t{16});
    append(out, "data");
    writer.put(claimed);
    for (const auto sample : samples) writer.put(sample);
    return out;
}

Bytes wav(const std::vector<std::int16_t>& samples, std::uint32_t rate) {
    return wav(samples, rate, static_cast<std::uint32_t>(2 * samples.size()));
}

std::vector<std::int16_t> tone(double hertz, std::uint32_t rate, std::size_t frames) {
    std::vector<std::int16_t> samples(frames);
    for (std::size_t i = 0; i < frames; ++i) {
        const double angle = 2 * std::numbers::pi * hertz * static_cast<double>(i) / rate;
        samples[i] = static_cast<std::int16_t>(std::lround(20000 * std::sin(angle)));
    }
    return samples;
}

class SoundGolden : public ::testing::TestWithParam<const char*> {};

TEST_P(SoundGolden, IsExact) {
    const std::string file = GetParam();
    const auto samples = decode_audio(golden("media/" + file), {});
    ASSERT_TRUE(samples.has_value()) << samples.error().message;
    EXPECT_EQ(*samples, golden_samples(file.substr(0, file.find('.'))));
}

INSTANTIATE_TEST_SUITE_P(
    Sound,
    SoundGolden,
    ::testing::Values(
        "pcm8.wav",
        "pcm16.wav",
        "pcm16_stereo.wav",
        "pcm24_surround.wav",
        "pcm32.wav",
        "float32.wav",
        "float64.wav",
        "lossless.flac"
    ),
    [](const auto& test) {
        const std::string file = test.param;
        return file.substr(0, file.find('.'));
    }
);

/// The share of the energy of `expected` that `got` misses, at the shift that suits it best: what
/// encodes with loss also delays.
double loss(const std::vector<float>& got, const std::vector<float>& expected) {
    double best = 1;
    for (std::size_t shift = 0; shift + expected.size() / 2 < got.size() && shift < 3000; ++shift) {
        double error = 0;
        double energy = 0;
        for (std::size_t i = 0; i < expected.size() / 2 && i + shift < got.size(); ++i) {
            error += std::pow(double{got[i + shift]} - expected[i], 2);
            energy += std::pow(double{expected[i]}, 2);
        }
        best = std::min(best, error / energy);
    }
    return best;
}

TEST(Sound, OggAndMp3SoundLikeTheOriginal) {
    for (const std::string file : {"vorbis.ogg", "layer3.mp3"}) {
        const auto samples = decode_audio(golden("media/" + file), {});
        ASSERT_TRUE(samples.has_value()) << samples.error().message;
        const auto expected = golden_samples(file.substr(0, file.find('.')));
        EXPECT_GE(samples->size(), expected.size()) << file;
        EXPECT_LT(loss(*samples, expected), 0.05) << file;
    }
}

TEST(SoundProbe, ReadsTheHeaders) {
    const auto wide = probe_audio(golden("media/pcm24_surround.wav"));
    ASSERT_TRUE(wide.has_value());
    EXPECT_EQ(wide->format, AudioFormat::Wav);
    EXPECT_EQ(wide->frames, 90U);
    EXPECT_EQ(wide->rate, 96000U);
    EXPECT_EQ(wide->channels, 6U);
    EXPECT_EQ(probe_audio(golden("media/lossless.flac"))->format, AudioFormat::Flac);
    EXPECT_EQ(probe_audio(golden("media/vorbis.ogg"))->format, AudioFormat::Ogg);
    EXPECT_EQ(probe_audio(golden("media/layer3.mp3"))->format, AudioFormat::Mp3);
}

TEST(SoundRate, AToneKeepsItsPitchAndLevel) {
    for (const std::uint32_t rate : {8000U, 16000U, 44100U, 96000U}) {
        const auto samples = decode_audio(wav(tone(1000, 48000, 24000), 48000), {.rate = rate});
        ASSERT_TRUE(samples.has_value()) << samples.error().message;
        EXPECT_NEAR(static_cast<double>(samples->size()), rate / 2.0, 1);
        const auto expected = tone(1000, rate, samples->size());
        // The ends ring, since a sound that begins suddenly holds every frequency.
        for (std::size_t i = 200; i + 200 < samples->size(); ++i) {
            ASSERT_NEAR((*samples)[i], expected[i] / 32768.0, 2e-4) << rate << " Hz, frame " << i;
        }
    }
}

TEST(SoundRate, WhatALowerRateCannotHoldIsRemoved) {
    const auto samples = decode_audio(wav(tone(6000, 48000, 24000), 48000), {.rate = 8000});
    ASSERT_TRUE(samples.has_value());
    for (std::size_t i = 100; i + 100 < samples->size(); ++i) {
        ASSERT_NEAR((*samples)[i], 0, 1e-4) << i;
    }
}

TEST(SoundRate, ACutClipIsTheBeginningOfTheWholeOne) {
    const auto bytes = wav(tone(700, 48000, 48000), 48000);
    for (const std::uint32_t rate : {0U, 8000U, 96000U}) {
        const auto whole = decode_audio(bytes, {.rate = rate});
        const auto cut = decode_audio(bytes, {.rate = rate, .frames_max = 1000});
        ASSERT_TRUE(whole.has_value() && cut.has_value());
        ASSERT_EQ(cut->size(), 1000U);
        for (std::size_t i = 0; i < 1000; ++i) ASSERT_NEAR((*cut)[i], (*whole)[i], 1e-6) << i;
    }
}

// Bad bytes.

TEST(SoundFaults, OtherFormatsAreNamed) {
    expect_fault(
        decode_audio(as_byte_view("FORM....AIFF"), {}), FaultCode::BadFormat, "neither WAV"
    );
    expect_fault(decode_audio({}, {}), FaultCode::BadFormat, "neither WAV");
}

TEST(SoundFaults, AClipWithoutSamplesIsTruncated) {
    expect_fault(decode_audio(wav({}, 16000), {}), FaultCode::Truncated, "no samples");
}

TEST(SoundFaults, AClipTooShortForItsNewRateIsTruncated) {
    const auto bytes = wav(tone(440, 96000, 2), 96000);
    EXPECT_TRUE(decode_audio(bytes, {}).has_value());
    expect_fault(decode_audio(bytes, {.rate = 8000}), FaultCode::Truncated, "too short");
}

TEST(SoundFaults, HeadersOfOggAreCheckedBeforeTheLibrarySeesThem) {
    const auto bytes = golden("media/vorbis.ogg");
    const std::size_t headers = 3446;  // where the first page of sound begins
    for (std::size_t length = 4; length < headers; length += 11) {
        const auto got = decode_audio(ByteView(bytes).first(length), {});
        expect_fault(got, FaultCode::Truncated, "Ogg: the headers end at byte");
    }
    for (std::size_t at = 0; at < headers; at += 13) {
        auto damaged = bytes;
        damaged[at] ^= std::byte{0x10};
        const auto got = decode_audio(damaged, {});
        ASSERT_FALSE(got.has_value()) << at;
        EXPECT_TRUE(at < 4 || got.error().message.starts_with("Ogg: ")) << got.error().message;
    }
    EXPECT_TRUE(decode_audio(bytes, {}).has_value());
}

TEST(SoundFaults, ADataChunkThatLiesGivesWhatIsThere) {
    const auto samples = tone(440, 8000, 100);
    for (const std::uint32_t claimed : {0xffffffffU, 0xfffffffeU, 0x7fffffffU, 1000U}) {
        const auto got = decode_audio(wav(samples, 8000, claimed), {});
        ASSERT_TRUE(got.has_value()) << claimed << ": " << got.error().message;
        ASSERT_EQ(got->size(), 100U) << claimed;
        EXPECT_EQ((*got)[50], static_cast<float>(samples[50] / 32768.0));
    }
}

TEST(SoundFaults, ATruncatedWavGivesTheSamplesBeforeTheCut) {
    const auto bytes = golden("media/pcm16.wav");
    const auto whole = golden_samples("pcm16");
    for (std::size_t length = 0; length < bytes.size(); ++length) {
        SCOPED_TRACE(length);
        const auto got = decode_audio(ByteView(bytes).first(length), {});
        if (length < 46) {
            ASSERT_FALSE(got.has_value());
            continue;
        }
        ASSERT_TRUE(got.has_value()) << got.error().message;
        ASSERT_EQ(got->size(), (length - 44) / 2);
        EXPECT_TRUE(std::equal(got->begin(), got->end(), whole.begin()));
    }
}

TEST(SoundFaults, TruncatedFilesOfOtherFormatsGiveABeginningOrAFault) {
    for (const auto* name : {"lossless.flac", "vorbis.ogg", "layer3.mp3"}) {
        const auto bytes = golden(std::string("media/") + name);
        const auto whole = decode_audio(bytes, {});
        ASSERT_TRUE(whole.has_value());
        for (std::size_t length = 0; length < bytes.size(); length += 7) {
            const auto got = decode_audio(ByteView(bytes).first(length), {});
            EXPECT_LE(got.has_value() ? got->size() : 0, whole->size()) << name << ' ' << length;
        }
    }
}

TEST(SoundFaults, NumbersThatAreNotFiniteOrHugeAreNamed) {
    auto bytes = golden("media/float32.wav");
    const float nothing = std::numeric_limits<float>::quiet_NaN();
    std::memcpy(bytes.data() + bytes.size() - 40, &nothing, sizeof nothing);
    expect_fault(decode_audio(bytes, {}), FaultCode::BadValue, "frame 190");
    const float huge = -2e6F;
    std::memcpy(bytes.data() + bytes.size() - 80, &huge, sizeof huge);
    expect_fault(decode_audio(bytes, {.rate = 8000}), FaultCode::BadValue, "frame 180");
}

TEST(SoundFaults, RatesAndLengthsAreLimited) {
    const auto samples = tone(440, 8000, 100);
    expect_fault(decode_audio(wav(samples, 1'000'000), {}), FaultCode::Oversized, "1000000 Hz");
    expect_fault(decode_audio(wav(samples, 10), {.rate = 8000}), FaultCode::Unsupported, "10 Hz");
    // 100,000 frames that would become 25 million; more than the limit after a second hundred.
    const auto slow = wav(std::vector<std::int16_t>(200'000), 1000);
    expect_fault(decode_audio(slow, {.rate = 200'000}), FaultCode::Oversized, "longer than");
    EXPECT_TRUE(decode_audio(slow, {.rate = 200'000, .frames_max = 50}).has_value());
}

TEST(SoundFaults, FlippedBitsNeverDoHarm) {
    Rng rng(9);
    for (const auto* name : {"pcm16_stereo.wav", "lossless.flac", "vorbis.ogg", "layer3.mp3"}) {
        const auto bytes = golden(std::string("media/") + name);
        for (int round = 0; round < 200; ++round) {
            auto damaged = bytes;
            for (int flips = 0; flips < 3; ++flips) {
                auto& victim = damaged[static_cast<std::size_t>(rng.below(damaged.size()))];
                victim ^= static_cast<std::byte>(1U << rng.below(8));
            }
            const auto got = decode_audio(damaged, {.frames_max = 10'000});
            EXPECT_LE(got.has_value() ? got->size() : 0, 10'000U);
        }
    }
}

}  // namespace
}  // namespace starling::data
