// The loss of detectors, on row-major operands.

#include "compute/cpu/loops/centre_point.hpp"

#include <memory>

#include "compute/cpu/lowering/lowering.hpp"

namespace starling::compute::cpu {

namespace {

CentrePointShape shape_of(const Lowering& lowering) {
    const auto& scores = lowering.graph().shape(lowering.input(0));
    const auto& boxes = lowering.graph().shape(lowering.input(1));
    return {lowering.threads(), scores[0], scores[1] - 4, scores[2], scores[3], boxes[1]};
}

}  // namespace

void lower_centre_point_loss(Lowering& lowering) {
    const auto scores = lowering.use_plain(lowering.input(0));
    const auto boxes = lowering.use_plain(lowering.input(1));
    const auto loss = lowering.define(lowering.output(0), plain(Shape{}));
    const auto heat = lowering.output(1);
    const auto drawn = lowering.define(heat, plain(lowering.graph().shape(heat)));
    // Made here, because a step allocates nothing.
    auto loop = std::make_shared<CentrePointLoss>(shape_of(lowering));
    lowering.add_loop(
        lowering.node().name,
        {scores, boxes, loss, drawn},
        [loop = std::move(loop)](LoopKernel::Operands o) {
            floats(o[2])[0] =
                static_cast<float>(loop->compute(floats(o[0]), floats(o[1]), floats(o[3])));
        }
    );
}

void lower_centre_point_gradient(Lowering& lowering) {
    const auto slope = lowering.output();
    std::vector<BufferId> operands;
    for (std::size_t i = 0; i < 3; ++i) {
        operands.push_back(lowering.use_plain(lowering.input(i)));
    }
    operands.push_back(lowering.define(slope, plain(lowering.graph().shape(slope))));
    lowering.add_loop(
        lowering.node().name,
        std::move(operands),
        [shape = shape_of(lowering)](LoopKernel::Operands o) {
            centre_point_gradient(shape, floats(o[0]), floats(o[1]), floats(o[2]), floats(o[3]));
        }
    );
}

}  // namespace starling::compute::cpu
