#pragma once

// The problem that a data set poses to a model.

#include "compute/engine.hpp"
#include "data/manifest.hpp"

namespace starling::peer {

[[nodiscard]] inline compute::Task task_of(const data::Manifest& manifest) {
    compute::Task task;
    task.sample_shape.assign(manifest.shape.begin(), manifest.shape.end());
    task.classes = manifest.classes;
    return task;
}

}  // namespace starling::peer
