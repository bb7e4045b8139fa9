#pragma once

#include <vector>

#include "compute/arena/parameter_store.hpp"

namespace starling::compute {

/// Returns a copy of all parameters.
[[nodiscard]] inline std::vector<float> contents(ParameterStore& store) {
    std::vector<float> all(store.layout().elements());
    store.read_all(all);
    return all;
}

}  // namespace starling::compute
