// A decoder-only transformer over tokens: sample values are token numbers, each token has a label.
//
// Source    Radford et al., "Language Models are Unsupervised Multitask Learners" (2019), section
//           2.3: pre-norm blocks, learned positions, weights normal with deviation 0.02, those that
//           end a residual branch scaled by 1 / sqrt(2 layers). Names as in the transformers
//           library, weights [out, in] as torch.nn.Linear holds them

#include <cmath>

#include "compute/models/models.hpp"

namespace starling::compute {

namespace {

struct GptSettings {
    std::int64_t layers = 6;
    std::int64_t heads = 6;
    std::int64_t dim = 384;
    double dropout = 0.0;
    bool tied = true;
    bool bias = true;
    std::int64_t context = 0;  ///< 0: as many tokens as a sample has

    static Result<GptSettings> from(const Spec& spec) {
        const auto layers = spec.integer("layers", 6, 1, 256);
        if (layers.has_error()) return layers.error();
        const auto heads = spec.integer("heads", 6, 1, 256);
        if (heads.has_error()) return heads.error();
        const auto dim = spec.integer("dim", 384, 1, 16384);
        if (dim.has_error()) return dim.error();
        const auto dropout = spec.real("dropout", 0.0, 0.0, 0.9);
        if (dropout.has_error()) return dropout.error();
        const auto tied = spec.integer("tied", 1, 0, 1);
        if (tied.has_error()) return tied.error();
        const auto bias = spec.integer("bias", 1, 0, 1);
        if (bias.has_error()) return bias.error();
        const auto context = spec.integer("context", 0, 1, 65536);
        if (context.has_error()) return context.error();
        if (*dim % *heads != 0) {
            return fail(
                FaultCode::Usage,
                "'gpt': dim=" + std::to_string(*dim) +
                    " is not allowed; give a multiple of heads=" + std::to_string(*heads)
            );
        }
        return GptSettings{*layers, *heads, *dim, *dropout, *tied == 1, *bias == 1, *context};
    }
};

/// Rows of D floats, one per token, go in and come out.
ValueId block(
    ModelBuilder& net, const std::string& name, ValueId x, const GptSettings& s, const Shape& tokens
) {
    constexpr double kDeviation = 0.02;
    const double last = kDeviation / std::sqrt(2.0 * static_cast<double>(s.layers));
    auto y = net.layer_norm(name + ".ln_1", x, s.bias);
    y = net.linear(name + ".attn.c_attn", y, 3 * s.dim, kDeviation, s.bias);
    y = net.reshape(y, {tokens[0], tokens[1], 3 * s.dim});
    y = net.node("CausalAttention", {y}, {{"heads", s.heads}});
    y = net.reshape(y, {-1, s.dim});
    y = net.dropout(net.linear(name + ".attn.c_proj", y, s.dim, last, s.bias), s.dropout);
    x = net.add(x, y);
    y = net.layer_norm(name + ".ln_2", x, s.bias);
    y = net.node("Gelu", {net.linear(name + ".mlp.c_fc", y, 4 * s.dim, kDeviation, s.bias)});
    y = net.dropout(net.linear(name + ".mlp.c_proj", y, s.dim, last, s.bias), s.dropout);
    return net.add(x, y);
}

}  // namespace

Result<Model> build_gpt(const Spec& spec, const Task& task, std::int64_t batch, Purpose purpose) {
    const auto s = GptSettings::from(spec);
    if (s.has_error()) return s.error();
    if (task.sample_shape.size() != 1) {
        return fail(FaultCode::BadValue, "gpt wants samples of shape T: token numbers");
    }
    if (s->context != 0 && s->context != task.sample_shape[0]) {
        return fail(
            FaultCode::Usage,
            "'gpt': context=" + std::to_string(s->context) + ", but the data come in windows of " +
                std::to_string(task.sample_shape[0])
        );
    }
    const Shape tokens{batch, task.sample_shape[0]};
    ModelBuilder net(task, batch, purpose, {tokens[0] * tokens[1]});
    const auto numbers = net.node("Cast", {net.input()}, {{"to", std::string("int32")}});
    auto x = net.embedding("transformer.wte", numbers, {task.classes, s->dim}, 0.02);
    const auto order = net.positions(tokens[1]);
    x = net.add(x, net.embedding("transformer.wpe", order, {tokens[1], s->dim}, 0.02));
    x = net.dropout(net.reshape(x, {-1, s->dim}), s->dropout);
    for (std::int64_t i = 0; i < s->layers; ++i) {
        x = block(net, "transformer.h." + std::to_string(i), x, *s, tokens);
    }
    x = net.layer_norm("transformer.ln_f", x, s->bias);
    if (s->tied) return net.finish(net.tied_linear("transformer.wte", x));
    return net.finish(net.linear("lm_head", x, task.classes, 0.02, s->bias));
}

}  // namespace starling::compute
