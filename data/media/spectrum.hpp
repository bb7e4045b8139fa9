#pragma once

// Sounds as pictures of their frequencies: a Fourier transform of real values, and the log-mel
// spectrum that speech models are fed.

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.hpp"

namespace starling::data {

inline constexpr std::uint32_t kSpectrumWindowMax = 16'384;
inline constexpr std::uint32_t kSpectrumBandsMax = 512;
/// Most values of one spectrum: 256 MiB.
inline constexpr std::uint64_t kSpectrumValuesMax = std::uint64_t{1} << 26U;

struct Complex {
    float re = 0;
    float im = 0;
};

/// Returns the smallest even size of at least `length` that has no prime factor above 5.
///
/// Requires  1 <= length <= kSpectrumWindowMax
/// Errors    none
/// Thread    any (pure)
[[nodiscard]] std::uint32_t transform_size(std::uint32_t length);

/// The discrete Fourier transform of real values, for one size. It holds scratch memory.
///
/// Thread    one at a time
/// Source    Stockham's self-sorting transform with radices 4, 2, 3, 5, as in Van Loan,
///           "Computational Frameworks for the FFT", 1992, section 1.7; two real values make one
///           complex value, so half of the size is transformed
class RealTransform {
public:
    /// Requires  size is even, in [2, 2 * kSpectrumWindowMax], with no prime factor above 5
    explicit RealTransform(std::uint32_t size);

    [[nodiscard]] std::uint32_t size() const { return size_; }

    /// Returns the number of frequencies, from 0 to half of the rate: size() / 2 + 1.
    [[nodiscard]] std::uint32_t bins() const { return size_ / 2 + 1; }

    /// Computes out[k] = sum over i of in[i] exp(-2 pi sqrt(-1) i k / size()).
    ///
    /// Shapes    in: size() floats; out: bins() values; they do not overlap
    /// Errors    none
    void forward(std::span<const float> in, std::span<Complex> out);

private:
    void pass(std::uint32_t radix, std::uint32_t length, std::uint32_t stride);

    std::uint32_t size_;
    std::vector<std::uint32_t> radices_;
    std::vector<Complex> roots_;  ///< exp(-2 pi sqrt(-1) t / size), t < size
    std::vector<Complex> from_;
    std::vector<Complex> to_;
};

struct LogMelOptions {
    std::uint32_t rate = 16'000;  ///< of the clips, in hertz
    std::uint32_t window = 400;   ///< frames of sound that one spectrum sees; 25 ms at 16 kHz
    std::uint32_t hop = 160;  ///< frames of sound from one spectrum to the next; 10 ms at 16 kHz
    std::uint32_t bands = 80;
    double low_hz = 0;
    double high_hz = 0;  ///< 0 is half of the rate
};

/// Turns a clip into log-mel spectra.
///
/// Each window is weighted by a periodic Hann window, padded with zeros to transform_size(window),
/// transformed and squared. Triangles whose corners lie evenly on the mel scale sum it up to bands;
/// a band's value is the natural logarithm of its power, of at least kPowerMin.
///
/// Thread    one at a time
/// Source    torchaudio's MelSpectrogram with mel_scale "htk" (2595 log10(1 + f / 700)) and without
///           norm, both its defaults. As in Kaldi and unlike its default, windows lie wholly in the
///           clip (center=False)
class LogMel {
public:
    static constexpr float kPowerMin = 1e-10F;

    /// Errors    BadValue: an option out of its range, or bands so narrow that one sees no frequency
    [[nodiscard]] static Result<LogMel> make(const LogMelOptions& options);

    /// Returns the number of spectra of a clip: 1 + (samples - window) / hop, at least 1.
    [[nodiscard]] std::uint64_t frames(std::uint64_t samples) const;

    /// Returns the spectra. A clip that is shorter than a window is padded with zeros.
    ///
    /// Shapes    result: (frames(clip.size()), bands), row by row
    /// Errors    Oversized: more than kSpectrumValuesMax values
    [[nodiscard]] Result<std::vector<float>> compute(std::span<const float> clip);

    [[nodiscard]] const LogMelOptions& options() const { return options_; }

private:
    /// The frequencies that one band sums up, and how.
    struct Band {
        std::uint32_t first = 0;
        std::vector<float> weights;
    };

    explicit LogMel(const LogMelOptions& options);

    [[nodiscard]] std::vector<Band> make_bands() const;

    LogMelOptions options_;
    RealTransform transform_;
    std::vector<float> window_;
    std::vector<Band> bands_;
};

}  // namespace starling::data
