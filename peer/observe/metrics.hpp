#pragma once

// What /metrics says.

#include <string>

#include "peer/observe/status.hpp"

namespace starling::peer {

/// Prometheus text format 0.0.4.
[[nodiscard]] std::string render_metrics(const StatusInputs& inputs);

}  // namespace starling::peer
