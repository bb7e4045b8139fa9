// Goal: spectra are those of numpy and torchaudio's formulas.
// Method: a naive twin of the transform for every size that it takes up to 300 and some above; a clip
// whose spectra numpy computed (tests/golden/spectra.py); options out of range.

#include "data/media/spectrum.hpp"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <numbers>

#include "base/rng.hpp"
#include "tests/unit/data/support/golden.hpp"

namespace starling::data {
namespace {

std::vector<float> noise(std::size_t count) {
    Rng rng(count);
    std::vector<float> values(count);
    for (auto& value : values) value = static_cast<float>(rng.normal());
    return values;
}

/// The largest distance between the transform and its definition.
double error_of(std::uint32_t size) {
    const auto in = noise(size);
    RealTransform transform(size);
    std::vector<Complex> out(transform.bins());
    transform.forward(in, out);
    double worst = 0;
    for (std::size_t k = 0; k < out.size(); ++k) {
        double re = 0;
        double im = 0;
        for (std::size_t i = 0; i < size; ++i) {
            const auto turn = static_cast<double>(i * k % size) / size;
            re += in[i] * std::cos(2 * std::numbers::pi * turn);
            im -= in[i] * std::sin(2 * std::numbers::pi * turn);
        }
        worst = std::max(worst, std::hypot(out[k].re - re, out[k].im - im));
    }
    return worst;
}

TEST(RealTransform, IsItsDefinition) {
    std::uint32_t sizes = 0;
    for (std::uint32_t size = 2; size <= 300; size = transform_size(size + 1)) {
        EXPECT_LT(error_of(size), 2e-6 * size) << size;
        ++sizes;
    }
    EXPECT_EQ(sizes, 41U);  // half of each is a number without prime factors above 5
    for (const std::uint32_t size : {400U, 512U, 1024U, 1200U, 2250U}) {
        EXPECT_LT(error_of(size), 1e-6 * size) << size;
    }
}

TEST(RealTransform, RepeatsItself) {
    RealTransform transform(24);
    const auto in = noise(24);
    std::vector<Complex> first(13);
    std::vector<Complex> second(13);
    transform.forward(in, first);
    transform.forward(noise(24), second);
    transform.forward(in, second);
    for (std::size_t k = 0; k < 13; ++k) EXPECT_EQ(first[k].re, second[k].re);
}

TEST(TransformSize, IsTheNextEvenSizeOfSmallFactors) {
    EXPECT_EQ(transform_size(1), 2U);
    EXPECT_EQ(transform_size(400), 400U);
    EXPECT_EQ(transform_size(401), 432U);
    EXPECT_EQ(transform_size(1103), 1152U);
    EXPECT_EQ(transform_size(kSpectrumWindowMax), kSpectrumWindowMax);
    EXPECT_LE(transform_size(kSpectrumWindowMax - 1), 2 * kSpectrumWindowMax);
}

std::vector<float> golden_clip(std::int64_t count) {
    std::vector<float> clip;
    for (std::int64_t i = 0; i < count; ++i) {
        clip.push_back(static_cast<float>((i * i * 7 + i * 13) % 2001 - 1000) / 1000.0F);
    }
    return clip;
}

TEST(LogMel, IsThatOfNumpy) {
    const auto bytes = testing::golden("media/logmel.f32");
    std::vector<float> expected(bytes.size() / sizeof(float));
    std::memcpy(expected.data(), bytes.data(), bytes.size());
    auto mel = LogMel::make({.bands = 40, .low_hz = 20, .high_hz = 7600});
    ASSERT_TRUE(mel.has_value()) << mel.error().message;
    const auto spectra = mel->compute(golden_clip(1500));
    ASSERT_TRUE(spectra.has_value());
    ASSERT_EQ(spectra->size(), expected.size());
    ASSERT_EQ(mel->frames(1500) * 40, expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
        EXPECT_NEAR((*spectra)[i], expected[i], 1e-4) << i;
    }
}

TEST(LogMel, AToneIsLoudestInItsBand) {
    auto mel = LogMel::make({.rate = 8000, .window = 200, .hop = 80, .bands = 30});
    ASSERT_TRUE(mel.has_value());
    std::vector<float> tone(200);
    for (std::size_t i = 0; i < tone.size(); ++i) {
        tone[i] = std::sin(2 * std::numbers::pi_v<float> * 1000 * static_cast<float>(i) / 8000);
    }
    const auto spectra = mel->compute(tone);
    ASSERT_TRUE(spectra.has_value());
    const auto loudest = std::max_element(spectra->begin(), spectra->end()) - spectra->begin();
    // 1000 Hz are 1000 mel of 2146; the corners lie 69.2 mel apart, so the 14th one is nearest.
    EXPECT_EQ(loudest, 13);
}

TEST(LogMel, CountsWindowsThatLieWhollyInTheClip) {
    auto mel = LogMel::make({.window = 400, .hop = 160});
    ASSERT_TRUE(mel.has_value());
    EXPECT_EQ(mel->frames(1), 1U);
    EXPECT_EQ(mel->frames(400), 1U);
    EXPECT_EQ(mel->frames(559), 1U);
    EXPECT_EQ(mel->frames(560), 2U);
    EXPECT_EQ(mel->frames(16000), 98U);
    for (const std::int64_t samples : {1, 399, 400, 559, 560, 16000}) {
        EXPECT_EQ(
            mel->compute(golden_clip(samples))->size(),
            80 * mel->frames(static_cast<std::uint64_t>(samples))
        );
    }
}

TEST(LogMel, SilenceIsTheLogarithmOfTheSmallestPower) {
    auto mel = LogMel::make({});
    ASSERT_TRUE(mel.has_value());
    const auto spectra = mel->compute(std::vector<float>(100));
    ASSERT_TRUE(spectra.has_value());
    for (const float value : *spectra) EXPECT_FLOAT_EQ(value, std::log(LogMel::kPowerMin));
}

void expect_bad(const LogMelOptions& options, const std::string& words) {
    const auto mel = LogMel::make(options);
    ASSERT_FALSE(mel.has_value()) << words;
    EXPECT_EQ(mel.error().code, FaultCode::BadValue);
    EXPECT_NE(mel.error().message.find(words), std::string::npos) << mel.error().message;
}

TEST(LogMel, OptionsOutOfRangeAreNamed) {
    expect_bad({.window = 0}, "window of 0");
    expect_bad({.window = 1}, "window of 1");
    expect_bad({.window = 1U << 31U}, "window of 2147483648");
    expect_bad({.hop = 0}, "hop");
    expect_bad({.rate = 0}, "rate");
    expect_bad({.bands = 0}, "0 bands");
    expect_bad({.bands = 100'000}, "100000 bands");
    expect_bad({.bands = 128}, "use fewer bands");
    expect_bad({.low_hz = -1}, "range");
    expect_bad({.low_hz = std::nan("")}, "range");
    expect_bad({.high_hz = 8001}, "range");
    expect_bad({.low_hz = 500, .high_hz = 400}, "range");
}

TEST(LogMel, TooManyValuesAreRefused) {
    auto mel = LogMel::make({.window = 2048, .hop = 1, .bands = 128});
    ASSERT_TRUE(mel.has_value()) << mel.error().message;
    const auto spectra = mel->compute(std::vector<float>(600'000));
    ASSERT_FALSE(spectra.has_value());
    EXPECT_EQ(spectra.error().code, FaultCode::Oversized);
}

}  // namespace
}  // namespace starling::data
