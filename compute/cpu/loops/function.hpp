#pragma once

// Functions of one operand and their slopes, on flat operands of any layout.

#include <cstddef>
#include <string_view>

#include "compute/graph/node.hpp"
#include "compute/simd/strips.hpp"

namespace starling::compute::cpu {

/// A function's two settings; ONNX gives them a name for each function.
struct FunctionSettings {
    float a = 0.0F;
    float b = 0.0F;
};

struct FunctionLoop {
    std::string_view name;
    /// y = f(x); y may be x.
    void (*forward
    )(int threads, FunctionSettings settings, std::size_t count, const Source& x, const Sink& y
    ) = nullptr;
    /// dx = dy * f'. `known` is x or y, as the operator's gradient rule says. dx may be dy.
    void (*backward
    )(int threads,
      FunctionSettings settings,
      std::size_t count,
      const Source& dy,
      const Source& known,
      const Sink& dx) = nullptr;
};

/// Returns nullptr for a name that is no function of one operand.
[[nodiscard]] const FunctionLoop* find_function_loop(std::string_view name);

[[nodiscard]] FunctionSettings function_settings(
    std::string_view name, const Attributes& attributes
);

}  // namespace starling::compute::cpu
