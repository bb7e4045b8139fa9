#include "data/sound_features.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "base/rng.hpp"

namespace starling::data {

namespace {

// Draws for one purpose do not depend on whether there are draws for another.
constexpr std::uint64_t kShiftPurpose = 0x536869;
constexpr std::uint64_t kMaskPurpose = 0x4d61736b;

}  // namespace

Result<SoundFeatures> SoundFeatures::make(const AudioRecipe& recipe) {
    SoundFeatures features(recipe);
    if (recipe.features == AudioFeatures::Waveform) return features;
    auto made = LogMel::make({recipe.rate, recipe.window, recipe.hop, recipe.mels, 0, 0});
    if (!made) return made.error();
    features.spectrum_.emplace(std::move(*made));
    return features;
}

SoundFrames SoundFeatures::compute(
    std::span<const float> clip, std::int64_t shift, std::span<float> out
) {
    STARLING_CHECK(clip.size() <= recipe_.samples);
    if (!spectrum_) {
        place(clip, shift, out);
        return {0, 1};
    }
    const auto frames = static_cast<std::uint32_t>(out.size() / recipe_.mels);
    if (!recipe_.centred) {
        padded_.resize(recipe_.samples);
        place(clip, shift, padded_);
        put_bands(*spectrum_->compute(padded_), 0, out);
        return {0, frames};
    }
    // Windows lie wholly in the clip: one that is half silence would count in the mean.
    const auto length = static_cast<std::int64_t>(clip.size());
    const auto before = std::max<std::int64_t>(0, shift);
    const auto lost = std::clamp<std::int64_t>(-shift, 0, length);
    const auto kept = std::clamp<std::int64_t>(recipe_.samples - before, 0, length - lost);
    const auto own = clip.subspan(static_cast<std::size_t>(lost), static_cast<std::size_t>(kept));
    std::fill(out.begin(), out.end(), 0.0F);
    if (own.empty()) return {0, 0};
    const auto rows = spectrum_->compute(own);
    const auto count = std::min<std::size_t>(frames, rows->size() / recipe_.mels);
    SoundFrames place{0, static_cast<std::uint32_t>(count)};
    place.first = std::min(static_cast<std::uint32_t>(before) / recipe_.hop, frames - place.count);
    put_bands(std::span(*rows).first(count * recipe_.mels), place.first, out);
    centre(out, place);
    return place;
}

void SoundFeatures::place(std::span<const float> clip, std::int64_t shift, std::span<float> out)
    const {
    std::fill(out.begin(), out.end(), 0.0F);
    const auto end = static_cast<std::int64_t>(out.size());
    for (std::size_t i = 0; i < clip.size(); ++i) {
        const auto at = static_cast<std::int64_t>(i) + shift;
        if (at >= 0 && at < end) out[static_cast<std::size_t>(at)] = clip[i];
    }
}

/// Turns rows of frames into rows of bands.
void SoundFeatures::put_bands(
    std::span<const float> rows, std::uint32_t first, std::span<float> out
) const {
    const std::size_t bands = recipe_.mels;
    const std::size_t frames = out.size() / bands;
    STARLING_CHECK(first + rows.size() / bands <= frames);
    for (std::size_t frame = 0; frame < rows.size() / bands; ++frame) {
        for (std::size_t band = 0; band < bands; ++band) {
            out[band * frames + first + frame] = rows[frame * bands + band];
        }
    }
}

void SoundFeatures::centre(std::span<float> out, const SoundFrames& own) const {
    const std::size_t frames = out.size() / recipe_.mels;
    for (std::size_t band = 0; band < recipe_.mels; ++band) {
        const auto values = out.subspan(band * frames + own.first, own.count);
        double sum = 0.0;
        for (const float value : values) sum += value;
        const auto mean = static_cast<float>(sum / static_cast<double>(own.count));
        for (auto& value : values) value -= mean;
    }
}

std::int64_t draw_shift(const AudioRecipe& recipe, std::uint64_t draw) {
    auto rng = Rng(draw).fork(kShiftPurpose);
    const auto range = 2 * std::uint64_t{recipe.shift} + 1;
    return static_cast<std::int64_t>(rng.below(range)) - recipe.shift;
}

void mask_spectrogram(
    const AudioRecipe& recipe, const SoundFrames& own, std::uint64_t draw, std::span<float> values
) {
    auto rng = Rng(draw).fork(kMaskPurpose);
    const std::size_t bands = recipe.mels;
    const std::size_t frames = values.size() / bands;
    const auto high = rng.below(std::uint64_t{recipe.band_mask} + 1);
    const auto band = rng.below(bands - high + 1);
    const auto rows = values.subspan(band * frames, high * frames);
    std::fill(rows.begin(), rows.end(), 0.0F);
    const auto wide = rng.below(std::min(recipe.time_mask, own.count / 2) + std::uint64_t{1});
    const auto frame = own.first + rng.below(own.count - wide + std::uint64_t{1});
    for (std::size_t i = 0; i < bands && wide > 0; ++i) {
        const auto run = values.subspan(i * frames + frame, wide);
        std::fill(run.begin(), run.end(), 0.0F);
    }
}

}  // namespace starling::data
