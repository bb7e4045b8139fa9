// Goal: a value outside its range is named before anything starts. Method: one bad value at a time.

#include "gossip/config.hpp"

#include <gtest/gtest.h>
#include <limits>

namespace starling::gossip {
namespace {

void expect_blamed(const AveragerConfig& config, std::string_view name) {
    const auto result = config.validate();
    ASSERT_FALSE(result.has_value()) << name;
    EXPECT_EQ(result.error().code, FaultCode::Usage);
    EXPECT_NE(result.error().message.find(name), std::string::npos) << result.error().message;
}

TEST(AveragerConfig, DefaultsAreValid) {
    EXPECT_TRUE(AveragerConfig{}.validate().has_value());
}

TEST(AveragerConfig, EachBadValueIsNamed) {
    const auto with = [](auto change) {
        AveragerConfig config;
        change(config);
        return config;
    };
    const double nan = std::numeric_limits<double>::quiet_NaN();
    expect_blamed(with([](auto& c) { c.coefficient = 0.0; }), "coefficient");
    expect_blamed(with([](auto& c) { c.coefficient = 0.51; }), "coefficient");
    expect_blamed(with([&](auto& c) { c.coefficient = nan; }), "coefficient");
    expect_blamed(with([](auto& c) { c.window_bytes = 0; }), "window_bytes");
    expect_blamed(with([](auto& c) { c.window_bytes = kWindowMax + 1; }), "window_bytes");
    expect_blamed(with([](auto& c) { c.deadline_base = Duration::zero(); }), "deadline_base");
    expect_blamed(with([](auto& c) { c.deadline_slack = 0.5; }), "deadline_slack");
    expect_blamed(with([&](auto& c) { c.initial_rate = nan; }), "initial_rate");
    expect_blamed(with([](auto& c) { c.retry_locked = Duration::zero(); }), "retry_locked");
    expect_blamed(with([](auto& c) { c.encoding = static_cast<Encoding>(9); }), "encoding");
    const auto exact = [](auto& c) {
        c.encoding = Encoding::Exact64;
        c.coefficient = 0.25;
    };
    expect_blamed(with(exact), "coefficient");
}

TEST(EncodingName, IsReadBackAndOthersAreNamed) {
    for (const auto* name : {"f32", "bf16", "lattice8", "lattice4"}) {
        const auto parsed = parse_encoding(name);
        ASSERT_TRUE(parsed.has_value()) << name;
        EXPECT_EQ(to_string(*parsed), name);
    }
    for (const auto* name : {"", "F32", "exact64", "lattice", "f16"}) {
        EXPECT_EQ(parse_encoding(name).error().code, FaultCode::Usage) << name;
    }
}

TEST(EncodingAgreement, FinerWishHoldsAndStrangersHaveNone) {
    EXPECT_EQ(agree(Encoding::Lattice4, Encoding::F32), Encoding::F32);
    EXPECT_EQ(agree(Encoding::Bf16, Encoding::Lattice8), Encoding::Bf16);
    EXPECT_EQ(agree(Encoding::Lattice8, Encoding::Lattice4), Encoding::Lattice8);
    EXPECT_EQ(agree(Encoding::Exact64, Encoding::Exact64), Encoding::Exact64);
    EXPECT_EQ(agree(Encoding::Exact64, Encoding::F32), std::nullopt);
    EXPECT_EQ(agree(static_cast<Encoding>(9), Encoding::F32), std::nullopt);
    EXPECT_EQ(agree(static_cast<Encoding>(9), static_cast<Encoding>(9)), std::nullopt);
}

}  // namespace
}  // namespace starling::gossip
