#pragma once

// The gradient of a convolution's weights in slices of the batch: each thread runs the library's
// primitive on images of its own, and what they found is added up.
//
// In bf16 the library's threads share images and wait for each other, spinning, up to several times
// an image. With strides that takes three times as long as the arithmetic, and on a machine whose
// cores have other work each meeting lasts a time slice: a second and more for one layer. Slices
// meet twice.

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "compute/cpu/library/kernel.hpp"
#include "compute/cpu/library/onednn.hpp"

namespace starling::compute::cpu {

struct SlicedGradient {
    Compiled slice;  ///< for one slice, and for one thread
    int slices = 1;
    Desc x;  ///< the layout of all images
    Desc dy;

    /// Returns the bytes that the slices need besides the operands.
    [[nodiscard]] std::size_t workspace_bytes() const;
};

/// Returns nothing where the batch cannot be divided among most of the threads, or the library
/// wants a layout in which an image is not one piece.
///
/// Errors    throws dnnl::error when the library refuses
[[nodiscard]] std::optional<SlicedGradient> slice_gradient(Convolution convolution, int threads);

class SlicedGradientKernel final : public Kernel {
public:
    struct Operands {
        BufferId x = BufferId::None;
        BufferId dy = BufferId::None;
        BufferId dw = BufferId::None;
        BufferId db = BufferId::None;  ///< may be None
        BufferId workspace = BufferId::None;
    };

    SlicedGradientKernel(std::string name, SlicedGradient gradient, Operands operands);

    [[nodiscard]] std::string detail() const override;

    void bind(Addresses addresses) override;
    void run() override;

private:
    struct Slice {
        dnnl::stream stream;
        std::vector<dnnl::memory> memories;
        std::vector<dnnl_exec_arg_t> arguments;
    };

    /// One result of all slices, the first of which is the kernel's own.
    using Parts = std::vector<float*>;

    void add(Slice& slice, int argument, std::byte* address);
    Parts bind_result(int argument, std::byte* result, std::byte*& free);
    void sum(const Parts& parts, std::size_t count);

    SlicedGradient gradient_;
    Operands operands_;
    std::vector<Slice> slices_;
    Parts dw_;
    Parts db_;
};

}  // namespace starling::compute::cpu
