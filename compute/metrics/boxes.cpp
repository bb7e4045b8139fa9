#include "compute/metrics/boxes.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "base/range.hpp"

namespace starling::compute {

namespace {

bool is_box(const Box& box) {
    const bool finite = std::isfinite(box.left) && std::isfinite(box.top) &&
                        std::isfinite(box.right) && std::isfinite(box.bottom);
    return finite && box.left <= box.right && box.top <= box.bottom;
}

bool is_class(std::int32_t one_class, std::size_t classes) {
    return one_class >= 0 && static_cast<std::size_t>(one_class) < classes;
}

double length(float from, float to) {
    return std::max(0.0, static_cast<double>(to) - static_cast<double>(from));
}

double area(const Box& box) {
    return length(box.left, box.right) * length(box.top, box.bottom);
}

/// True boxes of one class, and which of them are free at each threshold.
class Truths {
public:
    explicit Truths(std::span<const TrueBox> truths)
        : truths_(truths),
          overlaps_(truths.size()),
          free_(truths.size() * kThresholds, true) {}

    Verdicts take(const Box& detection) {
        for (std::size_t g = 0; g < truths_.size(); ++g) {
            overlaps_[g] = overlap(detection, truths_[g].box, truths_[g].regard);
        }
        Verdicts verdicts{};
        for (std::size_t t = 0; t < kThresholds; ++t) verdicts[t] = take_at(t);
        return verdicts;
    }

private:
    Verdict take_at(std::size_t t) {
        auto best = truths_.size();
        bool ignored = false;
        for (std::size_t g = 0; g < truths_.size(); ++g) {
            if (overlaps_[g] < overlap_threshold(t)) continue;
            if (truths_[g].regard != Regard::Counted) {
                ignored = true;
            } else if (free_[g * kThresholds + t]) {
                // Of equal overlaps the last one is taken, as in cocoeval.py.
                if (best == truths_.size() || overlaps_[g] >= overlaps_[best]) best = g;
            }
        }
        if (best == truths_.size()) return ignored ? Verdict::Ignored : Verdict::Miss;
        free_[best * kThresholds + t] = false;
        return Verdict::Hit;
    }

    std::span<const TrueBox> truths_;
    std::vector<double> overlaps_;
    std::vector<bool> free_;
};

}  // namespace

Result<void> check_boxes(
    std::span<const Detection> detections, std::span<const TrueBox> truths, std::size_t classes
) {
    for (std::size_t i = 0; i < detections.size(); ++i) {
        const auto& [one_class, score, box] = detections[i];
        if (is_class(one_class, classes) && is_box(box) && within(score, 0.0F, 1.0F)) continue;
        return fail(
            FaultCode::BadValue,
            "detection " + std::to_string(i) + " has no possible class, box or score"
        );
    }
    for (std::size_t i = 0; i < truths.size(); ++i) {
        if (is_class(truths[i].one_class, classes) && is_box(truths[i].box)) continue;
        return fail(
            FaultCode::BadValue, "true box " + std::to_string(i) + " has no possible class or box"
        );
    }
    return {};
}

double overlap(const Box& detection, const Box& truth, Regard regard) {
    const auto width =
        length(std::max(detection.left, truth.left), std::min(detection.right, truth.right));
    const auto height =
        length(std::max(detection.top, truth.top), std::min(detection.bottom, truth.bottom));
    const auto both = width * height;
    const auto own = area(detection);
    const auto whole = regard == Regard::Crowd ? own : own + area(truth) - both;
    return whole > 0.0 ? both / whole : 0.0;
}

std::vector<Verdicts> judge(
    std::span<const Detection> detections, std::span<const TrueBox> truths
) {
    std::vector<std::size_t> order(detections.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t left, std::size_t right) {
        return detections[left].score > detections[right].score;
    });
    Truths free(truths);
    std::vector<Verdicts> verdicts(detections.size());
    for (const auto i : order) verdicts[i] = free.take(detections[i].box);
    return verdicts;
}

}  // namespace starling::compute
