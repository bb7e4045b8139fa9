// Goal: a sum has the same bits whatever the order, and each number is packed in one way only.
// Method: sums whose result is known, of numbers of very different size; shuffles; bytes by hand.

#include "compute/metrics/exact_sum.hpp"

#include <limits>

#include "compute/metrics/packing.hpp"
#include "tests/unit/compute/metrics/tally_fixture.hpp"

namespace starling::compute {
namespace {

using Limits = std::numeric_limits<double>;

ExactSum sum_of(std::span<const double> values) {
    ExactSum sum;
    for (const double value : values) sum.add(value);
    return sum;
}

TEST(ExactSum, ASingleValueComesBack) {
    Rng rng(1);
    std::vector<double> values{0.0, 1.0, -1.0, Limits::min(), Limits::denorm_min(), Limits::max()};
    for (int i = 0; i < 2000; ++i) {
        values.push_back(std::ldexp(rng.normal(), static_cast<int>(rng.below(2000)) - 1060));
    }
    for (const double value : values) {
        const std::vector<double> both{value, -value};
        EXPECT_EQ(sum_of(std::span(both).first(1)).value(), value);
        EXPECT_EQ(sum_of(std::span(both).last(1)).value(), -value);
        EXPECT_TRUE(sum_of(both).is_zero());
        EXPECT_EQ(sum_of(std::span(both).first(1)).is_negative(), value < 0.0);
    }
}

TEST(ExactSum, NothingIsLostBesideALargeNumber) {
    const std::vector<double> values{1e300, 1.0, -1e300, 1e-300, 1e17, -1e17};
    EXPECT_EQ(sum_of(values).value(), 1.0);
    ExactSum sum;
    for (int i = 0; i < 1000; ++i) sum.add(0.1);
    EXPECT_EQ(sum.value(), 100.0);  // a double of 0.1 is 5.6e-18 too large
}

TEST(ExactSum, OrderChangesNoBit) {
    Rng rng(2);
    std::vector<double> values;
    for (int i = 0; i < 3000; ++i) {
        values.push_back(std::ldexp(rng.normal(), static_cast<int>(rng.below(200)) - 100));
    }
    const auto sum = sum_of(values);
    for (int i = 0; i < 5; ++i) {
        rng.shuffle(std::span(values));
        const auto half = std::span<const double>(values).first(rng.below(values.size()));
        auto parts = sum_of(half);
        parts += sum_of(std::span<const double>(values).subspan(half.size()));
        EXPECT_EQ(bytes_of(parts), bytes_of(sum));
        EXPECT_EQ(parts.value(), sum.value());
        EXPECT_EQ(parts, sum);
    }
}

TEST(ExactSum, ProductsAreExact) {
    ExactSum sum;
    sum.add_product(1.0 + 0x1p-40, 1.0 + 0x1p-40);
    sum.add(-1.0);
    sum.add(-0x1p-39);
    EXPECT_EQ(sum.value(), 0x1p-80);
}

TEST(ExactSum, ItsBytesAreReadInOneWayOnly) {
    const auto refused = [](std::initializer_list<int> list) {
        Bytes bytes;
        for (const int byte : list) bytes.push_back(static_cast<std::byte>(byte));
        ByteReader in(bytes);
        (void)ExactSum::decode(in);
        return !in.ok();
    };
    EXPECT_FALSE(refused({0, 0, 0}));
    EXPECT_FALSE(refused({1, 33, 1, 1, 0, 0, 0}));
    EXPECT_TRUE(refused({}));
    EXPECT_TRUE(refused({1, 0, 0}));
    EXPECT_TRUE(refused({0, 1, 0}));
    EXPECT_TRUE(refused({2, 0, 1, 1, 0, 0, 0}));
    EXPECT_TRUE(refused({0, 0, 1, 0, 0, 0, 0}));
    EXPECT_TRUE(refused({0, 70, 1, 1, 0, 0, 0}));
    EXPECT_TRUE(refused({0, 0, 2, 1, 0, 0, 0}));
}

TEST(Packing, NumbersComeBackAndOthersAreRefused) {
    for (const std::uint64_t value : {0ULL, 1ULL, 127ULL, 128ULL, 16384ULL, ~0ULL}) {
        Bytes bytes;
        ByteWriter out(bytes);
        put_packed(out, value);
        ByteReader in(bytes);
        EXPECT_EQ(take_packed(in, ~0ULL), value);
        EXPECT_TRUE(in.finished());
        ByteReader limited(bytes);
        (void)take_packed(limited, value / 2);
        EXPECT_EQ(limited.ok(), value == 0);
    }
    for (const std::string_view text : {"\x80", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"}) {
        ByteReader in(as_byte_view(text));
        (void)take_packed(in, ~0ULL);
        EXPECT_FALSE(in.ok());
    }
    const std::string_view longer("\x81\x00", 2);
    ByteReader in(as_byte_view(longer));
    (void)take_packed(in, ~0ULL);
    EXPECT_FALSE(in.ok());
}

}  // namespace
}  // namespace starling::compute
