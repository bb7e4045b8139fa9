// Goal: the arena's layout is the same on every peer, and the calls on chunks do what they promise.
// Method: layouts by hand; chunk calls checked against plain copies, with floats in the host's memory
// and where the host has no address of them.

#include "compute/arena/parameter_store.hpp"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <limits>

#include "tests/unit/compute/support/contents.hpp"
#include "tests/unit/compute/support/homes.hpp"

namespace starling::compute {
namespace {

ParameterInfo tensor(std::string name, std::vector<std::int64_t> shape, bool buffer = false) {
    ParameterInfo info;
    info.name = std::move(name);
    info.shape = std::move(shape);
    info.buffer = buffer;
    info.init = Init::UniformFanIn;
    info.fan_in = 4;
    return info;
}

TEST(ParameterLayout, TensorsFollowEachOtherAndChunksCoverThem) {
    const ParameterLayout layout({tensor("a", {300, 300}), tensor("b", {10}), tensor("c", {1})});
    EXPECT_EQ(layout.elements(), 90011U);
    EXPECT_EQ(layout.parameters()[1].offset, 90000U);
    ASSERT_EQ(layout.chunks().size(), 2U);
    EXPECT_EQ(layout.chunks()[0].elements, kChunkElements);
    EXPECT_EQ(layout.chunks()[1].offset, kChunkElements);
    EXPECT_EQ(layout.chunks()[1].elements, 90011U - kChunkElements);
}

TEST(ParameterLayout, BuffersComeLastInChunksOfTheirOwn) {
    const ParameterLayout layout(
        {tensor("mean", {8}, true), tensor("w", {10}), tensor("var", {8}, true)}
    );
    EXPECT_EQ(layout.parameters()[0].name, "w");
    EXPECT_EQ(layout.parameters()[1].name, "mean");
    ASSERT_EQ(layout.chunks().size(), 2U);
    EXPECT_FALSE(layout.chunks()[0].buffer);
    EXPECT_TRUE(layout.chunks()[1].buffer);
    EXPECT_EQ(layout.chunks()[1].offset, 10U);
    EXPECT_EQ(layout.chunks()[1].elements, 16U);
}

TEST(ParameterLayout, CanonicalBytesTellDifferentModelsApart) {
    const auto bytes = ParameterLayout({tensor("w", {2, 3})}).canonical_bytes();
    EXPECT_EQ(bytes, ParameterLayout({tensor("w", {2, 3})}).canonical_bytes());
    EXPECT_NE(bytes, ParameterLayout({tensor("w", {3, 2})}).canonical_bytes());
    EXPECT_NE(bytes, ParameterLayout({tensor("w", {6})}).canonical_bytes());
    EXPECT_NE(bytes, ParameterLayout({tensor("v", {2, 3})}).canonical_bytes());
    EXPECT_NE(bytes, ParameterLayout({tensor("w", {2, 3}, true)}).canonical_bytes());
    EXPECT_NE(bytes, ParameterLayout({tensor("w", {2, 3}), tensor("x", {1})}).canonical_bytes());
}

class ParameterStores : public testing::TestWithParam<HomeKind> {
protected:
    [[nodiscard]] static ParameterStore make(const ParameterLayout& layout) {
        return store_in(GetParam(), layout);
    }
};

INSTANTIATE_TEST_SUITE_P(In, ParameterStores, kHomes, name_of);

TEST_P(ParameterStores, FindsTheOneElementThatIsNotFinite) {
    auto store = make(ParameterLayout({tensor("a", {300, 300}), tensor("mean", {8}, true)}));
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    std::vector<float> values(store.layout().elements(), -std::numeric_limits<float>::max());
    store.write_all(values);
    EXPECT_TRUE(store.finite());
    for (const std::size_t at : {std::size_t{0}, kChunkElements + 5, values.size() - 1}) {
        for (const float bad : {kInfinity, -kInfinity, std::nanf("1"), -std::nanf("1")}) {
            auto spoilt = values;
            spoilt[at] = bad;
            store.write_all(spoilt);
            EXPECT_FALSE(store.finite()) << at << " " << bad;
        }
    }
}

TEST_P(ParameterStores, OneSeedGivesOneModelWithinItsBounds) {
    const ParameterLayout layout({tensor("w", {1000}), tensor("v", {1000})});
    auto a = make(layout);
    auto b = make(layout);
    auto c = make(layout);
    a.initialize(Rng(5));
    b.initialize(Rng(5));
    c.initialize(Rng(6));
    std::vector<float> x(2000);
    std::vector<float> y(2000);
    std::vector<float> z(2000);
    a.read(0, x);
    b.read(0, y);
    c.read(0, z);
    EXPECT_EQ(x, y);
    EXPECT_NE(x, z);
    float largest = 0.0F;
    for (const float value : x) largest = std::max(largest, std::abs(value));
    EXPECT_LE(largest, 0.5F);  // 1 / sqrt(fan_in)
    EXPECT_GT(largest, 0.49F);
    EXPECT_FALSE(std::equal(x.begin(), x.begin() + 1000, x.begin() + 1000));
}

TEST_P(ParameterStores, BuffersThatAreHeldTakeNothingFromOthers) {
    auto store = make(ParameterLayout({tensor("w", {4}), tensor("mean", {4}, true)}));
    const std::vector<float> ones(4, 1.0F);
    const auto delta = std::as_bytes(std::span(ones));
    std::vector<float> all(8);
    store.hold_buffers(true);
    EXPECT_TRUE(store.try_add(0, delta));
    EXPECT_TRUE(store.try_add(1, delta));
    store.read_all(all);
    EXPECT_EQ(all, (std::vector<float>{1, 1, 1, 1, 0, 0, 0, 0}));
    store.hold_buffers(false);
    EXPECT_TRUE(store.try_add(1, delta));
    store.read_all(all);
    EXPECT_EQ(all, (std::vector<float>{1, 1, 1, 1, 1, 1, 1, 1}));
}

TEST_P(ParameterStores, AddReadsRawFloatsFromAnyAddress) {
    auto store = make(ParameterLayout({tensor("w", {5000})}));
    const std::vector<float> delta(5000, 1.5F);
    Bytes raw(1 + 4 * delta.size());
    std::memcpy(raw.data() + 1, delta.data(), 4 * delta.size());
    ASSERT_TRUE(store.try_add(0, ByteView(raw).subspan(1)));
    ASSERT_TRUE(store.try_add(0, ByteView(raw).subspan(1)));
    EXPECT_EQ(store.version(0), 2U);
    ASSERT_TRUE(store.try_read(0, std::span(raw).subspan(1)));
    std::vector<float> values(5000);
    std::memcpy(values.data(), raw.data() + 1, 4 * values.size());
    EXPECT_EQ(values, std::vector<float>(5000, 3.0F));
}

TEST_P(ParameterStores, TryCallsDeclineWhileTheChunkIsLocked) {
    auto store = make(ParameterLayout({tensor("w", {16})}));
    Bytes raw(64);
    store.update(0, [&](std::span<float> values, std::uint64_t) {
        values[0] = 1.0F;
        EXPECT_FALSE(store.try_read(0, raw));
        EXPECT_FALSE(store.try_add(0, raw));
    });
    EXPECT_EQ(store.version(0), 1U);
    EXPECT_TRUE(store.try_read(0, raw));
}

TEST_P(ParameterStores, VariancesStayNonNegativeAndNothingTurnsNotANumber) {
    auto variance = tensor("var", {3}, true);
    variance.variance = true;
    auto store = make(ParameterLayout({tensor("w", {3}), variance}));
    store.write(0, std::vector<float>{1, 1, 1});
    store.write(1, std::vector<float>{1, 1, 1});
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const float infinity = std::numeric_limits<float>::infinity();
    const std::vector<float> delta{-3.0F, nan, infinity};
    ASSERT_TRUE(store.try_add(0, std::as_bytes(std::span(delta))));
    ASSERT_TRUE(store.try_add(1, std::as_bytes(std::span(delta))));
    std::vector<float> values(3);
    store.read(0, values);
    EXPECT_EQ(values, (std::vector<float>{-2, 1, 1}));
    store.read(1, values);
    EXPECT_EQ(values, (std::vector<float>{0, 1, 1}));
}

TEST_P(ParameterStores, MeansMayTurnNegativeAndVariancesMayNot) {
    auto mean = tensor("bn.running_mean", {2}, true);
    mean.init = Init::Zero;
    auto variance = tensor("bn.running_var", {2}, true);
    variance.init = Init::One;
    variance.variance = true;
    // Above zero as a variance is: what a statistic is does not follow from its values.
    auto file_mean = tensor("file_mean", {2}, true);
    file_mean.init = Init::Given;
    file_mean.given = std::make_shared<const std::vector<float>>(std::vector<float>{0.5F, 1.0F});
    auto store = make(ParameterLayout({mean, variance, file_mean}));
    const std::vector<float> delta(6, -2.0F);
    ASSERT_TRUE(store.try_add(0, std::as_bytes(std::span(delta))));
    std::vector<float> values(6);
    store.read(0, values);
    EXPECT_EQ(values, (std::vector<float>{-2, -2, 0, 0, -2, -2}));
}

TEST(ParameterLayout, HashDoesNotCoverWhatAStatisticIs) {
    auto variance = tensor("bn.running_var", {2}, true);
    const auto before = ParameterLayout({variance}).canonical_bytes();
    variance.variance = true;
    EXPECT_EQ(ParameterLayout({variance}).canonical_bytes(), before);
}

TEST_P(ParameterStores, ATensorAcrossChunksIsReadWhole) {
    const ParameterLayout layout({tensor("a", {65530}), tensor("b", {100}), tensor("c", {9})});
    auto store = make(layout);
    EXPECT_EQ(store.chunk_of(65535), 0U);
    EXPECT_EQ(store.chunk_of(65536), 1U);
    std::vector<float> tail(layout.chunks()[1].elements);
    for (std::size_t i = 0; i < tail.size(); ++i) tail[i] = static_cast<float>(i);
    store.write(1, tail);
    Bytes raw(4 * kChunkElements);
    store.read_tensor(layout.parameters()[1], [&](std::span<const float> values) {
        ASSERT_EQ(values.size(), 100U);
        EXPECT_EQ(values[6], 0.0F);
        EXPECT_EQ(values[99], 93.0F);
        EXPECT_FALSE(store.try_read(0, raw));
    });
    EXPECT_TRUE(store.try_read(0, raw));
}

TEST_P(ParameterStores, ATensorIsChangedChunkByChunkAndNothingBesideIt) {
    const ParameterLayout layout(
        {tensor("a", {3}), tensor("b", {65536 + 100}), tensor("c", {9}), tensor("d", {2}, true)}
    );
    auto store = make(layout);
    std::vector<std::size_t> begins;
    store.update_tensor(layout.parameters()[1], [&](std::span<float> piece, std::size_t at) {
        begins.push_back(at);
        for (std::size_t i = 0; i < piece.size(); ++i) {
            EXPECT_EQ(piece[i], 0.0F);
            piece[i] = static_cast<float>(at + i + 1);
        }
    });
    EXPECT_EQ(begins, (std::vector<std::size_t>{0, 65533}));
    std::vector<float> expected(layout.elements(), 0.0F);
    for (std::size_t i = 0; i < 65636; ++i) expected[3 + i] = static_cast<float>(i + 1);
    EXPECT_EQ(contents(store), expected);
    EXPECT_EQ(store.version(0), 1U);
    EXPECT_EQ(store.version(1), 1U);
    EXPECT_EQ(store.version(2), 0U);
}

TEST_P(ParameterStores, AVisitSeesWhatAnUpdateHasWrittenWithItsVersion) {
    auto store = make(ParameterLayout({tensor("w", {70000})}));
    std::uint64_t written = 0;
    store.update(1, [&](std::span<float> values, std::uint64_t version) {
        ASSERT_EQ(values.size(), 70000 - kChunkElements);
        values.back() = 4.0F;
        written = version;
    });
    store.visit(1, [&](std::span<const float> values, std::uint64_t version) {
        EXPECT_EQ(values.front(), 0.0F);
        EXPECT_EQ(values.back(), 4.0F);
        EXPECT_EQ(version, written);
    });
    EXPECT_EQ(store.version(1), written);
}

TEST(ParameterHome, OneWithoutAddressesBringsNoMoreThanACallNeeds) {
    const ParameterLayout layout(
        {tensor("a", {65536}), tensor("b", {65536}), tensor("m", {8}, true)}
    );
    auto owned = std::make_unique<FileHome>(layout.elements());
    const auto& home = *owned;
    ParameterStore store(layout, std::move(owned));
    store.update_tensor(layout.parameters()[2], [](std::span<float> piece, std::size_t) {
        piece[0] = 1.0F;
    });
    EXPECT_EQ(home.bytes_out(), 32U);
    EXPECT_EQ(home.bytes_in(), 32U);
    store.visit(0, [](std::span<const float>, std::uint64_t) {});
    EXPECT_EQ(home.bytes_out(), 32U + 4 * kChunkElements);
    store.write(1, std::vector<float>(kChunkElements));
    EXPECT_EQ(home.bytes_out(), 32U + 4 * kChunkElements);
    EXPECT_EQ(home.bytes_in(), 32U + 4 * kChunkElements);
}

}  // namespace
}  // namespace starling::compute
