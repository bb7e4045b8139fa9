#pragma once

// What a file would cost in memory, counted before the library reads it.

#include <cstddef>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace starling::compute::onnx {

/// The most nodes or tensors of a graph, and the most operands of a node.
inline constexpr std::size_t kNodesMax = std::size_t{1} << 16U;
inline constexpr std::size_t kOperandsMax = 256;

/// The most memory that the messages of a file may take, apart from their bytes: a multiple of the
/// file's size, and as much again as a net of ten thousand nodes without weights takes.
inline constexpr std::size_t kCostPerByte = 8;
inline constexpr std::size_t kCostFree = std::size_t{1} << 24U;

/// Counts a file's messages, strings and numbers, wherever they nest. The library makes an object of
/// some hundred bytes for an empty message, which is two bytes in the file, so a hostile file of
/// 16 MiB would otherwise cost GiBs.
/// Errors    BadFormat (no protobuf message, not one graph), Oversized
/// Thread    any
[[nodiscard]] Result<void> check_cost(ByteView file);

}  // namespace starling::compute::onnx
