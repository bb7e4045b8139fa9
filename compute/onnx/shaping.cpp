// Operators that move, pick and repeat elements. Newer opsets pass some of their settings as
// operands; these become settings here, because shapes are static.

#include <algorithm>
#include <array>
#include <cmath>

#include "compute/graph/view.hpp"
#include "compute/onnx/importer.hpp"
#include "compute/values/printable.hpp"

namespace starling::compute::onnx {

using compute::to_string;

namespace {

/// A file that was written for one batch size has that size in its reshapes. When the target of a
/// reshape fits the old batch size and not the new one, its first dimension is the batch.
void follow_batch(Importer& in, const Shape& x, Ints& target) {
    const auto [old, now] = in.batch_change();
    if (old < 1 || old == now || target.empty() || x.empty()) return;
    std::int64_t product = 1;
    bool open = false;
    for (std::size_t i = 0; i < target.size(); ++i) {
        const auto size = target[i] == 0 && i < x.size() ? x[i] : target[i];
        open = open || size < 0;
        if (size < 0 || size > kElementsMax / std::max<std::int64_t>(product, 1)) continue;
        product *= size;
    }
    if (open) {
        if (target[0] == old && x[0] == now) target[0] = now;
        return;
    }
    const auto count = element_count(x);
    const bool scaled = product != count && product % old == 0 && count % now == 0 &&
                        product / old == count / now && target[0] > 0 && target[0] % old == 0;
    if (scaled) target[0] = target[0] / old * now;
}

void reshape(Importer& in) {
    const auto x = in.operand(0);
    const auto shape = in.shape(x);
    auto target = in.integers_or(1, "shape", {});
    if (!in.ok()) return;
    const bool literal = in.attributes().integer("allowzero", 0) != 0;
    if (literal && std::find(target.begin(), target.end(), 0) != target.end()) {
        return in.refuse(FaultCode::Unsupported, "a dimension of zero is not supported");
    }
    follow_batch(in, shape, target);
    in.bind(0, in.emit("Reshape", {x}, {{"shape", target}}), in.kind(0));
}

void squeeze(Importer& in) {
    const Attributes axes{{"axes", in.integers_or(1, "axes", {})}};
    in.bind(0, in.emit(in.node().op, {in.operand(0)}, axes), in.kind(0));
}

void expand(Importer& in) {
    const Attributes target{{"shape", in.integers(1)}};
    in.bind(0, in.emit("Expand", {in.operand(0)}, target), in.kind(0));
}

void slice(Importer& in) {
    Attributes part;
    const auto x = in.operand(0);
    const auto starts = in.integers_or(1, "starts", {});
    part.set("starts", starts);
    part.set("ends", in.integers_or(2, "ends", {}));
    Ints axes;
    for (std::size_t i = 0; i < starts.size(); ++i) axes.push_back(static_cast<std::int64_t>(i));
    part.set("axes", in.integers_or(3, "axes", axes));
    part.set("steps", in.integers_or(4, "steps", Ints(starts.size(), 1)));
    in.bind(0, in.emit("Slice", {x}, part), in.kind(0));
}

void gather(Importer& in) {
    const auto x = in.operand(0);
    auto indices = in.operand(1);
    if (in.kind(1) != Kind::Integer) {
        return in.refuse(FaultCode::BadValue, "its indices must be whole numbers");
    }
    const Attributes axis{{"axis", in.attributes().integer("axis", 0)}};
    in.bind(0, in.emit("Gather", {x, indices}, axis), in.kind(0));
}

void split(Importer& in) {
    const auto x = in.operand(0);
    const auto axis = in.attributes().integer("axis", 0);
    auto sizes = in.integers_or(1, "split", {});
    const auto parts = static_cast<std::int64_t>(in.node().outputs.size());
    const auto at = normal_axis(axis, in.shape(x).size());
    if (!in.ok()) return;
    if (at < 0) return in.refuse(FaultCode::BadValue, "the operand has no such axis");
    const auto length = in.shape(x)[static_cast<std::size_t>(at)];
    if (sizes.empty()) {
        // Since opset 18 parts may be uneven: the last one is smaller.
        const auto each = (length + parts - 1) / parts;
        for (std::int64_t i = 0; i < parts; ++i) {
            sizes.push_back(std::min(each, length - each * i));
        }
    }
    if (sizes.size() != in.node().outputs.size()) {
        return in.refuse(FaultCode::BadValue, "it has not as many parts as results");
    }
    const auto made = in.emit_all("Split", {x}, {{"axis", at}, {"split", sizes}});
    for (std::size_t i = 0; i < made.size(); ++i) in.bind(i, made[i], in.kind(0));
}

/// Returns the pads as one number for each side of each axis, also when opset 18 names only some
/// axes.
Ints all_pads(Importer& in, std::size_t rank) {
    auto pads = in.integers_or(1, in.opset() < 2 ? "paddings" : "pads", {});
    if (!in.has(3)) return pads;
    const auto axes = in.integers(3);
    Ints all(2 * rank, 0);
    if (pads.size() != 2 * axes.size()) return {};
    for (std::size_t i = 0; i < axes.size(); ++i) {
        const auto axis = normal_axis(axes[i], rank);
        if (axis < 0) return {};
        all[static_cast<std::size_t>(axis)] = pads[i];
        all[rank + static_cast<std::size_t>(axis)] = pads[axes.size() + i];
    }
    return all;
}

/// Returns which element each place of a padded axis repeats.
/// Source    ONNX, Pad, modes reflect and edge
std::vector<double> mirrored(
    std::int64_t size, std::int64_t before, std::int64_t after, bool edge
) {
    std::vector<double> indices;
    for (std::int64_t i = -before; i < size + after; ++i) {
        std::int64_t at = std::clamp<std::int64_t>(i, 0, size - 1);
        if (!edge && size > 1) {
            const auto period = 2 * (size - 1);
            const auto wrapped = ((i % period) + period) % period;
            at = wrapped < size ? wrapped : period - wrapped;
        }
        indices.push_back(static_cast<double>(at));
    }
    return indices;
}

ValueId pick(Importer& in, ValueId x, std::size_t axis, std::vector<double> indices) {
    const auto count = static_cast<std::int64_t>(indices.size());
    const auto which = in.constant(Known{Kind::Integer, {count}, std::move(indices)});
    return in.emit("Gather", {x, which}, {{"axis", static_cast<std::int64_t>(axis)}});
}

void pad(Importer& in) {
    auto x = in.operand(0);
    const auto shape = in.shape(x);
    const auto pads = all_pads(in, shape.size());
    const auto mode = in.attributes().text("mode", "constant");
    const double value = in.has(2) ? in.real(2) : in.attributes().real("value", 0.0);
    if (!in.ok()) return;
    bool sound = pads.size() == 2 * shape.size();
    for (const auto width : pads) {
        sound = sound && width >= -kFoldedElementsMax && width <= kFoldedElementsMax;
    }
    if (!sound) return in.refuse(FaultCode::BadValue, "pads do not fit " + to_string(shape));
    // Negative pads cut.
    Ints around(pads.size(), 0);
    Ints starts;
    Ints ends;
    for (std::size_t i = 0; i < shape.size(); ++i) {
        const auto last = i + shape.size();
        around[i] = std::max<std::int64_t>(pads[i], 0);
        around[last] = std::max<std::int64_t>(pads[last], 0);
        starts.push_back(std::max<std::int64_t>(-pads[i], 0));
        ends.push_back(shape[i] - std::max<std::int64_t>(-pads[last], 0));
    }
    if (starts != Ints(shape.size(), 0) || ends != shape) {
        x = in.emit("Slice", {x}, {{"starts", starts}, {"ends", ends}});
    }
    if (mode == "constant") {
        return in.bind(0, in.emit("Pad", {x}, {{"pads", around}, {"value", value}}));
    }
    if (mode != "reflect" && mode != "edge") {
        return in.refuse(FaultCode::Unsupported, "mode '" + printable(mode) + "' is not supported");
    }
    for (std::size_t i = 0; i < shape.size() && in.ok(); ++i) {
        const auto last = i + shape.size();
        if (around[i] == 0 && around[last] == 0) continue;
        const auto size = in.shape(x)[i];
        if (size + around[i] + around[last] > kFoldedElementsMax) {
            return in.refuse(FaultCode::Oversized, "an axis of more than 2^20 elements to repeat");
        }
        x = pick(in, x, i, mirrored(size, around[i], around[last], mode == "edge"));
    }
    in.bind(0, in.emit("Identity", {x}));
}

/// Repeats along an axis of one in front of each axis.
void tile(Importer& in) {
    auto x = in.operand(0);
    const auto shape = in.shape(x);
    const auto repeats = in.integers(1);
    if (!in.ok()) return;
    if (repeats.size() != shape.size() || in.operand_count() != 2) {
        return in.refuse(FaultCode::BadValue, "repeats do not fit " + to_string(shape));
    }
    Shape apart;
    Shape wide;
    Shape y;
    for (std::size_t i = 0; i < shape.size(); ++i) {
        if (repeats[i] < 1 || repeats[i] > kElementsMax / shape[i]) {
            return in.refuse(FaultCode::Unsupported, "it repeats an axis no times, or too often");
        }
        apart.insert(apart.end(), {1, shape[i]});
        wide.insert(wide.end(), {repeats[i], shape[i]});
        y.push_back(repeats[i] * shape[i]);
    }
    x = in.emit("Reshape", {x}, {{"shape", apart}});
    x = in.emit("Expand", {x}, {{"shape", wide}});
    in.bind(0, in.emit("Reshape", {x}, {{"shape", y}}), in.kind(0));
}

/// How a resized axis finds its source.
struct ResizeRule {
    std::string transform;
    std::string rounding;

