// Goal: only tasks that a model can be built for pass, and people read what the data have.
// Method: a table of tasks.

#include "compute/values/task.hpp"

#include <gtest/gtest.h>
#include <limits>

namespace starling::compute {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(Task, ThoseThatAModelCanTakePass) {
    const Task one_class{{4}, 2};
    const Task weighted{{4}, 2, 1, LabelKind::Class, {1.0F, 20.0F}};
    const Task one_label{{4}, 1, 0, LabelKind::Classes, {3.0F}};
    const Task one_number{{4}, 1, 0, LabelKind::Numbers};
    const Task smooth{{4}, 3, 0, LabelKind::Numbers, {}, 0.5};
    for (const auto& task : {one_class, weighted, one_label, one_number, smooth}) {
        EXPECT_TRUE(check_task(task).has_value()) << describe_task(task);
    }
}

TEST(Task, OthersAreRefusedInOneLine) {
    const auto refused = [](const Task& task, const std::string& part) {
        const auto checked = check_task(task);
        ASSERT_TRUE(checked.has_error()) << describe_task(task);
        EXPECT_EQ(checked.error().code, FaultCode::BadValue);
        EXPECT_EQ(checked.error().message.find('\n'), std::string::npos);
        EXPECT_NE(checked.error().message.find(part), std::string::npos) << checked.error().message;
    };
    refused({{}, 10}, "empty or too large");
    refused({{0, 3}, 10}, "empty or too large");
    refused({{1 << 20, 1 << 20, 1 << 20}, 10}, "empty or too large");
    refused({{4}, 1}, "2 to 1048576 classes");
    refused({{4}, 0, 0, LabelKind::Classes}, "1 to 1048576 labels");
    refused({{4}, 0, 0, LabelKind::Numbers}, "1 to 1048576 numbers");
    refused({{4}, 2, 0, LabelKind::Class, {1.0F}}, "weights");
    refused({{4}, 2, 0, LabelKind::Class, {1.0F, 0.0F}}, "weights");
    refused({{4}, 2, 0, LabelKind::Classes, {1.0F, kInfinity}}, "weights");
    refused({{4}, 1, 0, LabelKind::Numbers, {1.0F}}, "weights");
    refused({{4}, 1, 0, LabelKind::Numbers, {}, -1.0}, "beta");
    refused({{4}, 1, 0, LabelKind::Numbers, {}, static_cast<double>(kInfinity)}, "beta");
    refused({{4}, 2, 0, LabelKind::Class, {}, 1.0}, "beta");
    const auto with_rows = [](LabelKind kind, std::int64_t rows) {
        Task task{{3, 32, 32}, 2, 0, kind};
        task.boxes = rows;
        return task;
    };
    EXPECT_TRUE(check_task(with_rows(LabelKind::Boxes, 256)).has_value());
    refused(with_rows(LabelKind::Boxes, 0), "room for 1 to 4096");
    refused(with_rows(LabelKind::Boxes, 4097), "room for 1 to 4096");
    refused(with_rows(LabelKind::Class, 1), "room for 1 to 4096");
    auto weighted = with_rows(LabelKind::Boxes, 1);
    weighted.weights = {1.0F, 1.0F};
    refused(weighted, "weights");
}

TEST(Task, ItsDescriptionSaysWhatTheDataHave) {
    EXPECT_EQ(describe_task({{1, 2}, 5}), "samples of shape [1, 2] with one of 5 classes");
    EXPECT_EQ(
        describe_task({{8}, 5, 8}), "samples of shape [8] with 8 labels each, one of 5 classes"
    );
    EXPECT_EQ(
        describe_task({{8}, 3, 0, LabelKind::Classes}),
        "samples of shape [8] with 3 labels that may hold at once"
    );
    EXPECT_EQ(
        describe_task({{3, 32, 48}, 2, 0, LabelKind::Boxes}),
        "samples of shape [3, 32, 48] with boxes of 2 classes"
    );
    EXPECT_EQ(
        describe_task({{8}, 1, 0, LabelKind::Numbers}), "samples of shape [8] with 1 number each"
    );
}

}  // namespace
}  // namespace starling::compute
