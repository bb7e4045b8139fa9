#pragma once

// A register of floats as a value: the compiler keeps it in one register where the processor has
// such wide ones, and splits it elsewhere.

#include <cstdint>

namespace starling::compute::cpu {

/// The floats of the widest register.
inline constexpr std::int64_t kLaneCount = 16;
using Lanes [[gnu::vector_size(64)]] = float;

}  // namespace starling::compute::cpu
