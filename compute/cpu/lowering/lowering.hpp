#pragma once

// From graph nodes to kernels. Each value gets the layout that its producer likes best and a
// buffer; a consumer that wants another layout causes one reorder, shared by all who want the same.
// Layouts therefore flow: conv -> pool -> conv stays blocked, and only a Flatten asks for row-major
// again.
//
// In a bf16 plan the type of elements is part of a layout. A value flows in bf16 when all that read
// it take it so (`rounds`); whoever reads it otherwise would get it through a reorder like any
// other.

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "compute/arena/parameter_store.hpp"
#include "compute/cpu/library/choice.hpp"
#include "compute/cpu/library/kernel.hpp"
#include "compute/device/plan.hpp"
#include "compute/graph/graph.hpp"

namespace starling::compute::cpu {

/// A range of bytes that kernels read and write.
struct Buffer {
    std::size_t bytes = 0;
    bool temporary = true;  ///< lives in the arena between its first and its last kernel
    std::optional<std::size_t> gradient_offset;  ///< lies in the flat gradient, in floats
    std::size_t first = 0;
    std::size_t last = 0;
    bool used = false;
    std::vector<ValueId> values;  ///< those that share the bytes
};

/// One packed copy of a parameter.
struct PackedCopy {
    Desc source;  ///< how the store holds it, in as many dimensions as the layout
    Desc layout;
    BufferId buffer = BufferId::None;
};

struct PackedParameter {
    std::size_t parameter = 0;  ///< index into the layout's parameters
    std::vector<PackedCopy> copies;
};

/// What the lowering leaves behind; plan.cpp binds it to memory and runs it.
struct Lowered {
    std::vector<std::unique_ptr<Kernel>> kernels;
    std::vector<Buffer> buffers;
    std::vector<PackedParameter> packed;
    std::vector<std::pair<ValueId, BufferId>> inputs;
    std::vector<std::pair<ValueId, BufferId>> outputs;
};

class Lowering {
public:
    Lowering(const PlanRequest& request, const ParameterLayout& layout);

    /// Lowers every node. Throws dnnl::error, and std::runtime_error for what has no kernel.
    [[nodiscard]] Lowered run();

    // What the families' functions use.

    [[nodiscard]] const Graph& graph() const { return request_.graph; }

    [[nodiscard]] int threads() const { return request_.threads; }

    /// True when products take their factors in bf16.
    [[nodiscard]] bool bf16() const { return request_.precision == Precision::Bf16; }

    /// True when the plan may choose by measuring.
    [[nodiscard]] bool measures() const { return request_.stopwatch != nullptr; }

    /// Returns the fastest of several primitives for the current node; the first when the plan must
    /// not measure. `work` names what they compute.
    [[nodiscard]] Compiled fastest_of(std::string_view work, std::vector<Compiled> candidates)
        const;

    /// Returns the index of the fastest candidate for the current node.
    [[nodiscard]] std::size_t fastest_index(
        std::string_view work, std::span<const Candidate> candidates
    ) const;

    /// True when the value should be written in bf16, by a producer that can.
    [[nodiscard]] bool rounds(ValueId id) const { return rounded_[to_index(id)]; }

    /// True for a sum over all axes but the last: a bias's gradient.
    [[nodiscard]] bool sums_rows(const Node& node) const;

    /// Returns the layout with elements of the type in which the value flows.
    [[nodiscard]] Desc typed(ValueId id, const Desc& layout) const;

    /// True when the value is read by some node or is an output.
    [[nodiscard]] bool is_read(ValueId id) const;

    /// True when the graph holds gradients, so forward primitives keep what these need.
    [[nodiscard]] bool training() const { return !request_.gradients.empty(); }

    /// Returns the layout in which the value was produced; row-major for inputs and parameters.
    [[nodiscard]] Desc form_of(ValueId id) const;

    /// The same with elements of four bytes.
    [[nodiscard]] Desc layout_of(ValueId id) const;

    /// Returns a buffer with the value in `layout`, adding a reorder kernel when there is none yet.
    BufferId use(ValueId id, const Desc& wanted);

    /// Makes the buffer that holds a value from now on.
    BufferId define(ValueId id, const Desc& layout);

    /// Says that the value is the same bytes as `buffer`, described by `layout`.
    void define_alias(ValueId id, const Desc& layout, BufferId buffer);

    /// Returns the input's buffer for the output to overwrite when nobody reads it afterwards.
    [[nodiscard]] std::optional<BufferId> take_over(ValueId input, const Desc& layout);

