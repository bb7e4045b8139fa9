#include "compute/cpu/library/sliced_gradient.hpp"

#include <algorithm>
#include <omp.h>
#include <utility>

#include "base/check.hpp"
#include "compute/simd/parallel.hpp"

namespace starling::compute::cpu {

namespace {

/// Two cache lines: slices share neither a line nor the neighbour that is fetched with it.
constexpr std::size_t kAlignment = 128;

std::size_t aligned(std::size_t bytes) {
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

std::size_t bytes_of(const Compiled& compiled, int argument) {
    return compiled.has(argument) ? aligned(byte_count(compiled.desc(argument))) : 0;
}

/// Returns the greatest divisor of the batch that does not exceed the number of threads.
int slices_of(std::int64_t batch, int threads) {
    int slices = static_cast<int>(std::min<std::int64_t>(threads, batch));
    while (slices > 1 && batch % slices != 0) --slices;
    return slices;
}

/// Compiles the primitive of one slice. A primitive divides its work by the number of threads at
/// the time of its creation, so this sets that number to one meanwhile.
Compiled compile_for_one_thread(const Convolution& convolution, int threads) {
    omp_set_num_threads(1);
    try {
        auto compiled = convolution_backward_weight(convolution);
        omp_set_num_threads(threads);
        return compiled;
    } catch (...) {
        omp_set_num_threads(threads);
        throw;
    }
}

Desc of_all_images(const Desc& slice, const Shape& shape) {
    const auto layout = image_layout(shape, channel_block(slice));
    return is_bf16(slice) ? in_bf16(layout) : layout;
}

}  // namespace

std::optional<SlicedGradient> slice_gradient(Convolution convolution, int threads) {
    const auto batch = convolution.input[0];
    const int slices = slices_of(batch, threads);
    if (slices == 1 || 2 * slices <= threads) return std::nullopt;
    const auto x = convolution.input;
    const auto dy = convolution.output;
    convolution.input[0] = convolution.output[0] = batch / slices;
    auto slice = compile_for_one_thread(convolution, threads);
    const auto& part_of_x = slice.desc(DNNL_ARG_SRC);
    const auto& part_of_dy = slice.desc(DNNL_ARG_DIFF_DST);
    if (channel_block(part_of_x) == 0 || channel_block(part_of_dy) == 0) return std::nullopt;
    auto all_x = of_all_images(part_of_x, x);
    auto all_dy = of_all_images(part_of_dy, dy);
    return SlicedGradient{std::move(slice), slices, std::move(all_x), std::move(all_dy)};
}

std::size_t SlicedGradient::workspace_bytes() const {
    const auto results =
        bytes_of(slice, DNNL_ARG_DIFF_WEIGHTS) + bytes_of(slice, DNNL_ARG_DIFF_BIAS);
    const auto count = static_cast<std::size_t>(slices);
    return count * bytes_of(slice, DNNL_ARG_SCRATCHPAD) + (count - 1) * results;
}

SlicedGradientKernel::SlicedGradientKernel(
    std::string name, SlicedGradient gradient, Operands operands
)
    : Kernel(std::move(name)),
      gradient_(std::move(gradient)),
      operands_(operands) {}

std::string SlicedGradientKernel::detail() const {
    return gradient_.slice.implementation + " in " + std::to_string(gradient_.slices) + " slices";
}

void SlicedGradientKernel::bind(Addresses addresses) {
    const auto at = [&](BufferId buffer) { return addresses[static_cast<std::size_t>(buffer)]; };
    const auto& slice = gradient_.slice;
    const auto x_bytes = byte_count(slice.desc(DNNL_ARG_SRC));
    const auto dy_bytes = byte_count(slice.desc(DNNL_ARG_DIFF_DST));
    auto* free = at(operands_.workspace);
    slices_.clear();
    for (int i = 0; i < gradient_.slices; ++i) {
        const auto index = static_cast<std::size_t>(i);
        slices_.push_back({dnnl::stream(cpu_engine()), {}, {}});
        add(slices_.back(), DNNL_ARG_SRC, at(operands_.x) + index * x_bytes);
        add(slices_.back(), DNNL_ARG_DIFF_DST, at(operands_.dy) + index * dy_bytes);
        if (!slice.has(DNNL_ARG_SCRATCHPAD)) continue;
        add(slices_.back(), DNNL_ARG_SCRATCHPAD, free);
        free += bytes_of(slice, DNNL_ARG_SCRATCHPAD);
    }
    dw_ = bind_result(DNNL_ARG_DIFF_WEIGHTS, at(operands_.dw), free);
    if (slice.has(DNNL_ARG_DIFF_BIAS)) {
        db_ = bind_result(DNNL_ARG_DIFF_BIAS, at(operands_.db), free);
    }
}

void SlicedGradientKernel::add(Slice& slice, int argument, std::byte* address) {
    slice.memories.emplace_back(gradient_.slice.desc(argument), cpu_engine(), address);
    slice.arguments.push_back({argument, slice.memories.back().get()});
}

SlicedGradientKernel::Parts SlicedGradientKernel::bind_result(
    int argument, std::byte* result, std::byte*& free
) {
    Parts parts;
    for (auto& slice : slices_) {
        auto* part = result;
        if (!parts.empty()) {
            part = free;
            free += bytes_of(gradient_.slice, argument);
        }
        add(slice, argument, part);
        parts.push_back(reinterpret_cast<float*>(part));
    }
    return parts;
}

void SlicedGradientKernel::run() {
#pragma omp parallel for schedule(static, 1) num_threads(gradient_.slices)
    for (std::size_t i = 0; i < slices_.size(); ++i) {
        auto& slice = slices_[i];
        const auto status = dnnl_primitive_execute(
            gradient_.slice.primitive.get(),
            slice.stream.get(),
            static_cast<int>(slice.arguments.size()),
            slice.arguments.data()
        );
        STARLING_CHECK(status == dnnl_success);
    }
    sum(dw_, padded_count(gradient_.slice.desc(DNNL_ARG_DIFF_WEIGHTS)));
    if (!db_.empty()) sum(db_, padded_count(gradient_.slice.desc(DNNL_ARG_DIFF_BIAS)));
}

void SlicedGradientKernel::sum(const Parts& parts, std::size_t count) {
    parallel_ranges(gradient_.slices, count, [&](std::size_t begin, std::size_t end) {
        for (std::size_t part = 1; part < parts.size(); ++part) {
            for (std::size_t i = begin; i < end; ++i) parts[0][i] += parts[part][i];
        }
    });
}

}  // namespace starling::compute::cpu
