// A detector without anchors: each object is a point.
//
// Source    Zhou et al., "Objects as Points" (arXiv 1904.07850), with a residual net of three stages,
//           whose maps are added up from the coarsest to the finest (Lin et al., "Feature Pyramid
//           Networks", arXiv 1612.03144, section 3)

#include <array>
#include <charconv>

#include "compute/models/detector_backbone.hpp"
#include "compute/models/models.hpp"
#include "compute/models/residual.hpp"

namespace starling::compute {

namespace {

using Kernel = ModelBuilder::Kernel;

/// The stride of the coarsest map.
constexpr std::int64_t kCoarsest = kBackboneStrides.back();
constexpr std::int64_t kBlocks = 2;
/// The sigmoid of this is 0.1: without it, the first steps would only learn that most cells are no
/// centre (Lin et al., "Focal Loss", arXiv 1708.02002, section 4.1).
constexpr double kFirstHeat = -2.19;

struct Wishes {
    std::int64_t width = 32;
    std::int64_t stride = 4;
};

Result<Wishes> wishes_of(const Spec& spec) {
    const auto width = spec.integer("width", 32, 4, 512);
    if (width.has_error()) return width.error();
    const auto stride = spec.integer("stride", 4, 4, kCoarsest);
    if (stride.has_error()) return stride.error();
    if (*stride != 4 && *stride != 8 && *stride != kCoarsest) {
        return fail(
            FaultCode::Usage,
            "'detector': stride=" + std::to_string(*stride) + " is not allowed; give 4, 8 or 16"
        );
    }
    if (auto size = detector_size(spec); size.has_error()) return size.error();
    return Wishes{*width, *stride};
}

Result<void> check_sides(const Task& task) {
    const auto height = task.sample_shape[1];
    const auto width = task.sample_shape[2];
    if (height % kCoarsest == 0 && width % kCoarsest == 0) return {};
    return fail(
        FaultCode::Usage,
        "'detector': pictures are fed " + std::to_string(width) + " wide and " +
            std::to_string(height) + " high, and both sides must be multiples of " +
            std::to_string(kCoarsest) +
            "; give the model size=320x240 (width x height), or the data "
            "set size=240x320 (height x width)"
    );
}

/// The maps of the stages, from the finest to the coarsest; their strides are 4, 8 and 16.
BackboneMaps own_backbone(ModelBuilder& net, std::int64_t width) {
    const auto first = std::max<std::int64_t>(width / 2, 4);
    auto x = net.conv2d("backbone.conv1", net.input(), first, Kernel{3, 2, false});
    x = net.relu(net.batch_norm("backbone.bn1", x));
    BackboneMaps maps{};
    for (std::size_t stage = 0; stage < maps.size(); ++stage) {
        for (std::int64_t i = 0; i < kBlocks && x != ValueId::None; ++i) {
            const auto name =
                "backbone.layer" + std::to_string(stage + 1) + "." + std::to_string(i);
            x = residual_block(net, name, x, width << stage, i == 0 ? 2 : 1);
        }
        maps[stage] = x;
    }
    return maps;
}

/// As wide as our own: what a file's net has is often much wider, and the maps are large.
BackboneMaps narrowed(ModelBuilder& net, const BackboneMaps& wide, std::int64_t width) {
    BackboneMaps maps{};
    for (std::size_t stage = 0; stage < maps.size(); ++stage) {
        const auto name = "lateral" + std::to_string(stage + 1);
        const auto x = net.conv2d(name + ".conv", wide[stage], width << stage, Kernel{1, 1, false});
        maps[stage] = net.relu(net.batch_norm(name + ".bn", x));
    }
    return maps;
}

/// Adds a coarser map to a finer one, which keeps its number of channels.
ValueId merge(ModelBuilder& net, const std::string& name, ValueId coarse, ValueId fine) {
    if (coarse == ValueId::None || fine == ValueId::None) return ValueId::None;
    const auto channels = net.shape(fine)[1];
    auto x = net.conv2d(name + ".reduce", coarse, channels, Kernel{1, 1, false});
    x = net.batch_norm(name + ".bn1", x);
    x = net.node("Resize", {x}, {{"scales", Shape{1, 1, 2, 2}}});
    x = net.relu(net.add(x, fine));
    x = net.conv2d(name + ".smooth", x, channels, Kernel{3, 1, false});
    return net.relu(net.batch_norm(name + ".bn2", x));
}

ValueId head(
    ModelBuilder& net, const std::string& name, ValueId x, std::int64_t width, std::int64_t outputs
) {
    x = net.relu(net.conv2d(name + ".0", x, width, 3));
    return net.conv2d(name + ".2", x, outputs, 1);
}

Result<Model> with_heads(
    ModelBuilder& net, const BackboneMaps& maps, const Wishes& wishes, const Task& task
) {
    auto x = maps[2];
    if (wishes.stride <= 8) x = merge(net, "up2", x, maps[1]);
    if (wishes.stride <= 4) x = merge(net, "up1", x, maps[0]);
    auto heat = head(net, "heat", x, wishes.width, task.classes);
    const auto first = net.node("Constant", {}, {{"value", std::vector<double>{kFirstHeat}}});
    heat = net.add(heat, first);
    const auto size = head(net, "size", x, wishes.width, 2);
    const auto offset = head(net, "offset", x, wishes.width, 2);
    return net.finish(net.node("Concat", {heat, size, offset}, {{"axis", std::int64_t{1}}}));
}

}  // namespace

Result<std::optional<PictureSides>> detector_size(const Spec& spec) {
    const auto given = spec.text("size", "");
    if (given.empty()) return std::optional<PictureSides>();
    PictureSides sides;
    const char* end = given.data() + given.size();
    const auto width = std::from_chars(given.data(), end, sides.width);
    bool sound = width.ec == std::errc{} && width.ptr != end && *width.ptr == 'x';
    if (sound) {
        const auto height = std::from_chars(width.ptr + 1, end, sides.height);
        sound = height.ec == std::errc{} && height.ptr == end;
    }
    const auto fits = [](std::int64_t side) {
        return side >= kCoarsest && side <= 1024 && side % kCoarsest == 0;
    };
    if (sound && fits(sides.width) && fits(sides.height)) return std::optional(sides);
    return fail(
        FaultCode::Usage,
        "'detector': size=" + given +
            " is not allowed; give width x height, multiples of 16 up to 1024, as 320x240"
    );
}

Result<Model> build_detector(
    const Spec& spec, const Task& task, std::int64_t batch, Purpose purpose, ByteView file
) {
    const auto wishes = wishes_of(spec);
    if (wishes.has_error()) return wishes.error();
    if (auto sound = check_sides(task); sound.has_error()) return sound.error();
    const auto path = backbone_file(spec);
    if (path.has_error()) return path.error();
    if (path->empty()) {
        ModelBuilder net(task, batch, purpose);
        const auto maps = own_backbone(net, wishes->width);
        return with_heads(net, maps, *wishes, task);
    }
    auto given = read_backbone(file, task, batch, purpose);
    if (given.has_error()) return given.error();
    ModelBuilder net(std::move(given->graph), given->values, task, purpose, Shape{batch});
    net.add_statistics(std::move(given->statistics));
    const auto maps = narrowed(net, given->maps, wishes->width);
    auto model = with_heads(net, maps, *wishes, task);
    if (model.has_value()) model->notes = std::move(given->notes);
    return model;
}

}  // namespace starling::compute
