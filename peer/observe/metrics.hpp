#pragma once

// The text of /metrics.

#include <string>

#include "peer/observe/status.hpp"

namespace starling::peer {

/// Returns all metrics in the Prometheus text format 0.0.4.
[[nodiscard]] std::string render_metrics(const StatusInputs& inputs);

}  // namespace starling::peer
