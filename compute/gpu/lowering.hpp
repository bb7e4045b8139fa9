#pragma once

// Turns graph nodes into launches of kernels. All values are row-major, in elements of four bytes;
// parameters are read where the mirror has them, in the store's order.
//
// Errors    the functions throw std::runtime_error for a node that no kernel serves; the plan turns
//           it into a Fault

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "compute/gpu/backend.hpp"
#include "compute/gpu/kernels.hpp"
#include "compute/lowering/buffers.hpp"

namespace starling::compute::gpu {

/// A buffer, or a value that is handed over by its bytes.
using Operand = std::variant<BufferId, Argument>;

/// One launch before its buffers have places.
struct Step {
    std::string name;  ///< of the node
    std::string op;
    double flops = 0.0;
    Launch launch;  ///< without arguments
    std::vector<Operand> operands;
    /// What a library could do in place of the launch, whose places are a, b, bias and y.
    std::optional<LibraryShape> library;
    bool by_library = false;
    /// Changes arguments before each run; empty for none.
    std::function<void(Launch&)> prepare;
};

/// Bytes that a buffer holds from the beginning.
struct Upload {
    BufferId buffer = BufferId::None;
    std::vector<std::uint32_t> words;
};

struct Lowered {
    std::vector<Step> steps;
    std::vector<Buffer> buffers;
    std::vector<Upload> uploads;
    std::vector<std::pair<ValueId, BufferId>> inputs;
    std::vector<std::pair<ValueId, BufferId>> outputs;
};

/// Returns true when some function below lowers the operator.
[[nodiscard]] bool lowers(std::string_view op);

class Lowering {
public:
    /// Requires  both outlive it
    Lowering(const PlanRequest& request, const ParameterLayout& layout);

    [[nodiscard]] Lowered run();

    // For the functions that lower one node.

    [[nodiscard]] const Graph& graph() const { return request_.graph; }

    [[nodiscard]] const Node& node() const { return graph().nodes()[current_]; }

    [[nodiscard]] const Attributes& attributes() const { return node().attributes; }

    /// Returns whether products round their factors to bf16. All values between kernels are f32.
    [[nodiscard]] bool rounds() const { return request_.precision == Precision::Bf16; }

    [[nodiscard]] ValueId input(std::size_t i) const {
        return i < node().inputs.size() ? node().inputs[i] : ValueId::None;
    }

    [[nodiscard]] ValueId output(std::size_t i = 0) const { return node().outputs[i]; }

    [[nodiscard]] const Shape& shape(ValueId id) const { return graph().shape(id); }

    /// Returns the number of a value's elements, which kernels count in 32 bits.
    [[nodiscard]] std::int64_t count(ValueId id) const;

    /// Returns true when the node's i-th output is there and somebody reads it.
    [[nodiscard]] bool is_read(std::size_t i) const {
        return i < node().outputs.size() && buffers_.is_read(output(i));
    }

    /// Returns the buffer that holds the value.
    [[nodiscard]] BufferId use(ValueId id);

    /// Returns the operand's buffer, or any when the operand is absent: its kernel does not read it.
    [[nodiscard]] BufferId use_optional(ValueId id, BufferId any) {
        return id == ValueId::None ? any : use(id);
    }

    /// Makes the buffer that holds a value from now on.
    BufferId define(ValueId id);

    /// Makes the buffer of a value that nothing but its node's gradient reads, which a device may
    /// keep in a form of its own, here in so many elements.
    BufferId define_own(ValueId id, std::int64_t elements);

    /// Notes that the value lies in the buffer.
    void define_alias(ValueId id, BufferId buffer);

    /// Puts the node's first output into the input's buffer when that may be overwritten, else into
    /// a new one. The kernel reads an element before it writes the same one.
    BufferId overwrite_or_define(ValueId input);

    /// Makes a buffer of so many elements that lives from its first kernel to its last.
    BufferId temporary(std::int64_t elements) {
        return buffers_.add(static_cast<std::size_t>(elements) * sizeof(float), true);
    }

    /// Makes a buffer that holds these words from the beginning.
    BufferId constant(std::vector<std::uint32_t> words);

    /// Adds a kernel with one thread for each of `count` elements. The operands do not hold the
    /// count, which comes where `operands` has an I64 of it.
    void add_flat(const char* kernel, std::int64_t count, std::vector<Operand> operands);

    /// Adds a kernel with one group of kRowLanes threads for each row.
    void add_rows(const char* kernel, std::int64_t rows, std::vector<Operand> operands);

    void add(const char* kernel, const Grid& grid, std::vector<Operand> operands);

    /// Changes arguments of the last kernel before each run.
    void prepare_last(std::function<void(Launch&)> prepare) {
        lowered_.steps.back().prepare = std::move(prepare);
    }

    /// Says that a library could do the last kernel's product.
    void offer_last(const LibraryShape& shape) { lowered_.steps.back().library = shape; }

private:
    void lower_current();
    void finish(ValueId id, std::optional<std::size_t> offset);

    const PlanRequest& request_;
    Buffers buffers_;
    Lowered lowered_;
    std::size_t current_ = 0;
    std::vector<BufferId> places_;  ///< by value
};

/// A value among a kernel's arguments, with the type that the kernel has.
inline Operand word(std::int64_t value) {
    return Argument(static_cast<std::int32_t>(value));
}

inline Operand wide(std::int64_t value) {
    return Argument(value);
}

inline Operand real(double value) {
    return Argument(static_cast<float>(value));
}

inline Operand truth(bool value) {
    return Argument(std::int32_t{value ? 1 : 0});
}

template <class T>
Operand block(const T& value) {
    return Argument(value);
}

/// Returns the view of a whole row-major tensor.
[[nodiscard]] View whole_view(const Shape& shape);

/// One function a kind of node, in the file of its family.
void lower_function(Lowering& lowering);
void lower_function_gradient(Lowering& lowering);
void lower_relu_gradient(Lowering& lowering);
void lower_pair(Lowering& lowering);
void lower_where(Lowering& lowering);
void lower_cast(Lowering& lowering);
void lower_dropout(Lowering& lowering);
void lower_gemm(Lowering& lowering);
void lower_matmul(Lowering& lowering);
void lower_convolution(Lowering& lowering);
void lower_convolution_gradient_input(Lowering& lowering);
void lower_convolution_gradient_weight(Lowering& lowering);
void lower_reshape(Lowering& lowering);
void lower_view(Lowering& lowering);
void lower_slice_gradient(Lowering& lowering);
void lower_concat(Lowering& lowering);
void lower_pad(Lowering& lowering);
void lower_gather(Lowering& lowering);
void lower_gather_gradient(Lowering& lowering);
void lower_constant(Lowering& lowering);
void lower_reduce(Lowering& lowering);
void lower_softmax(Lowering& lowering);
void lower_softmax_gradient(Lowering& lowering);
void lower_loss(Lowering& lowering);
void lower_loss_gradient(Lowering& lowering);
void lower_score(Lowering& lowering);
void lower_max_pool(Lowering& lowering);
void lower_max_pool_gradient(Lowering& lowering);
void lower_average_pool(Lowering& lowering);
void lower_average_pool_gradient(Lowering& lowering);
void lower_batch_norm(Lowering& lowering);
void lower_batch_norm_gradient(Lowering& lowering);
void lower_layer_norm(Lowering& lowering);
void lower_layer_norm_gradient(Lowering& lowering);
void lower_attention(Lowering& lowering);
void lower_attention_gradient(Lowering& lowering);

}  // namespace starling::compute::gpu
