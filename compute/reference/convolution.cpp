#include "compute/graph/operator.hpp"
#include "compute/graph/window.hpp"
#include "compute/reference/reference.hpp"

namespace starling::compute::reference {

namespace {

/// Calls visit(x index, w index, y index) for every multiplication of a convolution.
template <class Visit>
void for_each_product(
    const Shape& x, const Shape& w, const Shape& y, const Window& window, const Visit& visit
) {
    const auto at =
        [](const Shape& s, std::int64_t a, std::int64_t b, std::int64_t c, std::int64_t d) {
            return static_cast<std::size_t>(((a * s[1] + b) * s[2] + c) * s[3] + d);
        };
    // Output channels and input channels come in equal groups that see only each other.
    const auto groups = x[1] / w[1];
    for (std::int64_t n = 0; n < y[0]; ++n) {
        for (std::int64_t o = 0; o < y[1]; ++o) {
            for (std::int64_t i = 0; i < y[2] * y[3]; ++i) {
                const auto row = i / y[3];
                const auto column = i % y[3];
                for (std::int64_t k = 0; k < w[1] * w[2] * w[3]; ++k) {
                    const auto c = k / (w[2] * w[3]);
                    const auto r = k / w[3] % w[2];
                    const auto s = k % w[3];
                    const auto h =
                        row * window.strides[0] - window.pad_begin[0] + r * window.dilations[0];
                    const auto v =
                        column * window.strides[1] - window.pad_begin[1] + s * window.dilations[1];
                    if (h < 0 || h >= x[2] || v < 0 || v >= x[3]) continue;
                    const auto seen = o / (y[1] / groups) * w[1] + c;
                    visit(at(x, n, seen, h, v), at(w, o, c, r, s), at(y, n, o, row, column));
                }
            }
        }
    }
}

std::size_t channel_of(std::size_t index, const Shape& shape) {
    return index / static_cast<std::size_t>(shape[2] * shape[3]) %
           static_cast<std::size_t>(shape[1]);
}

}  // namespace

bool evaluate_convolution(const Call& call) {
    const auto op = call.node.op->name;
    if (op != "Conv" && op != "ConvGradInput" && op != "ConvGradWeight") return false;
    const auto window = *Window::from(call.node.attributes);
    auto& out = call.outputs[0].values;
    const auto& a = *call.inputs[0];
    const auto& b = *call.inputs[1];
    const auto& shape = call.outputs[0].shape;
    if (op == "Conv") {
        for_each_product(
            a.shape,
            b.shape,
            shape,
            window,
            [&](std::size_t x, std::size_t w, std::size_t y) {
                out[y] += a.values[x] * b.values[w];
            }
        );
        if (call.inputs.size() < 3 || call.inputs[2] == nullptr) return true;
        const auto& bias = call.inputs[2]->values;
        for (std::size_t i = 0; i < out.size(); ++i) out[i] += bias[channel_of(i, shape)];
    } else if (op == "ConvGradInput") {
        for_each_product(
            shape,
            b.shape,
            a.shape,
            window,
            [&](std::size_t x, std::size_t w, std::size_t y) {
                out[x] += a.values[y] * b.values[w];
            }
        );
    } else {
        for_each_product(
            b.shape,
            shape,
            a.shape,
            window,
            [&](std::size_t x, std::size_t w, std::size_t y) {
                out[w] += a.values[y] * b.values[x];
            }
        );
        auto& bias = call.outputs[1].values;
        for (std::size_t i = 0; i < a.values.size(); ++i) {
            bias[channel_of(i, a.shape)] += a.values[i];
        }
    }
    return true;
}

}  // namespace starling::compute::reference
