#include "compute/models/models.hpp"

namespace starling::compute {

Result<Model> build_cnn(const Spec& spec, const Task& task, std::int64_t batch, Purpose purpose) {
    const auto channels = integer_list(spec, "channels", "32,64");
    if (channels.has_error()) return channels.error();
    const auto hidden = integer_list(spec, "hidden", "128");
    if (hidden.has_error()) return hidden.error();
    const auto kernel = spec.integer("kernel", 5, 1, 31);
    if (kernel.has_error()) return kernel.error();
    const auto pad = spec.integer("pad", 1, 0, 1);
    if (pad.has_error()) return pad.error();
    ModelBuilder net(task, batch, purpose);
    auto x = net.input();
    int layer = 1;
    for (const auto count : *channels) {
        const ModelBuilder::Kernel window{*kernel, 1, true, *pad == 1};
        x = net.relu(net.conv2d("conv" + std::to_string(layer++), x, count, window));
        x = net.max_pool(x, 2);
    }
    x = net.flatten(x);
    layer = 1;
    for (const auto width : *hidden) {
        x = net.relu(net.linear("fc" + std::to_string(layer++), x, width));
    }
    return net.finish(net.linear("fc" + std::to_string(layer), x, task.classes));
}

}  // namespace starling::compute
