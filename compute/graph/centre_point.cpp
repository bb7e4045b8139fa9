// The loss of detectors.

#include <array>

#include "base/check.hpp"
#include "compute/graph/gradient_context.hpp"
#include "compute/graph/operator.hpp"

namespace starling::compute {

namespace {

InferredTypes infer_loss(OperandTypes inputs, const Attributes&) {
    const auto& scores = inputs[0]->shape;
    const auto& boxes = inputs[1]->shape;
    const bool good = scores.size() == 4 && scores[1] > 4 && boxes.size() == 3 &&
                      boxes[0] == scores[0] && boxes[2] == 5 &&
                      inputs[1]->element == ElementType::F32;
    if (!good) {
        return fail(
            FaultCode::BadValue,
            "the loss wants scores [N, classes + 4, H, W] and boxes [N, rows, 5], not " +
                to_string(scores) + " and " + to_string(boxes)
        );
    }
    return std::vector<TensorType>{
        {Shape{}}, {Shape{scores[0], scores[1] - 4, scores[2], scores[3]}}};
}

void loss_gradient(GradientContext& context) {
    STARLING_CHECK(context.output_gradient(0) == ValueId::None);
    context.contribute(
        0,
        context.emit("CentrePointGrad", {context.input(0), context.input(1), context.output(1)})[0]
    );
}

InferredTypes infer_gradient(OperandTypes inputs, const Attributes&) {
    return std::vector<TensorType>{*inputs[0]};
}

constexpr auto kCentrePointOperators = std::to_array<Operator>({
    {"CentrePointLoss",
     "scores [N,C+4,H,W]: heat maps of C classes before the sigmoid, width and height in cells, "
     "offsets in the cell; boxes [N,R,5]: class (below 0: no box), centre x, y, width, height as "
     "shares of the picture -> loss [], the wanted heat [N,C,H,W]. Differentiable as the root only",
     2,
     2,
     infer_loss,
     loss_gradient},
    {"CentrePointGrad",
     "scores, boxes, the wanted heat -> dscores of the loss",
     3,
     3,
     infer_gradient,
     nullptr},
});

}  // namespace

std::span<const Operator> centre_point_operators() {
    return kCentrePointOperators;
}

}  // namespace starling::compute
