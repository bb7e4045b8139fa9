#pragma once

// Each kernel as its launches have it: name, arguments, threads of a group. Tests hold the table against
// what a driver's compiler sees in the sources, and every launch against the table.

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "compute/gpu/backend.hpp"

namespace starling::compute::gpu {

struct KernelFacts {
    std::string_view name;
    /// A letter each: F and W a place in memory, of floats or words; i int32, u uint32, l int64, L
    /// uint64, f float; V KernelView, P ProductShape, C ConvolutionShape, S LossShape, O PoolShape,
    /// H ChannelShape, A AttentionShape.
    std::string_view arguments;
    std::array<std::size_t, 3> threads;
};

[[nodiscard]] std::span<const KernelFacts> kernel_table();

/// Returns the bytes of an argument that is no place in memory.
/// Requires  a letter of the table
[[nodiscard]] std::size_t argument_bytes(char letter);

/// Says what is wrong with a launch by the table, or nothing.
[[nodiscard]] std::string mismatch(const Launch& launch);

}  // namespace starling::compute::gpu
