// Convolution and pooling. Where the file names a rule for the padding, the padding is computed
// here. A signal becomes an image of one row.

#include <algorithm>
#include <array>

#include "compute/onnx/importer.hpp"

namespace starling::compute::onnx {

using compute::to_string;

namespace {

constexpr std::int64_t kSettingMax = 4096;

/// The settings of a window for `axes` spatial axes, checked.
struct WindowSettings {
    Ints kernel;
    Ints strides;
    Ints dilations;
    Ints pads;
    Ints extra;  ///< output_padding of a transposed convolution
    std::string auto_pad;

    static WindowSettings from(Importer& in, Ints kernel, std::size_t axes) {
        const auto& given = in.attributes();
        WindowSettings w;
        w.kernel = given.integers("kernel_shape", std::move(kernel));
        w.strides = given.integers("strides", Ints(axes, 1));
        w.dilations = given.integers("dilations", Ints(axes, 1));
        w.pads = given.integers("pads", Ints(2 * axes, 0));
        w.extra = given.integers("output_padding", Ints(axes, 0));
        w.auto_pad = given.text("auto_pad", "NOTSET");
        const auto sound = [](const Ints& list, std::size_t count, std::int64_t low) {
            return list.size() == count && std::all_of(list.begin(), list.end(), [&](auto value) {
                       return value >= low && value <= kSettingMax;
                   });
        };
        const bool good = sound(w.kernel, axes, 1) && sound(w.strides, axes, 1) &&
                          sound(w.dilations, axes, 1) && sound(w.pads, 2 * axes, 0) &&
                          sound(w.extra, axes, 0);
        if (!good) {
            in.refuse(FaultCode::BadValue, "its window does not fit the operand, or is too large");
        }
        return w;
    }

    [[nodiscard]] std::int64_t reach(std::size_t i) const {
        return dilations[i] * (kernel[i] - 1) + 1;
    }

    /// SAME pads until the result's size is the operand's divided by the stride; an odd row is
    /// added at the end (UPPER) or at the beginning.
    void settle_same(std::size_t i, std::int64_t total) {
        total = std::max<std::int64_t>(total, 0);
        const bool upper = auto_pad == "SAME_UPPER";
        const auto axes = kernel.size();
        pads[i] = upper ? total / 2 : total - total / 2;
        pads[i + axes] = total - pads[i];
    }

    void settle_pads(Importer& in, const Shape& x) {
        if (auto_pad.empty() || auto_pad == "NOTSET") return;
        if (auto_pad == "VALID") {
            pads.assign(pads.size(), 0);
            return;
        }
        if (auto_pad != "SAME_UPPER" && auto_pad != "SAME_LOWER") {
            return in.refuse(FaultCode::BadValue, "auto_pad has no meaning");
        }
        for (std::size_t i = 0; i < kernel.size(); ++i) {
            const auto places = (x[i + 2] + strides[i] - 1) / strides[i];
            settle_same(i, (places - 1) * strides[i] + reach(i) - x[i + 2]);
        }
    }

    /// Adds as many rows at the end as the last, partly filled place of the window needs. A place
    /// that would begin in the padding behind the operand does not count.
    /// Source    ONNX, MaxPool, ceil_mode
    void settle_ceiling(const Shape& x) {
        const auto axes = kernel.size();
        for (std::size_t i = 0; i < axes; ++i) {
            const auto room = x[i + 2] + pads[i] + pads[i + axes] - reach(i);
            if (room < 0) continue;
            auto places = (room + strides[i] - 1) / strides[i] + 1;
            if ((places - 1) * strides[i] >= x[i + 2] + pads[i]) --places;
            pads[i + axes] += std::max<std::int64_t>(0, (places - 1) * strides[i] - room);
        }
    }

