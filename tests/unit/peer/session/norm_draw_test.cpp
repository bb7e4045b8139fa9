// Goal: all peers join the same parts to the same statistics, whoever vanishes, is late or lies; where there are no norms
// nothing is sent. Method: machines that hand each other their frames; frames of strangers by table and by mutation.

#include "peer/session/norm_draw.hpp"

#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <memory>

#include "base/rng.hpp"
#include "gossip/codec.hpp"

namespace starling::peer {
namespace {

using compute::NormMoments;
using std::chrono::seconds;

constexpr std::uint32_t kBatch = 16;
constexpr double kWhole = static_cast<double>(kNormBatches) * kBatch;

PeerId peer_of(std::size_t i) {
    PeerId id;
    id.bytes[0] = static_cast<std::uint8_t>(i >> 8U);
    id.bytes[1] = static_cast<std::uint8_t>(i);
    return id;
}

NormMoments seen_by(std::size_t i) {
    const auto x = static_cast<double>(i);
    return {kWhole, {10.0 * x, 0.25}, {1.0, 2.0 + x}};
}

struct Peer {
    Peer(std::size_t index, std::size_t channels)
        : id(peer_of(index)),
          draw(std::make_unique<NormDraw>(id, channels, kBatch, out)) {}

    PeerId id;
    Outbox out;
    std::unique_ptr<NormDraw> draw;
};

class Draws : public ::testing::Test {
protected:
    void make(std::size_t count, std::size_t channels = 2) {
        for (std::size_t i = 0; i < count; ++i) {
            peers_.push_back(std::make_unique<Peer>(peers_.size(), channels));
        }
    }

    [[nodiscard]] std::vector<PeerId> others(std::size_t self) const {
        std::vector<PeerId> ids;
        for (std::size_t i = 0; i < peers_.size(); ++i) {
            if (i != self && !gone_.contains(i)) ids.push_back(peers_[i]->id);
        }
        return ids;
    }

    NormDraw& draw(std::size_t i) { return *peers_[i]->draw; }

    void begin(std::size_t i, std::uint32_t round = 0) {
        draw(i).begin(round, others(i));
        if (draw(i).stage() == NormDraw::Stage::Drawing) draw(i).handle_drawn(now_, seen_by(i));
    }

    /// Hands on all frames and shows all the view, until nothing moves.
    void run() {
        for (bool again = true; again;) {
            again = false;
            for (std::size_t i = 0; i < peers_.size(); ++i) {
                if (gone_.contains(i)) continue;
                draw(i).update(now_, others(i));
                auto& out = peers_[i]->out;
                for (; !out.empty(); out.pop_front()) {
                    again = true;
                    ++frames_;
                    for (std::size_t k = 0; k < peers_.size(); ++k) {
                        if (peers_[k]->id != out.front().to || gone_.contains(k)) continue;
                        EXPECT_TRUE(draw(k).handle_frame(peers_[i]->id, out.front().payload));
                    }
                }
            }
        }
    }

    static NormMoments mixture(std::span<const std::size_t> of) {
        NormMoments whole;
        for (const auto i : of) EXPECT_TRUE(compute::add_moments(whole, seen_by(i)).has_value());
        return whole;
    }

