#include "compute/models/models.hpp"

namespace starling::compute {

Result<Model> build_mlp(const Spec& spec, const Task& task, std::int64_t batch, Purpose purpose) {
    const auto hidden = integer_list(spec, "hidden", "512,256");
    if (hidden.has_error()) return hidden.error();
    ModelBuilder net(task, batch, purpose);
    auto x = net.flatten(net.input());
    int layer = 1;
    for (const auto width : *hidden) {
        x = net.relu(net.linear("fc" + std::to_string(layer++), x, width));
    }
    return net.finish(net.linear("fc" + std::to_string(layer), x, task.classes));
}

}  // namespace starling::compute
