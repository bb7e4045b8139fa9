#include "compute/graph/window.hpp"

namespace starling::compute {

namespace {

bool fill(
    const Attributes& attributes,
    std::string_view key,
    std::int64_t low,
    std::array<std::int64_t, 2>& out
) {
    const auto given = attributes.integers(key, {out[0], out[1]});
    if (given.size() != 2) return false;
    for (std::size_t i = 0; i < 2; ++i) {
        // The bound keeps later products of dimensions far from overflow.
        if (given[i] < low || given[i] > 4096) return false;
        out[i] = given[i];
    }
    return true;
}

}  // namespace

Result<Window> Window::from(const Attributes& attributes) {
    if (attributes.text("auto_pad", "NOTSET") != "NOTSET" ||
        attributes.integer("ceil_mode", 0) != 0) {
        return fail(FaultCode::Unsupported, "auto_pad and ceil_mode are not supported; give pads");
    }
    Window window;
    const auto pads = attributes.integers("pads", {0, 0, 0, 0});
    bool good = fill(attributes, "kernel_shape", 1, window.kernel) &&
                fill(attributes, "strides", 1, window.strides) &&
                fill(attributes, "dilations", 1, window.dilations) && pads.size() == 4;
    for (std::size_t i = 0; good && i < 2; ++i) {
        good = pads[i] >= 0 && pads[i] <= 4096 && pads[i + 2] >= 0 && pads[i + 2] <= 4096;
        window.pad_begin[i] = pads[i];
        window.pad_end[i] = pads[i + 2];
    }
    if (!good) {
        return fail(
            FaultCode::BadValue,
            "kernel_shape, strides and dilations want two positive numbers, pads four that are "
            "not negative"
        );
    }
    return window;
}

Attributes Window::attributes() const {
    return {
        {"kernel_shape", std::vector<std::int64_t>{kernel[0], kernel[1]}},
        {"strides", std::vector<std::int64_t>{strides[0], strides[1]}},
        {"dilations", std::vector<std::int64_t>{dilations[0], dilations[1]}},
        {"pads", std::vector<std::int64_t>{pad_begin[0], pad_begin[1], pad_end[0], pad_end[1]}},
    };
}

std::array<std::int64_t, 2> Window::places(std::int64_t height, std::int64_t width) const {
    const std::array<std::int64_t, 2> size{height, width};
    std::array<std::int64_t, 2> count{};
    for (std::size_t i = 0; i < 2; ++i) {
        const auto reach = dilations[i] * (kernel[i] - 1) + 1;
        const auto room = size[i] + pad_begin[i] + pad_end[i] - reach;
        count[i] = room < 0 ? 0 : room / strides[i] + 1;
    }
    return count;
}

}  // namespace starling::compute