    std::vector<std::unique_ptr<Peer>> peers_;
    std::set<std::size_t> gone_;
    std::size_t frames_ = 0;
    Instant now_ = Instant{} + seconds(100);
};

TEST_F(Draws, AllTakeTheSameMixture) {
    make(4);
    for (std::size_t i = 0; i < 4; ++i) {
        begin(i);
        run();
        if (i == 3) break;
        EXPECT_EQ(draw(0).stage(), NormDraw::Stage::Gathering) << "one is missing";
    }
    const std::array<std::size_t, 4> all{0, 1, 2, 3};
    const auto wanted = mixture(all);
    for (std::size_t i = 0; i < 4; ++i) {
        ASSERT_EQ(draw(i).stage(), NormDraw::Stage::Setting);
        EXPECT_EQ(*draw(i).merged(), *draw(0).merged()) << "to the bit";
    }
    const auto& merged = *draw(0).merged();
    EXPECT_EQ(merged.samples, 4 * kWhole);
    EXPECT_NEAR(merged.means[0], 15.0, 1e-6);
    EXPECT_NEAR(merged.variances[0], 1.0 + 125.0, 1e-4) << "the means are 0, 10, 20 and 30";
    for (std::size_t c = 0; c < 2; ++c) {
        EXPECT_NEAR(merged.means[c], wanted.means[c], 1e-6);
        EXPECT_NEAR(merged.variances[c], wanted.variances[c], 1e-6 * wanted.variances[c]);
    }
    EXPECT_EQ(frames_, 12U) << "each to each, once";
    draw(0).handle_set();
    EXPECT_EQ(draw(0).stage(), NormDraw::Stage::Done);
}

TEST_F(Draws, WhoVanishesIsWaitedForNoLonger) {
    make(4);
    for (std::size_t i = 0; i < 3; ++i) begin(i);
    run();
    EXPECT_EQ(draw(0).stage(), NormDraw::Stage::Gathering);
    gone_.insert(3);
    run();
    for (std::size_t i = 0; i < 3; ++i) {
        ASSERT_EQ(draw(i).stage(), NormDraw::Stage::Setting);
        EXPECT_EQ(draw(i).merged()->samples, 3 * kWhole);
    }
}

TEST_F(Draws, WhatHasComeOfOneThatIsGoneCounts) {
    make(3);
    begin(0);
    begin(1);
    run();
    gone_.insert(1);
    begin(2);
    run();
    EXPECT_EQ(draw(0).merged()->samples, 3 * kWhole);
    EXPECT_EQ(*draw(2).merged(), *draw(0).merged());
}

TEST_F(Draws, WhoIsSilentIsWaitedForAWhile) {
    make(2);
    begin(0);
    run();
    now_ += NormDraw::kGatherMax - std::chrono::milliseconds(1);
    run();
    EXPECT_EQ(draw(0).stage(), NormDraw::Stage::Gathering);
    now_ += std::chrono::milliseconds(1);
    run();
    ASSERT_EQ(draw(0).stage(), NormDraw::Stage::Setting);
    EXPECT_EQ(*draw(0).merged(), seen_by(0));
    // It gets our part all the same, also when we are done.
    draw(0).handle_set();
    begin(1);
    run();
    EXPECT_EQ(draw(1).merged()->samples, 2 * kWhole);
}

TEST_F(Draws, ABrokenStreamIsNoLossForGood) {
    make(2);
    begin(0);
    draw(0).update(now_, others(0));
    EXPECT_EQ(peers_[0]->out.size(), 1U);
    peers_[0]->out.clear();
    draw(0).handle_broken(peers_[1]->id);
    begin(1);
    run();
    EXPECT_EQ(draw(1).stage(), NormDraw::Stage::Setting);
}

TEST_F(Draws, WithoutDataOneTakesWhatOthersHaveSeen) {
    make(2);
    begin(0);
    draw(1).begin(0, others(1));
    draw(1).handle_drawn(now_, {});
    run();
    EXPECT_EQ(*draw(0).merged(), seen_by(0));
    EXPECT_EQ(*draw(1).merged(), *draw(0).merged());
    // Where nobody has any, statistics stay as they are.
    make(2);
    for (std::size_t i = 2; i < 4; ++i) {
        gone_ = {0, 1};
        draw(i).begin(0, others(i));
        draw(i).handle_drawn(now_, {});
    }
    run();
    EXPECT_EQ(draw(2).stage(), NormDraw::Stage::Done);
    EXPECT_EQ(draw(2).merged(), nullptr);
}

TEST_F(Draws, OfManyPeersTheLeastDrawAndAllTake) {
    make(40);
    for (std::size_t i = 0; i < 40; ++i) begin(i);
    run();
    EXPECT_EQ(frames_, kNormDrawersMax * 39);
    for (std::size_t i = 0; i < 40; ++i) {
        ASSERT_EQ(draw(i).stage(), NormDraw::Stage::Setting) << i;
        EXPECT_EQ(draw(i).merged()->samples, kNormDrawersMax * kWhole);
        EXPECT_EQ(*draw(i).merged(), *draw(0).merged());
    }
}

TEST_F(Draws, TheNextRoundDrawsAnew) {
    make(2);
    begin(0);
    begin(1);
    run();
    const auto first = draw(0).number();
    // One has gone on to the next round before the other has.
    draw(1).reset();
    begin(1, 1);
    draw(1).update(now_, others(1));
    EXPECT_TRUE(draw(0).handle_frame(peers_[1]->id, peers_[1]->out.front().payload));
    peers_[1]->out.clear();
    draw(0).reset();
    EXPECT_EQ(draw(0).merged(), nullptr);
    begin(0, 1);
    EXPECT_GT(draw(0).number(), first);
    run();
    EXPECT_EQ(draw(0).merged()->samples, 2 * kWhole);
    EXPECT_EQ(draw(1).merged()->samples, 2 * kWhole);
    const NormPart late{0, seen_by(1)};
    EXPECT_FALSE(draw(0).handle_frame(peers_[1]->id, encode_norm_part(late))) << "an old round";
}

TEST_F(Draws, ATimeThatIsOverLeavesThingsAsTheyAre) {
    make(2);
    EXPECT_FALSE(draw(0).give_up());
    begin(0);
    EXPECT_TRUE(draw(0).give_up());
    EXPECT_EQ(draw(0).stage(), NormDraw::Stage::Done);
    EXPECT_FALSE(draw(0).give_up());
}

TEST_F(Draws, WithoutNormsNothingIsSentOrTaken) {
    make(2, 0);
    begin(0);
    run();
    EXPECT_EQ(draw(0).stage(), NormDraw::Stage::Idle);
    EXPECT_EQ(frames_, 0U);
    EXPECT_FALSE(draw(0).handle_frame(peers_[1]->id, encode_norm_part({0, seen_by(1)})));
    Outbox out;
    EXPECT_FALSE(NormDraw(peer_of(0), kNormChannelsMax + 1, kBatch, out).wanted());
}

TEST_F(Draws, ALiarsNumbersAreBoundedOrRefused) {
    make(3);
    begin(0);
    begin(1);
    auto greedy = seen_by(2);
    greedy.samples = 4e9;
    EXPECT_TRUE(draw(0).handle_frame(peers_[2]->id, encode_norm_part({0, greedy})));
    run();
    EXPECT_EQ(draw(0).merged()->samples, 3 * kWhole) << "nobody counts more than all its batches";
    make(1);
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), -1.0F}) {
        auto moments = seen_by(0);
        moments.variances[1] = static_cast<double>(bad);
        EXPECT_FALSE(draw(3).handle_frame(peers_[0]->id, encode_norm_part({0, moments}))) << bad;
    }
    EXPECT_FALSE(draw(3).handle_frame(peers_[0]->id, encode_norm_part({0, {8.0, {1.0}, {1.0}}})));
    // So many strangers, so little memory.
    for (std::size_t i = 10; i < 1000; ++i) {
        (void)draw(3).handle_frame(peer_of(i), encode_norm_part({0, seen_by(0)}));
    }
    EXPECT_FALSE(draw(3).handle_frame(peer_of(1001), encode_norm_part({0, seen_by(0)})));
}

