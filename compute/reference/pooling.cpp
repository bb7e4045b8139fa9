#include "compute/graph/operator.hpp"
#include "compute/graph/window.hpp"
#include "compute/reference/reference.hpp"

namespace starling::compute::reference {

namespace {

/// Calls visit(y index, x index or -1 for padding) for each tap of each window, in row-major order.
template <class Visit>
void for_each_tap(const Shape& x, const Shape& y, const Window& window, const Visit& visit) {
    for (std::int64_t i = 0; i < element_count(y); ++i) {
        const auto plane = i / (y[2] * y[3]);
        const auto row = i / y[3] % y[2];
        const auto column = i % y[3];
        for (std::int64_t k = 0; k < window.kernel[0] * window.kernel[1]; ++k) {
            const auto h = row * window.strides[0] - window.pad_begin[0] +
                           k / window.kernel[1] * window.dilations[0];
            const auto v = column * window.strides[1] - window.pad_begin[1] +
                           k % window.kernel[1] * window.dilations[1];
            const bool inside = h >= 0 && h < x[2] && v >= 0 && v < x[3];
            visit(static_cast<std::size_t>(i), inside ? (plane * x[2] + h) * x[3] + v : -1);
        }
    }
}

void max_pool(const Call& call, const Window& window) {
    const auto& x = *call.inputs[0];
    auto& y = call.outputs[0];
    std::vector<std::int64_t> best(y.values.size(), -1);
    for_each_tap(x.shape, y.shape, window, [&](std::size_t out, std::int64_t in) {
        if (in < 0) return;
        const double value = x.values[static_cast<std::size_t>(in)];
        if (best[out] >= 0 && value <= y.values[out]) return;
        best[out] = in;
        y.values[out] = value;
    });
    const auto plane = x.shape[2] * x.shape[3];
    for (std::size_t i = 0; i < best.size(); ++i) {
        call.outputs[1].values[i] = static_cast<double>(best[i] % plane);
    }
}

void max_pool_gradient(const Call& call) {
    const auto& dy = *call.inputs[0];
    const auto& indices = *call.inputs[1];
    auto& dx = call.outputs[0];
    const auto small = static_cast<std::size_t>(dy.shape[2] * dy.shape[3]);
    const auto large = static_cast<std::size_t>(dx.shape[2] * dx.shape[3]);
    for (std::size_t i = 0; i < dy.values.size(); ++i) {
        const auto place = static_cast<std::size_t>(indices.values[i]);
        dx.values[i / small * large + place] += dy.values[i];
    }
}

/// Returns the weight of each tap per output: one over the taps that count.
std::vector<double> shares(
    const Shape& x, const Shape& y, const Window& window, bool include_padding
) {
    std::vector<double> counts(static_cast<std::size_t>(element_count(y)), 0.0);
    for_each_tap(x, y, window, [&](std::size_t out, std::int64_t in) {
        if (in >= 0 || include_padding) counts[out] += 1.0;
    });
    for (auto& count : counts) count = 1.0 / count;
    return counts;
}

}  // namespace

bool evaluate_pooling(const Call& call) {
    const auto op = call.node.op->name;
    if (op == "MaxPoolGrad") {
        max_pool_gradient(call);
        return true;
    }
    if (op != "MaxPool" && op != "AveragePool" && op != "AveragePoolGrad" &&
        op != "GlobalAveragePool") {
        return false;
    }
    auto window = *Window::from(call.node.attributes);
    if (op == "MaxPool") {
        max_pool(call, window);
        return true;
    }
    const auto& in = *call.inputs[0];
    auto& out = call.outputs[0];
    if (op == "GlobalAveragePool") window.kernel = {in.shape[2], in.shape[3]};
    const bool include = call.node.attributes.integer("count_include_pad", 0) != 0;
    const bool backward = op == "AveragePoolGrad";
    const auto& x = backward ? out.shape : in.shape;
    const auto& y = backward ? in.shape : out.shape;
    const auto share = shares(x, y, window, include);
    for_each_tap(x, y, window, [&](std::size_t small, std::int64_t large) {
        if (large < 0) return;
        const auto place = static_cast<std::size_t>(large);
        if (backward) {
            out.values[place] += share[small] * in.values[small];
        } else {
            out.values[small] += share[small] * in.values[place];
        }
    });
    return true;
}

}  // namespace starling::compute::reference
