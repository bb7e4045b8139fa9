#pragma once

// What a model is fed for a sound, as an audio recipe says.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/result.hpp"
#include "data/media/spectrum.hpp"
#include "data/recipe.hpp"

namespace starling::data {

/// The part of a fed spectrogram that comes from the clip itself; behind it and before it is silence.
struct SoundFrames {
    std::uint32_t first = 0;
    std::uint32_t count = 0;
};

/// Thread    one at a time; it holds scratch memory
class SoundFeatures {
public:
    /// Errors    BadValue: a spectrogram with so many bands that one hears nothing
    [[nodiscard]] static Result<SoundFeatures> make(const AudioRecipe& recipe);

    /// Writes the features of a clip, which recipe.samples bounds, before their scale: samples, or
    /// log-mel values of which each band has lost its mean if the recipe says so. The clip begins
    /// `shift` samples later, with silence in front of it, or earlier, and then lacks what is before
    /// that.
    ///
    /// Shapes    out: (samples) or (mels, frames)
    /// Requires  clip.size() <= recipe.samples; a shift of at most recipe.shift either way
    /// Returns   the frames of the clip itself; of a waveform, all
    [[nodiscard]] SoundFrames compute(
        std::span<const float> clip, std::int64_t shift, std::span<float> out
    );

private:
    explicit SoundFeatures(const AudioRecipe& recipe) : recipe_(recipe) {}

    void place(std::span<const float> clip, std::int64_t shift, std::span<float> out) const;
    void put_bands(std::span<const float> rows, std::uint32_t first, std::span<float> out) const;
    void centre(std::span<float> out, const SoundFrames& own) const;

    AudioRecipe recipe_;
    std::optional<LogMel> spectrum_;
    std::vector<float> padded_;
};

/// Draws what a training clip's shift is, in samples. Draws one number.
/// Thread    any (pure)
[[nodiscard]] std::int64_t draw_shift(const AudioRecipe& recipe, std::uint64_t draw);

/// Makes bands and frames of a spectrogram the mean, which is 0 once it is scaled: one run of up to
/// recipe.band_mask bands, and one of up to recipe.time_mask of the clip's own frames, but at most
/// half of them.
///
/// Shapes    values: (mels, frames), scaled
/// Thread    any (pure)
/// Source    Park et al., "SpecAugment" (arXiv 1904.08779), section 2: frequency and time masking,
///           one mask each, without time warping
void mask_spectrogram(
    const AudioRecipe& recipe, const SoundFrames& own, std::uint64_t draw, std::span<float> values
);

}  // namespace starling::data
