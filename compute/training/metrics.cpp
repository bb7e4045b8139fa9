#include "compute/training/metrics.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/check.hpp"
#include "compute/cpu/loops/centre_point.hpp"
#include "compute/metrics/detections.hpp"

namespace starling::compute {

namespace {

std::uint64_t right_classes(
    std::size_t classes, std::span<const float> answers, std::span<const std::int32_t> labels
) {
    std::uint64_t correct = 0;
    for (std::size_t n = 0; n < labels.size(); ++n) {
        const auto row = answers.subspan(n * classes, classes);
        const auto best = std::max_element(row.begin(), row.end()) - row.begin();
        correct += best == labels[n] ? 1U : 0U;
    }
    return correct;
}

/// A score above zero is a probability above 0.5.
std::uint64_t right_labels(std::span<const float> scores, std::span<const float> targets) {
    std::uint64_t correct = 0;
    for (std::size_t i = 0; i < targets.size(); ++i) {
        correct += (scores[i] > 0.0F) == (targets[i] > 0.5F) ? 1U : 0U;
    }
    return correct;
}

/// -z log s(x) - (1 - z) log (1 - s(x)), without the logarithm of zero and without the difference of
/// two large numbers.
double binary_cross_entropy(double score, double target) {
    return std::max(score, 0.0) - score * target + std::log1p(std::exp(-std::abs(score)));
}

/// The loss of the training step, over the number of boxes.
EvalResult measure_boxes(const Task& task, std::span<const float> answers, const Batch& batch) {
    const auto elements = [](std::int64_t count) { return static_cast<std::size_t>(count); };
    const auto samples = batch.targets.size() / elements(task.boxes * kBoxNumbers);
    const auto cells = answers.size() / samples / elements(task.classes + 4);
    const auto grid =
        grid_of(cells, elements(task.sample_shape[1]), elements(task.sample_shape[2]));
    STARLING_CHECK(grid.has_value());
    cpu::CentrePointShape shape;
    shape.samples = static_cast<std::int64_t>(samples);
    shape.classes = task.classes;
    shape.height = static_cast<std::int64_t>(grid->height);
    shape.width = static_cast<std::int64_t>(grid->width);
    shape.rows = task.boxes;
    std::vector<float> heat(samples * cells * elements(task.classes));
    EvalResult result;
    result.has_accuracy = false;
    const auto boxes = cpu::count_boxes(batch.targets);
    result.samples = static_cast<std::uint64_t>(std::max<std::int64_t>(boxes, 1));
    result.loss_sum = cpu::CentrePointLoss(shape).compute(answers, batch.targets, heat) *
                      static_cast<double>(result.samples);
    return result;
}

}  // namespace

std::uint64_t count_correct(const Task& task, std::span<const float> answers, const Batch& batch) {
    switch (task.kind) {
        case LabelKind::Class:
            return right_classes(static_cast<std::size_t>(task.classes), answers, batch.labels);
        case LabelKind::Classes:
            return right_labels(answers, batch.targets);
        case LabelKind::Numbers:
        case LabelKind::Boxes:
            break;
    }
    return 0;
}

EvalResult measure(const Task& task, std::span<const float> answers, const Batch& batch) {
    if (task.kind == LabelKind::Boxes) return measure_boxes(task, answers, batch);
    EvalResult result;
    result.correct = count_correct(task, answers, batch);
    if (task.kind == LabelKind::Class) {
        const auto classes = static_cast<std::size_t>(task.classes);
        result.samples = batch.labels.size();
        for (std::size_t n = 0; n < batch.labels.size(); ++n) {
            const auto label = static_cast<std::size_t>(batch.labels[n]);
            result.loss_sum -= static_cast<double>(answers[n * classes + label]);
        }
        return result;
    }
    result.samples = batch.targets.size();
    result.has_accuracy = task.kind == LabelKind::Classes;
    for (std::size_t i = 0; i < batch.targets.size(); ++i) {
        const auto answer = static_cast<double>(answers[i]);
        const auto target = static_cast<double>(batch.targets[i]);
        if (task.kind == LabelKind::Classes) {
            result.loss_sum += binary_cross_entropy(answer, target);
            continue;
        }
        result.loss_sum += (answer - target) * (answer - target);
        result.absolute_sum += std::abs(answer - target);
    }
    return result;
}

}  // namespace starling::compute
