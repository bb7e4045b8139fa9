// Operators that mean the same here as in ONNX: operands and settings are copied.

#include <array>

#include "compute/onnx/importer.hpp"

namespace starling::compute::onnx {

namespace {

void plain(Importer& in) {
    in.bind(0, in.emit(in.node().op, in.operands(), in.attributes()));
}

/// Before opset 7 the second operand of a pair was stretched only when `broadcast` said so, and
/// began at `axis` of the first rather than ended with it.
void pair(Importer& in) {
    if (in.opset() >= 7 || in.attributes().integer("broadcast", 0) == 0) {
        return in.bind(0, in.emit(in.node().op, in.operands()));
    }
    const auto a = in.operand(0);
    auto b = in.operand(1);
    const auto rank = static_cast<std::int64_t>(in.shape(a).size());
    auto shape = in.shape(b);
    const auto axis =
        in.attributes().integer("axis", rank - static_cast<std::int64_t>(shape.size()));
    if (!in.ok()) return;
    if (axis < 0 || axis > rank || shape.size() > in.shape(a).size()) {
        return in.refuse(FaultCode::BadValue, "axis does not fit the operands");
    }
    const auto end = static_cast<std::size_t>(axis) + shape.size();
    if (end < in.shape(a).size()) shape.resize(shape.size() + in.shape(a).size() - end, 1);
    in.bind(0, in.emit(in.node().op, {a, in.reshape(b, shape)}));
}

/// The exponent may hold whole numbers although the base holds floats.
void power(Importer& in) {
    const auto exponent = in.operand(1);
    if (!in.is_integer_value(exponent) || in.kind(0) != Kind::Real) return pair(in);
    const auto real = in.emit("Cast", {exponent}, {{"to", std::string("float")}});
    in.bind(0, in.emit("Pow", {in.operand(0), real}));
}

void concat(Importer& in) {
    if (!in.attributes().has("axis")) {
        return in.refuse(FaultCode::BadFormat, "its attribute 'axis' is missing");
    }
    in.bind(0, in.emit("Concat", in.operands(), in.attributes()), in.kind(0));
}

/// Operators whose result has the kind of their operand.
void keep(Importer& in) {
    const auto kind = in.kind(0);
    in.bind(0, in.emit(in.node().op, in.operands(), in.attributes()), kind);
}

/// The result has the kind of the second operand, because the first is the condition.
void where(Importer& in) {
    const auto kind = in.kind(1);
    in.bind(0, in.emit("Where", in.operands()), kind);
}

constexpr auto kPlainTranslations = std::to_array<NamedTranslation>({
    {"Relu", plain},    {"LeakyRelu", plain},   {"Elu", plain},       {"Sigmoid", plain},
    {"Tanh", plain},    {"HardSigmoid", plain}, {"HardSwish", plain}, {"Softplus", plain},
    {"Exp", plain},     {"Log", plain},         {"Sqrt", plain},      {"Reciprocal", plain},
    {"Erf", plain},     {"Abs", plain},         {"Neg", plain},       {"Add", pair},
    {"Sub", pair},      {"Mul", pair},          {"Div", pair},        {"Pow", power},
    {"Gemm", plain},    {"Identity", keep},     {"Flatten", keep},    {"Transpose", keep},
    {"Concat", concat}, {"Where", where},
});

}  // namespace

std::span<const NamedTranslation> plain_translations() {
    return kPlainTranslations;
}

}  // namespace starling::compute::onnx