TEST(NormParts, AreReadWholeOrRefused) {
    const NormPart part{7, {512.0, {1.5, -2.25, 0.0}, {0.5, 0.0, 1e20}}};
    const auto bytes = encode_norm_part(part);
    EXPECT_EQ(bytes.size(), 20U + 3 * 8);
    EXPECT_TRUE(is_norm_part(bytes));
    const auto read = decode_norm_part(bytes);
    ASSERT_TRUE(read.has_value()) << read.error().message;
    EXPECT_EQ(read->round, 7U);
    EXPECT_EQ(read->moments.samples, 512.0);
    EXPECT_EQ(read->moments.means, part.moments.means);
    EXPECT_FLOAT_EQ(static_cast<float>(read->moments.variances[2]), 1e20F);
    EXPECT_TRUE(decode_norm_part(encode_norm_part({3, {}})).has_value()) << "one without data";
    const auto older = gossip::decode(bytes);
    ASSERT_TRUE(older.has_value()) << older.error().message;
    EXPECT_TRUE(std::holds_alternative<gossip::Unknown>(*older)) << "an older release skips it";
    for (std::size_t length = 0; length < bytes.size(); ++length) {
        EXPECT_TRUE(decode_norm_part(ByteView(bytes).first(length)).has_error()) << length;
    }
    for (std::uint64_t seed = 0; seed < 20000; ++seed) {
        Rng rng(seed);
        auto bad = bytes;
        for (std::uint64_t i = 0; i <= rng.below(4); ++i) {
            bad[static_cast<std::size_t>(rng.below(bad.size()))] =
                static_cast<std::byte>(rng.next());
        }
        const auto decoded = decode_norm_part(bad);
        if (decoded.has_error()) continue;
        for (const double variance : decoded->moments.variances) {
            EXPECT_TRUE(std::isfinite(variance) && variance >= 0.0);
        }
    }
}

}  // namespace
}  // namespace starling::peer
