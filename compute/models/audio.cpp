// Spectrograms of sounds: blocks of convolution, batch norm and ReLU with max-pool, then dense layers.
// At the end time is averaged away and bands are not: when a word is said does not matter, how high
// it is does. docs/decisions/0028-audio.md has the measurements.
//
// Source    Zhang et al., "Hello Edge: Keyword Spotting on Microcontrollers" (arXiv 1711.07128),
//           section 3 for blocks=ds: a depthwise and a pointwise convolution, each with batch norm
//           and ReLU, after a first plain one. The first kernel there is 10x4 with stride 2, here
//           it is that of blocks=conv with a max-pool, so that any number of bands fits

#include <algorithm>

#include "compute/models/models.hpp"

namespace starling::compute {

namespace {

using Kernel = ModelBuilder::Kernel;

ValueId plain_block(
    ModelBuilder& net, const std::string& number, ValueId x, std::int64_t channels
) {
    x = net.conv2d("conv" + number, x, channels, Kernel{3, 1, false});
    return net.relu(net.batch_norm("bn" + number, x));
}

ValueId separable_block(
    ModelBuilder& net, const std::string& number, ValueId x, std::int64_t channels
) {
    if (x == ValueId::None) return x;
    const auto inputs = net.shape(x)[1];
    x = net.conv2d("ds" + number + ".depthwise", x, inputs, Kernel{3, 1, false, true, inputs});
    x = net.relu(net.batch_norm("ds" + number + ".bn1", x));
    x = net.conv2d("ds" + number + ".pointwise", x, channels, Kernel{1, 1, false});
    return net.relu(net.batch_norm("ds" + number + ".bn2", x));
}

/// Halves what can be halved.
ValueId halved(ModelBuilder& net, ValueId x) {
    if (x == ValueId::None) return x;
    const auto& shape = net.shape(x);
    const std::vector<std::int64_t> window{
        std::min<std::int64_t>(2, shape[2]), std::min<std::int64_t>(2, shape[3])};
    return net.node("MaxPool", {x}, {{"kernel_shape", window}, {"strides", window}});
}

ValueId mean_over_time(ModelBuilder& net, ValueId x) {
    if (x == ValueId::None) return x;
    const std::vector<std::int64_t> window{1, net.shape(x)[3]};
    return net.node("AveragePool", {x}, {{"kernel_shape", window}, {"strides", window}});
}

}  // namespace

Result<Model> build_audio(const Spec& spec, const Task& task, std::int64_t batch, Purpose purpose) {
    const auto channels = integer_list(spec, "channels", "32,64,128");
    if (channels.has_error()) return channels.error();
    const auto hidden = integer_list(spec, "hidden", "128");
    if (hidden.has_error()) return hidden.error();
    const auto dropout = spec.real("dropout", 0.2, 0.0, 0.9);
    if (dropout.has_error()) return dropout.error();
    const auto blocks = spec.text("blocks", "conv");
    if (blocks != "conv" && blocks != "ds") {
        return fail(
            FaultCode::Usage, "'audio': blocks=" + blocks + " is not allowed; give conv or ds"
        );
    }
    const auto mels = spec.integer("mels", task.sample_shape[1], 1, 512);
    if (mels.has_error()) return mels.error();
    if (*mels != task.sample_shape[1]) {
        return fail(
            FaultCode::Usage,
            "'audio': mels=" + std::to_string(*mels) + ", and the data have " +
                std::to_string(task.sample_shape[1]) + " bands; give one of them"
        );
    }
    ModelBuilder net(task, batch, purpose);
    auto x = net.input();
    for (std::size_t i = 0; i < channels->size(); ++i) {
        const auto number = std::to_string(i + 1);
        const bool separable = blocks == "ds" && i > 0;
        x = separable ? separable_block(net, number, x, (*channels)[i])
                      : plain_block(net, number, x, (*channels)[i]);
        x = halved(net, x);
    }
    x = net.dropout(net.flatten(mean_over_time(net, x)), *dropout);
    int layer = 1;
    for (const auto width : *hidden) {
        x = net.relu(net.linear("fc" + std::to_string(layer++), x, width));
    }
    return net.finish(net.linear("fc" + std::to_string(layer), x, task.classes));
}

}  // namespace starling::compute
