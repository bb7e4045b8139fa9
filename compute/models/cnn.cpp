#include "compute/models/models.hpp"

namespace starling::compute {

Result<Model> build_cnn(const Spec& spec, const Task& task, std::int64_t batch, Purpose purpose) {
    const auto known = spec.only("channels,hidden,kernel");
    if (known.has_error()) return known.error();
    const auto channels = integer_list(spec, "channels", "32,64");
    if (channels.has_error()) return channels.error();
    const auto hidden = spec.integer("hidden", 128, 1, 65536);
    if (hidden.has_error()) return hidden.error();
    const auto kernel = spec.integer("kernel", 5, 1, 31);
    if (kernel.has_error()) return kernel.error();
    ModelBuilder net(task, batch, purpose);
    auto x = net.input();
    int layer = 1;
    for (const auto count : *channels) {
        x = net.relu(net.conv2d("conv" + std::to_string(layer++), x, count, *kernel));
        x = net.max_pool(x, 2);
    }
    x = net.relu(net.linear("fc1", net.flatten(x), *hidden));
    return net.finish(net.linear("fc2", x, task.classes));
}

}  // namespace starling::compute
