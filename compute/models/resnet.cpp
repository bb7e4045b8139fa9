// Residual nets.
//
// Source    He et al., "Deep Residual Learning for Image Recognition" (arXiv 1512.03385), sections
//           3.3 and 4.2; shortcuts that change shape are 1x1 convolutions (option B), where the
//           paper's nets for small images pad with zeros. Names as in torchvision

#include "compute/models/models.hpp"
#include "compute/models/residual.hpp"

namespace starling::compute {

namespace {

using Kernel = ModelBuilder::Kernel;

/// Stages of blocks, each twice as wide and half as large as the one before.
ValueId stages(ModelBuilder& net, ValueId x, std::int64_t width, int count, int blocks) {
    for (int stage = 0; stage < count; ++stage) {
        for (int i = 0; i < blocks && x != ValueId::None; ++i) {
            const auto name = "layer" + std::to_string(stage + 1) + "." + std::to_string(i);
            x = residual_block(net, name, x, width << stage, stage > 0 && i == 0 ? 2 : 1);
        }
    }
    return net.flatten(net.node("GlobalAveragePool", {x}));
}

}  // namespace

ValueId residual_block(
    ModelBuilder& net,
    const std::string& name,
    ValueId x,
    std::int64_t channels,
    std::int64_t stride
) {
    auto y = net.conv2d(name + ".conv1", x, channels, Kernel{3, stride, false});
    y = net.relu(net.batch_norm(name + ".bn1", y));
    y = net.conv2d(name + ".conv2", y, channels, Kernel{3, 1, false});
    y = net.batch_norm(name + ".bn2", y);
    if (y == ValueId::None) return y;
    auto shortcut = x;
    if (net.shape(x) != net.shape(y)) {
        shortcut = net.conv2d(name + ".downsample.0", x, channels, Kernel{1, stride, false});
        shortcut = net.batch_norm(name + ".downsample.1", shortcut);
    }
    return net.relu(net.add(y, shortcut));
}

Result<Model> build_resnet20(
    const Spec& spec, const Task& task, std::int64_t batch, Purpose purpose
) {
    const auto width = spec.integer("width", 16, 1, 1024);
    if (width.has_error()) return width.error();
    ModelBuilder net(task, batch, purpose);
    auto x = net.conv2d("conv1", net.input(), *width, Kernel{3, 1, false});
    x = net.relu(net.batch_norm("bn1", x));
    x = stages(net, x, *width, 3, 3);
    return net.finish(net.linear("fc", x, task.classes));
}

Result<Model> build_resnet18(
    const Spec& spec, const Task& task, std::int64_t batch, Purpose purpose
) {
    const auto width = spec.integer("width", 64, 1, 1024);
    if (width.has_error()) return width.error();
    const auto stem = spec.text("stem", "imagenet");
    if (stem != "imagenet" && stem != "cifar") {
        return fail(
            FaultCode::Usage, "'resnet18': stem=" + stem + " is not allowed; give imagenet or cifar"
        );
    }
    const bool small = stem == "cifar";
    ModelBuilder net(task, batch, purpose);
    const Kernel first = small ? Kernel{3, 1, false} : Kernel{7, 2, false};
    auto x = net.conv2d("conv1", net.input(), *width, first);
    x = net.relu(net.batch_norm("bn1", x));
    if (!small) {
        const std::vector<std::int64_t> two{2, 2};
        x = net.node(
            "MaxPool",
            {x},
            {{"kernel_shape", std::vector<std::int64_t>{3, 3}},
             {"strides", two},
             {"pads", std::vector<std::int64_t>{1, 1, 1, 1}}}
        );
    }
    x = stages(net, x, *width, 4, 2);
    return net.finish(net.linear("fc", x, task.classes));
}

}  // namespace starling::compute
