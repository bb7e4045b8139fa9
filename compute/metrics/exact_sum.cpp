#include "compute/metrics/exact_sum.hpp"

#include <bit>
#include <cmath>

#include "base/check.hpp"

namespace starling::compute {

namespace {

constexpr std::int64_t kBase = std::int64_t{1} << 32U;
constexpr std::uint64_t kLow = 0xffffffffU;
constexpr int kUnit = -1074;
/// An addition changes a limb by less than 2^32, so so many of them stay within 63 bits.
constexpr std::uint32_t kUnsettledMax = 1U << 29U;

}  // namespace

void ExactSum::add(double value) {
    STARLING_CHECK(std::isfinite(value));
    if (value == 0.0) return;
    const auto bits = std::bit_cast<std::uint64_t>(value);
    const auto exponent = static_cast<std::size_t>((bits >> 52U) & 0x7ffU);
    auto mantissa = bits & ((std::uint64_t{1} << 52U) - 1);
    if (exponent != 0) mantissa |= std::uint64_t{1} << 52U;
    // A value of exponent field 1, and one without a leading 1, counts in units of 2^-1074.
    const std::size_t place = exponent == 0 ? 0 : exponent - 1;
    const std::size_t limb = place / 32;
    const std::size_t shift = place % 32;
    const auto low = (mantissa & kLow) << shift;
    const auto high = (mantissa >> 32U) << shift;
    const auto middle = (low >> 32U) + (high & kLow);
    const std::int64_t sign = (bits >> 63U) != 0 ? -1 : 1;
    limbs_[limb] += sign * static_cast<std::int64_t>(low & kLow);
    limbs_[limb + 1] += sign * static_cast<std::int64_t>(middle);
    limbs_[limb + 2] += sign * static_cast<std::int64_t>(high >> 32U);
    if (++unsettled_ == kUnsettledMax) settle();
}

void ExactSum::add_product(double left, double right) {
    const double product = left * right;
    add(product);
    add(std::fma(left, right, -product));
}

ExactSum& ExactSum::operator+=(const ExactSum& other) {
    settle();
    auto settled = other;
    settled.settle();
    for (std::size_t i = 0; i < kLimbs; ++i) limbs_[i] += settled.limbs_[i];
    settle();
    return *this;
}

/// Carries upwards, until every limb but the highest is in [0, 2^32). The highest keeps the sign.
void ExactSum::settle() {
    std::int64_t carry = 0;
    for (std::size_t i = 0; i + 1 < kLimbs; ++i) {
        const auto limb = limbs_[i] + carry;
        limbs_[i] = static_cast<std::int64_t>(static_cast<std::uint64_t>(limb) & kLow);
        carry = (limb - limbs_[i]) / kBase;
    }
    limbs_[kLimbs - 1] += carry;
    unsettled_ = 0;
}

ExactSum::Canonical ExactSum::canonical() const {
    auto sum = *this;
    sum.settle();
    Canonical out;
    out.negative = sum.limbs_[kLimbs - 1] < 0;
    if (out.negative) {
        for (auto& limb : sum.limbs_) limb = -limb;
        sum.settle();
    }
    for (std::size_t i = 0; i < kLimbs; ++i) {
        out.magnitude[i] = static_cast<std::uint32_t>(sum.limbs_[i]);
    }
    return out;
}

double ExactSum::value() const {
    const auto [magnitude, negative] = canonical();
    double sum = 0.0;
    for (std::size_t i = 0; i < kLimbs; ++i) {
        if (magnitude[i] == 0) continue;
        sum += std::ldexp(static_cast<double>(magnitude[i]), static_cast<int>(32 * i) + kUnit);
    }
    return negative ? -sum : sum;
}

bool ExactSum::is_negative() const {
    return canonical().negative;
}

bool ExactSum::is_zero() const {
    return canonical().magnitude == Canonical{}.magnitude;
}

void ExactSum::encode(ByteWriter& out) const {
    const auto [magnitude, negative] = canonical();
    std::size_t first = 0;
    std::size_t end = kLimbs;
    while (end > 0 && magnitude[end - 1] == 0) --end;
    while (first < end && magnitude[first] == 0) ++first;
    out.put(static_cast<std::uint8_t>(negative ? 1 : 0));
    out.put(static_cast<std::uint8_t>(end == 0 ? 0 : first));
    out.put(static_cast<std::uint8_t>(end - first));
    for (auto i = first; i < end; ++i) out.put(magnitude[i]);
}

ExactSum ExactSum::decode(ByteReader& in) {
    const auto negative = in.take<std::uint8_t>();
    const std::size_t first = in.take<std::uint8_t>();
    const std::size_t count = in.take<std::uint8_t>();
    ExactSum sum;
    // The highest limb must leave room for the sums to come.
    if (negative > 1 || first + count >= kLimbs || (count == 0 && (negative != 0 || first != 0))) {
        in.spoil();
        return sum;
    }
    for (std::size_t i = 0; i < count; ++i) {
        const std::int64_t limb = in.take<std::uint32_t>();
        if (limb == 0 && (i == 0 || i + 1 == count)) in.spoil();
        sum.limbs_[first + i] = negative != 0 ? -limb : limb;
    }
    sum.settle();
    return in.ok() ? sum : ExactSum{};
}

bool ExactSum::operator==(const ExactSum& other) const {
    const auto left = canonical();
    const auto right = other.canonical();
    return left.negative == right.negative && left.magnitude == right.magnitude;
}

}  // namespace starling::compute
