#pragma once

// The settings of one update of weights, as an optimizer hands them to a device.

#include <variant>

namespace starling::compute {

struct SgdSettings {
    float learning_rate = 0.0F;
    float momentum = 0.0F;
    float weight_decay = 0.0F;
    bool nesterov = false;
    float gradient_scale = 1.0F;
};

struct AdamSettings {
    float learning_rate = 0.0F;
    float beta1 = 0.9F;
    float beta2 = 0.999F;
    float epsilon = 1e-8F;
    float weight_decay = 0.0F;
    float gradient_scale = 1.0F;
    double step = 1.0;  ///< of this update; the first is 1
};

using UpdateSettings = std::variant<SgdSettings, AdamSettings>;

}  // namespace starling::compute
