#pragma once

// The loss of a detector that sees objects as points: a heat map for each class, and at the centre of
// each object its size and what its cell cuts off.

#include <cstdint>
#include <span>
#include <vector>

namespace starling::compute::cpu {

/// Scores are [N, classes + 4, height, width]: heat maps before the sigmoid, width and height in
/// cells, and where in its cell the centre is, across and down. Boxes are [N, rows, 5]: class (below
/// 0: no box), centre x and y, width and height as shares of the picture.
struct CentrePointShape {
    int threads = 1;
    std::int64_t samples = 0;
    std::int64_t classes = 0;
    std::int64_t height = 0;
    std::int64_t width = 0;
    std::int64_t rows = 0;

    [[nodiscard]] std::int64_t cells() const { return height * width; }
};

/// Returns how many of the rows are boxes.
[[nodiscard]] std::int64_t count_boxes(std::span<const float> boxes);

/// Draws the heat maps that are wanted, [N, classes, height, width], and returns the loss.
///
/// Ensures   the same result for any number of threads
/// Source    Zhou et al., "Objects as Points" (arXiv 1904.07850), sections 3 and 4: the focal loss of
///           Law and Deng with alpha 2 and beta 4, L1 with the weights 0.1 (size) and 1 (offset), all
///           over the number of boxes, of which an empty batch has one. Their program takes the mean
///           of both coordinates, the paper and we the sum
class CentrePointLoss {
public:
    explicit CentrePointLoss(const CentrePointShape& shape)
        : shape_(shape),
          parts_(static_cast<std::size_t>(shape.samples)) {}

    [[nodiscard]] double compute(
        std::span<const float> scores, std::span<const float> boxes, std::span<float> heat
    );

private:
    CentrePointShape shape_;
    std::vector<double> parts_;  ///< of each sample, so that the order of the sum is fixed
};

/// Writes the slope of the loss at the scores. `heat` is what CentrePointLoss has drawn.
void centre_point_gradient(
    const CentrePointShape& shape,
    std::span<const float> scores,
    std::span<const float> boxes,
    std::span<const float> heat,
    std::span<float> slope
);

}  // namespace starling::compute::cpu
