#include "compute/cpu/loops/centre_point.hpp"

#include <algorithm>
#include <cmath>

#include "compute/values/task.hpp"

namespace starling::compute::cpu {

namespace {

constexpr double kSizeWeight = 0.1;
/// The least overlap of a box with the true one when its corners are off by the radius.
constexpr double kOverlap = 0.7;

/// One box, in cells.
struct Centre {
    std::int64_t one_class = 0;
    std::int64_t row = 0;
    std::int64_t column = 0;
    double width = 0.0;
    double height = 0.0;
    double across = 0.0;  ///< from the cell's left edge
    double down = 0.0;

    [[nodiscard]] std::int64_t cell(const CentrePointShape& shape) const {
        return row * shape.width + column;
    }
};

/// Calls visit(centre) for each box of a sample.
template <class Visit>
void for_each_centre(
    const CentrePointShape& shape, std::span<const float> boxes, const Visit& visit
) {
    for (std::int64_t r = 0; r < shape.rows; ++r) {
        const float* box = boxes.data() + r * kBoxNumbers;
        if (!(box[0] >= 0.0F) || !(box[0] < static_cast<float>(shape.classes))) continue;
        Centre centre;
        centre.one_class = static_cast<std::int64_t>(box[0]);
        const double x = static_cast<double>(box[1]) * static_cast<double>(shape.width);
        const double y = static_cast<double>(box[2]) * static_cast<double>(shape.height);
        centre.column = std::clamp<std::int64_t>(static_cast<std::int64_t>(x), 0, shape.width - 1);
        centre.row = std::clamp<std::int64_t>(static_cast<std::int64_t>(y), 0, shape.height - 1);
        centre.across = x - static_cast<double>(centre.column);
        centre.down = y - static_cast<double>(centre.row);
        centre.width = static_cast<double>(box[3]) * static_cast<double>(shape.width);
        centre.height = static_cast<double>(box[4]) * static_cast<double>(shape.height);
        visit(centre);
    }
}

/// The least root of a r^2 - b r + c, where c may be below zero.
double root(double a, double b, double c) {
    return (b - std::sqrt(std::max(b * b - 4.0 * a * c, 0.0))) / (2.0 * a);
}

/// Returns how far, in cells, both corners of a box may be off while it still overlaps the true one by
/// kOverlap: both inwards, both outwards, or one each way.
///
/// Source    CornerNet (arXiv 1808.01244), section 3.2. Its first program took other roots of the same
///           equations; these are the right ones
std::int64_t radius_of(double width, double height) {
    const double w = std::ceil(width);
    const double h = std::ceil(height);
    const double around = w + h;
    const double area = w * h;
    const double shifted = root(1.0, around, area * (1.0 - kOverlap) / (1.0 + kOverlap));
    const double inside = root(4.0, 2.0 * around, (1.0 - kOverlap) * area);
    const double outside = -root(4.0 * kOverlap, 2.0 * kOverlap * around, (kOverlap - 1.0) * area);
    return static_cast<std::int64_t>(std::max(0.0, std::min({shifted, inside, outside})));
}

/// Lifts the heat around a centre to a normal curve whose deviation is a third of the radius.
void draw(const CentrePointShape& shape, const Centre& centre, float* heat) {
    const auto radius = radius_of(centre.width, centre.height);
    const double deviation = static_cast<double>(2 * radius + 1) / 6.0;
    const double narrow = 1.0 / (2.0 * deviation * deviation);
    const auto top = std::max<std::int64_t>(centre.row - radius, 0);
    const auto bottom = std::min(centre.row + radius, shape.height - 1);
    const auto left = std::max<std::int64_t>(centre.column - radius, 0);
    const auto right = std::min(centre.column + radius, shape.width - 1);
    for (auto y = top; y <= bottom; ++y) {
        for (auto x = left; x <= right; ++x) {
            const auto down = static_cast<double>(y - centre.row);
            const auto across = static_cast<double>(x - centre.column);
            const auto value =
                static_cast<float>(std::exp(-(down * down + across * across) * narrow));
            float& known = heat[y * shape.width + x];
            known = std::max(known, value);
        }
    }
}

/// A probability, its complement and the logarithms of both, without the difference of equal numbers.
struct Odds {
    float p;
    float q;
    float log_p;
    float log_q;

    explicit Odds(float x) {
        const float e = std::exp(-std::abs(x));
        const float less = e / (1.0F + e);
        const float more = 1.0F / (1.0F + e);
        const float near = -std::log1p(e);
        const float far = near - std::abs(x);
        p = x >= 0.0F ? more : less;
        q = x >= 0.0F ? less : more;
        log_p = x >= 0.0F ? near : far;
        log_q = x >= 0.0F ? far : near;
    }
};

float fourth(float x) {
    return x * x * x * x;
}

double focal_loss(std::span<const float> scores, std::span<const float> heat) {
    double sum = 0.0;
    for (std::size_t i = 0; i < heat.size(); ++i) {
        const Odds odds(scores[i]);
        sum -= static_cast<double>(
            heat[i] == 1.0F ? odds.q * odds.q * odds.log_p
                            : fourth(1.0F - heat[i]) * odds.p * odds.p * odds.log_q
        );
    }
    return sum;
}

void focal_slope(
    std::span<const float> scores, std::span<const float> heat, float share, float* slope
) {
    for (std::size_t i = 0; i < heat.size(); ++i) {
        const Odds odds(scores[i]);
        const float steep =
            heat[i] == 1.0F
                ? odds.q * odds.q * (2.0F * odds.p * odds.log_p - odds.q)
                : fourth(1.0F - heat[i]) * odds.p * odds.p * (odds.p - 2.0F * odds.q * odds.log_q);
        slope[i] = share * steep;
    }
}

/// What is wanted at a centre: width, height, across, down.
struct Wanted {
    double value[4];
    double weight[4];

