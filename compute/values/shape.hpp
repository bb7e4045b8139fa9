#pragma once

// Static shapes and element types of the values in a graph.
//
// The shape alphabet of this module's comments: N batch, C channels, H height, W width, O output
// features or channels, K reduced features, T time, D model width.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace starling::compute {

enum class ElementType : std::uint8_t { F32, I32 };

using Shape = std::vector<std::int64_t>;

/// Returns the product of the dimensions: 1 for a scalar.
[[nodiscard]] inline std::int64_t element_count(const Shape& shape) {
    std::int64_t product = 1;
    for (const auto dimension : shape) product *= dimension;
    return product;
}

/// Returns `[64, 1, 28, 28]`.
[[nodiscard]] inline std::string to_string(const Shape& shape) {
    std::string text = "[";
    for (std::size_t i = 0; i < shape.size(); ++i) {
        text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
    }
    return text + "]";
}

struct TensorType {
    Shape shape;
    ElementType element = ElementType::F32;

    bool operator==(const TensorType&) const = default;
};

}  // namespace starling::compute
