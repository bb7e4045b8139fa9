#include "data/tables/exact_moments.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>
#include <vector>

#include "base/check.hpp"

namespace starling::data {

namespace {

__extension__ using Wide = unsigned __int128;

constexpr int kUnitExponent = -1074;  // of the sums; the squares' is twice as much
constexpr unsigned kUnitShift = 1074;
constexpr std::uint64_t kDigit = 0xffffffff;

/// Adds value * 2^shift, times the sign, without a carry.
void accumulate(std::int64_t* digits, std::uint64_t value, unsigned shift, std::int64_t sign) {
    const Wide moved = Wide{value} << (shift % 32);
    std::int64_t* digit = digits + shift / 32;
    digit[0] += sign * static_cast<std::int64_t>(static_cast<std::uint64_t>(moved) & kDigit);
    digit[1] += sign * static_cast<std::int64_t>(static_cast<std::uint64_t>(moved >> 32U) & kDigit);
    digit[2] += sign * static_cast<std::int64_t>(static_cast<std::uint64_t>(moved >> 64U));
}

/// Adds value * 2^shift, times the sign.
void accumulate_wide(std::int64_t* digits, Wide value, unsigned shift, std::int64_t sign) {
    accumulate(digits, static_cast<std::uint64_t>(value), shift, sign);
    accumulate(digits, static_cast<std::uint64_t>(value >> 64U), shift + 64, sign);
}

/// Leaves digits of 32 bits, but for the last, which bears the sign.
void carry_over(std::span<std::int64_t> digits) {
    for (std::size_t i = 0; i + 1 < digits.size(); ++i) {
        digits[i + 1] += digits[i] >> 32U;
        digits[i] &= static_cast<std::int64_t>(kDigit);
    }
}

/// A number without sign, of 32-bit digits.
using Magnitude = std::vector<std::uint32_t>;

struct Signed {
    Magnitude digits;
    bool negative = false;
};

Signed value_of(std::span<const std::int64_t> carried) {
    std::vector<std::int64_t> digits(carried.begin(), carried.end());
    const bool negative = digits.back() < 0;
    if (negative) {
        for (auto& digit : digits) digit = -digit;
        carry_over(digits);
    }
    Signed value{{}, negative};
    for (const auto digit : digits) value.digits.push_back(static_cast<std::uint32_t>(digit));
    value.digits.push_back(static_cast<std::uint32_t>(digits.back() >> 32U));
    return value;
}

Magnitude product(const Magnitude& a, const Magnitude& b) {
    Magnitude result(a.size() + b.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
        std::uint64_t over = 0;
        for (std::size_t j = 0; j < b.size(); ++j) {
            over += std::uint64_t{a[i]} * b[j] + result[i + j];
            result[i + j] = static_cast<std::uint32_t>(over);
            over >>= 32U;
        }
        result[i + b.size()] = static_cast<std::uint32_t>(over);
    }
    return result;
}

/// Returns a - b. Requires a >= b.
Magnitude difference(Magnitude a, Magnitude b) {
    const auto size = std::max(a.size(), b.size());
    a.resize(size);
    b.resize(size);
    std::int64_t over = 0;
    for (std::size_t i = 0; i < size; ++i) {
        over += std::int64_t{a[i]} - std::int64_t{b[i]};
        a[i] = static_cast<std::uint32_t>(over);
        over >>= 32U;
    }
    STARLING_CHECK(over == 0);
    return a;
}

/// fraction * 2^exponent.
struct Scaled {
    double fraction = 0;
    int exponent = 0;
};

/// Rounds to a double once: the last of 64 bits says whether there is more behind it.
Scaled rounded(const Magnitude& digits) {
    std::size_t top = digits.size();
    while (top > 0 && digits[top - 1] == 0) --top;
    if (top == 0) return {};
    const auto digit = [&](std::size_t below) -> std::uint64_t {
        return top > below ? digits[top - 1 - below] : 0;
    };
    const Wide bits = (Wide{digit(0)} << 64U) | (Wide{digit(1)} << 32U) | digit(2);
    const auto width = static_cast<unsigned>(std::bit_width(digit(0)));
    auto head = static_cast<std::uint64_t>(bits >> width);
    bool more = (bits & ((Wide{1} << width) - 1)) != 0;
    for (std::size_t below = 3; below < top && !more; ++below) more = digit(below) != 0;
    if (more) head |= 1U;
    return {static_cast<double>(head), 32 * (static_cast<int>(top) - 3) + static_cast<int>(width)};
}

}  // namespace

void ExactMoments::add_wide(double value) {
    STARLING_DCHECK(std::isfinite(value));
    ++count_;
    const auto bits = std::bit_cast<std::uint64_t>(value);
    const auto exponent = static_cast<unsigned>((bits >> 52U) & 0x7ffU);
    auto mantissa = bits & ((std::uint64_t{1} << 52U) - 1);
    if (exponent != 0) mantissa |= std::uint64_t{1} << 52U;
    const unsigned shift = exponent == 0 ? 0 : exponent - 1;
    if (add_near(mantissa, shift, bits >> 63U != 0)) {
        if (++uncarried_ == kUncarriedMax) carry();
        return;
    }
    accumulate(sum_.data(), mantissa, shift, bits >> 63U ? -1 : 1);
    const Wide square = Wide{mantissa} * mantissa;
    accumulate_wide(squares_.data(), square, 2 * shift, 1);
    if (++uncarried_ == kUncarriedMax) carry();
}

/// Adds mantissa * 2^shift where it lies within so many bits of the first such number; else returns false.
bool ExactMoments::add_near(std::uint64_t mantissa, unsigned shift, bool negative) {
    constexpr unsigned kBelow = kNearExponents / 2;
    if (!near_known_) {
        near_known_ = true;
        near_shift_ = shift - std::min(shift, kBelow);
    }
    // Below the first place this wraps to more than there are.
    const auto place = shift - near_shift_;
    if (place >= near_.size()) return false;
    const auto value = static_cast<std::int64_t>(mantissa);
    near_[place].sum += negative ? -value : value;
    near_[place].squares += Wide{mantissa} * mantissa;
    return true;
}

void ExactMoments::carry() {
    for (unsigned i = 0; i < near_.size(); ++i) {
        const auto [sum, squares] = std::exchange(near_[i], {});
        const auto size = static_cast<Wide>(sum < 0 ? -sum : sum);
        accumulate_wide(sum_.data(), size, near_shift_ + i, sum < 0 ? -1 : 1);
        accumulate_wide(squares_.data(), squares, 2 * (near_shift_ + i), 1);
    }
    const bool negative = small_sum_ < 0;
    accumulate(
        sum_.data(),
        static_cast<std::uint64_t>(negative ? -small_sum_ : small_sum_),
        kUnitShift,
        negative ? -1 : 1
    );
    accumulate_wide(squares_.data(), small_squares_, 2 * kUnitShift, 1);
    small_sum_ = 0;
    small_squares_ = 0;
    carry_over(sum_);
    carry_over(squares_);
    uncarried_ = 0;
}

ExactMoments ExactMoments::carried() const {
    auto copy = *this;
    copy.carry();
    return copy;
}

void ExactMoments::add(const ExactMoments& other) {
    const auto theirs = other.carried();
    carry();
    for (std::size_t i = 0; i < sum_.size(); ++i) sum_[i] += theirs.sum_[i];
    for (std::size_t i = 0; i < squares_.size(); ++i) squares_[i] += theirs.squares_[i];
    carry();
    count_ += theirs.count_;
}

double ExactMoments::mean() const {
    if (count_ == 0) return 0;
    const auto value = value_of(carried().sum_);
    const auto total = rounded(value.digits);
    // The division comes first: the sum itself may be larger than a double.
    const double mean =
        std::ldexp(total.fraction / static_cast<double>(count_), total.exponent + kUnitExponent);
    return value.negative ? -mean : mean;
}

double ExactMoments::deviation() const {
    if (count_ == 0) return 0;
    const auto sums = carried();
    // n sum(x^2) - sum(x)^2 loses nearly all its digits where the mean is large beside the deviation.
    // Here it is a difference of whole numbers, which loses none.
    const Magnitude count{
        static_cast<std::uint32_t>(count_), static_cast<std::uint32_t>(count_ >> 32U)};
    const auto total = value_of(sums.sum_).digits;
    const auto spread =
        rounded(difference(product(value_of(sums.squares_).digits, count), product(total, total)));
    const int odd = spread.exponent & 1;
    const double root = std::sqrt(std::ldexp(spread.fraction, odd));
    return std::ldexp(
        root / static_cast<double>(count_), (spread.exponent - odd) / 2 + kUnitExponent
    );
}

}  // namespace starling::data
