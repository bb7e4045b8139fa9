// Operators that become several nodes here: chains of operators of two operands, functions that are
// written in terms of others, and comparisons. A truth value is a float of 0 or 1.

#include <array>

#include "compute/graph/view.hpp"
#include "compute/onnx/importer.hpp"

namespace starling::compute::onnx {

namespace {

/// Sum, Max and Min of any number of operands, two by two.
template <const char* kOp>
void chain(Importer& in) {
    auto total = in.operand(0);
    for (std::size_t i = 1; i < in.operand_count(); ++i) {
        total = in.emit(kOp, {total, in.operand(i)});
    }
    if (in.operand_count() == 1) total = in.emit("Identity", {total});
    in.bind(0, total);
}

constexpr char kAdd[] = "Add";
constexpr char kMax[] = "Max";
constexpr char kMin[] = "Min";

void mean(Importer& in) {
    auto total = in.operand(0);
    for (std::size_t i = 1; i < in.operand_count(); ++i) {
        total = in.emit("Add", {total, in.operand(i)});
    }
    const auto count = static_cast<double>(in.operand_count());
    in.bind(0, in.emit("Mul", {total, in.constant(1.0 / count)}));
}

void clip(Importer& in) {
    Attributes bounds;
    for (const std::size_t i : {1U, 2U}) {
        const char* key = i == 1 ? "min" : "max";
        if (in.has(i)) {
            bounds.set(key, in.real(i));
        } else if (in.attributes().has(key)) {
            bounds.set(key, in.attributes().real(key, 0.0));
        }
    }
    in.bind(0, in.emit("Clip", {in.operand(0)}, bounds));
}

/// X where X > 0, else slope X. The difference is min(X, 0), and its own slope at zero is one, so that
/// the whole has PyTorch's there.
void prelu(Importer& in) {
    const auto x = in.operand(0);
    const auto above = in.emit("Relu", {x});
    const auto below = in.emit("Sub", {x, above});
    auto slope = in.operand(1);
    // Before opset 7 a list of slopes was one for each channel.
    const auto rank = in.shape(x).size();
    if (in.opset() < 7 && in.shape(slope).size() == 1 && rank > 2) {
        Shape column(rank - 1, 1);
        column[0] = in.shape(slope)[0];
        slope = in.reshape(slope, column);
    }
    in.bind(0, in.emit("Add", {above, in.emit("Mul", {slope, below})}));
}

void selu(Importer& in) {
    const bool old = in.opset() < 6;
    const double alpha = in.attributes().real("alpha", old ? 1.6732 : 1.67326319217681884765625);
    const double gamma = in.attributes().real("gamma", old ? 1.0507 : 1.05070102214813232421875);
    const auto y = in.emit("Elu", {in.operand(0)}, {{"alpha", alpha}});
    in.bind(0, in.emit("Mul", {y, in.constant(gamma)}));
}

/// alpha Elu(X / alpha) with the Elu of alpha one.
void celu(Importer& in) {
    const double alpha = in.attributes().real("alpha", 1.0);
    if (!(alpha > 0.0)) return in.refuse(FaultCode::BadValue, "alpha must be positive");
    const auto x = in.emit("Mul", {in.operand(0), in.constant(1.0 / alpha)});
    const auto y = in.emit("Elu", {x}, {{"alpha", 1.0}});
    in.bind(0, in.emit("Mul", {y, in.constant(alpha)}));
}

void softsign(Importer& in) {
    const auto x = in.operand(0);
    const auto size = in.emit("Add", {in.emit("Abs", {x}), in.constant(1.0)});
    in.bind(0, in.emit("Div", {x, size}));
}

void gelu(Importer& in) {
    if (in.attributes().text("approximate", "none") != "none") {
        return in.refuse(FaultCode::Unsupported, "only the exact form is supported");
    }
    in.bind(0, in.emit("Gelu", {in.operand(0)}));
}

ValueId greater(Importer& in, ValueId a, ValueId b) {
    // AheadMask counts a tie as one half.
    const auto tie = in.emit("Mul", {in.emit("EqualMask", {a, b}), in.constant(0.5)});
    return in.emit("Sub", {in.emit("AheadMask", {a, b}), tie});
}

ValueId inverse(Importer& in, ValueId x) {
    return in.emit("Sub", {in.constant(1.0), x});
}

/// An operand as floats: whole numbers up to 2^24 compare exactly.
ValueId comparable(Importer& in, std::size_t i) {
    const auto x = in.operand(i);
    return in.is_integer_value(x) ? in.emit("Cast", {x}, {{"to", std::string("float")}}) : x;
}

void compare(Importer& in) {
    const auto& op = in.node().op;
    const auto a = comparable(in, 0);
    const auto b = comparable(in, 1);
    ValueId y = ValueId::None;
    if (op == "Equal") y = in.emit("EqualMask", {a, b});
    if (op == "Greater") y = greater(in, a, b);
    if (op == "Less") y = greater(in, b, a);
    if (op == "GreaterOrEqual") y = inverse(in, greater(in, b, a));
    if (op == "LessOrEqual") y = inverse(in, greater(in, a, b));
    in.bind(0, y, Kind::Bool);
}

void logic(Importer& in) {
    const auto& op = in.node().op;
    const auto a = in.operand(0);
    if (op == "Not") return in.bind(0, inverse(in, a), Kind::Bool);
    const auto b = in.operand(1);
    if (op == "And") in.bind(0, in.emit("Mul", {a, b}), Kind::Bool);
    if (op == "Or") in.bind(0, in.emit("Max", {a, b}), Kind::Bool);
    if (op == "Xor") in.bind(0, in.emit("Abs", {in.emit("Sub", {a, b})}), Kind::Bool);
}

void thresholded_relu(Importer& in) {
    const auto x = in.operand(0);
    const auto bound = in.constant(in.attributes().real("alpha", 1.0));
    in.bind(0, in.emit("Mul", {x, greater(in, x, bound)}));
}

void sign(Importer& in) {
    const auto x = in.operand(0);
    const auto zero = in.constant(0.0);
    in.bind(0, in.emit("Sub", {greater(in, x, zero), greater(in, zero, x)}));
}

void cast(Importer& in) {
    const auto to = static_cast<DataType>(in.attributes().integer("to", 0));
    const auto x = in.operand(0);
    const bool was_integer = in.is_integer_value(x);
    // Only exact casts are accepted: narrower floats would round, and narrower integers would wrap.
    if (to == DataType::Float || to == DataType::Double) {
        const Attributes real{{"to", std::string("float")}};
        return in.bind(0, was_integer ? in.emit("Cast", {x}, real) : in.emit("Identity", {x}));
    }
    if (to == DataType::Int32 || to == DataType::Int64) {
        const Attributes whole{{"to", std::string("int32")}};
        return in.bind(
            0, was_integer ? in.emit("Identity", {x}) : in.emit("Cast", {x}, whole), Kind::Integer
        );
    }
    if (to == DataType::Bool) {
        const auto same = in.emit("EqualMask", {comparable(in, 0), in.constant(0.0)});
        return in.bind(0, inverse(in, same), Kind::Bool);
    }
    in.refuse(FaultCode::Unsupported, "a cast to " + to_string(to) + " is not supported");
}

/// MatMul whose operands may be vectors: they gain an axis that the result loses.
void matmul(Importer& in) {
    auto a = in.operand(0);
    auto b = in.operand(1);
    const auto left = in.shape(a);
    const auto right = in.shape(b);
    if (left.size() == 1) a = in.reshape(a, {1, left[0]});
    if (right.size() == 1) b = in.reshape(b, {right[0], 1});
    auto y = in.emit("MatMul", {a, b});
    auto shape = in.shape(y);
    if (right.size() == 1 && !shape.empty()) shape.pop_back();
    if (left.size() == 1 && !shape.empty()) {
        shape.erase(shape.end() - (right.size() == 1 ? 1 : 2));
    }
    in.bind(0, in.reshape(y, shape));
}

/// Before opset 13 the operand is a matrix: the axes from `axis` on are one row.
void softmax(Importer& in) {
    const auto x = in.operand(0);
    const auto shape = in.shape(x);
    const bool rows = in.opset() < 13;
    const auto axis = normal_axis(in.attributes().integer("axis", rows ? 1 : -1), shape.size());
    if (!in.ok()) return;
    if (axis < 0) return in.refuse(FaultCode::BadValue, "the operand has no such axis");
    if (!rows || axis + 1 == static_cast<std::int64_t>(shape.size())) {
        return in.bind(0, in.emit(in.node().op, {x}, {{"axis", axis}}));
    }
    const auto matrix = in.emit("Flatten", {x}, {{"axis", axis}});
    const auto y = in.emit(in.node().op, {matrix}, {{"axis", std::int64_t{1}}});
    in.bind(0, in.reshape(y, shape));
}

Attributes fold_attributes(Importer& in) {
    return {
        {"axes", in.integers_or(1, "axes", {})},
        {"keepdims", in.attributes().integer("keepdims", 1)}};
}

/// Reductions over `axes`, an attribute once and an operand since opset 13 or 18.
void reduce(Importer& in) {
    const auto& op = in.node().op;
    const auto x = in.operand(0);
    auto fold = fold_attributes(in);
    if (fold.integers("axes", {}).empty() &&
        in.attributes().integer("noop_with_empty_axes", 0) != 0) {
        return in.bind(0, in.emit("Identity", {x}));
    }
    ValueId y = ValueId::None;
    if (op == "ReduceSum" || op == "ReduceMean" || op == "ReduceMax") y = in.emit(op, {x}, fold);
    if (op == "ReduceMin") {
        y = in.emit("Neg", {in.emit("ReduceMax", {in.emit("Neg", {x})}, fold)});
    }
    if (op == "ReduceL1") y = in.emit("ReduceSum", {in.emit("Abs", {x})}, fold);
    if (op == "ReduceSumSquare") y = in.emit("ReduceSum", {in.emit("Mul", {x, x})}, fold);
    if (op == "ReduceL2") {
        y = in.emit("Sqrt", {in.emit("ReduceSum", {in.emit("Mul", {x, x})}, fold)});
    }
    if (op == "ReduceLogSum") y = in.emit("Log", {in.emit("ReduceSum", {x}, fold)});
    if (op == "ReduceLogSumExp") {
        // log sum exp X = m + log sum exp(X - m) for any m; the maximum keeps exp from overflowing.
        auto kept = fold;
        kept.set("keepdims", std::int64_t{1});
        const auto most = in.emit("ReduceMax", {x}, kept);
        const auto shifted = in.emit("Exp", {in.emit("Sub", {x, most})});
        const auto rest = in.emit("Log", {in.emit("ReduceSum", {shifted}, fold)});
        y = in.emit("Add", {rest, in.reshape(most, in.shape(rest))});
    }
    in.bind(0, y);
}

constexpr auto kArithmeticTranslations = std::to_array<NamedTranslation>({
    {"Sum", chain<kAdd>},
    {"Max", chain<kMax>},
    {"Min", chain<kMin>},
    {"Mean", mean},
    {"Clip", clip},
    {"PRelu", prelu},
    {"Selu", selu},
    {"Celu", celu},
    {"Softsign", softsign},
    {"Gelu", gelu},
    {"ThresholdedRelu", thresholded_relu},
    {"Sign", sign},
    {"Equal", compare},
    {"Greater", compare},
    {"Less", compare},
    {"GreaterOrEqual", compare},
    {"LessOrEqual", compare},
    {"Not", logic},
    {"And", logic},
    {"Or", logic},
    {"Xor", logic},
    {"Cast", cast},
    {"MatMul", matmul},
    {"Softmax", softmax},
    {"LogSoftmax", softmax},
    {"ReduceSum", reduce},
    {"ReduceMean", reduce},
    {"ReduceMax", reduce},
    {"ReduceMin", reduce},
    {"ReduceL1", reduce},
    {"ReduceL2", reduce},
    {"ReduceSumSquare", reduce},
    {"ReduceLogSum", reduce},
    {"ReduceLogSumExp", reduce},
});

}  // namespace

std::span<const NamedTranslation> arithmetic_translations() {
    return kArithmeticTranslations;
}

}  // namespace starling::compute::onnx
