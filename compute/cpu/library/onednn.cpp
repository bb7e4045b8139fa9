#include "compute/cpu/library/onednn.hpp"

#include <algorithm>

#include "base/check.hpp"

namespace starling::compute::cpu {

namespace {

using dnnl::algorithm;
using dnnl::primitive_attr;
using dnnl::prop_kind;
using Tag = dnnl::memory::format_tag;
using Type = dnnl::memory::data_type;

/// Makes a primitive descriptor: version 2 goes through an operation descriptor, version 3 takes
/// everything at once. `Primitive::primitive_desc` is the common part.
#if DNNL_VERSION_MAJOR >= 3
template <class Primitive, class... Description>
typename Primitive::primitive_desc describe(
    const primitive_attr& attributes, const Description&... description
) {
    return {cpu_engine(), description..., attributes};
}

template <class Primitive, class Hint, class... Description>
typename Primitive::primitive_desc describe_backward(
    const primitive_attr& attributes, const Hint& hint, const Description&... description
) {
    return {cpu_engine(), description..., hint, attributes};
}
#else
template <class Primitive, class... Description>
typename Primitive::primitive_desc describe(
    const primitive_attr& attributes, const Description&... description
) {
    return {typename Primitive::desc(description...), attributes, cpu_engine()};
}

template <class Primitive, class Hint, class... Description>
typename Primitive::primitive_desc describe_backward(
    const primitive_attr& attributes, const Hint& hint, const Description&... description
) {
    return {typename Primitive::desc(description...), attributes, cpu_engine(), hint};
}
#endif

primitive_attr attributes_of(bool relu) {
    primitive_attr attributes;
    // The scratchpad comes from the plan's arena, so the library allocates nothing in a step.
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    if (relu) {
        dnnl::post_ops operations;
#if DNNL_VERSION_MAJOR >= 3
        operations.append_eltwise(algorithm::eltwise_relu, 0.0F, 0.0F);
#else
        operations.append_eltwise(1.0F, algorithm::eltwise_relu, 0.0F, 0.0F);
#endif
        attributes.set_post_ops(operations);
    }
    return attributes;
}

template <class Primitive, class PrimitiveDesc>
Compiled compiled(const PrimitiveDesc& description, std::vector<ArgumentDesc> arguments) {
    Compiled result{Primitive(description), {}, description.impl_info_str()};
    arguments.push_back({DNNL_ARG_SCRATCHPAD, description.scratchpad_desc()});
    for (auto& argument : arguments) {
        if (argument.desc.get_size() > 0) result.arguments.push_back(std::move(argument));
    }
    return result;
}

/// Compiles the forward pass of a convolution or a fully connected layer.
template <class Primitive, class PrimitiveDesc>
Compiled compiled_forward(const PrimitiveDesc& pd) {
    return compiled<Primitive>(
        pd,
        {{DNNL_ARG_SRC, pd.src_desc()},
         {DNNL_ARG_WEIGHTS, pd.weights_desc()},
         {DNNL_ARG_BIAS, pd.bias_desc()},
         {DNNL_ARG_DST, pd.dst_desc()}}
    );
}

/// Compiles the gradient of such a layer's weight and bias.
template <class Primitive, class PrimitiveDesc>
Compiled compiled_weight_gradient(const PrimitiveDesc& pd) {
    return compiled<Primitive>(
        pd,
        {{DNNL_ARG_SRC, pd.src_desc()},
         {DNNL_ARG_DIFF_WEIGHTS, pd.diff_weights_desc()},
         {DNNL_ARG_DIFF_BIAS, pd.diff_bias_desc()},
         {DNNL_ARG_DIFF_DST, pd.diff_dst_desc()}}
    );
}

prop_kind forward_kind(bool training) {
    return training ? prop_kind::forward_training : prop_kind::forward_inference;
}

Dims pair(const std::array<std::int64_t, 2>& values) {
    return {values[0], values[1]};
}

/// Converts dilations: the library counts the gaps between taps, ONNX the distance from tap to tap.
Dims gaps(const std::array<std::int64_t, 2>& dilations) {
    return {dilations[0] - 1, dilations[1] - 1};
}

Desc bias_desc(bool bias, std::int64_t outputs) {
    return bias ? plain({outputs}) : Desc();
}

algorithm algorithm_of(const Convolution& c) {
    return c.winograd ? algorithm::convolution_winograd : algorithm::convolution_direct;
}

Desc image(const Convolution& c, const Shape& shape) {
    if (!c.channels_last) return any_layout(shape);
    return {Dims(shape.begin(), shape.end()), Type::f32, Tag::nhwc};
}

/// The layout of a factor of products.
Desc factor(const Desc& desc, bool bf16) {
    return bf16 ? in_bf16(desc) : desc;
}

enum class WeightLayout { Any, Plain };

Desc weight_desc(const Convolution& c, WeightLayout layout) {
    return factor(layout == WeightLayout::Any ? any_layout(c.weight) : plain(c.weight), c.bf16);
}

/// Whether the library packs weights wrongly into this layout. Version 3.7.2 (Debian 13) does: where
/// channels do not fill the last block of inputs, its reorder from OIhw leaves some values behind and
/// does not clear the padding (seen on an AVX-512 processor: 102 of the 1,224 values of 18 x 17 x 2
/// x 2 into OIhw16o16i). Blocks of outputs alone, with which a net's first layer works, are right.
bool packs_wrongly(const Desc& weight) {
#if DNNL_VERSION_MAJOR >= 3
    if (weight.get_padded_dims() == weight.get_dims()) return false;
    const auto blocked = weight.get_inner_idxs();
    return std::any_of(blocked.begin(), blocked.end(), [](auto axis) { return axis != 0; });
#else
    (void)weight;
    return false;
#endif
}

/// Makes a description with the layout of weights that the library likes best, or with the plain one
/// if it would pack them wrongly.
template <class Make>
auto with_sound_weights(const Make& make) {
    auto pd = make(WeightLayout::Any);
    return packs_wrongly(pd.weights_desc()) ? make(WeightLayout::Plain) : pd;
}

/// Describes the forward pass as a backward primitive needs it, with operands of the backward
/// primitive's types: there the forward pass's result is a factor, too.
auto convolution_description(
    const Convolution& c, bool training, bool hint = false, WeightLayout weight = WeightLayout::Any
) {
    return describe<dnnl::convolution_forward>(
        attributes_of(c.relu),
        forward_kind(training),
        algorithm_of(c),
        factor(image(c, c.input), c.bf16),
        weight_desc(c, weight),
        bias_desc(c.bias, c.output[1]),
        factor(image(c, c.output), c.bf16 && (hint || c.bf16_result)),
        pair(c.window.strides),
        gaps(c.window.dilations),
        pair(c.window.pad_begin),
        pair(c.window.pad_end)
    );
}

algorithm pool_algorithm(PoolKind kind) {
    switch (kind) {
        case PoolKind::Max:
            return algorithm::pooling_max;
        case PoolKind::AverageInside:
            return algorithm::pooling_avg_exclude_padding;
        case PoolKind::AveragePadded:
            return algorithm::pooling_avg_include_padding;
    }
    STARLING_UNREACHABLE("pool kind");
}

#if DNNL_VERSION_MAJOR >= 3
using PoolForward = dnnl::pooling_forward;
using PoolBackward = dnnl::pooling_backward;
#else
using PoolForward = dnnl::pooling_v2_forward;
using PoolBackward = dnnl::pooling_v2_backward;
#endif

auto pooling_description(const Pooling& p, const Desc& output) {
    return describe<PoolForward>(
        attributes_of(false),
        forward_kind(p.training),
        pool_algorithm(p.kind),
        p.input,
        output,
        pair(p.window.strides),
        pair(p.window.kernel),
        gaps(p.window.dilations),
        pair(p.window.pad_begin),
        pair(p.window.pad_end)
    );
}

auto inner_product_description(const InnerProduct& p, bool training, bool hint = false) {
    return describe<dnnl::inner_product_forward>(
        attributes_of(p.relu),
        forward_kind(training),
        factor(plain({p.batch, p.inputs}), p.bf16),
        factor(p.weight, p.bf16),
        bias_desc(p.bias, p.outputs),
        factor(plain({p.batch, p.outputs}), p.bf16 && (hint || p.bf16_result))
    );
}

/// The layout with elements of another type. Version 3 does not let one change a descriptor, so the
/// layouts that we know are made anew; one that it blocks in another way, as it likes to do with
/// weights, stays as it is.
Desc retyped(const Desc& desc, Type type) {
#if DNNL_VERSION_MAJOR >= 3
    const auto dims = desc.get_dims();
    if (desc.get_format_kind() == dnnl::memory::format_kind::any) return {dims, type, Tag::any};
    if (desc.get_inner_nblks() == 0) return {dims, type, desc.get_strides()};
    for (const auto tag : {Tag::nChw8c, Tag::nChw16c}) {
        if (dims.size() == 4 && desc == Desc(dims, desc.get_data_type(), tag)) {
            return {dims, type, tag};
        }
    }
    return desc;
#else
    auto changed = desc;
    changed.data.data_type = dnnl::memory::convert_to_c(type);
    return changed;
#endif
}

}  // namespace

const Desc& Compiled::desc(int argument) const {
    for (const auto& entry : arguments) {
        if (entry.argument == argument) return entry.desc;
    }
    STARLING_UNREACHABLE("primitive without this argument");
}

bool Compiled::has(int argument) const {
    for (const auto& entry : arguments) {
        if (entry.argument == argument) return true;
    }
    return false;
}

const dnnl::engine& cpu_engine() {
    static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
    return engine;
}

Desc plain(const Shape& shape, ElementType element) {
    Dims dims = shape.empty() ? Dims{1} : Dims(shape.begin(), shape.end());
    Dims strides(dims.size(), 1);
    for (std::size_t i = dims.size() - 1; i > 0; --i) strides[i - 1] = strides[i] * dims[i];
    return {dims, element == ElementType::F32 ? Type::f32 : Type::s32, strides};
}

Desc any_layout(const Shape& shape) {
    return {Dims(shape.begin(), shape.end()), Type::f32, Tag::any};
}

Desc in_bf16(const Desc& desc) {
    return retyped(desc, Type::bf16);
}

Desc in_f32(const Desc& desc) {
    return retyped(desc, Type::f32);
}

bool is_bf16(const Desc& desc) {
#if DNNL_VERSION_MAJOR >= 3
    return desc.get_data_type() == Type::bf16;
#else
    return desc.data.data_type == dnnl_bf16;
#endif
}

Desc strided(std::int64_t rows, std::int64_t columns, std::int64_t row, std::int64_t column) {
    return {Dims{rows, columns}, Type::f32, Dims{row, column}};
}

Desc strided(const Shape& shape, const std::vector<std::int64_t>& strides) {
    return {Dims(shape.begin(), shape.end()), Type::f32, Dims(strides.begin(), strides.end())};
}

std::int64_t channel_block(const Desc& desc) {
    const auto dims = dims_of(desc);
    if (dims.size() != 4) return 0;
    const Shape shape(dims.begin(), dims.end());
    const auto layout = in_f32(desc);
    for (const std::int64_t block :
         {std::int64_t{1}, std::int64_t{8}, std::int64_t{16}, shape[1]}) {
        if (layout == image_layout(shape, block)) return block;
    }
    return 0;
}

Desc image_layout(const Shape& shape, std::int64_t block) {
    const Dims dims(shape.begin(), shape.end());
    if (block == 1) return plain(shape);
    if (block == 8) return {dims, Type::f32, Tag::nChw8c};
    if (block == 16) return {dims, Type::f32, Tag::nChw16c};
    return {dims, Type::f32, Tag::nhwc};
}

bool fills_block(std::int64_t channels) {
    return channels == 8 || channels == 16;
}

Desc canonical(const Desc& desc) {
    const auto dims = dims_of(desc);
    if (dims.size() != 4 || !fills_block(dims[1])) return desc;
    const auto blocked = image_layout(Shape(dims.begin(), dims.end()), dims[1]);
    const Desc last(dims, Type::f32, Tag::nhwc);
    if (desc == last) return blocked;
    return desc == in_bf16(last) ? in_bf16(blocked) : desc;
}

Dims dims_of(const Desc& desc) {
#if DNNL_VERSION_MAJOR >= 3
    return desc.get_dims();
#else
    return desc.dims();
#endif
}

std::size_t byte_count(const Desc& desc) {
    return desc.get_size();
}

std::size_t padded_count(const Desc& desc) {
    return byte_count(desc) / (is_bf16(desc) ? sizeof(std::uint16_t) : sizeof(float));
}

Compiled convolution_forward(const Convolution& c) {
    const auto pd = with_sound_weights([&c](WeightLayout weight) {
        return convolution_description(c, c.training, false, weight);
    });
    return compiled_forward<dnnl::convolution_forward>(pd);
}

Compiled convolution_backward_input(const Convolution& c) {
    const auto pd = with_sound_weights([&c](WeightLayout weight) {
        return describe_backward<dnnl::convolution_backward_data>(
            attributes_of(false),
            convolution_description(c, true, true, weight),
            algorithm_of(c),
            factor(image(c, c.input), c.bf16 && c.bf16_result),
            weight_desc(c, weight),
            factor(image(c, c.output), c.bf16),
            pair(c.window.strides),
            gaps(c.window.dilations),
            pair(c.window.pad_begin),
            pair(c.window.pad_end)
        );
    });
    return compiled<dnnl::convolution_backward_data>(
        pd,
        {{DNNL_ARG_DIFF_SRC, pd.diff_src_desc()},
         {DNNL_ARG_WEIGHTS, pd.weights_desc()},
         {DNNL_ARG_DIFF_DST, pd.diff_dst_desc()}}
    );
}

Compiled convolution_backward_weight(const Convolution& c) {
    const auto pd = describe_backward<dnnl::convolution_backward_weights>(
        attributes_of(false),
        convolution_description(c, true, true),
        algorithm_of(c),
        factor(image(c, c.input), c.bf16),
        any_layout(c.weight),
        bias_desc(c.bias, c.output[1]),
        factor(image(c, c.output), c.bf16),
        pair(c.window.strides),
        gaps(c.window.dilations),
        pair(c.window.pad_begin),
        pair(c.window.pad_end)
    );
    return compiled_weight_gradient<dnnl::convolution_backward_weights>(pd);
}

Compiled pooling_forward(const Pooling& p) {
    const auto pd = pooling_description(p, any_layout(p.output));
    return compiled<PoolForward>(
        pd,
        {{DNNL_ARG_SRC, pd.src_desc()},
         {DNNL_ARG_DST, pd.dst_desc()},
         {DNNL_ARG_WORKSPACE, pd.workspace_desc()}}
    );
}

Compiled pooling_backward(const Pooling& p, const Desc& output) {
    const auto pd = describe_backward<PoolBackward>(
        attributes_of(false),
        pooling_description(p, output),
        pool_algorithm(p.kind),
        p.input,
        output,
        pair(p.window.strides),
        pair(p.window.kernel),
        gaps(p.window.dilations),
        pair(p.window.pad_begin),
        pair(p.window.pad_end)
    );
    return compiled<PoolBackward>(
        pd,
        {{DNNL_ARG_DIFF_SRC, pd.diff_src_desc()},
         {DNNL_ARG_DIFF_DST, pd.diff_dst_desc()},
         {DNNL_ARG_WORKSPACE, pd.workspace_desc()}}
    );
}

Compiled inner_product_forward(const InnerProduct& p) {
    const auto pd = inner_product_description(p, p.training);
    return compiled_forward<dnnl::inner_product_forward>(pd);
}

Compiled inner_product_backward_weight(const InnerProduct& p) {
    const auto pd = describe_backward<dnnl::inner_product_backward_weights>(
        attributes_of(false),
        inner_product_description(p, true, true),
        factor(plain({p.batch, p.inputs}), p.bf16),
        p.weight,
        bias_desc(p.bias, p.outputs),
        factor(plain({p.batch, p.outputs}), p.bf16)
    );
    return compiled_weight_gradient<dnnl::inner_product_backward_weights>(pd);
}

Compiled matrix_product(const Desc& a, const Desc& b, const Desc& y, Finish finish) {
    const auto attributes = attributes_of(finish.relu);
    const auto bias = finish.bias ? plain({1, dims_of(y).back()}) : Desc();
    const auto pd = finish.bias ? describe<dnnl::matmul>(attributes, a, b, bias, y)
                                : describe<dnnl::matmul>(attributes, a, b, y);
    return compiled<dnnl::matmul>(
        pd,
        {{DNNL_ARG_SRC, pd.src_desc()},
         {DNNL_ARG_WEIGHTS, pd.weights_desc()},
         {DNNL_ARG_BIAS, bias},
         {DNNL_ARG_DST, pd.dst_desc()}}
    );
}

Compiled reorder(const Desc& from, const Desc& to) {
    const dnnl::reorder::primitive_desc pd(
        cpu_engine(), from, cpu_engine(), to, attributes_of(false)
    );
    return compiled<dnnl::reorder>(pd, {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
}

std::string library_description() {
    const auto* version = dnnl_version();
    std::string isa = "generic";
    switch (dnnl::get_effective_cpu_isa()) {
        case dnnl::cpu_isa::avx2:
            isa = "avx2";
            break;
        case dnnl::cpu_isa::avx512_core:
            isa = "avx512_core";
            break;
        case dnnl::cpu_isa::avx512_core_vnni:
            isa = "avx512_core_vnni";
            break;
        case dnnl::cpu_isa::avx512_core_bf16:
            isa = "avx512_core_bf16";
            break;
        case dnnl::cpu_isa::avx512_core_amx:
            isa = "avx512_core_amx";
            break;
        default:
            break;
    }
    return "oneDNN " + std::to_string(version->major) + "." + std::to_string(version->minor) + "." +
           std::to_string(version->patch) + " " + isa;
}

}  // namespace starling::compute::cpu