    /// Where the i-th of `to` places lies among `from`, in elements.
    [[nodiscard]] double source(double i, double from, double to, double scale) const {
        if (transform == "asymmetric") return i / scale;
        if (transform == "align_corners") return to > 1.0 ? i * (from - 1.0) / (to - 1.0) : 0.0;
        if (transform == "pytorch_half_pixel" && !(to > 1.0)) return 0.0;
        if (transform == "tf_half_pixel_for_nn") return (i + 0.5) / scale;
        return (i + 0.5) / scale - 0.5;
    }

    [[nodiscard]] double round(double x) const {
        if (rounding == "floor") return std::floor(x);
        if (rounding == "ceil") return std::ceil(x);
        if (rounding == "round_prefer_ceil") return std::floor(x + 0.5);
        return std::ceil(x - 0.5);
    }

    [[nodiscard]] std::vector<double> indices(std::int64_t from, std::int64_t to, double scale)
        const {
        std::vector<double> list;
        const auto most = static_cast<double>(from - 1);
        for (std::int64_t i = 0; i < to; ++i) {
            const double at = source(
                static_cast<double>(i), static_cast<double>(from), static_cast<double>(to), scale
            );
            list.push_back(std::clamp(round(at), 0.0, most));
        }
        return list;
    }
};

/// Resizes by nearest neighbours: each axis picks elements. When every element is repeated equally
/// often, one node does it.
void resize_nearest(
    Importer& in,
    ValueId x,
    const std::vector<double>& scales,
    const Ints& sizes,
    const ResizeRule& rule
) {
    const auto shape = in.shape(x);
    Ints whole;
    bool repeats = true;
    std::vector<std::vector<double>> picks;
    for (std::size_t i = 0; i < shape.size(); ++i) {
        picks.push_back(rule.indices(shape[i], sizes[i], scales[i]));
        const auto times = sizes[i] / shape[i];
        whole.push_back(times);
        repeats = repeats && times >= 1 && sizes[i] % shape[i] == 0;
        for (std::size_t k = 0; repeats && k < picks[i].size(); ++k) {
            repeats =
                static_cast<std::int64_t>(picks[i][k]) == static_cast<std::int64_t>(k) / times;
        }
    }
    if (repeats) return in.bind(0, in.emit("Resize", {x}, {{"scales", whole}}));
    for (std::size_t i = 0; i < shape.size() && in.ok(); ++i) {
        if (sizes[i] != shape[i]) x = pick(in, x, i, std::move(picks[i]));
    }
    in.bind(0, in.emit("Identity", {x}));
}

void resize(Importer& in) {
    const bool upsample = in.node().op == "Upsample";
    const auto x = in.operand(0);
    const auto shape = in.shape(x);
    const std::size_t scale_operand = upsample || in.opset() < 11 ? 1 : 2;
    if (!in.ok()) return;
    if (in.attributes().text("mode", "nearest") != "nearest") {
        return in.refuse(FaultCode::Unsupported, "only the mode nearest is supported");
    }
    ResizeRule rule;
    const bool old = upsample || in.opset() < 11;
    rule.transform =
        in.attributes().text("coordinate_transformation_mode", old ? "asymmetric" : "half_pixel");
    rule.rounding = in.attributes().text("nearest_mode", old ? "floor" : "round_prefer_floor");
    if (rule.transform == "tf_crop_and_resize" || in.attributes().has("axes")) {
        return in.refuse(FaultCode::Unsupported, "cropping and chosen axes are not supported");
    }
    std::vector<double> scales = in.attributes().reals("scales");
    Ints sizes;
    if (const auto* given = in.known(scale_operand); given != nullptr && !given->values.empty()) {
        scales = given->values;
    }
    if (!old && in.has(3)) {
        sizes = in.integers(3);
        scales.clear();
        for (std::size_t i = 0; i < sizes.size() && i < shape.size(); ++i) {
            scales.push_back(static_cast<double>(sizes[i]) / static_cast<double>(shape[i]));
        }
    } else {
        for (std::size_t i = 0; i < scales.size() && i < shape.size(); ++i) {
            const double to = std::floor(scales[i] * static_cast<double>(shape[i]));
            sizes.push_back(to >= 1.0 && to <= 1048576.0 ? static_cast<std::int64_t>(to) : 0);
        }
    }
    bool sound = sizes.size() == shape.size() && scales.size() == shape.size();
    for (const auto size : sizes) sound = sound && size >= 1 && size <= kFoldedElementsMax;
    if (!in.ok()) return;
    if (!sound || check_shape(sizes).has_error()) {
        return in.refuse(
            FaultCode::Unsupported, "its scales or sizes must be fixed in the file and fit"
        );
    }
    resize_nearest(in, x, scales, sizes, rule);
}

/// Blocks of channels become blocks of pixels and back, by transposing a split shape.
void depth_to_space(Importer& in) {
    const auto x = in.operand(0);
    const auto s = in.shape(x);
    const auto b = in.attributes().integer("blocksize", 1);
    if (!in.ok()) return;
    const bool back = in.node().op == "SpaceToDepth";
    const bool sound = s.size() == 4 && b >= 1 && b <= 4096 &&
                       (back ? s[2] % b == 0 && s[3] % b == 0 : s[1] % (b * b) == 0);
    if (!sound) return in.refuse(FaultCode::BadValue, "blocksize does not fit " + to_string(s));
    const bool crd = in.attributes().text("mode", "DCR") == "CRD";
    Shape apart{s[0], b, b, s[1] / (b * b), s[2], s[3]};
    Ints order{0, 3, 4, 1, 5, 2};
    Shape y{s[0], s[1] / (b * b), s[2] * b, s[3] * b};
    if (crd) {
        apart = {s[0], s[1] / (b * b), b, b, s[2], s[3]};
        order = {0, 1, 4, 2, 5, 3};
    }
    if (back) {
        apart = {s[0], s[1], s[2] / b, b, s[3] / b, b};
        order = {0, 3, 5, 1, 2, 4};
        y = {s[0], s[1] * b * b, s[2] / b, s[3] / b};
    }
    const auto wide = in.emit("Reshape", {x}, {{"shape", apart}});
    const auto turned = in.emit("Transpose", {wide}, {{"perm", order}});
    in.bind(0, in.emit("Reshape", {turned}, {{"shape", y}}));
}

/// Operators whose results are known although their operand is not, because shapes are static.
void shape_of(Importer& in) {
    const auto shape = in.shape_of(0);
    if (in.node().op == "Size") {
        const auto count = static_cast<double>(element_count(shape));
        return in.bind(0, Known{Kind::Integer, {}, {count}});
    }
    const auto rank = static_cast<std::int64_t>(shape.size());
    const auto clamp = [&](std::int64_t at) {
        return std::clamp<std::int64_t>(at < 0 && at >= -rank ? at + rank : at, 0, rank);
    };
    const auto start = clamp(in.attributes().integer("start", 0));
    const auto end = std::max(start, clamp(in.attributes().integer("end", rank)));
    std::vector<double> values;
    for (auto i = start; i < end; ++i) {
        values.push_back(static_cast<double>(shape[static_cast<std::size_t>(i)]));
    }
    in.bind(0, Known{Kind::Integer, {end - start}, std::move(values)});
}

constexpr auto kShapingTranslations = std::to_array<NamedTranslation>({
    {"Reshape", reshape},
    {"Squeeze", squeeze},
    {"Unsqueeze", squeeze},
    {"Expand", expand},
    {"Slice", slice},
    {"Gather", gather},
    {"Split", split},
    {"Pad", pad},
    {"Tile", tile},
    {"Resize", resize},
    {"Upsample", resize},
    {"DepthToSpace", depth_to_space},
    {"SpaceToDepth", depth_to_space},
    {"Shape", shape_of},
    {"Size", shape_of},
});

}  // namespace

std::span<const NamedTranslation> shape_translations() {
    return kShapingTranslations;
}

}  // namespace starling::compute::onnx
