#include "compute/cpu/lowering/lowering.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>

#include "base/check.hpp"
#include "compute/cpu/library/choice.hpp"
#include "compute/cpu/loops/function.hpp"
#include "compute/cpu/loops/strided.hpp"
#include "compute/graph/cost.hpp"
#include "compute/graph/operator.hpp"
#include "compute/graph/view.hpp"

namespace starling::compute::cpu {

namespace {

struct Entry {
    std::string_view op;
    void (*lower)(Lowering&) = nullptr;
};

constexpr auto kTable = std::to_array<Entry>({
    {"Conv", lower_convolution},
    {"ConvGradInput", lower_convolution_gradient_input},
    {"ConvGradWeight", lower_convolution_gradient_weight},
    {"MaxPool", lower_max_pool},
    {"MaxPoolGrad", lower_max_pool_gradient},
    {"AveragePool", lower_average_pool},
    {"AveragePoolGrad", lower_average_pool_gradient},
    {"GlobalAveragePool", lower_average_pool},
    {"Gemm", lower_gemm},
    {"MatMul", lower_matmul},
    {"ReduceSum", lower_reduce},
    {"ReduceMean", lower_reduce},
    {"ReduceMax", lower_reduce},
    {"Softmax", lower_softmax},
    {"LogSoftmax", lower_softmax},
    {"SoftmaxGrad", lower_softmax_gradient},
    {"LogSoftmaxGrad", lower_softmax_gradient},
    {"Relu", lower_relu},
    {"ReluGrad", lower_relu_gradient},
    {"FunctionGrad", lower_function_gradient},
    {"Where", lower_where},
    {"Cast", lower_cast},
    {"Dropout", lower_dropout},
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
    {"LayerNormalization", lower_layer_norm},
    {"LayerNormalizationGrad", lower_layer_norm_gradient},
    {"BatchNormalization", lower_batch_norm},
    {"BatchNormalizationGrad", lower_batch_norm_gradient},
    {"CausalAttention", lower_attention},
    {"CausalAttentionGrad", lower_attention_gradient},
    {"SoftmaxCrossEntropyLoss", lower_loss},
    {"SoftmaxCrossEntropyGrad", lower_loss_gradient},
    {"Score", lower_score},
    {"CentrePointLoss", lower_centre_point_loss},
    {"CentrePointGrad", lower_centre_point_gradient},
});

}  // namespace

Lowering::Lowering(const PlanRequest& request, const ParameterLayout& layout)
    : request_(request),
      layout_(layout),
      buffers_(request, layout),
      forms_(request.graph.value_count()),
      rounded_(request.graph.value_count(), false) {
    if (bf16()) find_rounded();
}

void Lowering::find_rounded() {
    for (std::size_t i = 0; i < graph().value_count(); ++i) {
        const auto id = static_cast<ValueId>(i);
        const auto& value = graph().value(id);
        rounded_[i] = value.kind == ValueKind::Computed && value.type.element == ElementType::F32 &&
                      buffers_.readers(id) && !buffers_.wanted(id);
    }
    // From the last reader to the first: whether a reader takes bf16 may depend on whether its own
    // result is bf16.
    const auto& nodes = graph().nodes();
    for (auto node = nodes.rbegin(); node != nodes.rend(); ++node) {
        for (std::size_t i = 0; i < node->inputs.size(); ++i) {
            const auto id = node->inputs[i];
            if (id != ValueId::None && !takes_bf16(*node, i)) rounded_[to_index(id)] = false;
        }
    }
}

bool Lowering::takes_bf16(const Node& node, std::size_t operand) const {
    const auto op = node.op->name;
    const auto any_of = [&](std::initializer_list<std::string_view> names) {
        return std::find(names.begin(), names.end(), op) != names.end();
    };
    if (any_of({"Conv", "ConvGradInput", "ConvGradWeight", "Gemm", "MatMul"})) return operand < 2;
    if (op == "BatchNormalization") return operand == 0 || operand == 5;
    if (op == "BatchNormalizationGrad") return operand < 2 || operand > 5;
    if (op == "ReduceSum") return sums_rows(node);
    if (op == "Add" && graph().shape(node.inputs[0]) != graph().shape(node.inputs[1])) return false;
    const bool follows =
        find_function_loop(op) != nullptr ||
        any_of({"Add", "FunctionGrad", "Relu", "ReluGrad", "MaxPool", "MaxPoolGrad"}) ||
        any_of({"Identity", "Flatten", "Reshape", "Squeeze", "Unsqueeze"});
    return follows && rounded_[to_index(node.outputs[0])];
}

Lowered Lowering::run() {
    for (std::size_t i = 0; i < graph().value_count(); ++i) {
        const auto id = static_cast<ValueId>(i);
        const auto& value = graph().value(id);
        if (value.kind != ValueKind::Input) continue;
        const auto layout = plain(value.type.shape, value.type.element);
        const auto buffer = buffers_.add(byte_count(layout), false);
        forms_[i].push_back({layout, buffer});
        lowered_.inputs.emplace_back(id, buffer);
    }
    for (current_ = 0; current_ < graph().nodes().size(); ++current_) lower_current();
    finish_outputs();
    lowered_.buffers = buffers_.take();
    return std::move(lowered_);
}

void Lowering::lower_current() {
    for (const auto& entry : kTable) {
        if (entry.op == node().op->name) return entry.lower(*this);
    }
    if (find_pair_loop(node().op->name) != nullptr) return lower_pair(*this);
    if (find_function_loop(node().op->name) != nullptr) return lower_function(*this);
    throw std::runtime_error("operator '" + std::string(node().op->name) + "' has no CPU kernel");
}

void Lowering::finish_outputs() {
    for (const auto id : request_.outputs) finish(id, std::nullopt);
    for (std::size_t i = 0; i < request_.gradients.size(); ++i) {
        if (request_.gradients[i] == ValueId::None) continue;
        finish(request_.gradients[i], buffers_.parameter(graph().parameter_value(i)).offset);
    }
}

void Lowering::finish(ValueId id, std::optional<std::size_t> offset) {
    const auto& type = graph().value(id).type;
    const auto row_major = plain(type.shape, type.element);
    auto buffer = use(id, row_major);
    if (buffers_[buffer].gradient_offset == offset) {
        buffers_[buffer].temporary = false;
    } else {
        // The row-major form lies elsewhere when one value is the gradient of two parameters, or a
        // gradient and an output.
        const auto copy = buffers_.add(byte_count(row_major), false);
        buffers_[copy].gradient_offset = offset;
        add_primitive(
            "Copy " + graph().value(id).name,
            reorder(row_major, row_major),
            {{DNNL_ARG_FROM, buffer}, {DNNL_ARG_TO, copy}}
        );
        buffer = copy;
    }
    lowered_.outputs.emplace_back(id, buffer);
}

bool Lowering::sums_rows(const Node& node) const {
    if (node.op->name != "ReduceSum") return false;
    const auto reduced = *reduced_axes(graph().shape(node.inputs[0]), node.attributes);
    if (reduced.size() < 2 || reduced.back()) return false;
    return std::find(reduced.begin(), reduced.end() - 1, false) == reduced.end() - 1;
}

Desc Lowering::typed(ValueId id, const Desc& layout) const {
    return rounds(id) ? in_bf16(layout) : layout;
}

Desc Lowering::layout_of(ValueId id) const {
    const auto form = form_of(id);
    return is_bf16(form) ? in_f32(form) : form;
}

Desc Lowering::form_of(ValueId id) const {
    const auto& forms = forms_[to_index(id)];
    if (!forms.empty()) return forms.front().layout;
    const auto& value = graph().value(id);
    STARLING_CHECK(value.kind == ValueKind::Parameter);
    return plain(value.type.shape, value.type.element);
}

PackedParameter& Lowering::packed(ValueId id) {
    const auto& name = graph().value(id).name;
    const auto& infos = layout_.parameters();
    const auto found = std::find_if(infos.begin(), infos.end(), [&](const ParameterInfo& info) {
        return info.name == name;
    });
    STARLING_CHECK(found != infos.end());
    const auto parameter = static_cast<std::size_t>(found - infos.begin());
    for (auto& entry : lowered_.packed) {
        if (entry.parameter == parameter) return entry;
    }
    lowered_.packed.push_back({parameter, {}});
    return lowered_.packed.back();
}

BufferId Lowering::use(ValueId id, const Desc& wanted) {
    const auto layout = canonical(wanted);
    const auto& value = graph().value(id);
    const auto row_major = plain(value.type.shape, value.type.element);
    if (value.kind == ValueKind::Parameter) {
        auto& entry = packed(id);
        for (const auto& copy : entry.copies) {
            if (copy.layout == layout) return copy.buffer;
        }
        const auto buffer = buffers_.add(byte_count(layout), false);
        const auto dims = dims_of(layout);
        const bool same = dims.size() == value.type.shape.size();
        entry.copies.push_back(
            {same ? row_major : plain(Shape(dims.begin(), dims.end())), layout, buffer}
        );
        return buffer;
    }
    auto& forms = forms_[to_index(id)];
    STARLING_CHECK(!forms.empty());
    for (const auto& form : forms) {
        if (form.layout == layout) return form.buffer;
    }
    const auto from = forms.front();
    if (dims_of(from.layout).size() != dims_of(layout).size()) return use_regrouped(id, layout);
    const auto buffer = buffers_.add(byte_count(layout), true);
    if (layout == row_major) buffers_[buffer].gradient_offset = buffers_.gradient_offset(id);
    add_primitive(
        "Reorder " + value.name,
        reorder(from.layout, layout),
        {{DNNL_ARG_FROM, from.buffer}, {DNNL_ARG_TO, buffer}}
    );
    forms.push_back({layout, buffer});
    // The copy belongs to the value: nobody may overwrite it before the value's last reader.
    buffers_.hold(buffer, id);
    return buffer;
}

/// The library describes a grouped convolution's weights in five dimensions, the graph in four.
/// Their row-major bytes are the same, so a change between a blocked layout of one and of the other
/// goes through the row-major layout.
BufferId Lowering::use_regrouped(ValueId id, const Desc& layout) {
    const auto from = forms_[to_index(id)].front();
    const auto between = dims_of(from.layout);
    const auto dense = plain(Shape(between.begin(), between.end()));
    const auto to = dims_of(layout);
    const auto target = plain(Shape(to.begin(), to.end()));
    const auto& type = graph().value(id).type;
    auto buffer = from.buffer;
    if (from.layout != dense) {
        buffer = buffers_.add(byte_count(dense), true);
        if (layout == plain(type.shape, type.element)) {
            buffers_[buffer].gradient_offset = buffers_.gradient_offset(id);
        }
        add_primitive(
            "Reorder " + graph().value(id).name,
            reorder(from.layout, dense),
            {{DNNL_ARG_FROM, from.buffer}, {DNNL_ARG_TO, buffer}}
        );
    }
    if (layout != target) {
        const auto packed_buffer = buffers_.add(byte_count(layout), true);
        add_primitive(
            "Reorder " + graph().value(id).name,
            reorder(target, layout),
            {{DNNL_ARG_FROM, buffer}, {DNNL_ARG_TO, packed_buffer}}
        );
        buffer = packed_buffer;
    }
    forms_[to_index(id)].push_back({layout, buffer});
    buffers_.hold(buffer, id);
    return buffer;
}

BufferId Lowering::overwrite_or_define(ValueId input, const Desc& layout) {
    const auto taken = take_over(input, layout);
    if (!taken.has_value()) return define(output(), layout);
    define_alias(output(), layout, *taken);
    return *taken;
}

BufferId Lowering::define(ValueId id, const Desc& layout) {
    const auto buffer = buffers_.add(byte_count(layout), true);
    const auto& type = graph().value(id).type;
    if (layout == plain(type.shape, type.element)) {
        buffers_[buffer].gradient_offset = buffers_.gradient_offset(id);
    }
    define_alias(id, layout, buffer);
    return buffer;
}

void Lowering::define_alias(ValueId id, const Desc& layout, BufferId buffer) {
    STARLING_CHECK(forms_[to_index(id)].empty());
    forms_[to_index(id)].push_back({canonical(layout), buffer});
    buffers_.hold(buffer, id);
}

std::optional<BufferId> Lowering::take_over(ValueId input, const Desc& layout) {
    for (const auto& form : forms_[to_index(input)]) {
        if (form.layout != layout) continue;
        if (!buffers_.may_overwrite(form.buffer, current_)) return std::nullopt;
        return form.buffer;
    }
    return std::nullopt;
}

void Lowering::add_primitive(
    const std::string& name, Compiled compiled, std::vector<PrimitiveKernel::Operand> operands
) {
    if (compiled.has(DNNL_ARG_SCRATCHPAD)) {
        const auto bytes = byte_count(compiled.desc(DNNL_ARG_SCRATCHPAD));
        operands.push_back({DNNL_ARG_SCRATCHPAD, buffers_.add(bytes, true)});
    }
    std::vector<BufferId> touched;
    for (const auto& operand : operands) touched.push_back(operand.buffer);
    add_kernel(
        std::make_unique<PrimitiveKernel>(name, std::move(compiled), std::move(operands)), touched
    );
}

void Lowering::add_loop(
    const std::string& name, std::vector<BufferId> operands, LoopKernel::Body body
) {
    std::vector<LoopKernel::Operand> sized;
    for (const auto id : operands) sized.push_back({id, buffers_[id].bytes});
    add_kernel(std::make_unique<LoopKernel>(name, std::move(sized), std::move(body)), operands);
}

void Lowering::add_kernel(std::unique_ptr<Kernel> kernel, std::span<const BufferId> operands) {
    Account account;
    for (const auto id : operands) {
        buffers_.touch(id, lowered_.kernels.size());
        account.bytes += static_cast<double>(buffers_[id].bytes);
    }
    // A kernel whose name has two words, like `Reorder Conv_3`, moves data and stands for no node.
    const auto& name = kernel->name();
    const auto space = name.find(' ');
    account.op = space == std::string::npos ? std::string(node().op->name) : name.substr(0, space);
    if (space == std::string::npos) account.flops = flops_of(graph(), node());
    kernel->set_account(std::move(account));
    lowered_.kernels.push_back(std::move(kernel));
}

Compiled Lowering::fastest_of(std::string_view work, std::vector<Compiled> candidates) const {
    std::vector<Candidate> ways;
    for (const auto& candidate : candidates) ways.push_back(candidate_of(candidate));
    return std::move(candidates[fastest_index(work, ways)]);
}

std::size_t Lowering::fastest_index(std::string_view work, std::span<const Candidate> candidates)
    const {
    std::string key(work);
    for (const auto id : node().inputs) {
        if (id != ValueId::None) key += to_string(graph().shape(id));
    }
    for (const auto id : node().outputs) key += to_string(graph().shape(id));
    for (const auto* swap : {"transA", "transB"}) {
        key += node().attributes.integer(swap, 0) != 0 ? "t" : "n";
    }
    key += rounds(node().outputs[0]) ? " to bf16" : "";
    key += (bf16() ? " bf16 on " : " on ") + std::to_string(threads());
    return fastest(key, candidates, request_.stopwatch);
}

void Lowering::remember_pool(ValueId indices, Desc input, Desc output) {
    pools_.emplace_back(indices, std::pair(std::move(input), std::move(output)));
}

const std::pair<Desc, Desc>& Lowering::recall_pool(ValueId indices) const {
    for (const auto& [id, layouts] : pools_) {
        if (id == indices) return layouts;
    }
    STARLING_UNREACHABLE("max-pool gradient without its max-pool");
}

}  // namespace starling::compute::cpu
