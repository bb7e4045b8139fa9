#include "compute/metrics/detections.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/check.hpp"
#include "compute/values/task.hpp"

namespace starling::compute {

namespace {

struct Peak {
    float heat = 0.0F;
    std::size_t one_class = 0;
    std::size_t cell = 0;
};

bool is_peak(std::span<const float> heat, ScoreGrid grid, std::size_t row, std::size_t column) {
    const float own = heat[row * grid.width + column];
    for (auto y = row - std::min<std::size_t>(row, 1); y < std::min(row + 2, grid.height); ++y) {
        const auto left = column - std::min<std::size_t>(column, 1);
        for (auto x = left; x < std::min(column + 2, grid.width); ++x) {
            if (heat[y * grid.width + x] > own) return false;
        }
    }
    return true;
}

/// Returns the hottest peaks, from the hottest down.
std::vector<Peak> peaks_of(std::span<const float> scores, std::size_t classes, ScoreGrid grid) {
    std::vector<Peak> peaks;
    for (std::size_t c = 0; c < classes; ++c) {
        const auto heat = scores.subspan(c * grid.cells(), grid.cells());
        for (std::size_t i = 0; i < grid.cells(); ++i) {
            if (is_peak(heat, grid, i / grid.width, i % grid.width)) {
                peaks.push_back({heat[i], c, i});
            }
        }
    }
    std::stable_sort(peaks.begin(), peaks.end(), [](const Peak& a, const Peak& b) {
        return a.heat > b.heat;
    });
    if (peaks.size() > kDetectionsMax) peaks.resize(kDetectionsMax);
    return peaks;
}

/// Cuts a box off at the picture's edges. Its sides are computed in double, where none overflows.
Box box_around(double x, double y, double width, double height) {
    const auto side = [](double place) { return static_cast<float>(std::clamp(place, 0.0, 1.0)); };
    return {
        side(x - width / 2.0),
        side(y - height / 2.0),
        side(x + width / 2.0),
        side(y + height / 2.0)};
}

Detection detection_at(
    const Peak& peak, std::span<const float> scores, std::size_t classes, ScoreGrid grid
) {
    const auto number = [&](std::size_t k) {
        return static_cast<double>(scores[(classes + k) * grid.cells() + peak.cell]);
    };
    const auto height = static_cast<double>(grid.height);
    const auto width = static_cast<double>(grid.width);
    const double x = static_cast<double>(peak.cell % grid.width) + number(2);
    const double y = static_cast<double>(peak.cell / grid.width) + number(3);
    Detection found;
    found.one_class = static_cast<std::int32_t>(peak.one_class);
    found.score = static_cast<float>(1.0 / (1.0 + std::exp(-static_cast<double>(peak.heat))));
    found.box = box_around(
        x / width, y / height, std::max(number(0), 0.0) / width, std::max(number(1), 0.0) / height
    );
    return found;
}

}  // namespace

std::optional<ScoreGrid> grid_of(
    std::size_t cells, std::size_t picture_height, std::size_t picture_width
) {
    for (std::size_t side = 1; side <= std::min(picture_height, picture_width); ++side) {
        if (picture_height % side != 0 || picture_width % side != 0) continue;
        const ScoreGrid grid{picture_height / side, picture_width / side};
        if (grid.cells() == cells) return grid;
    }
    return std::nullopt;
}

Result<std::vector<Detection>> detect(
    std::span<const float> scores, std::size_t classes, ScoreGrid grid
) {
    STARLING_CHECK(scores.size() == (classes + 4) * grid.cells());
    for (std::size_t i = 0; i < scores.size(); ++i) {
        if (std::isfinite(scores[i])) continue;
        return fail(
            FaultCode::BadValue,
            "score " + std::to_string(i) + " of a picture is " + std::to_string(scores[i]) +
                ", which is no finite number"
        );
    }
    std::vector<Detection> kept;
    for (const auto& peak : peaks_of(scores, classes, grid)) {
        const auto found = detection_at(peak, scores, classes, grid);
        const bool known = std::any_of(kept.begin(), kept.end(), [&](const Detection& hotter) {
            return hotter.one_class == found.one_class &&
                   overlap(found.box, hotter.box, Regard::Counted) > kSameOverlap;
        });
        if (!known) kept.push_back(found);
    }
    return kept;
}

std::vector<TrueBox> true_boxes(std::span<const float> targets) {
    std::vector<TrueBox> boxes;
    constexpr auto kEach = static_cast<std::size_t>(kBoxNumbers);
    for (std::size_t i = 0; i + kEach <= targets.size(); i += kEach) {
        if (targets[i] < 0.0F) continue;
        const auto row = targets.subspan(i, kEach);
        const auto number = [row](std::size_t k) { return static_cast<double>(row[k]); };
        TrueBox box;
        box.one_class = static_cast<std::int32_t>(row[0]);
        box.box = box_around(number(1), number(2), number(3), number(4));
        boxes.push_back(box);
    }
    return boxes;
}

}  // namespace starling::compute
