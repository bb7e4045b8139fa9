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
        describe_task({{8}, 1, 0, LabelKind::Numbers}), "samples of shape [8] with 1 number each"
    );
}

}  // namespace
}  // namespace starling::compute
