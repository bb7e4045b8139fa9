// Functions, operators of two and three operands that broadcast, casts, dropout. The numbers of
// functions are those in kernels/elementwise.gpu.

#include <algorithm>
#include <array>

#include "base/check.hpp"
#include "compute/gpu/lowering.hpp"
#include "compute/graph/operator.hpp"
#include "compute/values/dropout.hpp"

namespace starling::compute::gpu {

namespace {

constexpr auto kFunctions = std::to_array<std::string_view>(
    {"LeakyRelu",
     "Elu",
     "Sigmoid",
     "Tanh",
     "Gelu",
     "HardSigmoid",
     "HardSwish",
     "Softplus",
     "Exp",
     "Log",
     "Sqrt",
     "Reciprocal",
     "Erf",
     "Abs",
     "Clip",
     "Neg",
     "Relu"}
);

constexpr auto kPairs = std::to_array<std::string_view>(
    {"Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "AheadMask", "EqualMask"}
);

template <class Names>
std::int64_t number_in(const Names& names, std::string_view name) {
    const auto found = std::find(names.begin(), names.end(), name);
    STARLING_CHECK(found != names.end());
    return found - names.begin();
}

/// The two settings of a function, with ONNX's defaults.
std::pair<double, double> settings_of(std::string_view name, const Attributes& given) {
    if (name == "LeakyRelu") return {given.real("alpha", 0.01), 0.0};
    if (name == "Elu") return {given.real("alpha", 1.0), 0.0};
    if (name == "HardSigmoid") return {given.real("alpha", 0.2), given.real("beta", 0.5)};
    if (name == "Clip") return {given.real("min", -3.4e38), given.real("max", 3.4e38)};
    return {0.0, 0.0};
}

KernelView broadcast(const Lowering& lowering, std::size_t i) {
    const auto& to = lowering.shape(lowering.output());
    return kernel_view(broadcast_view(lowering.shape(lowering.input(i)), to));
}

}  // namespace

void lower_function(Lowering& lowering) {
    const auto name = lowering.node().op->name;
    const auto [a, b] = settings_of(name, lowering.attributes());
    const auto count = lowering.count(lowering.output());
    const auto from = lowering.use(lowering.input(0));
    const auto to = lowering.overwrite_or_define(lowering.input(0));
    lowering.add_flat(
        "function",
        count,
        {from, to, wide(count), word(number_in(kFunctions, name)), real(a), real(b)}
    );
}

void lower_function_gradient(Lowering& lowering) {
    const auto name = lowering.attributes().text("function", "");
    const auto [a, b] = settings_of(name, lowering.attributes());
    const auto count = lowering.count(lowering.output());
    const auto slope = lowering.use(lowering.input(0));
    const auto known = lowering.use(lowering.input(1));
    const auto to = lowering.overwrite_or_define(lowering.input(0));
    lowering.add_flat(
        "function_gradient",
        count,
        {slope, known, to, wide(count), word(number_in(kFunctions, name)), real(a), real(b)}
    );
}

void lower_relu_gradient(Lowering& lowering) {
    const auto count = lowering.count(lowering.output());
    const bool two = lowering.input(2) != ValueId::None;
    const auto slope = lowering.use(lowering.input(0));
    const auto known = lowering.use(lowering.input(1));
    const auto other = lowering.use_optional(lowering.input(2), slope);
    const auto to = lowering.overwrite_or_define(lowering.input(0));
    lowering.add_flat("relu_gradient", count, {slope, known, other, to, wide(count), truth(two)});
}

void lower_pair(Lowering& lowering) {
    const auto count = lowering.count(lowering.output());
    const auto a = lowering.use(lowering.input(0));
    const auto b = lowering.use(lowering.input(1));
    const bool whole = lowering.shape(lowering.input(0)) == lowering.shape(lowering.input(1));
    // Where b is broadcast, several threads read one of its elements, but a's only one thread each.
    const bool same = lowering.shape(lowering.input(0)) == lowering.shape(lowering.output());
    const auto to = same && (whole || a != b) ? lowering.overwrite_or_define(lowering.input(0))
                                              : lowering.define(lowering.output());
    const bool cut = lowering.attributes().integer("fused_relu", 0) != 0;
    lowering.add_flat(
        "pair",
        count,
        {a,
         b,
         to,
         block(broadcast(lowering, 0)),
         block(broadcast(lowering, 1)),
         wide(count),
         word(number_in(kPairs, lowering.node().op->name)),
         truth(cut)}
    );
}

void lower_where(Lowering& lowering) {
    const auto count = lowering.count(lowering.output());
    std::vector<Operand> operands;
    for (std::size_t i = 0; i < 3; ++i) operands.emplace_back(lowering.use(lowering.input(i)));
    operands.emplace_back(lowering.define(lowering.output()));
    for (std::size_t i = 0; i < 3; ++i) operands.push_back(block(broadcast(lowering, i)));
    operands.push_back(wide(count));
    lowering.add_flat("where", count, std::move(operands));
}

void lower_cast(Lowering& lowering) {
    const auto from = lowering.graph().value(lowering.input(0)).type.element;
    const auto to = lowering.graph().value(lowering.output()).type.element;
    if (from == to) return lower_reshape(lowering);
    const auto count = lowering.count(lowering.output());
    const auto source = lowering.use(lowering.input(0));
    const auto target = lowering.define(lowering.output());
    const bool whole = to == ElementType::I32;
    lowering.add_flat(
        whole ? "word_of_float" : "float_of_word", count, {source, target, wide(count)}
    );
}

/// Each run draws another mask, as on the CPU.
void lower_dropout(Lowering& lowering) {
    const auto count = lowering.count(lowering.output());
    const auto from = lowering.use(lowering.input(0));
    const auto mask = lowering.define(lowering.output(1));
    const auto to = lowering.overwrite_or_define(lowering.input(0));
    const auto seed = lowering.attributes().integer("seed", 0);
    const auto ratio = lowering.attributes().real("ratio", 0.5);
    const DropoutMask first(seed, ratio, 0);
    lowering.add_flat(
        "dropout",
        count,
        {from,
         mask,
         to,
         wide(count),
         Argument(first.key()),
         real(static_cast<double>(first.scale())),
         Argument(first.threshold())}
    );
    constexpr std::size_t kKey = 4;
    lowering.prepare_last([seed, ratio, run = std::uint64_t{0}](Launch& launch) mutable {
        launch.arguments[kKey] = Argument(DropoutMask(seed, ratio, run++).key());
    });
}

}  // namespace starling::compute::gpu
