// Goal: whose findings are off by more than chance is named, in whatever it lies, and nobody else is, not even by models
// that differ a little; whoever differs from most others names nobody. Method: findings drawn with a seed.

#include "peer/session/cross_check.hpp"

#include <functional>
#include <gtest/gtest.h>

#include "base/rng.hpp"

namespace starling::peer {
namespace {

using compute::QualityKind;

constexpr std::uint64_t kSamples = 400;

PeerId peer_of(std::uint8_t n) {
    PeerId id;
    id.bytes[0] = n;
    return id;
}

/// What a model finds in portions that are unlike by chance.
PortionFindings findings(std::size_t portions, std::uint64_t seed = 1) {
    Rng rng(seed);
    PortionFindings found;
    for (std::size_t i = 0; i < portions; ++i) {
        std::uint64_t right = 0;
        for (std::uint64_t s = 0; s < kSamples; ++s) right += rng.chance(0.8) ? 1U : 0U;
        const double loss = 0.6 + 0.03 * rng.normal();
        found[i] = {{loss * kSamples, right, kSamples}, 0.9 + 0.01 * rng.normal()};
    }
    return found;
}

PortionFindings changed(PortionFindings found, const std::function<void(PortionValues&)>& change) {
    for (auto& [portion, values] : found) change(values);
    return found;
}

TEST(CrossCheck, ModelsThatAgreeAreNotOff) {
    const auto ours = findings(12);
    std::map<PeerId, PortionFindings> others;
    Rng rng(3);
    for (std::uint8_t n = 1; n < 40; ++n) {
        others[peer_of(n)] = changed(ours, [&rng](PortionValues& values) {
            values.result.correct += rng.below(3);
            values.result.loss_sum *= 1.0 + 0.001 * rng.normal();
            *values.quality += 0.001 * rng.normal();
        });
    }
    const auto check = cross_check(ours, others, QualityKind::Auc);
    EXPECT_EQ(check.compared, 39U);
    EXPECT_TRUE(check.suspects.empty());
    EXPECT_FALSE(check.we_differ);
}

TEST(CrossCheck, ALieInAnyNumberIsNamed) {
    const auto ours = findings(12);
    std::map<PeerId, PortionFindings> others;
    for (std::uint8_t n = 1; n < 10; ++n) others[peer_of(n)] = ours;
    others[peer_of(2)] = changed(ours, [](PortionValues& v) { v.result.correct += 40; });
    others[peer_of(4)] = changed(ours, [](PortionValues& v) { v.result.loss_sum *= 0.8; });
    others[peer_of(6)] = changed(ours, [](PortionValues& v) { *v.quality = 0.99; });
    const auto check = cross_check(ours, others, QualityKind::Auc);
    ASSERT_EQ(check.suspects.size(), 3U);
    EXPECT_EQ(check.suspects[0].peer, peer_of(2));
    EXPECT_EQ(check.suspects[0].what.find("accuracy 0.9"), 0U) << check.suspects[0].what;
    EXPECT_NE(
        check.suspects[0].what.find("of 4800 samples of which we have found 0.8"), std::string::npos
    ) << check.suspects[0].what;
    EXPECT_EQ(check.suspects[1].peer, peer_of(4));
    EXPECT_EQ(check.suspects[1].what.find("loss"), 0U);
    EXPECT_EQ(check.suspects[2].peer, peer_of(6));
    EXPECT_EQ(check.suspects[2].what.find("auc 0.99"), 0U);
}

TEST(CrossCheck, WhoDiffersFromMostNamesNobody) {
    const auto ours = findings(12);
    std::map<PeerId, PortionFindings> others;
    for (std::uint8_t n = 1; n < 5; ++n) {
        others[peer_of(n)] = changed(ours, [](PortionValues& v) { v.result.correct -= 60; });
    }
    others[peer_of(7)] = ours;
    const auto check = cross_check(ours, others, QualityKind::Auc);
    EXPECT_TRUE(check.we_differ);
    EXPECT_TRUE(check.suspects.empty());
    // Of two peers nobody knows which one is off.
    const std::map<PeerId, PortionFindings> one{{peer_of(1), others[peer_of(1)]}};
    EXPECT_EQ(cross_check(ours, one, QualityKind::Auc).suspects.size(), 1U);
}

TEST(CrossCheck, OnlyWhatBothHaveJudgedIsCompared) {
    const auto ours = findings(4);
    std::map<PeerId, PortionFindings> others;
    for (std::size_t i = 10; i < 20; ++i) others[peer_of(1)][i] = {{0.0, kSamples, kSamples}, 1.0};
    others[peer_of(2)][1] = {};  // it has judged nothing
    const auto check = cross_check(ours, others, QualityKind::Auc);
    EXPECT_EQ(check.compared, 0U);
    EXPECT_TRUE(check.suspects.empty());
    EXPECT_EQ(cross_check({}, others, QualityKind::Auc).compared, 0U);
}

TEST(CrossCheck, WithFewPortionsTheAccuracyAloneTells) {
    const auto ours = findings(2);
    std::map<PeerId, PortionFindings> others;
    others[peer_of(1)] = changed(ours, [](PortionValues& v) { v.result.loss_sum *= 0.1; });
    EXPECT_TRUE(cross_check(ours, others, QualityKind::Auc).suspects.empty());
    others[peer_of(1)] = changed(ours, [](PortionValues& v) { v.result.correct = kSamples; });
    EXPECT_EQ(cross_check(ours, others, QualityKind::Auc).suspects.size(), 1U);
}

/// Chance is a draw of samples: two draws for one model are told apart once in thousands.
TEST(CrossCheck, TwoDrawsOfSamplesAreNotOff) {
    std::size_t named = 0;
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        const std::map<PeerId, PortionFindings> others{{peer_of(1), findings(30, 1000 + seed)}};
        named += cross_check(findings(30, seed), others, QualityKind::Auc).suspects.size();
    }
    EXPECT_LE(named, 1U);
}

}  // namespace
}  // namespace starling::peer
