// Computes nodes whose operands are all known: the small graphs by which files compute shapes,
// indices and masks. Whole numbers are exact up to 2^53.

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "compute/graph/operator.hpp"
#include "compute/graph/view.hpp"
#include "compute/onnx/importer.hpp"
#include "compute/reference/reference.hpp"

namespace starling::compute::onnx {

namespace {

using Values = std::vector<double>;
using Fold = void (*)(Importer&);

/// Element counts with empty tensors, which views do not know.
bool small(Importer& in, const Shape& shape) {
    std::int64_t product = 1;
    for (const auto size : shape) {
        if (size < 0 || (size > 0 && product > kFoldedElementsMax / size)) {
            in.refuse(FaultCode::Oversized, "a computed tensor of more than 2^20 elements");
            return false;
        }
        product *= size;
    }
    return true;
}

/// Reads a view of an operand whose shape the view's rule has accepted.
void bind_view(Importer& in, const Known& x, const Result<View>& view) {
    if (view.has_error()) return in.refuse(view.error().code, view.error().message);
    if (!small(in, view->shape)) return;
    in.bind(0, Known{x.kind, view->shape, reference::read_view(x.values, *view)});
}

void constant(Importer& in) {
    const auto* tensor = in.attribute("value");
    if (tensor != nullptr && tensor->tensor.has_value()) {
        const auto type = tensor->tensor->type;
        auto values = tensor->tensor->values();
        if (values.has_error()) {
            return in.refuse(values.error().code, values.error().message.substr(6));
        }
        const auto whole = is_integer(type) ? Kind::Integer : Kind::Real;
        const auto kind = type == DataType::Bool ? Kind::Bool : whole;
        return in.bind(0, Known{kind, tensor->tensor->shape, std::move(*values)});
    }
    const auto& given = in.attributes();
    if (given.has("value_float")) {
        return in.bind(0, Known{Kind::Real, {}, {given.real("value_float", 0.0)}});
    }
    if (given.has("value_int")) {
        const auto value = static_cast<double>(given.integer("value_int", 0));
        return in.bind(0, Known{Kind::Integer, {}, {value}});
    }
    if (given.has("value_floats")) {
        auto list = given.reals("value_floats");
        const auto count = static_cast<std::int64_t>(list.size());
        return in.bind(0, Known{Kind::Real, {count}, std::move(list)});
    }
    if (given.has("value_ints")) {
        const auto list = given.integers("value_ints", {});
        const auto count = static_cast<std::int64_t>(list.size());
        return in.bind(0, Known{Kind::Integer, {count}, Values(list.begin(), list.end())});
    }
    in.refuse(FaultCode::Unsupported, "its value has a kind that is not supported");
}

void constant_of_shape(Importer& in) {
    const auto shape = in.integers(0);
    if (!in.ok() || !small(in, shape)) return;
    Known made{Kind::Real, shape, {}};
    double value = 0.0;
    if (const auto* given = in.attribute("value"); given != nullptr && given->tensor.has_value()) {
        const auto values = given->tensor->values();
        if (values.has_error() || values->size() != 1) {
            return in.refuse(FaultCode::BadFormat, "its value must be one number");
        }
        value = values->front();
        if (is_integer(given->tensor->type)) made.kind = Kind::Integer;
        if (given->tensor->type == DataType::Bool) made.kind = Kind::Bool;
    }
    made.values.assign(static_cast<std::size_t>(element_count(shape)), value);
    in.bind(0, std::move(made));
}

void range(Importer& in) {
    const double start = in.real(0);
    const double limit = in.real(1);
    const double step = in.real(2);
    if (!in.ok()) return;
    const double count = step == 0.0 ? -1.0 : std::max(0.0, std::ceil((limit - start) / step));
    if (!(count >= 0.0 && count <= static_cast<double>(kFoldedElementsMax))) {
        return in.refuse(FaultCode::Oversized, "a range without end");
    }
    Known made{in.kind(0), {static_cast<std::int64_t>(count)}, {}};
    for (double i = 0.0; i < count; i += 1.0) made.values.push_back(start + i * step);
    in.bind(0, std::move(made));
}

/// Shape changes: same elements.
void reshape(Importer& in) {
    const auto& op = in.node().op;
    Known made = *in.known(0);
    const auto count = static_cast<std::int64_t>(made.values.size());
    Attributes settings;
    if (op == "Reshape") {
        settings.set("shape", in.integers_or(1, "shape", {}));
    } else {
        settings.set("axes", in.integers_or(1, "axes", {}));
    }
    if (op == "Identity" || !in.ok()) return in.bind(0, std::move(made));
    if (count == 0) {
        // Only empty lists come here, and they stay lists.
        made.shape = {0};
        return in.bind(0, std::move(made));
    }
    const TensorType type{made.shape, ElementType::F32};
    const std::array<const TensorType*, 1> operand{&type};
    const auto found = infer_types(*find_operator(op), operand, settings);
    if (found.has_error()) return in.refuse(found.error().code, found.error().message);
    made.shape = found->front().shape;
    in.bind(0, std::move(made));
}

void slice(Importer& in) {
    const auto& x = *in.known(0);
    Attributes part;
    const auto starts = in.integers_or(1, "starts", {});
    const auto ends = in.integers_or(2, "ends", {});
    Ints axes;
    for (std::size_t i = 0; i < starts.size(); ++i) axes.push_back(static_cast<std::int64_t>(i));
    axes = in.integers_or(3, "axes", axes);
    const auto steps = in.integers_or(4, "steps", Ints(starts.size(), 1));
    part.set("starts", starts);
    part.set("ends", ends);
    part.set("axes", axes);
    part.set("steps", steps);
    if (!in.ok()) return;
    // A slice without elements is common here (no leading dimensions), but no view can be empty.
    const auto view = slice_view(x.shape, part);
    if (view.has_error() && x.shape.size() == 1 && starts.size() == 1 && ends.size() == 1) {
        return in.bind(0, Known{x.kind, {0}, {}});
    }
    bind_view(in, x, view);
}

void gather(Importer& in) {
    const auto& x = *in.known(0);
    const auto indices = in.integers(1);
    const auto axis = normal_axis(in.attributes().integer("axis", 0), x.shape.size());
    if (!in.ok()) return;
    if (axis < 0) return in.refuse(FaultCode::BadValue, "the operand has no such axis");
    const auto cut = cut_at(x.shape, axis);
    const auto& index_shape = in.known(1)->shape;
    Known made{x.kind, Shape(x.shape.begin(), x.shape.begin() + axis), {}};
    made.shape.insert(made.shape.end(), index_shape.begin(), index_shape.end());
    made.shape.insert(made.shape.end(), x.shape.begin() + axis + 1, x.shape.end());
    if (!small(in, made.shape)) return;
    for (std::int64_t o = 0; o < cut.outer; ++o) {
        for (auto at : indices) {
            if (at < 0) at += cut.length;
            if (at < 0 || at >= cut.length) {
                return in.refuse(FaultCode::BadValue, "an index is out of range");
            }
            const auto begin = x.values.begin() + (o * cut.length + at) * cut.inner;
            made.values.insert(made.values.end(), begin, begin + cut.inner);
        }
    }
    in.bind(0, std::move(made));
}

void concat(Importer& in) {
    Known made = *in.known(0);
    const auto axis = normal_axis(in.attributes().integer("axis", 0), made.shape.size());
    if (axis < 0) return in.refuse(FaultCode::BadValue, "the operands have no such axis");
    const auto at = static_cast<std::size_t>(axis);
    for (std::size_t i = 1; i < in.operand_count(); ++i) {
        const auto* more = in.known(i);
        if (more == nullptr) return in.refuse(FaultCode::BadFormat, "an operand is missing");
        auto shape = more->shape;
        if (shape.size() == made.shape.size()) shape[at] = made.shape[at];
        if (shape != made.shape) {
            return in.refuse(FaultCode::BadValue, "the operands do not fit together");
        }
        const auto a = cut_at(made.shape, axis);
        const auto b = cut_at(more->shape, axis);
        made.shape[at] += more->shape[at];
        if (!small(in, made.shape)) return;
        Values joined;
        for (std::int64_t o = 0; o < a.outer; ++o) {
            const auto left = made.values.begin() + o * a.length * a.inner;
            const auto right = more->values.begin() + o * b.length * b.inner;
            joined.insert(joined.end(), left, left + a.length * a.inner);
            joined.insert(joined.end(), right, right + b.length * b.inner);
        }
        made.values = std::move(joined);
    }
    in.bind(0, std::move(made));
}

void transpose(Importer& in) {
    const auto& x = *in.known(0);
    bind_view(in, x, transpose_view(x.shape, in.attributes()));
}

void expand(Importer& in) {
    const auto& x = *in.known(0);
    const Attributes target{{"shape", in.integers(1)}};
    if (in.ok()) bind_view(in, x, expand_view(x.shape, target));
}

void cast(Importer& in) {
    Known made = *in.known(0);
    const auto to = static_cast<DataType>(in.attributes().integer("to", 0));
    if (is_integer(to)) {
        made.kind = Kind::Integer;
        for (auto& value : made.values) value = std::trunc(value);
    } else if (to == DataType::Bool) {
        made.kind = Kind::Bool;
        for (auto& value : made.values) value = value != 0.0 ? 1.0 : 0.0;
    } else if (is_real(to)) {
        made.kind = Kind::Real;
    } else {
        return in.refuse(
            FaultCode::Unsupported, "a cast to " + to_string(to) + " is not supported"
        );
    }
    in.bind(0, std::move(made));
}

double divide(Kind kind, double a, double b) {
    return kind == Kind::Integer ? (b == 0.0 ? 0.0 : std::trunc(a / b)) : a / b;
}

double apply(const std::string& op, Kind kind, double a, double b) {
    if (op == "Add" || op == "Sum") return a + b;
    if (op == "Sub") return a - b;
    if (op == "Mul") return a * b;
    if (op == "Div") return divide(kind, a, b);
    if (op == "Pow") return std::pow(a, b);
    if (op == "Mod") return b == 0.0 ? 0.0 : a - b * std::floor(a / b);
    if (op == "Max") return std::max(a, b);
    if (op == "Min") return std::min(a, b);
    if (op == "Equal") return a == b ? 1.0 : 0.0;
    if (op == "Greater") return a > b ? 1.0 : 0.0;
    if (op == "GreaterOrEqual") return a >= b ? 1.0 : 0.0;
    if (op == "Less") return a < b ? 1.0 : 0.0;
    if (op == "LessOrEqual") return a <= b ? 1.0 : 0.0;
    if (op == "And") return a * b;
    return std::max(a, b);
}

Values read_broadcast(const Known& x, const Shape& shape) {
    return reference::read_view(x.values, broadcast_view(x.shape, shape));
}

void pair(Importer& in) {
    const auto& op = in.node().op;
    const auto* a = in.known(0);
    const auto* b = in.known(1);
    if (a == nullptr || b == nullptr || in.operand_count() != 2) {
        return in.refuse(FaultCode::BadFormat, "it wants two operands");
    }
    const auto shape = broadcast_shapes(a->shape, b->shape);
    if (shape.has_error()) return in.refuse(shape.error().code, shape.error().message);
    if (!small(in, *shape)) return;
    const bool truth = op == "Equal" || op.starts_with("Greater") || op.starts_with("Less") ||
                       op == "And" || op == "Or";
    Known made{truth ? Kind::Bool : a->kind, *shape, read_broadcast(*a, *shape)};
    const auto right = read_broadcast(*b, *shape);
    for (std::size_t i = 0; i < made.values.size(); ++i) {
        made.values[i] = apply(op, a->kind, made.values[i], right[i]);
    }
    in.bind(0, std::move(made));
}

void where(Importer& in) {
    const auto* c = in.known(0);
    const auto* a = in.known(1);
    const auto* b = in.known(2);
    if (c == nullptr || a == nullptr || b == nullptr) {
        return in.refuse(FaultCode::BadFormat, "it wants three operands");
    }
    auto shape = broadcast_shapes(c->shape, a->shape);
    if (shape.has_value()) shape = broadcast_shapes(*shape, b->shape);
    if (shape.has_error()) return in.refuse(shape.error().code, shape.error().message);
    if (!small(in, *shape)) return;
    Known made{a->kind, *shape, read_broadcast(*a, *shape)};
    const auto choice = read_broadcast(*c, *shape);
    const auto other = read_broadcast(*b, *shape);
    for (std::size_t i = 0; i < choice.size(); ++i) {
        if (choice[i] == 0.0) made.values[i] = other[i];
    }
    in.bind(0, std::move(made));
}

void function(Importer& in) {
    const auto& op = in.node().op;
    Known made = *in.known(0);
    for (auto& v : made.values) {
        if (op == "Neg") v = -v;
        if (op == "Abs") v = std::abs(v);
        if (op == "Floor") v = std::floor(v);
        if (op == "Ceil") v = std::ceil(v);
        if (op == "Sqrt") v = std::sqrt(v);
        if (op == "Exp") v = std::exp(v);
        if (op == "Log") v = std::log(v);
        if (op == "Reciprocal") v = 1.0 / v;
        if (op == "Not") v = v == 0.0 ? 1.0 : 0.0;
    }
    in.bind(0, std::move(made));
}

/// Folds of a whole list: products of dimensions.
void reduce(Importer& in) {
    const auto& op = in.node().op;
    const auto& x = *in.known(0);
    const auto axes = in.integers_or(1, "axes", {});
    const bool whole = x.shape.size() <= 1 || axes.empty();
    if (!whole || !in.ok()) {
        return in.refuse(FaultCode::Unsupported, "a computed tensor is folded as a whole only");
    }
    double total = op == "ReduceProd" ? 1.0 : 0.0;
    if (op == "ReduceMax") total = -std::numeric_limits<double>::infinity();
    if (op == "ReduceMin") total = std::numeric_limits<double>::infinity();
    for (const auto v : x.values) {
        if (op == "ReduceProd") total *= v;
        if (op == "ReduceSum") total += v;
        if (op == "ReduceMax") total = std::max(total, v);
        if (op == "ReduceMin") total = std::min(total, v);
    }
    const bool keep = in.attributes().integer("keepdims", 1) != 0;
    in.bind(0, Known{x.kind, keep ? Shape(x.shape.size(), 1) : Shape{}, {total}});
}

/// The lower or upper triangle: the mask of causal attention.
void trilu(Importer& in) {
    Known made = *in.known(0);
    const auto offset = in.has(1) ? in.integers(1) : Ints{0};
    if (made.shape.size() < 2 || offset.size() != 1) {
        return in.refuse(FaultCode::BadValue, "it wants a matrix and one number");
    }
    const bool upper = in.attributes().integer("upper", 1) != 0;
    const auto rows = made.shape[made.shape.size() - 2];
    const auto columns = made.shape.back();
    for (std::size_t i = 0; i < made.values.size(); ++i) {
        const auto at = static_cast<std::int64_t>(i);
        const auto ahead = at % columns - at / columns % rows;
        if (upper ? ahead < offset[0] : ahead > offset[0]) made.values[i] = 0.0;
    }
    in.bind(0, std::move(made));
}

struct NamedFold {
    std::string_view op;
    Fold fold = nullptr;
    bool operands = true;  ///< wants at least one
};

constexpr auto kFolds = std::to_array<NamedFold>({
    {"Constant", constant, false},
    {"ConstantOfShape", constant_of_shape},
    {"Range", range},
    {"Identity", reshape},
    {"Reshape", reshape},
    {"Squeeze", reshape},
    {"Unsqueeze", reshape},
    {"Slice", slice},
    {"Gather", gather},
    {"Concat", concat},
    {"Transpose", transpose},
    {"Expand", expand},
    {"Cast", cast},
    {"Add", pair},
    {"Sub", pair},
    {"Mul", pair},
    {"Div", pair},
    {"Mod", pair},
    {"Pow", pair},
    {"Max", pair},
    {"Min", pair},
    {"Equal", pair},
    {"Greater", pair},
    {"GreaterOrEqual", pair},
    {"Less", pair},
    {"LessOrEqual", pair},
    {"And", pair},
    {"Or", pair},
    {"Where", where},
    {"Neg", function},
    {"Abs", function},
    {"Floor", function},
    {"Ceil", function},
    {"Sqrt", function},
    {"Exp", function},
    {"Log", function},
    {"Reciprocal", function},
    {"Not", function},
    {"ReduceProd", reduce},
    {"ReduceSum", reduce},
    {"ReduceMax", reduce},
    {"ReduceMin", reduce},
    {"Trilu", trilu},
});

}  // namespace

std::vector<std::string_view> folded_operators() {
    std::vector<std::string_view> names;
    for (const auto& entry : kFolds) names.push_back(entry.op);
    return names;
}

bool fold_known(Importer& in) {
    for (const auto& entry : kFolds) {
        if (entry.op != in.node().op) continue;
        if (entry.fold == pair && in.operand_count() != 2) return false;
        if (entry.operands && in.known(0) == nullptr) {
            if (in.ok()) in.refuse(FaultCode::BadFormat, "operand 0 is missing");
            return true;
        }
        entry.fold(in);
        return true;
    }
    return false;
}

}  // namespace starling::compute::onnx
