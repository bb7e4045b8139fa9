#include <cmath>

#include "compute/graph/operator.hpp"
#include "compute/reference/reference.hpp"

namespace starling::compute::reference {

namespace {

/// Where the parts of each head lie in QKV [N,T,3D], Y [N,T,D] and weights [N,heads,T,T].
struct Heads {
    std::size_t tokens;
    std::size_t heads;
    std::size_t width;  ///< of one head

    Heads(const Shape& qkv, std::size_t count)
        : tokens(static_cast<std::size_t>(qkv[1])),
          heads(count),
          width(static_cast<std::size_t>(qkv[2]) / 3 / count) {}

    /// `part` is 0 for Q, 1 for K, 2 for V.
    [[nodiscard]] std::size_t qkv(
        std::size_t n, std::size_t h, std::size_t t, std::size_t part, std::size_t d
    ) const {
        return ((n * tokens + t) * 3 + part) * heads * width + h * width + d;
    }

    [[nodiscard]] std::size_t y(std::size_t n, std::size_t h, std::size_t t, std::size_t d) const {
        return ((n * tokens + t) * heads + h) * width + d;
    }

    [[nodiscard]] std::size_t weight(std::size_t n, std::size_t h, std::size_t t, std::size_t s)
        const {
        return ((n * heads + h) * tokens + t) * tokens + s;
    }
};

/// Calls visit(n, h, t, s) for each pair of a token t and one that it sees.
template <class Visit>
void for_each_pair(const Heads& at, std::size_t batch, const Visit& visit) {
    for (std::size_t n = 0; n < batch; ++n) {
        for (std::size_t h = 0; h < at.heads; ++h) {
            for (std::size_t t = 0; t < at.tokens; ++t) {
                for (std::size_t s = 0; s <= t; ++s) visit(n, h, t, s);
            }
        }
    }
}

void attention(const Call& call, const Heads& at) {
    const auto& x = call.inputs[0]->values;
    const auto batch = static_cast<std::size_t>(call.inputs[0]->shape[0]);
    auto& y = call.outputs[0].values;
    auto& weights = call.outputs[1].values;
    const double scale = 1.0 / std::sqrt(static_cast<double>(at.width));
    for_each_pair(at, batch, [&](auto n, auto h, auto t, auto s) {
        double sum = 0.0;
        for (std::size_t d = 0; d < at.width; ++d) {
            sum += x[at.qkv(n, h, t, 0, d)] * x[at.qkv(n, h, s, 1, d)];
        }
        weights[at.weight(n, h, t, s)] = std::exp(scale * sum);
        if (s < t) return;
        double total = 0.0;
        for (std::size_t k = 0; k <= t; ++k) total += weights[at.weight(n, h, t, k)];
        for (std::size_t k = 0; k <= t; ++k) weights[at.weight(n, h, t, k)] /= total;
    });
    for_each_pair(at, batch, [&](auto n, auto h, auto t, auto s) {
        for (std::size_t d = 0; d < at.width; ++d) {
            y[at.y(n, h, t, d)] += weights[at.weight(n, h, t, s)] * x[at.qkv(n, h, s, 2, d)];
        }
    });
}

void attention_gradient(const Call& call, const Heads& at) {
    const auto& dy = call.inputs[0]->values;
    const auto& x = call.inputs[1]->values;
    const auto& weights = call.inputs[2]->values;
    const auto batch = static_cast<std::size_t>(call.inputs[1]->shape[0]);
    auto& dx = call.outputs[0].values;
    const double scale = 1.0 / std::sqrt(static_cast<double>(at.width));
    std::vector<double> slopes(weights.size(), 0.0);
    std::vector<double> sums(weights.size() / at.tokens, 0.0);
    for_each_pair(at, batch, [&](auto n, auto h, auto t, auto s) {
        const auto w = at.weight(n, h, t, s);
        for (std::size_t d = 0; d < at.width; ++d) {
            slopes[w] += dy[at.y(n, h, t, d)] * x[at.qkv(n, h, s, 2, d)];
            dx[at.qkv(n, h, s, 2, d)] += weights[w] * dy[at.y(n, h, t, d)];
        }
        sums[w / at.tokens] += weights[w] * slopes[w];
    });
    for_each_pair(at, batch, [&](auto n, auto h, auto t, auto s) {
        const auto w = at.weight(n, h, t, s);
        const double slope = scale * weights[w] * (slopes[w] - sums[w / at.tokens]);
        for (std::size_t d = 0; d < at.width; ++d) {
            dx[at.qkv(n, h, t, 0, d)] += slope * x[at.qkv(n, h, s, 1, d)];
            dx[at.qkv(n, h, s, 1, d)] += slope * x[at.qkv(n, h, t, 0, d)];
        }
    });
}

}  // namespace

bool evaluate_attention(const Call& call) {
    const auto heads = static_cast<std::size_t>(call.node.attributes.integer("heads", 1));
    if (call.node.op->name == "CausalAttention") {
        attention(call, Heads(call.inputs[0]->shape, heads));
    } else if (call.node.op->name == "CausalAttentionGrad") {
        attention_gradient(call, Heads(call.inputs[1]->shape, heads));
    } else {
        return false;
    }
    return true;
}

}  // namespace starling::compute::reference