    explicit Wanted(const Centre& centre)
        : value{centre.width, centre.height, centre.across, centre.down},
          weight{kSizeWeight, kSizeWeight, 1.0, 1.0} {}
};

/// The parts of one sample.
struct Sample {
    std::span<const float> scores;
    std::span<const float> boxes;
    std::size_t heat_begin;
    std::size_t heat_count;

    Sample(
        const CentrePointShape& shape,
        std::span<const float> all_scores,
        std::span<const float> all_boxes,
        std::int64_t n
    )
        : scores(all_scores.subspan(
              static_cast<std::size_t>(n * (shape.classes + 4) * shape.cells()),
              static_cast<std::size_t>((shape.classes + 4) * shape.cells())
          )),
          boxes(all_boxes.subspan(
              static_cast<std::size_t>(n * shape.rows * kBoxNumbers),
              static_cast<std::size_t>(shape.rows * kBoxNumbers)
          )),
          heat_begin(static_cast<std::size_t>(n * shape.classes * shape.cells())),
          heat_count(static_cast<std::size_t>(shape.classes * shape.cells())) {}
};

double loss_of_sample(const CentrePointShape& shape, const Sample& sample, std::span<float> heat) {
    std::fill(heat.begin(), heat.end(), 0.0F);
    double lengths = 0.0;
    for_each_centre(shape, sample.boxes, [&](const Centre& centre) {
        draw(shape, centre, heat.data() + centre.one_class * shape.cells());
        const Wanted wanted(centre);
        const float* at = sample.scores.data() + sample.heat_count + centre.cell(shape);
        for (std::int64_t k = 0; k < 4; ++k) {
            const auto given = static_cast<double>(at[k * shape.cells()]);
            lengths += wanted.weight[k] * std::abs(given - wanted.value[k]);
        }
    });
    return focal_loss(sample.scores.first(sample.heat_count), heat) + lengths;
}

void slope_of_sample(
    const CentrePointShape& shape,
    const Sample& sample,
    std::span<const float> heat,
    double share,
    std::span<float> slope
) {
    focal_slope(
        sample.scores.first(sample.heat_count), heat, static_cast<float>(share), slope.data()
    );
    const auto lengths = slope.subspan(sample.heat_count);
    std::fill(lengths.begin(), lengths.end(), 0.0F);
    for_each_centre(shape, sample.boxes, [&](const Centre& centre) {
        const Wanted wanted(centre);
        for (std::int64_t k = 0; k < 4; ++k) {
            const auto at = static_cast<std::size_t>(k * shape.cells() + centre.cell(shape));
            const auto off =
                static_cast<double>(sample.scores[sample.heat_count + at]) - wanted.value[k];
            const double sign = off > 0.0 ? 1.0 : off < 0.0 ? -1.0 : 0.0;
            lengths[at] += static_cast<float>(share * wanted.weight[k] * sign);
        }
    });
}

double share_of(std::span<const float> boxes) {
    return 1.0 / static_cast<double>(std::max<std::int64_t>(count_boxes(boxes), 1));
}

}  // namespace

std::int64_t count_boxes(std::span<const float> boxes) {
    std::int64_t count = 0;
    for (std::size_t i = 0; i < boxes.size(); i += kBoxNumbers) count += boxes[i] >= 0.0F ? 1 : 0;
    return count;
}

double CentrePointLoss::compute(
    std::span<const float> scores, std::span<const float> boxes, std::span<float> heat
) {
    const auto& shape = shape_;
#pragma omp parallel for schedule(static) num_threads(shape.threads)
    for (std::int64_t n = 0; n < shape.samples; ++n) {
        const Sample sample(shape, scores, boxes, n);
        parts_[static_cast<std::size_t>(n)] =
            loss_of_sample(shape, sample, heat.subspan(sample.heat_begin, sample.heat_count));
    }
    double sum = 0.0;
    for (const double part : parts_) sum += part;
    return sum * share_of(boxes);
}

void centre_point_gradient(
    const CentrePointShape& shape,
    std::span<const float> scores,
    std::span<const float> boxes,
    std::span<const float> heat,
    std::span<float> slope
) {
    const double share = share_of(boxes);
#pragma omp parallel for schedule(static) num_threads(shape.threads)
    for (std::int64_t n = 0; n < shape.samples; ++n) {
        const Sample sample(shape, scores, boxes, n);
        const auto each = sample.scores.size();
        slope_of_sample(
            shape,
            sample,
            heat.subspan(sample.heat_begin, sample.heat_count),
            share,
            slope.subspan(static_cast<std::size_t>(n) * each, each)
        );
    }
}

}  // namespace starling::compute::cpu
