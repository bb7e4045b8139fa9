#include "data/media/spectrum.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <string>
#include <utility>

#include "base/check.hpp"

namespace starling::data {

namespace {

constexpr double kTurn = 2 * std::numbers::pi;

Complex operator+(Complex a, Complex b) {
    return {a.re + b.re, a.im + b.im};
}

Complex operator-(Complex a, Complex b) {
    return {a.re - b.re, a.im - b.im};
}

Complex operator*(Complex a, Complex b) {
    return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

/// a times -sqrt(-1).
Complex turned_back(Complex a) {
    return {a.im, -a.re};
}

/// The transform of two, three, four or five values in place. `roots[t]` is exp(-2 pi i t / radix).
template <std::size_t Radix>
void transform_few(std::array<Complex, Radix>& a, const std::array<Complex, Radix>& roots) {
    if constexpr (Radix == 2) {
        a = {a[0] + a[1], a[0] - a[1]};
    } else if constexpr (Radix == 4) {
        const auto even = a[0] + a[2];
        const auto odd = a[1] + a[3];
        const auto even_apart = a[0] - a[2];
        const auto odd_apart = turned_back(a[1] - a[3]);
        a = {even + odd, even_apart + odd_apart, even - odd, even_apart - odd_apart};
    } else {
        std::array<Complex, Radix> sums{};
        for (std::size_t r = 0; r < Radix; ++r) {
            for (std::size_t q = 0; q < Radix; ++q) {
                sums[r] = sums[r] + a[q] * roots[q * r % Radix];
            }
        }
        a = sums;
    }
}

struct PassShape {
    std::uint32_t length = 0;  ///< of the transforms that this pass takes apart
    std::uint32_t stride = 0;  ///< how many of them lie interleaved
    std::uint32_t root_step = 0;
};

/// One pass of Stockham's transform. It takes `stride` interleaved transforms of `length` values
/// apart into stride * Radix transforms of length / Radix values.
template <std::size_t Radix>
void pass_of(const Complex* from, Complex* to, const Complex* roots, PassShape shape) {
    const std::size_t parts = shape.length / Radix;
    const std::size_t stride = shape.stride;
    std::array<Complex, Radix> few_roots{};
    for (std::size_t q = 0; q < Radix; ++q) {
        few_roots[q] = roots[q * shape.length * shape.root_step / Radix];
    }
    for (std::size_t j = 0; j < parts; ++j) {
        std::array<Complex, Radix> turns{};
        for (std::size_t r = 0; r < Radix; ++r) turns[r] = roots[j * r * shape.root_step];
        for (std::size_t k = 0; k < stride; ++k) {
            std::array<Complex, Radix> a{};
            for (std::size_t q = 0; q < Radix; ++q) a[q] = from[k + stride * (j + parts * q)];
            transform_few<Radix>(a, few_roots);
            for (std::size_t r = 0; r < Radix; ++r) {
                to[k + stride * (Radix * j + r)] = a[r] * turns[r];
            }
        }
    }
}

bool is_smooth(std::uint32_t size) {
    for (const std::uint32_t prime : {2U, 3U, 5U}) {
        while (size % prime == 0) size /= prime;
    }
    return size == 1;
}

/// Source    HTK, and torchaudio's mel_scale "htk"
double mel(double hertz) {
    return 2595.0 * std::log10(1.0 + hertz / 700.0);
}

double hertz(double mels) {
    return 700.0 * (std::pow(10.0, mels / 2595.0) - 1.0);
}

double high_hz(const LogMelOptions& options) {
    return options.high_hz == 0 ? options.rate / 2.0 : options.high_hz;
}

Fault bad_option(const std::string& what) {
    return fail(FaultCode::BadValue, "spectrum: " + what);
}

Result<void> check_options(const LogMelOptions& options) {
    if (options.window < 2 || options.window > kSpectrumWindowMax) {
        return bad_option(
            "a window of " + std::to_string(options.window) + " frames; give 2 to " +
            std::to_string(kSpectrumWindowMax)
        );
    }
    if (options.hop == 0) return bad_option("a hop of 0 frames; give at least 1");
    if (options.rate == 0) return bad_option("a rate of 0 Hz");
    if (options.bands == 0 || options.bands > kSpectrumBandsMax) {
        return bad_option(
            std::to_string(options.bands) + " bands; give 1 to " + std::to_string(kSpectrumBandsMax)
        );
    }
    const double high = high_hz(options);
    // Written so that a number that is none is refused, too.
    if (!(options.low_hz >= 0 && options.low_hz < high && high <= options.rate / 2.0)) {
        return bad_option(
            "bands from " + std::to_string(options.low_hz) + " to " + std::to_string(high) +
            " Hz; give a range between 0 and half of the rate"
        );
    }
    return {};
}

}  // namespace

std::uint32_t transform_size(std::uint32_t length) {
    STARLING_CHECK(length >= 1 && length <= kSpectrumWindowMax);
    std::uint32_t size = length + length % 2;
    while (!is_smooth(size)) size += 2;
    return size;
}

RealTransform::RealTransform(std::uint32_t size) : size_(size) {
    STARLING_CHECK(size >= 2 && size % 2 == 0 && size <= 2 * kSpectrumWindowMax && is_smooth(size));
    std::uint32_t rest = size / 2;
    for (const std::uint32_t radix : {4U, 2U, 3U, 5U}) {
        for (; rest % radix == 0; rest /= radix) radices_.push_back(radix);
    }
    roots_.resize(size);
    for (std::uint32_t t = 0; t < size; ++t) {
        const double angle = -kTurn * t / size;
        roots_[t] = {static_cast<float>(std::cos(angle)), static_cast<float>(std::sin(angle))};
    }
    from_.resize(size / 2);
    to_.resize(size / 2);
}

void RealTransform::pass(std::uint32_t radix, std::uint32_t length, std::uint32_t stride) {
    // roots_ are those of the whole size, which is twice the first length.
    const PassShape shape{length, stride, 2 * stride};
    switch (radix) {
        case 2:
            return pass_of<2>(from_.data(), to_.data(), roots_.data(), shape);
        case 3:
            return pass_of<3>(from_.data(), to_.data(), roots_.data(), shape);
        case 4:
            return pass_of<4>(from_.data(), to_.data(), roots_.data(), shape);
        default:
            return pass_of<5>(from_.data(), to_.data(), roots_.data(), shape);
    }
}

void RealTransform::forward(std::span<const float> in, std::span<Complex> out) {
    STARLING_CHECK(in.size() == size_ && out.size() == bins());
    const std::size_t half = size_ / 2;
    for (std::size_t i = 0; i < half; ++i) from_[i] = {in[2 * i], in[2 * i + 1]};
    auto length = static_cast<std::uint32_t>(half);
    std::uint32_t stride = 1;
    for (const auto radix : radices_) {
        pass(radix, length, stride);
        from_.swap(to_);
        length /= radix;
        stride *= radix;
    }
    // Even and odd values were the two parts of complex ones; their transforms are the parts of
    // from_ that are symmetric and antisymmetric.
    for (std::size_t k = 0; k <= half; ++k) {
        const auto a = from_[k == half ? 0 : k];
        const auto b = from_[k == 0 ? 0 : half - k];
        const Complex mirrored{b.re, -b.im};
        const auto even = a + mirrored;
        const auto odd = turned_back(a - mirrored) * roots_[k];
        out[k] = {(even.re + odd.re) / 2, (even.im + odd.im) / 2};
    }
}

LogMel::LogMel(const LogMelOptions& options)
    : options_(options),
      transform_(transform_size(options.window)) {
    for (std::uint32_t i = 0; i < options.window; ++i) {
        const double cosine = std::cos(kTurn * i / options.window);
        window_.push_back(static_cast<float>(0.5 - 0.5 * cosine));
    }
    bands_ = make_bands();
}

Result<LogMel> LogMel::make(const LogMelOptions& options) {
    if (auto ok = check_options(options); !ok) return ok.error();
    LogMel result(options);
    for (std::size_t i = 0; i < result.bands_.size(); ++i) {
        if (result.bands_[i].weights.empty()) {
            return bad_option(
                "band " + std::to_string(i) + " lies between two frequencies of the window; " +
                "use fewer bands or a longer window"
            );
        }
    }
    return result;
}

std::vector<LogMel::Band> LogMel::make_bands() const {
    const double low = mel(options_.low_hz);
    const double step = (mel(high_hz(options_)) - low) / (options_.bands + 1);
    const double bin_hz = static_cast<double>(options_.rate) / transform_.size();
    std::vector<Band> bands(options_.bands);
    for (std::uint32_t i = 0; i < options_.bands; ++i) {
        const double left = hertz(low + step * i);
        const double centre = hertz(low + step * (i + 1));
        const double right = hertz(low + step * (i + 2));
        auto& band = bands[i];
        for (std::uint32_t bin = 0; bin < transform_.bins(); ++bin) {
            const double at = bin * bin_hz;
            const double weight =
                std::min((at - left) / (centre - left), (right - at) / (right - centre));
            if (weight <= 0) continue;
            if (band.weights.empty()) band.first = bin;
            band.weights.push_back(static_cast<float>(weight));
        }
    }
    return bands;
}

std::uint64_t LogMel::frames(std::uint64_t samples) const {
    return samples <= options_.window ? 1 : 1 + (samples - options_.window) / options_.hop;
}

Result<std::vector<float>> LogMel::compute(std::span<const float> clip) {
    const auto count = frames(clip.size());
    if (count > kSpectrumValuesMax / options_.bands) {
        return fail(
            FaultCode::Oversized,
            "spectrum: " + std::to_string(count) + " times " + std::to_string(options_.bands) +
                " values; use a longer hop or shorter clips"
        );
    }
    std::vector<float> spectra;
    spectra.reserve(count * options_.bands);
    std::vector<float> windowed(transform_.size());
    std::vector<Complex> bins(transform_.bins());
    std::vector<float> power(transform_.bins());
    for (std::uint64_t frame = 0; frame < count; ++frame) {
        const auto rest = clip.subspan(frame * options_.hop);
        const auto length = std::min<std::size_t>(rest.size(), options_.window);
        for (std::size_t i = 0; i < length; ++i) windowed[i] = rest[i] * window_[i];
        transform_.forward(windowed, bins);
        for (std::size_t k = 0; k < bins.size(); ++k) {
            power[k] = bins[k].re * bins[k].re + bins[k].im * bins[k].im;
        }
        for (const auto& band : bands_) {
            float sum = 0;
            for (std::size_t k = 0; k < band.weights.size(); ++k) {
                sum += band.weights[k] * power[band.first + k];
            }
            spectra.push_back(std::log(std::max(sum, kPowerMin)));
        }
    }
    return spectra;
}

}  // namespace starling::data
