#pragma once

// Parameters by name in the safetensors format: eight bytes of header length, a JSON header, then
// the tensors' bytes. Files are the caller's business; this works on bytes.
//
// Source    the format's text in the README of the safetensors library; our reader checks all that
//           it demands: offsets in range, no overlap, no hole

#include <cstddef>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "compute/arena/parameter_store.hpp"
#include "compute/values/shape.hpp"

namespace starling::compute {

enum class StoredType : std::uint8_t { F32, F16, BF16 };

/// One tensor of a file; `bytes` points into the bytes that were parsed.
struct StoredTensor {
    std::string name;
    Shape shape;
    StoredType type = StoredType::F32;
    ByteView bytes;

    /// Returns the elements as floats.
    [[nodiscard]] std::vector<float> values() const;
};

/// The header may be no longer than this; the largest nets need a few MiB.
inline constexpr std::size_t kSafetensorsHeaderMax = std::size_t{16} << 20U;

/// Reads the header and checks it against the bytes; allocates only for names and shapes.
/// Errors    Truncated, Oversized, BadFormat, Unsupported (an element type), each with one line
///           that names the tensor; no state has changed
/// Thread    any
[[nodiscard]] Result<std::vector<StoredTensor>> parse_safetensors(ByteView bytes);

/// Returns all parameters and buffers as a file, in f32 and in the layout's order.
[[nodiscard]] Bytes export_safetensors(ParameterStore& store);

/// Replaces each parameter of the store by the tensor of the same name. Ignores tensors that the
/// model does not have.
/// Errors    those of parse_safetensors, LayoutMismatch (a tensor is missing or has another shape);
///           the store stays as it was
[[nodiscard]] Result<void> import_safetensors(ByteView bytes, ParameterStore& store);

}  // namespace starling::compute
