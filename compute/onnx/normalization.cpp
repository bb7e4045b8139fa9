// Normalisation and Dropout, each in its form for training or for inference.

#include <algorithm>
#include <array>

#include "compute/graph/view.hpp"
#include "compute/onnx/importer.hpp"

namespace starling::compute::onnx {

namespace {

double momentum_of(Importer& in) {
    return in.attributes().real("momentum", 0.9);
}

/// Training uses the batch's statistics and moves the running ones towards them, by one minus
/// ONNX's momentum.
void train_batch_norm(Importer& in, std::vector<ValueId> operands, Attributes attributes) {
    attributes.set("training_mode", std::int64_t{1});
    const auto made = in.emit_all("BatchNormalization", operands, std::move(attributes));
    if (made.empty()) return;
    in.bind(0, made[0]);
    const auto x = in.shape(operands[0]);
    const std::int64_t samples = element_count(x) / std::max<std::int64_t>(x[1], 1);
    if (samples < 2) return in.refuse(FaultCode::Usage, kLoneBatchValue);
    const auto n = static_cast<double>(samples);
    const double share = 1.0 - momentum_of(in);
    const auto mean = in.parameter_name(3);
    const auto variance = in.parameter_name(4);
    if (mean.empty() || variance.empty() || !(share >= 0.0 && share <= 1.0)) {
        return in.refuse(
            FaultCode::Unsupported, "training wants its statistics as initializers of the file"
        );
    }
    in.add_statistic({mean, made[1], share, 1.0});
    in.add_statistic({variance, made[2], share, n > 1.0 ? n / (n - 1.0) : 1.0});
}

/// The file's own training form also outputs running statistics, a weighted mean of old and new.
void batch_norm_with_statistics(
    Importer& in, std::vector<ValueId> operands, Attributes attributes
) {
    const auto made = in.emit_all("BatchNormalization", operands, std::move(attributes));
    if (made.empty()) return;
    in.bind(0, made[0]);
    const auto kept = in.constant(momentum_of(in));
    const auto share = in.constant(1.0 - momentum_of(in));
    for (const std::size_t i : {1U, 2U}) {
        const auto old = in.emit("Mul", {operands[i + 2], kept});
        in.bind(i, in.emit("Add", {old, in.emit("Mul", {made[i], share})}));
    }
}

void batch_norm(Importer& in) {
    auto operands = in.operands();
    if (!in.ok()) return;
    if (operands.size() != 5) return in.refuse(FaultCode::BadFormat, "it wants five operands");
    if (in.attributes().integer("spatial", 1) == 0) {
        return in.refuse(FaultCode::Unsupported, "statistics for each pixel are not supported");
    }
    if (in.opset() < 7 && in.attributes().integer("is_test", 0) == 0 && in.literal()) {
        return in.refuse(FaultCode::Unsupported, "the training form of an old opset");
    }
    const bool file_trains =
        in.literal() && in.opset() >= 14 && in.attributes().integer("training_mode", 0) != 0;
    Attributes attributes{
        {"epsilon", in.attributes().real("epsilon", 1e-5)},
        {"training_mode", std::int64_t{file_trains}}};
    if (in.training()) return train_batch_norm(in, std::move(operands), std::move(attributes));
    if (file_trains) {
        return batch_norm_with_statistics(in, std::move(operands), std::move(attributes));
    }
    in.bind(0, in.emit("BatchNormalization", std::move(operands), std::move(attributes)));
}

/// A lone value minus the mean is zero, so that a net behind it sees nothing but the bias.
bool refuses_lone_value(Importer& in, std::int64_t values) {
    if (!in.ok() || !in.training() || values != 1) return false;
    in.refuse(
        FaultCode::Unsupported,
        "it normalises over one value, which leaves nothing of it; it needs at least 2"
    );
    return true;
}

void instance_norm(Importer& in) {
    const Attributes attributes{{"epsilon", in.attributes().real("epsilon", 1e-5)}};
    const auto shape = in.shape(in.operand(0));
    if (in.ok() && shape.size() > 1 &&
        refuses_lone_value(in, element_count(shape) / (shape[0] * shape[1]))) {
        return;
    }
    in.bind(0, in.emit("InstanceNormalization", in.operands(), attributes));
}

/// Opset 18 scales groups, opset 21 scales channels. A file of opset 18 is accepted only when both
/// mean the same.
void group_norm(Importer& in) {
    const auto x = in.operand(0);
    const auto shape = in.shape(x);
    const auto groups = in.attributes().integer("num_groups", 0);
    const Attributes attributes{
        {"epsilon", in.attributes().real("epsilon", 1e-5)}, {"num_groups", groups}};
    if (!in.ok()) return;
    if (shape.size() > 1 && groups > 0 && groups <= shape[1] &&
        refuses_lone_value(in, element_count(shape) / (shape[0] * groups))) {
        return;
    }
    auto scale = in.operand(1);
    auto bias = in.operand(2);
    if (in.opset() < 21 && shape.size() > 1 && groups != shape[1]) {
        if (groups < 1 || shape[1] % groups != 0 || in.shape(scale) != Shape{groups} ||
            in.shape(bias) != Shape{groups}) {
            return in.refuse(FaultCode::BadValue, "num_groups does not fit the operands");
        }
        // Each group's factor stands for all its channels.
        const auto each = shape[1] / groups;
        const auto wide = [&](ValueId v) {
            const auto column = in.reshape(v, {groups, 1});
            const auto rows = in.emit("Expand", {column}, {{"shape", Shape{groups, each}}});
            return in.emit("Reshape", {rows}, {{"shape", Shape{shape[1]}}});
        };
        scale = wide(scale);
        bias = wide(bias);
    }
    in.bind(0, in.emit("GroupNormalization", {x, scale, bias}, attributes));
}

/// Scale and bias may have more or fewer axes than are normalised; nodes of their own apply them
/// then.
void layer_norm(Importer& in) {
    const auto x = in.operand(0);
    const auto shape = in.shape(x);
    const auto axis = normal_axis(in.attributes().integer("axis", -1), shape.size());
    if (!in.ok()) return;
    if (axis < 0) return in.refuse(FaultCode::BadValue, "the operand has no such axis");
    const Shape inner(shape.begin() + axis, shape.end());
    if (refuses_lone_value(in, element_count(inner))) return;
    const Attributes attributes{{"axis", axis}, {"epsilon", in.attributes().real("epsilon", 1e-5)}};
    std::vector<ValueId> whole{x};
    std::vector<ValueId> apart(3, ValueId::None);
    for (const std::size_t i : {1U, 2U}) {
        if (!in.has(i)) continue;
        const auto factor = in.operand(i);
        if (in.shape(factor) == inner && apart[1] == ValueId::None) {
            whole.resize(i + 1, ValueId::None);
            whole[i] = factor;
        } else {
            apart[i] = factor;
        }
    }
    const auto made = in.emit_all("LayerNormalization", std::move(whole), attributes);
    if (made.empty()) return;
    auto y = made[0];
    if (apart[1] != ValueId::None) y = in.emit("Mul", {y, apart[1]});
    if (apart[2] != ValueId::None) y = in.emit("Add", {y, apart[2]});
    in.bind(0, y);
    in.bind(1, made[1]);
    in.bind(2, made[2]);
}

/// In training a Dropout drops, whatever mode the file gives it. An inference that computes what the
/// file says refuses a Dropout that is random there.
void dropout(Importer& in) {
    const auto x = in.operand(0);
    const double ratio = in.has(1) ? in.real(1) : in.attributes().real("ratio", 0.5);
    const auto* mode = in.known(2);
    const bool file_trains = mode != nullptr && mode->values.size() == 1 && mode->values[0] != 0.0;
    if (!in.ok()) return;
    if (file_trains && in.literal() && ratio > 0.0) {
        return in.refuse(FaultCode::Unsupported, "a dropout that draws at random while evaluating");
    }
    if (!in.training() || !(ratio > 0.0)) {
        const auto y = in.emit("Identity", {x});
        in.bind(0, y);
        if (in.wants(1)) {
            const Attributes ones{{"value", std::vector<double>{1.0}}, {"shape", in.shape(x)}};
            in.bind(1, in.emit("Constant", {}, ones), Kind::Bool);
        }
        return;
    }
    // Each node draws masks of its own; its seed comes from the name of its first result.
    std::uint64_t seed = 1469598103934665603U;
    for (const char c : in.node().outputs[0]) {
        seed = (seed ^ static_cast<unsigned char>(c)) * 1099511628211U;
    }
    const Attributes attributes{
        {"ratio", ratio},
        {"seed", static_cast<std::int64_t>(seed >> 1U)},
        {"training_mode", std::int64_t{1}}};
    in.bind(0, in.emit("Dropout", {x}, attributes));
}

constexpr auto kNormalizationTranslations = std::to_array<NamedTranslation>({
    {"BatchNormalization", batch_norm},
    {"InstanceNormalization", instance_norm},
    {"GroupNormalization", group_norm},
    {"LayerNormalization", layer_norm},
    {"Dropout", dropout},
});

}  // namespace

std::span<const NamedTranslation> normalization_translations() {
    return kNormalizationTranslations;
}

}  // namespace starling::compute::onnx
