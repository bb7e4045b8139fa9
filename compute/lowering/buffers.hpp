#pragma once

// What every lowering of a graph has in common, whatever its kernels are: which values are read and
// by whom last, the buffers that hold them and how long each lives, which gradients lie in the flat
// gradient, and where everything goes in memory.
//
// Thread    compute

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "compute/device/plan.hpp"
#include "compute/graph/graph.hpp"
#include "compute/values/memory_plan.hpp"

namespace starling::compute {

enum class BufferId : std::int32_t { None = -1 };

[[nodiscard]] constexpr std::size_t to_index(BufferId id) {
    return static_cast<std::size_t>(id);
}

/// A range of bytes that kernels read and write.
struct Buffer {
    std::size_t bytes = 0;
    bool temporary = true;  ///< lives in the arena between its first and its last kernel
    std::optional<std::size_t> gradient_offset;   ///< where it lies in the flat gradient, in floats
    std::optional<std::size_t> parameter_offset;  ///< where among weights in the store's order
    std::size_t first = 0;
    std::size_t last = 0;
    bool used = false;
    std::vector<ValueId> values;  ///< those that share the bytes
};

/// The buffers of one plan while it is made.
class Buffers {
public:
    /// Requires  request and layout outlive it
    Buffers(const PlanRequest& request, const ParameterLayout& layout);

    [[nodiscard]] Buffer& operator[](BufferId id) { return buffers_[to_index(id)]; }

    BufferId add(std::size_t bytes, bool temporary);

    /// Returns true when the value is an output or a gradient.
    [[nodiscard]] bool wanted(ValueId id) const { return wanted_[to_index(id)]; }

    /// Returns true when some node reads the value, or when it is wanted.
    [[nodiscard]] bool is_read(ValueId id) const { return wanted(id) || readers(id); }

    [[nodiscard]] bool readers(ValueId id) const { return last_reader_[to_index(id)] > 0; }

    /// Returns the parameter that the store has under the value's name.
    [[nodiscard]] const ParameterInfo& parameter(ValueId id) const;

    /// Returns where the gradient lies in the flat gradient; nothing for any other value.
    [[nodiscard]] std::optional<std::size_t> gradient_offset(ValueId id) const;

    /// Notes that a kernel, counted from 0, uses the buffer.
    void touch(BufferId id, std::size_t kernel);

    /// Notes that the value lies in the buffer.
    void hold(BufferId id, ValueId value) { (*this)[id].values.push_back(value); }

    /// Returns true when no node after `node` reads what the buffer holds, so that the node's result
    /// may overwrite it.
    [[nodiscard]] bool may_overwrite(BufferId id, std::size_t node) const;

    [[nodiscard]] std::vector<Buffer> take() { return std::move(buffers_); }

private:
    const PlanRequest& request_;
    const ParameterLayout& layout_;
    std::vector<Buffer> buffers_;
    std::vector<std::size_t> last_reader_;  ///< by value, index of a node plus one
    std::vector<bool> wanted_;              ///< by value
};

/// Where a buffer lies.
struct BufferPlace {
    enum class Region : std::uint8_t { Arena, Lasting, Gradient, Parameters };

    Region region = Region::Arena;
    std::size_t offset = 0;  ///< in bytes
};

struct BufferPlaces {
    std::vector<BufferPlace> places;  ///< by buffer
    std::size_t arena_bytes = 0;
    std::size_t lasting_bytes = 0;
};

/// Places temporaries whose lives do not overlap in the same bytes, and everything else side by
/// side.
[[nodiscard]] BufferPlaces place_buffers(const std::vector<Buffer>& buffers);

}  // namespace starling::compute
