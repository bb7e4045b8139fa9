#include <algorithm>
#include <cmath>

#include "compute/graph/operator.hpp"
#include "compute/reference/reference.hpp"

namespace starling::compute::reference {

namespace {

/// Looks at scores and boxes by their indices.
class Pictures {
public:
    Pictures(const Tensor& scores, const Tensor& boxes)
        : scores_(scores),
          boxes_(boxes),
          pictures(scores.shape[0]),
          classes(scores.shape[1] - 4),
          height(scores.shape[2]),
          width(scores.shape[3]),
          rows(boxes.shape[1]) {}

    [[nodiscard]] std::size_t place(std::int64_t n, std::int64_t c, std::int64_t y, std::int64_t x)
        const {
        return static_cast<std::size_t>(((n * (classes + 4) + c) * height + y) * width + x);
    }

    [[nodiscard]] double score(std::int64_t n, std::int64_t c, std::int64_t y, std::int64_t x)
        const {
        return scores_.values[place(n, c, y, x)];
    }

    [[nodiscard]] double box(std::int64_t n, std::int64_t r, std::int64_t k) const {
        return boxes_.values[static_cast<std::size_t>((n * rows + r) * 5 + k)];
    }

    [[nodiscard]] double boxes() const {
        double count = 0.0;
        for (std::int64_t i = 0; i < pictures * rows; ++i) {
            count += box(i / rows, i % rows, 0) >= 0.0 ? 1.0 : 0.0;
        }
        return std::max(count, 1.0);
    }

private:
    const Tensor& scores_;
    const Tensor& boxes_;

public:
    const std::int64_t pictures;
    const std::int64_t classes;
    const std::int64_t height;
    const std::int64_t width;
    const std::int64_t rows;
};

/// Returns the overlap of a box w x h with one whose left upper corner is off by (-a, -a) and whose
/// right lower corner is off by (b, b).
double overlap(double w, double h, double a, double b) {
    const double common = std::max(0.0, w - std::max(0.0, -a) - std::max(0.0, -b)) *
                          std::max(0.0, h - std::max(0.0, -a) - std::max(0.0, -b));
    return common / (w * h + std::max(0.0, w + a + b) * std::max(0.0, h + a + b) - common);
}

/// Returns the largest whole number by which both corners may be off in any direction.
std::int64_t radius(double width, double height) {
    const double w = std::ceil(width);
    const double h = std::ceil(height);
    std::int64_t r = 0;
    const auto sound = [&](double far) {
        return overlap(w, h, far, far) >= 0.7 && overlap(w, h, -far, -far) >= 0.7 &&
               overlap(w, h, far, -far) >= 0.7;
    };
    while (w > 0.0 && h > 0.0 && sound(static_cast<double>(r + 1))) ++r;
    return r;
}

double wanted_heat(
    const Pictures& all, std::int64_t n, std::int64_t c, std::int64_t y, std::int64_t x
) {
    double heat = 0.0;
    for (std::int64_t r = 0; r < all.rows; ++r) {
        if (all.box(n, r, 0) < 0.0 || std::floor(all.box(n, r, 0)) != static_cast<double>(c)) {
            continue;
        }
        const auto width = static_cast<double>(all.width);
        const auto height = static_cast<double>(all.height);
        const auto reach =
            static_cast<double>(radius(all.box(n, r, 3) * width, all.box(n, r, 4) * height));
        const double across =
            static_cast<double>(x) - std::min(std::floor(all.box(n, r, 1) * width), width - 1.0);
        const double down =
            static_cast<double>(y) - std::min(std::floor(all.box(n, r, 2) * height), height - 1.0);
        if (std::abs(across) > reach || std::abs(down) > reach) continue;
        const double deviation = (2.0 * reach + 1.0) / 6.0;
        const double away = across * across + down * down;
        heat = std::max(heat, std::exp(-away / (2.0 * deviation * deviation)));
    }
    return heat;
}

double focal(double score, double heat) {
    const double p = 1.0 / (1.0 + std::exp(-score));
    if (heat == 1.0) return -std::pow(1.0 - p, 2.0) * std::log(p);
    return -std::pow(1.0 - heat, 4.0) * p * p * std::log(1.0 - p);
}

/// d focal / d score, by the chain rule over p.
double focal_slope(double score, double heat) {
    const double p = 1.0 / (1.0 + std::exp(-score));
    const double step = p * (1.0 - p);
    if (heat == 1.0) {
        return step * (2.0 * (1.0 - p) * std::log(p) - std::pow(1.0 - p, 2.0) / p);
    }
    return step * std::pow(1.0 - heat, 4.0) * (-2.0 * p * std::log(1.0 - p) + p * p / (1.0 - p));
}

/// Calls visit(place of the score, what it should be, weight) for the four numbers of each box.
template <class Visit>
void for_each_number(const Pictures& all, const Visit& visit) {
    const auto width = static_cast<double>(all.width);
    const auto height = static_cast<double>(all.height);
    for (std::int64_t i = 0; i < all.pictures * all.rows; ++i) {
        const auto n = i / all.rows;
        const auto r = i % all.rows;
        if (all.box(n, r, 0) < 0.0) continue;
        const double x = all.box(n, r, 1) * width;
        const double y = all.box(n, r, 2) * height;
        const double column = std::min(std::floor(x), width - 1.0);
        const double row = std::min(std::floor(y), height - 1.0);
        const double wanted[] = {
            all.box(n, r, 3) * width, all.box(n, r, 4) * height, x - column, y - row};
        for (std::int64_t k = 0; k < 4; ++k) {
            const auto place = all.place(
                n,
                all.classes + k,
                static_cast<std::int64_t>(row),
                static_cast<std::int64_t>(column)
            );
            visit(place, wanted[k], k < 2 ? 0.1 : 1.0);
        }
    }
}

/// Calls visit(place among the heat maps, place among the scores) for each cell of each class.
template <class Visit>
void for_each_heat(const Pictures& all, const Visit& visit) {
    std::size_t at = 0;
    for (std::int64_t n = 0; n < all.pictures; ++n) {
        for (std::int64_t c = 0; c < all.classes; ++c) {
            for (std::int64_t i = 0; i < all.height * all.width; ++i) {
                visit(at++, n, c, i / all.width, i % all.width);
            }
        }
    }
}

void loss(const Call& call) {
    const Pictures all(*call.inputs[0], *call.inputs[1]);
    double sum = 0.0;
    const auto add = [&](std::size_t at, auto n, auto c, auto y, auto x) {
        const double heat = wanted_heat(all, n, c, y, x);
        call.outputs[1].values[at] = heat;
        sum += focal(all.score(n, c, y, x), heat);
    };
    for_each_heat(all, add);
    for_each_number(all, [&](std::size_t place, double wanted, double weight) {
        sum += weight * std::abs(call.inputs[0]->values[place] - wanted);
    });
    call.outputs[0].values[0] = sum / all.boxes();
}

void gradient(const Call& call) {
    const Pictures all(*call.inputs[0], *call.inputs[1]);
    auto& slopes = call.outputs[0].values;
    for_each_heat(all, [&](std::size_t at, auto n, auto c, auto y, auto x) {
        slopes[all.place(n, c, y, x)] =
            focal_slope(all.score(n, c, y, x), call.inputs[2]->values[at]) / all.boxes();
    });
    for_each_number(all, [&](std::size_t place, double wanted, double weight) {
        const double off = call.inputs[0]->values[place] - wanted;
        slopes[place] += weight * (off > 0.0 ? 1.0 : off < 0.0 ? -1.0 : 0.0) / all.boxes();
    });
}

}  // namespace

bool evaluate_centre_point(const Call& call) {
    const auto op = call.node.op->name;
    if (op == "CentrePointLoss") {
        loss(call);
    } else if (op == "CentrePointGrad") {
        gradient(call);
    } else {
        return false;
    }
    return true;
}

}  // namespace starling::compute::reference
