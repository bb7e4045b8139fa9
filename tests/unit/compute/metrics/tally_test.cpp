// Goal: a tally of any kind merges, answers and travels as the tally that it holds.
// Method: one of each kind; golden bytes of a small one, because peers of other builds read them.

#include "compute/metrics/tally.hpp"

#include "tests/unit/compute/metrics/tally_fixture.hpp"

namespace starling::compute {
namespace {

std::vector<Tally> one_of_each() {
    Rng rng(1);
    ClassTally classes(3);
    EXPECT_TRUE(classes.add(random_rows(rng, 20, 3).view()).has_value());
    ScoreTally scores;
    EXPECT_TRUE(scores.add(random_rows(rng, 20, 2).view()).has_value());
    LabelsTally labels(Rankings::OneVsRest, 3);
    EXPECT_TRUE(labels.add(random_rows(rng, 20, 3).view()).has_value());
    TokenTally tokens;
    EXPECT_TRUE(tokens.add_sum(3.0, 20, 60).has_value());
    NumberTally numbers(1);
    const std::vector<float> answers(20, 1.0F);
    const std::vector<float> targets(20, 1.5F);
    EXPECT_TRUE(numbers.add(answers, targets).has_value());
    BoxTally boxes(2);
    const Box box{0.0F, 0.0F, 1.0F, 1.0F};
    for (int i = 0; i < 20; ++i) {
        EXPECT_TRUE(
            boxes.add(
                     std::vector<Detection>{{1, 0.5F, box}}, std::vector<TrueBox>{{1, box}}
            ).has_value()
        );
    }
    return {classes, scores, labels, tokens, numbers, boxes};
}

TEST(Tally, EachKindTravels) {
    for (const auto& tally : one_of_each()) {
        const auto bytes = encode(tally);
        const auto back = decode_tally(bytes);
        ASSERT_TRUE(back.has_value()) << back.error().message;
        EXPECT_EQ(*back, tally);
        EXPECT_EQ(count(*back), 20U);
        EXPECT_EQ(loss(*back), loss(tally));
        auto longer = bytes;
        longer.push_back(std::byte{0});
        EXPECT_TRUE(decode_tally(longer).has_error());
        for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
            EXPECT_TRUE(decode_tally(ByteView(bytes).first(cut)).has_error());
        }
    }
}

TEST(Tally, EachKindMergesWithItsLikeAlone) {
    const auto tallies = one_of_each();
    for (std::size_t i = 0; i < tallies.size(); ++i) {
        for (std::size_t j = 0; j < tallies.size(); ++j) {
            auto tally = tallies[i];
            EXPECT_EQ(merge(tally, tallies[j]).has_value(), i == j);
            EXPECT_EQ(count(tally), i == j ? 40U : 20U);
        }
    }
}

TEST(Tally, EachKindKnowsItsQualities) {
    using enum QualityKind;
    const std::vector<std::vector<QualityKind>> known{
        {Accuracy, F1, Loss, Balanced},
        {Accuracy, Auc, Ap, F1, Loss, Balanced},
        {Auc, Ap, F1, Loss},
        {Bpb, Loss},
        {Loss, Mae},
        {Map50, Map},
    };
    const auto tallies = one_of_each();
    for (std::size_t i = 0; i < tallies.size(); ++i) {
        std::vector<QualityKind> found;
        for (auto kind = 0; kind <= static_cast<int>(Mae); ++kind) {
            const auto value = quality(tallies[i], static_cast<QualityKind>(kind));
            if (value) found.push_back(static_cast<QualityKind>(kind));
            EXPECT_GE(value.value_or(0.5), 0.0);
            EXPECT_EQ(knows(tallies[i], static_cast<QualityKind>(kind)), value.has_value());
        }
        EXPECT_EQ(found, known[i]);
    }
    LabelsTally several(Rankings::Labels, 2);
    const std::vector<float> logits{1.0F, -1.0F};
    const std::vector<float> hold{1.0F, 0.0F};
    ASSERT_TRUE(several.add(logits, hold, ScoreKind::Logit).has_value());
    EXPECT_TRUE(knows(several, Accuracy));
    EXPECT_EQ(quality(several, Accuracy), 1.0);
    EXPECT_EQ(*quality(tallies[4], Mae), 0.5);
    EXPECT_EQ(*loss(tallies[4]), 0.25);
    EXPECT_EQ(*quality(tallies[5], Map), 1.0);
    EXPECT_FALSE(loss(tallies[5]).has_value());
}

void expect_bytes(const Tally& tally, const std::vector<int>& golden) {
    const auto bytes = encode(tally);
    ASSERT_EQ(bytes.size(), golden.size());
    for (std::size_t i = 0; i < golden.size(); ++i) {
        EXPECT_EQ(static_cast<int>(bytes[i]), golden[i]) << i;
    }
}

TEST(Tally, BytesAreThoseOfTheFirstVersion) {
    // Probabilities of 0 and 1 that are right have no loss, which a machine may round in its way.
    const std::vector<float> rows{1.0F, 0.0F, 0.0F, 0.0F, 0.0F, 1.0F};
    ClassTally classes(3);
    ASSERT_TRUE(classes.add({rows, std::vector{0, 2}, 3, ScoreKind::Probability}).has_value());
    expect_bytes(classes, {1, 0, 3, 2, 0, 0, 0, 2, 0, 1, 7, 1});
    ScoreTally scores;
    const std::vector<float> ends{0.0F, 1.0F};
    ASSERT_TRUE(scores.add(ends, ends, ScoreKind::Probability).has_value());
    // 4,096 bins, level 0, two of them: at -2^56, and 2^57 - 2 behind the next.
    expect_bytes(scores, {1,    1,    0,    0,    0,    0x80, 0x20, 0,    2,    0, 1, 0,
                          0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01, 0, 1});
    TokenTally tokens;
    ASSERT_TRUE(tokens.add_sum(1.5, 300, 2).has_value());
    // 1.5 is 3 * 2^1073 smallest doubles, and 1073 is 33 * 32 + 17.
    expect_bytes(tokens, {1, 3, 0xAC, 0x02, 2, 0, 33, 1, 0, 0, 6, 0});
    NumberTally numbers(1);
    ASSERT_TRUE(numbers.add(std::vector{1.5F}, std::vector{0.0F}).has_value());
    expect_bytes(
        numbers, {1, 4, 1, 1, 0, 33, 1, 0, 0, 6, 0, 0, 33, 1, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0}
    );
}

TEST(Tally, OtherVersionsAndKindsAreRefused) {
    auto bytes = encode(Tally(TokenTally()));
    bytes[0] = std::byte{2};
    EXPECT_EQ(decode_tally(bytes).error().code, FaultCode::BadVersion);
    bytes[0] = std::byte{1};
    bytes[1] = std::byte{6};
    EXPECT_EQ(decode_tally(bytes).error().code, FaultCode::BadFormat);
    EXPECT_EQ(decode_tally(Bytes(kTallyBytesMax + 1)).error().code, FaultCode::Oversized);
}

}  // namespace
}  // namespace starling::compute
