#pragma once

// The gradient of a convolution's weights in slices of the batch: each thread runs the library's
// primitive on images of its own, and then the threads' results are added up.
//
// In bf16 the library's own threads share images and spin while they wait for each other, up to
// several times for each image. With strides, the waiting takes three times as long as the
// arithmetic. On a machine whose cores have other work, each wait lasts a time slice, which adds up
// to more than a second for one layer. Threads with slices wait for each other only twice.

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "compute/cpu/library/kernel.hpp"
#include "compute/cpu/library/onednn.hpp"

namespace starling::compute::cpu {

struct SlicedGradient {
    Compiled slice;  ///< the primitive for one slice on one thread
    int slices = 1;
    Desc x;  ///< the layout of all images
    Desc dy;

    /// Returns the bytes that the slices need besides the operands.
    [[nodiscard]] std::size_t workspace_bytes() const;
};

/// Divides the gradient of a convolution's weights into slices. Returns nothing when the batch
/// cannot be divided among most of the threads, or when the library wants a layout in which the
/// bytes of an image do not lie together.
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

    /// Where each slice leaves one result; the first slice leaves it in the kernel's own buffer.
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
