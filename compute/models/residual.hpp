#pragma once

// The block that residual nets and the detector are made of.

#include <string>

#include "compute/models/models.hpp"

namespace starling::compute {

/// Two 3x3 convolutions beside a shortcut, which is a 1x1 convolution where the shape changes.
/// Parameters as torchvision's BasicBlock.
ValueId residual_block(
    ModelBuilder& net,
    const std::string& name,
    ValueId x,
    std::int64_t channels,
    std::int64_t stride
);

}  // namespace starling::compute
