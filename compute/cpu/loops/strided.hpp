#pragma once

// Loops over row-major operands of different shapes: broadcasting, views, reductions.

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "compute/graph/view.hpp"

namespace starling::compute::cpu {

/// One loop nest over up to three operands. Dimensions that all operands walk as one are merged.
struct Walk {
    std::vector<std::int64_t> dims;                    ///< outermost first, never empty
    std::array<std::vector<std::int64_t>, 3> strides;  ///< by operand
    std::array<std::int64_t, 3> offsets{};
};

/// Merges views of one shape into a nest.
/// Errors    throws std::runtime_error when more than kWalkRankMax dimensions remain
[[nodiscard]] Walk make_walk(std::vector<View> operands);

inline constexpr std::size_t kWalkRankMax = 16;

/// y = op(a, b) with y row-major. The operands of the walk are a and b.
using PairLoop = void (*)(int threads, const Walk& walk, const float* a, const float* b, float* y);

/// The name by which find_pair_loop() knows an Add that applies a Relu.
inline constexpr std::string_view kAddRelu = "Add, Relu";

/// Returns nullptr for a name that is no operator of two operands.
[[nodiscard]] PairLoop find_pair_loop(std::string_view name);

/// y = a where c is not zero, else b. The operands of the walk are c, a and b.
void choose(
    int threads, const Walk& walk, const float* c, const float* a, const float* b, float* y
);

/// Copies elements of four bytes from one view to another, the operands of the walk.
void copy_strided(int threads, const Walk& walk, const std::uint32_t* from, std::uint32_t* to);

enum class Fold : std::uint8_t { Sum, Mean, Max };

/// A reduction: kept dimensions outside, folded ones inside. The last dimension is always
/// innermost, because only its elements lie side by side.
struct Reduction {
    std::vector<std::int64_t> kept_dims;
    std::vector<std::int64_t> kept_strides;  ///< of x; y is row-major over kept, then inner if kept
    std::vector<std::int64_t> folded_dims;
    std::vector<std::int64_t> folded_strides;
    std::int64_t inner = 1;
    bool inner_kept = false;
    Fold fold = Fold::Sum;
};

[[nodiscard]] Reduction make_reduction(const Shape& x, const std::vector<bool>& reduced, Fold fold);
void reduce(int threads, const Reduction& reduction, const float* x, float* y);

}  // namespace starling::compute::cpu
