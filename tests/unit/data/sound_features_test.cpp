// Goal: what a model is fed for a sound: means of bands are those of the sound alone, silence is 0,
// shifts and masks change what they should and nothing else. Method: synthetic clips.

#include "data/sound_features.hpp"

#include <cmath>
#include <gtest/gtest.h>
#include <set>

#include "base/rng.hpp"

namespace starling::data {
namespace {

AudioRecipe recipe(bool centred = true) {
    AudioRecipe made;
    made.rate = 8000;
    made.samples = 4000;
    made.window = 200;
    made.hop = 80;
    made.mels = 20;
    made.centred = centred;
    return made;
}

constexpr std::size_t kFrames = 1 + (4000 - 200) / 80;

std::vector<float> clip(std::size_t length, float volume = 1.0F) {
    Rng rng(4);
    std::vector<float> samples;
    for (std::size_t i = 0; i < length; ++i) {
        const double tone = std::sin(0.001 * static_cast<double>(i * i % 3000));
        samples.push_back(volume * static_cast<float>(0.3 * tone + 0.05 * rng.normal()));
    }
    return samples;
}

struct Fed {
    std::vector<float> values;
    SoundFrames own;
};

Fed fed(const AudioRecipe& made, const std::vector<float>& sound, std::int64_t shift = 0) {
    auto features = SoundFeatures::make(made);
    EXPECT_TRUE(features.has_value());
    Fed result{std::vector<float>(made.mels * kFrames), {}};
    result.own = features->compute(sound, shift, result.values);
    return result;
}

TEST(SoundFeatures, EachBandHasAMeanOfZeroOverTheSoundAndSilenceIsZero) {
    const auto result = fed(recipe(), clip(2000));
    EXPECT_EQ(result.own.first, 0U);
    EXPECT_EQ(result.own.count, 1U + (2000 - 200) / 80);
    for (std::size_t band = 0; band < 20; ++band) {
        double sum = 0.0;
        double size = 0.0;
        for (std::size_t i = 0; i < kFrames; ++i) {
            const float value = result.values[band * kFrames + i];
            if (i >= result.own.count) {
                EXPECT_EQ(value, 0.0F);
            }
            sum += value;
            size += std::abs(value);
        }
        EXPECT_NEAR(sum, 0.0, 1e-3);
        EXPECT_GT(size, 1.0);
    }
}

TEST(SoundFeatures, VolumeDoesNotMatterAndPaddingDoesNotDiluteTheMean) {
    const auto loud = fed(recipe(), clip(2000));
    const auto quiet = fed(recipe(), clip(2000, 0.125F));
    auto longer = recipe();
    longer.samples = 3000;
    auto features = SoundFeatures::make(longer);
    std::vector<float> shorter(20 * (1 + (3000 - 200) / 80));
    (void)features->compute(clip(2000), 0, shorter);
    const std::size_t frames = shorter.size() / 20;
    for (std::size_t band = 0; band < 20; ++band) {
        for (std::size_t i = 0; i < loud.own.count; ++i) {
            const float value = loud.values[band * kFrames + i];
            EXPECT_NEAR(value, quiet.values[band * kFrames + i], 1e-3);
            EXPECT_EQ(value, shorter[band * frames + i]);
        }
    }
}

TEST(SoundFeatures, AShiftMovesFrames) {
    const auto still = fed(recipe(), clip(2000));
    const auto later = fed(recipe(), clip(2000), 800);
    EXPECT_EQ(later.own.first, 10U);
    EXPECT_EQ(later.own.count, still.own.count);
    for (std::size_t band = 0; band < 20; ++band) {
        for (std::size_t i = 0; i < kFrames; ++i) {
            const float expected = i < 10 ? 0.0F : still.values[band * kFrames + i - 10];
            EXPECT_EQ(later.values[band * kFrames + i], expected);
        }
    }
    EXPECT_EQ(fed(recipe(), clip(2000), -800).own.count, 1U + (1200 - 200) / 80);
    EXPECT_EQ(fed(recipe(), clip(4000), 800).own.count, 1U + (3200 - 200) / 80);
    EXPECT_EQ(fed(recipe(), clip(100), 3990).own.count, 1U) << "ten samples are left";
    EXPECT_EQ(fed(recipe(), clip(100), -3000).own.count, 0U) << "nothing is left";
}

TEST(SoundFeatures, OldRecipesAreFedAsBefore) {
    const auto sound = clip(2000);
    auto padded = sound;
    padded.resize(4000);
    const auto result = fed(recipe(false), sound);
    EXPECT_EQ(result.own.count, kFrames);
    auto spectrum = LogMel::make({8000, 200, 80, 20, 0, 0});
    const auto rows = spectrum->compute(padded);
    for (std::size_t band = 0; band < 20; ++band) {
        for (std::size_t i = 0; i < kFrames; ++i) {
            EXPECT_EQ(result.values[band * kFrames + i], (*rows)[i * 20 + band]);
        }
    }
    auto waves = recipe(false);
    waves.features = AudioFeatures::Waveform;
    auto features = SoundFeatures::make(waves);
    std::vector<float> out(4000);
    (void)features->compute(sound, -3, out);
    EXPECT_EQ(out[0], sound[3]);
    EXPECT_EQ(out[1997], 0.0F);
}

TEST(SoundFeatures, ShiftsAreDrawnFromTheWholeRangeByTheSeedAlone) {
    auto made = recipe();
    made.shift = 2;
    std::set<std::int64_t> drawn;
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        drawn.insert(draw_shift(made, seed));
        EXPECT_EQ(draw_shift(made, seed), draw_shift(made, seed));
    }
    EXPECT_EQ(drawn, (std::set<std::int64_t>{-2, -1, 0, 1, 2}));
}

TEST(SoundFeatures, MasksCoverOneRunOfBandsAndOneOfFrames) {
    auto made = recipe();
    made.band_mask = 5;
    made.time_mask = 8;
    const SoundFrames own{4, 30};
    std::set<std::size_t> heights;
    std::set<std::size_t> widths;
    for (std::uint64_t seed = 0; seed < 500; ++seed) {
        std::vector<float> values(20 * kFrames, 1.0F);
        mask_spectrogram(made, own, seed, values);
        std::size_t bands = 0;
        std::size_t frames = 0;
        for (std::size_t band = 0; band < 20; ++band) bands += values[band * kFrames] == 0.0F;
        std::size_t free = 0;
        while (free < 20 && values[free * kFrames] == 0.0F) ++free;
        for (std::size_t i = 0; i < kFrames; ++i) {
            const bool masked = values[free * kFrames + i] == 0.0F;
            frames += masked;
            EXPECT_TRUE(!masked || (i >= 4 && i < 34));
        }
        heights.insert(bands);
        widths.insert(frames);
        std::size_t zeros = 0;
        for (const float value : values) zeros += value == 0.0F;
        EXPECT_EQ(zeros, bands * kFrames + frames * (20 - bands)) << "runs and nothing else";
    }
    EXPECT_EQ(heights, (std::set<std::size_t>{0, 1, 2, 3, 4, 5}));
    EXPECT_EQ(widths, (std::set<std::size_t>{0, 1, 2, 3, 4, 5, 6, 7, 8}));
    std::vector<float> nothing(20 * kFrames, 1.0F);
    mask_spectrogram(made, {0, 0}, 1, nothing);  // a clip that was shifted away
}

}  // namespace
}  // namespace starling::data
