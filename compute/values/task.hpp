#pragma once

// What an engine computes and in which numbers, and what it reports of itself: plain values.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace starling::compute {

/// The problem that a model is built for.
struct Task {
    std::vector<std::int64_t> sample_shape;  ///< C, H, W
    std::int64_t classes = 0;
    /// How many labels the data have for each sample; 0 where no data are known yet, and a model
    /// may have as many as it likes.
    std::int64_t labels = 0;
};

/// In which type weights and activations flow. Masters, statistics, losses and the optimizer stay
/// f32 in any case, and products of bf16 are summed in f32.
enum class Precision : std::uint8_t { F32, Bf16, Auto };

/// Parses f32, bf16, auto.
/// Errors    Usage
[[nodiscard]] Result<Precision> parse_precision(std::string_view text);
[[nodiscard]] std::string_view to_string(Precision precision);

/// Reads seconds from some clock: compute owns none.
using Stopwatch = double (*)();

/// One kernel of a profiled step.
struct KernelTime {
    std::string name;
    std::string op;  ///< the operator, or Reorder, Pack, Update
    double seconds = 0.0;
    double flops = 0.0;  ///< of convolutions and matrix products; zero for others
    double bytes = 0.0;  ///< of all operands
};

/// Bytes that an engine holds for as long as it lives; the store's own are not part of it.
struct MemoryUse {
    std::size_t activations = 0;  ///< the planned arenas of temporaries
    std::size_t lasting = 0;      ///< packed weights, inputs and outputs
    std::size_t gradients = 0;
    std::size_t optimizer = 0;

    [[nodiscard]] std::size_t total() const {
        return activations + lasting + gradients + optimizer;
    }
};

}  // namespace starling::compute
