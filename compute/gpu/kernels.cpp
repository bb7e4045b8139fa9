#include "compute/gpu/kernels.hpp"

#include <limits>
#include <stdexcept>
#include <string>

#include "kernel_text.hpp"

namespace starling::compute::gpu {

namespace {

std::int32_t narrow(std::int64_t value) {
    if (value > std::numeric_limits<std::int32_t>::max() ||
        value < std::numeric_limits<std::int32_t>::min()) {
        throw std::runtime_error("a value of more than 2^31 elements has no kernel on this device");
    }
    return static_cast<std::int32_t>(value);
}

}  // namespace

std::string_view kernel_source() {
    static const std::string text = [] {
        std::string all;
        for (const auto* part : kKernelText) all += part;
        return all;
    }();
    return text;
}

KernelView kernel_view(const View& view) {
    std::vector<std::int64_t> shape;
    std::vector<std::int64_t> strides;
    for (std::size_t i = 0; i < view.shape.size(); ++i) {
        if (view.shape[i] == 1) continue;
        const bool joins = !shape.empty() && strides.back() == view.shape[i] * view.strides[i];
        if (joins) {
            shape.back() *= view.shape[i];
            strides.back() = view.strides[i];
        } else {
            shape.push_back(view.shape[i]);
            strides.push_back(view.strides[i]);
        }
    }
    if (shape.size() > kViewRankMax) {
        throw std::runtime_error("a view of more than eight axes has no kernel on this device");
    }
    KernelView out;
    out.rank = static_cast<std::int32_t>(shape.size());
    out.offset = narrow(view.offset);
    for (std::size_t i = 0; i < shape.size(); ++i) {
        out.shape[i] = narrow(shape[i]);
        out.strides[i] = narrow(strides[i]);
    }
    return out;
}

}  // namespace starling::compute::gpu
