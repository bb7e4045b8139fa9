#include "compute/gpu/lowering.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <stdexcept>

#include "base/check.hpp"
#include "compute/graph/cost.hpp"
#include "compute/graph/operator.hpp"

namespace starling::compute::gpu {

namespace {

struct Entry {
    std::string_view op;
    void (*lower)(Lowering&) = nullptr;
};

constexpr auto kTable = std::to_array<Entry>({
    {"Relu", lower_function},
    {"LeakyRelu", lower_function},
    {"Elu", lower_function},
    {"Sigmoid", lower_function},
    {"Tanh", lower_function},
    {"Gelu", lower_function},
    {"HardSigmoid", lower_function},
    {"HardSwish", lower_function},
    {"Softplus", lower_function},
    {"Exp", lower_function},
    {"Log", lower_function},
    {"Sqrt", lower_function},
    {"Reciprocal", lower_function},
    {"Erf", lower_function},
    {"Abs", lower_function},
    {"Clip", lower_function},
    {"Neg", lower_function},
    {"FunctionGrad", lower_function_gradient},
    {"ReluGrad", lower_relu_gradient},
    {"Add", lower_pair},
    {"Sub", lower_pair},
    {"Mul", lower_pair},
    {"Div", lower_pair},
    {"Pow", lower_pair},
    {"Max", lower_pair},
    {"Min", lower_pair},
    {"AheadMask", lower_pair},
    {"EqualMask", lower_pair},
    {"Where", lower_where},
    {"Cast", lower_cast},
    {"Dropout", lower_dropout},
    {"Gemm", lower_gemm},
    {"MatMul", lower_matmul},
    {"Conv", lower_convolution},
    {"ConvGradInput", lower_convolution_gradient_input},
    {"ConvGradWeight", lower_convolution_gradient_weight},
    {"MaxPool", lower_max_pool},
    {"MaxPoolGrad", lower_max_pool_gradient},
    {"AveragePool", lower_average_pool},
    {"AveragePoolGrad", lower_average_pool_gradient},
    {"GlobalAveragePool", lower_average_pool},
    {"BatchNormalization", lower_batch_norm},
    {"BatchNormalizationGrad", lower_batch_norm_gradient},
    {"LayerNormalization", lower_layer_norm},
    {"LayerNormalizationGrad", lower_layer_norm_gradient},
    {"CausalAttention", lower_attention},
    {"CausalAttentionGrad", lower_attention_gradient},
    {"Identity", lower_reshape},
    {"Flatten", lower_reshape},
    {"Reshape", lower_reshape},
    {"Squeeze", lower_reshape},
    {"Unsqueeze", lower_reshape},
    {"Transpose", lower_view},
    {"Slice", lower_view},
    {"Expand", lower_view},
    {"SliceGrad", lower_slice_gradient},
    {"Concat", lower_concat},
    {"Pad", lower_pad},
    {"Gather", lower_gather},
    {"GatherGrad", lower_gather_gradient},
    {"Constant", lower_constant},
    {"ReduceSum", lower_reduce},
    {"ReduceMean", lower_reduce},
    {"ReduceMax", lower_reduce},
    {"Softmax", lower_softmax},
    {"LogSoftmax", lower_softmax},
    {"SoftmaxGrad", lower_softmax_gradient},
    {"LogSoftmaxGrad", lower_softmax_gradient},
    {"SoftmaxCrossEntropyLoss", lower_loss},
    {"SoftmaxCrossEntropyGrad", lower_loss_gradient},
    {"Score", lower_score},
});

const Entry* find_entry(std::string_view op) {
    const auto found = std::find_if(kTable.begin(), kTable.end(), [&](const Entry& entry) {
        return entry.op == op;
    });
    return found == kTable.end() ? nullptr : &*found;
}

}  // namespace

bool lowers(std::string_view op) {
    return find_entry(op) != nullptr;
}

View whole_view(const Shape& shape) {
    return {shape, row_major_strides(shape), 0};
}

Lowering::Lowering(const PlanRequest& request, const ParameterLayout& layout)
    : request_(request),
      buffers_(request, layout),
      places_(request.graph.value_count(), BufferId::None) {}

Lowered Lowering::run() {
    for (std::size_t i = 0; i < graph().value_count(); ++i) {
        const auto id = static_cast<ValueId>(i);
        if (graph().value(id).kind != ValueKind::Input) continue;
        const auto buffer =
            buffers_.add(static_cast<std::size_t>(count(id)) * sizeof(float), false);
        define_alias(id, buffer);
        lowered_.inputs.emplace_back(id, buffer);
    }
    for (current_ = 0; current_ < graph().nodes().size(); ++current_) lower_current();
    for (const auto id : request_.outputs) finish(id, std::nullopt);
    for (std::size_t i = 0; i < request_.gradients.size(); ++i) {
        const auto id = request_.gradients[i];
        if (id == ValueId::None) continue;
        finish(id, buffers_.parameter(graph().parameter_value(i)).offset);
    }
    lowered_.buffers = buffers_.take();
    return std::move(lowered_);
}

void Lowering::lower_current() {
    const auto* entry = find_entry(node().op->name);
    if (entry == nullptr) {
        throw std::runtime_error(
            "operator '" + std::string(node().op->name) + "' has no kernel for graphics cards yet"
        );
    }
    entry->lower(*this);
}

/// An output lies in a buffer of its own, and a gradient in its place in the flat gradient. A copy
/// is needed when one value is the gradient of two parameters, or a gradient and an output.
void Lowering::finish(ValueId id, std::optional<std::size_t> offset) {
    auto buffer = use(id);
    auto& known = buffers_[buffer];
    if (known.gradient_offset == offset && !known.parameter_offset.has_value()) {
        known.temporary = false;
    } else {
        const auto copy = buffers_.add(known.bytes, false);
        buffers_[copy].gradient_offset = offset;
        const auto view = kernel_view(whole_view({count(id)}));
        add_flat("move_view", count(id), {buffer, copy, block(view), block(view), wide(count(id))});
        buffer = copy;
    }
    lowered_.outputs.emplace_back(id, buffer);
}

std::int64_t Lowering::count(ValueId id) const {
    const auto elements = element_count(shape(id));
    if (elements <= std::numeric_limits<std::int32_t>::max()) return elements;
    throw std::runtime_error(
        graph().value(id).name + " has more than 2^31 elements; give a smaller --batch"
    );
}

BufferId Lowering::use(ValueId id) {
    auto& place = places_[to_index(id)];
    if (place != BufferId::None) return place;
    STARLING_CHECK(graph().value(id).kind == ValueKind::Parameter);
    place = buffers_.add(static_cast<std::size_t>(count(id)) * sizeof(float), false);
    buffers_[place].parameter_offset = buffers_.parameter(id).offset;
    return place;
}

BufferId Lowering::define(ValueId id) {
    const auto buffer = temporary(count(id));
    buffers_[buffer].gradient_offset = buffers_.gradient_offset(id);
    define_alias(id, buffer);
    return buffer;
}

BufferId Lowering::define_own(ValueId id, std::int64_t elements) {
    STARLING_CHECK(!buffers_.wanted(id));
    const auto buffer = temporary(elements);
    define_alias(id, buffer);
    return buffer;
}

void Lowering::define_alias(ValueId id, BufferId buffer) {
    STARLING_CHECK(places_[to_index(id)] == BufferId::None);
    places_[to_index(id)] = buffer;
    buffers_.hold(buffer, id);
}

BufferId Lowering::overwrite_or_define(ValueId input) {
    const auto buffer = use(input);
    // A gradient has its own place.
    const bool placed = buffers_.gradient_offset(output()).has_value();
    if (placed || !buffers_.may_overwrite(buffer, current_)) return define(output());
    define_alias(output(), buffer);
    return buffer;
}

BufferId Lowering::constant(std::vector<std::uint32_t> words) {
    const auto buffer = buffers_.add(words.size() * sizeof(std::uint32_t), false);
    lowered_.uploads.push_back({buffer, std::move(words)});
    return buffer;
}

void Lowering::add_flat(const char* kernel, std::int64_t count, std::vector<Operand> operands) {
    const auto groups = (static_cast<std::size_t>(count) + kFlatLanes - 1) / kFlatLanes;
    add(kernel, {{groups, 1, 1}, {kFlatLanes, 1, 1}}, std::move(operands));
}

void Lowering::add_rows(const char* kernel, std::int64_t rows, std::vector<Operand> operands) {
    add(kernel, {{static_cast<std::size_t>(rows), 1, 1}, {kRowLanes, 1, 1}}, std::move(operands));
}

void Lowering::add(const char* kernel, const Grid& grid, std::vector<Operand> operands) {
    Step step;
    // The last step is a copy of an output that stands for no node.
    const bool of_node = current_ < graph().nodes().size();
    step.name = of_node ? node().name : std::string("Copy");
    step.op = of_node ? std::string(node().op->name) : step.name;
    if (of_node) step.flops = flops_of(graph(), node());
    step.launch.kernel = kernel;
    step.launch.grid = grid;
    for (const auto& operand : operands) {
        const auto* buffer = std::get_if<BufferId>(&operand);
        if (buffer != nullptr) buffers_.touch(*buffer, lowered_.steps.size());
    }
    step.operands = std::move(operands);
    lowered_.steps.push_back(std::move(step));
}

}  // namespace starling::compute::gpu