    /// Row-major.
    BufferId use_plain(ValueId id) {
        const auto& type = graph().value(id).type;
        return use(id, plain(type.shape, type.element));
    }

    /// Puts the node's first output into the input's buffer when that may be overwritten, else into
    /// a new one.
    BufferId overwrite_or_define(ValueId input, const Desc& layout);

    /// Makes a buffer that lives from its first kernel to its last and holds no value.
    BufferId temporary(std::size_t bytes) { return add_buffer(bytes, true); }

    /// Adds a primitive; its scratchpad becomes a temporary.
    void add_primitive(
        const std::string& name, Compiled compiled, std::vector<PrimitiveKernel::Operand> operands
    );
    void add_loop(const std::string& name, std::vector<BufferId> operands, LoopKernel::Body body);
    void add_kernel(std::unique_ptr<Kernel> kernel, std::span<const BufferId> operands);

    /// The node that is lowered now.
    [[nodiscard]] const Node& node() const { return graph().nodes()[current_]; }

    [[nodiscard]] ValueId input(std::size_t i) const {
        return i < node().inputs.size() ? node().inputs[i] : ValueId::None;
    }

    [[nodiscard]] ValueId output(std::size_t i = 0) const { return node().outputs[i]; }

    /// Remembers the layout of a max-pool's input under its indices, for the gradient.
    void remember_pool(ValueId indices, Desc input, Desc output);
    [[nodiscard]] const std::pair<Desc, Desc>& recall_pool(ValueId indices) const;

private:
    struct Form {
        Desc layout;
        BufferId buffer = BufferId::None;
    };

    BufferId add_buffer(std::size_t bytes, bool temporary);
    BufferId use_regrouped(ValueId id, const Desc& layout);
    void touch(BufferId buffer);
    void lower_current();
    void finish_outputs();
    void finish(ValueId id, std::optional<std::size_t> offset);
    void find_rounded();
    [[nodiscard]] bool takes_bf16(const Node& node, std::size_t operand) const;
    [[nodiscard]] std::size_t store_offset(std::size_t parameter) const;
    [[nodiscard]] PackedParameter& packed(ValueId id);
    [[nodiscard]] std::optional<std::size_t> gradient_offset(ValueId id) const;

    const PlanRequest& request_;
    const ParameterLayout& layout_;
    Lowered lowered_;
    std::size_t current_ = 0;
    std::vector<std::vector<Form>> forms_;  ///< by value, the produced one first
    std::vector<std::size_t> last_reader_;  ///< by value, index of a node
    std::vector<bool> wanted_;              ///< by value
    std::vector<std::pair<ValueId, std::pair<Desc, Desc>>> pools_;
    std::vector<bool> rounded_;  ///< by value
};

/// The families; each function lives in the file of its family and throws as Lowering::run.
void lower_convolution(Lowering& lowering);
void lower_convolution_gradient_input(Lowering& lowering);
void lower_convolution_gradient_weight(Lowering& lowering);
void lower_max_pool(Lowering& lowering);
void lower_max_pool_gradient(Lowering& lowering);
void lower_average_pool(Lowering& lowering);
void lower_average_pool_gradient(Lowering& lowering);
void lower_gemm(Lowering& lowering);
void lower_matmul(Lowering& lowering);
void lower_relu(Lowering& lowering);
void lower_relu_gradient(Lowering& lowering);
void lower_function(Lowering& lowering);
void lower_function_gradient(Lowering& lowering);
void lower_pair(Lowering& lowering);
void lower_where(Lowering& lowering);
void lower_cast(Lowering& lowering);
void lower_reduce(Lowering& lowering);
void lower_softmax(Lowering& lowering);
void lower_softmax_gradient(Lowering& lowering);
void lower_dropout(Lowering& lowering);
void lower_view(Lowering& lowering);
void lower_slice_gradient(Lowering& lowering);
void lower_concat(Lowering& lowering);
void lower_pad(Lowering& lowering);
void lower_gather(Lowering& lowering);
void lower_gather_gradient(Lowering& lowering);
void lower_constant(Lowering& lowering);
void lower_layer_norm(Lowering& lowering);
void lower_layer_norm_gradient(Lowering& lowering);
void lower_batch_norm(Lowering& lowering);
void lower_batch_norm_gradient(Lowering& lowering);
void lower_attention(Lowering& lowering);
void lower_attention_gradient(Lowering& lowering);
void lower_reshape(Lowering& lowering);
void lower_loss(Lowering& lowering);
void lower_loss_gradient(Lowering& lowering);

}  // namespace starling::compute::cpu
