// Goal: no batch that comes from files or strangers gets into a plan unless all of it is possible,
// and the fault names the place. Method: small batches with one mistake each.

#include "compute/training/batch_input.hpp"

#include <gtest/gtest.h>
#include <limits>
#include <string>
#include <vector>

namespace starling::compute {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// Room for three samples of two values, with what was copied into it.
struct Room {
    std::vector<float> values = std::vector<float>(6, 9.0F);
    std::vector<std::int32_t> labels = {};
    std::vector<float> targets = {};

    Result<std::size_t> copy(const BatchInput& input, const Batch& batch) {
        return input.copy(batch, {values, labels, targets});
    }
};

struct Classes : ::testing::Test {
    BatchInput input{Task{{2}, 4}, 3, 1, {}};
    Room room{.labels = std::vector<std::int32_t>(3, 9)};

    std::string refused(const std::vector<float>& values, const std::vector<std::int32_t>& labels) {
        const auto copied = room.copy(input, {values, labels});
        EXPECT_TRUE(copied.has_error());
        if (copied.has_value()) return {};
        EXPECT_EQ(copied.error().code, FaultCode::BadValue);
        return copied.error().message;
    }
};

using BatchInputOfClasses = Classes;

TEST_F(BatchInputOfClasses, ABatchIsCopiedAndTheRestIsZero) {
    const std::vector<float> values{1, 2, 3, 4};
    const std::vector<std::int32_t> labels{0, 3};
    const auto copied = room.copy(input, {values, labels});
    ASSERT_TRUE(copied.has_value()) << copied.error().message;
    EXPECT_EQ(*copied, 2U);
    EXPECT_EQ(room.values, (std::vector<float>{1, 2, 3, 4, 0, 0}));
    EXPECT_EQ(room.labels, (std::vector<std::int32_t>{0, 3, 0}));
    EXPECT_EQ(*room.copy(input, {}), 0U);
}

TEST_F(BatchInputOfClasses, LabelsOutsideTheClassesAreNamed) {
    EXPECT_EQ(refused({1, 2, 3, 4}, {0, 4}), "sample 1 of the batch: label 0 is 4, outside 0 to 3");
    EXPECT_EQ(refused({1, 2}, {-1}), "sample 0 of the batch: label 0 is -1, outside 0 to 3");
    constexpr auto kLeast = std::numeric_limits<std::int32_t>::min();
    EXPECT_NE(refused({1, 2}, {kLeast}).find(std::to_string(kLeast)), std::string::npos);
}

TEST_F(BatchInputOfClasses, ValuesThatAreNotFiniteAreNamed) {
    EXPECT_EQ(
        refused({1, 2, 3, kInfinity}, {0, 0}),
        "sample 1 of the batch: value 1 is inf, which is no finite number"
    );
    EXPECT_NE(refused({-kInfinity, 0}, {0}).find("value 0 is -inf"), std::string::npos);
    EXPECT_NE(refused({0, kNan}, {0}).find("value 1 is nan"), std::string::npos);
    EXPECT_NE(refused({0, -kNan}, {0}).find("value 1 is"), std::string::npos);
    constexpr auto kMost = std::numeric_limits<float>::max();
    constexpr auto kTiny = std::numeric_limits<float>::denorm_min();
    const std::vector<float> extremes{kMost, -kMost, kTiny, -0.0F};
    const std::vector<std::int32_t> labels{0, 0};
    EXPECT_TRUE(room.copy(input, {extremes, labels}).has_value());
}

TEST_F(BatchInputOfClasses, FieldsThatDoNotFitAreCounted) {
    EXPECT_EQ(
        refused({1, 2, 3}, {0}),
        "a batch of 3 values, 1 labels and 0 targets does not fit; up to 3 samples of 2 values "
        "with 1 labels each are wanted"
    );
    EXPECT_FALSE(refused({1, 2, 3, 4}, {0}).empty());
    EXPECT_FALSE(refused({}, {0}).empty());
    EXPECT_FALSE(refused({1, 2}, {}).empty());
    EXPECT_FALSE(refused({1, 2, 3, 4, 5, 6, 7, 8}, {0, 0, 0, 0}).empty());
    const std::vector<float> values{1, 2};
    const std::vector<std::int32_t> labels{0};
    EXPECT_TRUE(room.copy(input, {values, labels, values}).has_error());
}

TEST(BatchInputOfTokens, EachNamesARowOfItsTable) {
    const BatchInput input(Task{{2}, 4, 2}, 3, 2, {5, 0});
    Room room{.labels = std::vector<std::int32_t>(6)};
    const std::vector<std::int32_t> labels{0, 1};
    const auto try_value = [&](float first, float second) {
        const std::vector<float> values{first, second};
        const auto copied = room.copy(input, {values, labels});
        return copied.has_error() ? copied.error().message : std::string();
    };
    // The second value names no row, so it may be any number.
    EXPECT_EQ(try_value(4, -0.5F), "");
    EXPECT_EQ(try_value(0, 1e30F), "");
    for (const float wild : {5.0F, 0.5F, -1.0F, 1e30F, -1e30F, 4.9999995F}) {
        const auto message = try_value(wild, 0);
        EXPECT_NE(message.find("sample 0 of the batch: value 0 is"), std::string::npos) << message;
        EXPECT_NE(message.find("a table of 5"), std::string::npos) << message;
    }
    // The second label of the second sample.
    const std::vector<float> values{0, 0, 0, 0};
    const std::vector<std::int32_t> bad{0, 1, 2, 4};
    EXPECT_EQ(
        room.copy(input, {values, bad}).error().message,
        "sample 1 of the batch: label 1 is 4, outside 0 to 3"
    );
}

TEST(BatchInputOfTargets, TheyAreFiniteAndThoseOfLabelsLieBetweenZeroAndOne) {
    const std::vector<float> values{1, 2};
    const auto message = [&](LabelKind kind, const std::vector<float>& targets) {
        const BatchInput input(Task{{2}, 2, 0, kind}, 3, 2, {});
        Room room{.targets = std::vector<float>(6, 9.0F)};
        const auto copied = room.copy(input, {values, {}, targets});
        if (copied.has_value()) {
            EXPECT_EQ(room.targets, (std::vector<float>{targets[0], targets[1], 0, 0, 0, 0}));
        }
        return copied.has_error() ? copied.error().message : std::string();
    };
    EXPECT_EQ(message(LabelKind::Classes, {0, 1}), "");
    EXPECT_EQ(message(LabelKind::Classes, {0.25F, 0.5F}), "");
    EXPECT_EQ(message(LabelKind::Numbers, {-1e6F, 1e6F}), "");
    EXPECT_NE(message(LabelKind::Classes, {0, 1.5F}).find("target 1 is 1.5"), std::string::npos);
    EXPECT_NE(message(LabelKind::Classes, {-0.1F, 1}).find("outside 0 to 1"), std::string::npos);
    EXPECT_NE(message(LabelKind::Classes, {kNan, 1}).find("target 0 is nan"), std::string::npos);
    EXPECT_NE(message(LabelKind::Numbers, {0, kInfinity}).find("target 1"), std::string::npos);
    EXPECT_NE(message(LabelKind::Numbers, {0}).find("1 targets does not fit"), std::string::npos);
    const BatchInput input(Task{{2}, 2, 0, LabelKind::Numbers}, 3, 2, {});
    Room room{.targets = std::vector<float>(6)};
    const std::vector<float> targets{0, 0};
    const std::vector<std::int32_t> labels{0};
    EXPECT_TRUE(room.copy(input, {values, labels, targets}).has_error());
}

TEST(BatchInputOfBoxes, EachIsABoxInThePictureOfAClassThatThereIs) {
    Task task{{2}, 3, 0, LabelKind::Boxes};
    task.boxes = 2;
    const BatchInput input(task, 2, 10, {});
    const std::vector<float> values{1, 2};
    const auto message = [&](const std::vector<float>& first) {
        std::vector<float> targets{-1, 0, 0, 0, 0};
        targets.insert(targets.begin(), first.begin(), first.end());
        Room room{.values = std::vector<float>(4), .targets = std::vector<float>(20, 9.0F)};
        const auto copied = room.copy(input, {values, {}, targets});
        if (copied.has_value()) {
            const std::vector<float> rest(room.targets.begin() + 10, room.targets.end());
            EXPECT_EQ(rest, (std::vector<float>{-1, 0, 0, 0, 0, -1, 0, 0, 0, 0}));
        }
        return copied.has_error() ? copied.error().message : std::string();
    };
    EXPECT_EQ(message({2, 0.5F, 1, 1, 0.1F}), "");
    EXPECT_EQ(message({0, 0, 0, 1e-6F, 1}), "");
    EXPECT_EQ(
        message({3, 0.5F, 0.5F, 0.1F, 0.1F}),
        "sample 0 of the batch: the class of box 0 is 3.000000, no whole number from -1 to 2"
    );
    EXPECT_NE(message({-2, 0, 0, 0, 0}).find("the class of box 0"), std::string::npos);
    EXPECT_NE(message({0.5F, 0.5F, 0.5F, 0.1F, 0.1F}).find("the class"), std::string::npos);
    EXPECT_NE(message({1, 1.5F, 0.5F, 0.1F, 0.1F}).find("the x of box 0"), std::string::npos);
    EXPECT_NE(message({1, 0.5F, -0.5F, 0.1F, 0.1F}).find("the y of box 0"), std::string::npos);
    EXPECT_NE(message({1, 0.5F, 0.5F, 0, 0.1F}).find("the width of box 0"), std::string::npos);
    EXPECT_NE(message({1, 0.5F, 0.5F, 0.1F, 2}).find("the height of box 0"), std::string::npos);
    EXPECT_NE(message({1, kNan, 0.5F, 0.1F, 0.1F}).find("target 1 is nan"), std::string::npos);
}

}  // namespace
}  // namespace starling::compute
