#include "compute/values/task.hpp"

#include <algorithm>
#include <cmath>

#include "compute/values/shape.hpp"

namespace starling::compute {

namespace {

constexpr std::int64_t kSampleElementsMax = std::int64_t{1} << 24;
constexpr std::int64_t kClassesMax = std::int64_t{1} << 20;
/// Weights and beta beyond these bounds overflow or vanish in a loss of floats.
constexpr double kFactorMax = 1e6;

bool is_factor(double value) {
    return value >= 1.0 / kFactorMax && value <= kFactorMax;
}

Result<void> check_shape_of(const Task& task) {
    std::int64_t product = task.sample_shape.empty() ? 0 : 1;
    for (const auto dimension : task.sample_shape) {
        if (dimension < 1 || dimension > kSampleElementsMax) product = 0;
        product *= dimension;
        if (product < 1 || product > kSampleElementsMax) product = 0;
    }
    if (product > 0) return {};
    return fail(
        FaultCode::BadValue,
        "samples of shape " + to_string(task.sample_shape) + " are empty or too large; 1 to " +
            std::to_string(kSampleElementsMax) + " values are possible"
    );
}

std::string of_classes(std::int64_t count, std::string_view noun, std::string_view nouns) {
    return std::to_string(count) + " " + std::string(count == 1 ? noun : nouns);
}

}  // namespace

Result<void> check_task(const Task& task) {
    if (auto shape = check_shape_of(task); shape.has_error()) return shape;
    const std::int64_t least = task.kind == LabelKind::Class ? 2 : 1;
    if (task.classes < least || task.classes > kClassesMax) {
        return fail(
            FaultCode::BadValue,
            "a model wants " + std::to_string(least) + " to " + std::to_string(kClassesMax) +
                (task.kind == LabelKind::Class     ? " classes"
                 : task.kind == LabelKind::Boxes   ? " classes of boxes"
                 : task.kind == LabelKind::Classes ? " labels"
                                                   : " numbers") +
                " to answer with, not " + std::to_string(task.classes)
        );
    }
    const bool weighs = task.kind == LabelKind::Class || task.kind == LabelKind::Classes;
    const auto wanted = weighs ? static_cast<std::size_t>(task.classes) : 0U;
    const bool sound = std::all_of(task.weights.begin(), task.weights.end(), [](float weight) {
        return is_factor(static_cast<double>(weight));
    });
    if (!task.weights.empty() && (task.weights.size() != wanted || !sound)) {
        return fail(
            FaultCode::BadValue,
            "the weights of labels are " + std::to_string(wanted) +
                " numbers from 1e-6 to 1e6, one for each label, or none"
        );
    }
    const bool of_boxes = task.kind == LabelKind::Boxes;
    const std::int64_t least_rows = of_boxes ? 1 : 0;
    if (task.boxes < least_rows || task.boxes > (of_boxes ? kBoxRowsMax : 0)) {
        return fail(
            FaultCode::BadValue,
            "pictures with boxes have room for 1 to " + std::to_string(kBoxRowsMax) +
                " of them, other samples for none, not " + std::to_string(task.boxes)
        );
    }
    if (task.beta != 0.0 && (task.kind != LabelKind::Numbers || !is_factor(task.beta))) {
        return fail(
            FaultCode::BadValue, "beta is a number from 1e-6 to 1e6, for labels that are numbers"
        );
    }
    return {};
}

std::string describe_task(const Task& task) {
    auto text = "samples of shape " + to_string(task.sample_shape) + " with ";
    if (task.kind == LabelKind::Numbers) {
        return text + of_classes(task.classes, "number each", "numbers each");
    }
    if (task.kind == LabelKind::Classes) {
        return text + of_classes(task.classes, "label", "labels") + " that may hold at once";
    }
    if (task.kind == LabelKind::Boxes) {
        return text + "boxes of " + of_classes(task.classes, "class", "classes");
    }
    const auto classes = "one of " + std::to_string(task.classes) + " classes";
    if (task.labels <= 1) return text + classes;
    return text + std::to_string(task.labels) + " labels each, " + classes;
}

Result<Precision> parse_precision(std::string_view text) {
    if (text == "f32") return Precision::F32;
    if (text == "bf16") return Precision::Bf16;
    if (text == "auto") return Precision::Auto;
    return fail(
        FaultCode::Usage, "'" + std::string(text) + "' is no precision; give f32, bf16 or auto"
    );
}

std::string_view to_string(Precision precision) {
    if (precision == Precision::Bf16) return "bf16";
    return precision == Precision::Auto ? "auto" : "f32";
}

}  // namespace starling::compute