    /// The settings for two axes; one axis gains a row in front.
    [[nodiscard]] Attributes attributes() const {
        if (kernel.size() == 2) {
            return {
                {"kernel_shape", kernel},
                {"strides", strides},
                {"dilations", dilations},
                {"pads", pads}};
        }
        return {
            {"kernel_shape", Ints{1, kernel[0]}},
            {"strides", Ints{1, strides[0]}},
            {"dilations", Ints{1, dilations[0]}},
            {"pads", Ints{0, pads[0], 0, pads[1]}}};
    }
};

/// [N,C,T] -> [N,C,1,T], and likewise for weights.
ValueId as_image(Importer& in, ValueId x) {
    const auto shape = in.shape(x);
    return shape.size() == 3 ? in.reshape(x, {shape[0], shape[1], 1, shape[2]}) : x;
}

ValueId as_operand(Importer& in, ValueId y, std::size_t rank) {
    const auto shape = in.shape(y);
    const bool signal = rank == 3 && shape.size() == 4;
    return signal ? in.reshape(y, {shape[0], shape[1], shape[3]}) : y;
}

bool fits(Importer& in, const Shape& x) {
    if (!in.ok()) return false;
    if (x.size() == 3 || x.size() == 4) return true;
    in.refuse(
        FaultCode::Unsupported,
        "an operand of shape " + to_string(x) + " is not supported; one or two spatial axes are"
    );
    return false;
}

Ints weight_window(const Shape& w, const Shape& x) {
    return w.size() == x.size() ? Ints(w.begin() + 2, w.end()) : Ints{};
}

void conv(Importer& in) {
    const auto x = in.operand(0);
    const auto w = in.operand(1);
    const auto shape = in.shape(x);
    if (!fits(in, shape)) return;
    auto window = WindowSettings::from(in, weight_window(in.shape(w), shape), shape.size() - 2);
    if (in.ok()) window.settle_pads(in, shape);
    if (!in.ok()) return;
    auto attributes = window.attributes();
    attributes.set("group", in.attributes().integer("group", 1));
    std::vector<ValueId> operands{as_image(in, x), as_image(in, w)};
    if (in.has(2)) operands.push_back(in.operand(2));
    const auto y = in.emit("Conv", std::move(operands), attributes);
    in.bind(0, as_operand(in, y, shape.size()));
}

/// With output_shape or SAME, the padding follows from the size of the result.
/// Source    ONNX, ConvTranspose: total_padding = stride (H - 1) + extra + reach - H'
void settle_transposed(Importer& in, WindowSettings& window, const Shape& x) {
    const bool same = window.auto_pad.starts_with("SAME_");
    const auto axes = window.kernel.size();
    auto wanted = in.attributes().integers("output_shape", {});
    if (wanted.size() == axes + 2) wanted.erase(wanted.begin(), wanted.begin() + 2);
    if (wanted.empty() && !same) {
        if (window.auto_pad == "VALID") window.pads.assign(2 * axes, 0);
        return;
    }
    if (wanted.empty()) {
        for (std::size_t i = 0; i < axes; ++i) wanted.push_back(x[i + 2] * window.strides[i]);
    }
    if (wanted.size() != axes) {
        return in.refuse(FaultCode::BadValue, "output_shape does not fit the operand");
    }
    for (std::size_t i = 0; i < axes; ++i) {
        if (wanted[i] < 1 || wanted[i] > std::int64_t{1} << 32U) {
            return in.refuse(FaultCode::BadValue, "output_shape is out of range");
        }
        const auto total =
            window.strides[i] * (x[i + 2] - 1) + window.extra[i] + window.reach(i) - wanted[i];
        // A result larger than the window reaches gains rows at its end.
        if (total < 0) window.extra[i] -= total;
        if (window.extra[i] > kSettingMax) {
            return in.refuse(FaultCode::BadValue, "output_shape is out of range");
        }
        window.settle_same(i, total);
    }
}

/// Appends the rows at the end that no window reaches, which hold only the bias. So any
/// output_padding works.
void conv_transpose(Importer& in) {
    const auto x = in.operand(0);
    const auto w = in.operand(1);
    const auto shape = in.shape(x);
    if (!fits(in, shape)) return;
    auto window = WindowSettings::from(in, weight_window(in.shape(w), shape), shape.size() - 2);
    if (in.ok()) settle_transposed(in, window, shape);
    if (!in.ok()) return;
    const auto extra = window.extra;
    auto attributes = window.attributes();
    attributes.set("group", in.attributes().integer("group", 1));
    Ints padding = extra.size() == 2 ? extra : Ints{0, extra[0]};
    Ints around(8, 0);
    for (std::size_t i = 0; i < 2; ++i) {
        const auto stride = attributes.integers("strides", {})[i];
        const auto dilation = attributes.integers("dilations", {})[i];
        if (padding[i] < std::max(stride, dilation)) continue;
        around[6 + i] = padding[i];
        padding[i] = 0;
    }
    attributes.set("output_padding", padding);
    auto y = in.emit("ConvTranspose", {as_image(in, x), as_image(in, w)}, attributes);
    if (std::any_of(around.begin(), around.end(), [](auto pad) { return pad != 0; })) {
        y = in.emit("Pad", {y}, {{"pads", around}});
    }
    if (in.has(2)) {
        const auto bias = in.operand(2);
        const auto channels = in.shape(bias);
        if (channels.size() != 1) return in.refuse(FaultCode::BadValue, "its bias does not fit");
        y = in.emit("Add", {y, in.reshape(bias, {channels[0], 1, 1})});
    }
    in.bind(0, as_operand(in, y, shape.size()));
}

void pool(Importer& in) {
    const auto& op = in.node().op;
    const auto x = in.operand(0);
    const auto shape = in.shape(x);
    if (!fits(in, shape)) return;
    auto window = WindowSettings::from(in, {}, shape.size() - 2);
    if (in.ok()) window.settle_pads(in, shape);
    if (!in.ok()) return;
    const auto include = in.attributes().integer("count_include_pad", 0);
    if (in.attributes().integer("ceil_mode", 0) != 0) {
        if (include != 0) {
            return in.refuse(
                FaultCode::Unsupported, "ceil_mode with count_include_pad is not supported"
            );
        }
        window.settle_ceiling(shape);
    }
    auto attributes = window.attributes();
    attributes.set("count_include_pad", include);
    if (op == "MaxPool" && in.attributes().integer("storage_order", 0) != 0) {
        return in.refuse(FaultCode::Unsupported, "storage_order is not supported");
    }
    const auto y = in.emit(op, {as_image(in, x)}, attributes);
    in.bind(0, as_operand(in, y, shape.size()));
}

void global_pool(Importer& in) {
    const auto x = in.operand(0);
    const auto shape = in.shape(x);
    if (shape.size() == 4) return in.bind(0, in.emit(in.node().op, {x}));
    Ints axes;
    for (std::size_t i = 2; i < shape.size(); ++i) axes.push_back(static_cast<std::int64_t>(i));
    const auto* fold = in.node().op == "GlobalMaxPool" ? "ReduceMax" : "ReduceMean";
    if (axes.empty()) return in.refuse(FaultCode::BadValue, "the operand has no spatial axis");
    in.bind(0, in.emit(fold, {x}, {{"axes", axes}}));
}

constexpr auto kWindowTranslations = std::to_array<NamedTranslation>({
    {"Conv", conv},
    {"ConvTranspose", conv_transpose},
    {"MaxPool", pool},
    {"AveragePool", pool},
    {"GlobalAveragePool", global_pool},
    {"GlobalMaxPool", global_pool},
});

}  // namespace

std::span<const NamedTranslation> window_translations() {
    return kWindowTranslations;
}

}  // namespace starling::compute::onnx
