#pragma once

// Turns graph nodes into kernels. Each value gets a buffer in the layout that its producer prefers.
// A consumer that wants another layout causes a reorder, and all consumers that want the same
// layout share it. Layouts therefore spread: conv -> pool -> conv stays blocked, and only a Flatten
// asks for row-major again.
//
// In a bf16 plan the type of the elements is part of the layout. A value is written in bf16 when
// all its readers take it in bf16 (`rounds`); a reader that wants it otherwise gets it through a
// reorder.

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
#include "compute/lowering/buffers.hpp"

namespace starling::compute::cpu {

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

/// The result of the lowering. The plan binds it to memory and runs it.
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

    /// Lowers every node. When the plan may measure, this runs candidates, which takes time.
    /// Errors    throws dnnl::error, and std::runtime_error for a node without a kernel
    [[nodiscard]] Lowered run();

    // For the functions that lower one node, below.

    [[nodiscard]] const Graph& graph() const { return request_.graph; }

    [[nodiscard]] int threads() const { return request_.threads; }

    /// Returns true when products take their factors in bf16.
    [[nodiscard]] bool bf16() const { return request_.precision == Precision::Bf16; }

    /// Returns true when the plan may choose by measuring.
    [[nodiscard]] bool measures() const { return request_.stopwatch != nullptr; }

    /// Returns the fastest of several primitives for the current node, or the first when the plan
    /// must not measure. `work` names what they compute. Measuring runs each of them.
    [[nodiscard]] Compiled fastest_of(std::string_view work, std::vector<Compiled> candidates)
        const;

    /// Returns the index of the fastest candidate for the current node, as fastest() does.
    [[nodiscard]] std::size_t fastest_index(
        std::string_view work, std::span<const Candidate> candidates
    ) const;

    /// Returns true when a producer that can write the value in bf16 should do so.
    [[nodiscard]] bool rounds(ValueId id) const { return rounded_[to_index(id)]; }

    /// Returns true for a sum over all axes but the last, as in the gradient of a bias.
    [[nodiscard]] bool sums_rows(const Node& node) const;

    /// Returns the layout with elements of the value's type: bf16 where the value rounds.
    [[nodiscard]] Desc typed(ValueId id, const Desc& layout) const;

    /// Returns true when some node reads the value, or when it is an output.
    [[nodiscard]] bool is_read(ValueId id) const { return buffers_.is_read(id); }

    /// Returns true when the graph holds gradients: forward primitives then keep what these need.
    [[nodiscard]] bool training() const { return !request_.gradients.empty(); }

    /// Returns the layout in which the value was produced; row-major for inputs and parameters.
    [[nodiscard]] Desc form_of(ValueId id) const;

    /// Returns the same layout with elements of four bytes.
    [[nodiscard]] Desc layout_of(ValueId id) const;

    /// Returns a buffer with the value in layout `wanted`. Adds a reorder when there is none yet.
    BufferId use(ValueId id, const Desc& wanted);

    /// Makes the buffer that holds a value from now on.
    BufferId define(ValueId id, const Desc& layout);

    /// Notes that the value lies in `buffer`, in the given layout.
    void define_alias(ValueId id, const Desc& layout, BufferId buffer);

    /// Returns the input's buffer when no later node reads it, so that the output may overwrite it.
    [[nodiscard]] std::optional<BufferId> take_over(ValueId input, const Desc& layout);

    /// Returns a buffer with the value in row-major layout.
    BufferId use_plain(ValueId id) {
        const auto& type = graph().value(id).type;
        return use(id, plain(type.shape, type.element));
    }

    /// Puts the node's first output into the input's buffer when that may be overwritten, else into
    /// a new one.
    BufferId overwrite_or_define(ValueId input, const Desc& layout);

    /// Makes a buffer that holds no value and lives from its first kernel to its last.
    BufferId temporary(std::size_t bytes) { return buffers_.add(bytes, true); }

    /// Adds a primitive. Its scratchpad becomes a temporary buffer.
    void add_primitive(
        const std::string& name, Compiled compiled, std::vector<PrimitiveKernel::Operand> operands
    );
    void add_loop(const std::string& name, std::vector<BufferId> operands, LoopKernel::Body body);
    void add_kernel(std::unique_ptr<Kernel> kernel, std::span<const BufferId> operands);

    /// Returns the node that is being lowered.
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

    BufferId use_regrouped(ValueId id, const Desc& layout);
    void lower_current();
    void finish_outputs();
    void finish(ValueId id, std::optional<std::size_t> offset);
    void find_rounded();
    [[nodiscard]] bool takes_bf16(const Node& node, std::size_t operand) const;
    [[nodiscard]] PackedParameter& packed(ValueId id);

    const PlanRequest& request_;
    const ParameterLayout& layout_;
    Buffers buffers_;
    Lowered lowered_;
    std::size_t current_ = 0;
    std::vector<std::vector<Form>> forms_;  ///< by value, the produced one first
    std::vector<std::pair<ValueId, std::pair<Desc, Desc>>> pools_;
    std::vector<bool> rounded_;  ///< by value
};

/// One function for each kind of node; it stands in the file of its family and throws as
/// Lowering::run does.
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
void lower_score(Lowering& lowering);
void lower_centre_point_loss(Lowering& lowering);
void lower_centre_point_gradient(Lowering& lowering);

}  // namespace starling::compute::cpu
