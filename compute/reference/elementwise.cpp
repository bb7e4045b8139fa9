#include <algorithm>
#include <cmath>
#include <numbers>

#include "compute/graph/operator.hpp"
#include "compute/graph/view.hpp"
#include "compute/reference/reference.hpp"

namespace starling::compute::reference {

namespace {

/// Functions of one operand with their slopes; `known` is what the gradient's second operand holds.
struct Function {
    std::string_view name;
    double (*value)(double x, const Attributes& a);
    double (*slope)(double known, const Attributes& a);
};

double sigmoid(double x) {
    return 1.0 / (1.0 + std::exp(-x));
}

double phi(double x) {
    return 0.5 * (1.0 + std::erf(x / std::numbers::sqrt2));
}

double density(double x) {
    return std::exp(-0.5 * x * x) / std::sqrt(2.0 * std::numbers::pi);
}

constexpr Function kFunctions[] = {
    {"LeakyRelu",
     [](double x, const Attributes& a) { return x < 0.0 ? a.real("alpha", 0.01) * x : x; },
     [](double x, const Attributes& a) { return x > 0.0 ? 1.0 : a.real("alpha", 0.01); }},
    {"Elu",
     [](double x, const Attributes& a) {
         return x < 0.0 ? a.real("alpha", 1.0) * std::expm1(x) : x;
     },
     [](double x, const Attributes& a) {
         return x > 0.0 ? 1.0 : a.real("alpha", 1.0) * std::exp(x);
     }},
    {"Sigmoid",
     [](double x, const Attributes&) { return sigmoid(x); },
     [](double y, const Attributes&) { return y * (1.0 - y); }},
    {"Tanh",
     [](double x, const Attributes&) { return std::tanh(x); },
     [](double y, const Attributes&) { return 1.0 - y * y; }},
    {"Gelu",
     [](double x, const Attributes&) { return x * phi(x); },
     [](double x, const Attributes&) { return phi(x) + x * density(x); }},
    {"HardSigmoid",
     [](double x, const Attributes& a) {
         return std::clamp(a.real("alpha", 0.2) * x + a.real("beta", 0.5), 0.0, 1.0);
     },
     [](double x, const Attributes& a) {
         const double y = a.real("alpha", 0.2) * x + a.real("beta", 0.5);
         return y > 0.0 && y < 1.0 ? a.real("alpha", 0.2) : 0.0;
     }},
    {"HardSwish",
     [](double x, const Attributes&) { return x * std::clamp(x + 3.0, 0.0, 6.0) / 6.0; },
     [](double x, const Attributes&) {
         if (x <= -3.0) return 0.0;
         return x >= 3.0 ? 1.0 : (2.0 * x + 3.0) / 6.0;
     }},
    {"Softplus",
     [](double x, const Attributes&) {
         return std::log1p(std::exp(-std::abs(x))) + std::max(x, 0.0);
     },
     [](double x, const Attributes&) { return sigmoid(x); }},
    {"Exp",
     [](double x, const Attributes&) { return std::exp(x); },
     [](double y, const Attributes&) { return y; }},
    {"Log",
     [](double x, const Attributes&) { return std::log(x); },
     [](double x, const Attributes&) { return 1.0 / x; }},
    {"Sqrt",
     [](double x, const Attributes&) { return std::sqrt(x); },
     [](double y, const Attributes&) { return 0.5 / y; }},
    {"Reciprocal",
     [](double x, const Attributes&) { return 1.0 / x; },
     [](double y, const Attributes&) { return -y * y; }},
    {"Erf",
     [](double x, const Attributes&) { return std::erf(x); },
     [](double x, const Attributes&) {
         return 2.0 / std::sqrt(std::numbers::pi) * std::exp(-x * x);
     }},
    {"Abs",
     [](double x, const Attributes&) { return std::abs(x); },
     [](double x, const Attributes&) { return x > 0.0   ? 1.0
                                              : x < 0.0 ? -1.0
                                                        : 0.0; }},
    {"Clip",
     [](double x, const Attributes& a) {
         return std::min(std::max(x, a.real("min", -3.4e38)), a.real("max", 3.4e38));
     },
     [](double x, const Attributes& a) {
         return x >= a.real("min", -3.4e38) && x <= a.real("max", 3.4e38) ? 1.0 : 0.0;
     }},
    {"Neg",
     [](double x, const Attributes&) { return -x; },
     [](double, const Attributes&) { return -1.0; }},
    {"Relu",
     [](double x, const Attributes&) { return std::max(x, 0.0); },
     [](double y, const Attributes&) { return y > 0.0 ? 1.0 : 0.0; }},
};

const Function* find_function(std::string_view name) {
    for (const auto& function : kFunctions) {
        if (function.name == name) return &function;
    }
    return nullptr;
}

struct Pair {
    std::string_view name;
    double (*value)(double a, double b);
};

constexpr Pair kPairs[] = {
    {"Add", [](double a, double b) { return a + b; }},
    {"Sub", [](double a, double b) { return a - b; }},
    {"Mul", [](double a, double b) { return a * b; }},
    {"Div", [](double a, double b) { return a / b; }},
    {"Pow", [](double a, double b) { return std::pow(a, b); }},
    {"Max", [](double a, double b) { return std::max(a, b); }},
    {"Min", [](double a, double b) { return std::min(a, b); }},
    {"AheadMask", [](double a, double b) { return a > b    ? 1.0
                                                  : a == b ? 0.5
                                                           : 0.0; }},
    {"EqualMask", [](double a, double b) { return a == b ? 1.0 : 0.0; }},
};

/// Returns the operand's elements, broadcast to `shape`.
std::vector<double> spread(const Tensor& x, const Shape& shape) {
    return read_view(x.values, broadcast_view(x.shape, shape));
}

bool evaluate_pair(const Call& call) {
    for (const auto& pair : kPairs) {
        if (pair.name != call.node.op->name) continue;
        auto& y = call.outputs[0];
        const auto a = spread(*call.inputs[0], y.shape);
        const auto b = spread(*call.inputs[1], y.shape);
        for (std::size_t i = 0; i < a.size(); ++i) y.values[i] = pair.value(a[i], b[i]);
        return true;
    }
    return false;
}

}  // namespace

std::vector<double> read_view(const std::vector<double>& x, const View& view) {
    std::vector<double> y;
    for (std::int64_t i = 0; i < element_count(view.shape); ++i) {
        y.push_back(x[static_cast<std::size_t>(view_index(view, i))]);
    }
    return y;
}

std::int64_t view_index(const View& view, std::int64_t i) {
    std::int64_t index = view.offset;
    for (std::size_t k = view.shape.size(); k > 0; --k) {
        index += i % view.shape[k - 1] * view.strides[k - 1];
        i /= view.shape[k - 1];
    }
    return index;
}

bool evaluate_elementwise(const Call& call) {
    const auto op = call.node.op->name;
    const auto& attributes = call.node.attributes;
    if (evaluate_pair(call)) return true;
    if (call.inputs.empty()) return false;
    const auto& a = call.inputs[0]->values;
    auto& y = call.outputs[0].values;
    if (const auto* function = find_function(op); function != nullptr) {
        for (std::size_t i = 0; i < y.size(); ++i) y[i] = function->value(a[i], attributes);
    } else if (op == "FunctionGrad") {
        const auto* of = find_function(attributes.text("function", ""));
        const auto& known = call.inputs[1]->values;
        for (std::size_t i = 0; i < y.size(); ++i) y[i] = a[i] * of->slope(known[i], attributes);
    } else if (op == "ReluGrad") {
        const auto& sign = call.inputs[1]->values;
        for (std::size_t i = 0; i < y.size(); ++i) y[i] = sign[i] > 0.0 ? a[i] : 0.0;
    } else if (op == "Where") {
        const auto c = spread(*call.inputs[0], call.outputs[0].shape);
        const auto yes = spread(*call.inputs[1], call.outputs[0].shape);
        const auto no = spread(*call.inputs[2], call.outputs[0].shape);
        for (std::size_t i = 0; i < y.size(); ++i) y[i] = c[i] != 0.0 ? yes[i] : no[i];
    } else if (op == "Cast") {
        const bool whole = attributes.text("to", "float") == "int32";
        for (std::size_t i = 0; i < y.size(); ++i) y[i] = whole ? std::trunc(a[i]) : a[i];
    } else {
        return false;
    }
    return true;
}

}  // namespace starling::compute::reference
