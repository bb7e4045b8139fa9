#include "compute/gpu/opencl_api.hpp"

#include <array>
#include <utility>

#include "compute/gpu/named_library.hpp"

namespace starling::compute::gpu::cl {

namespace {

struct Opened {
    Api api;
    std::string why;  ///< the library cannot be used; empty when it can
};

Opened open() {
    Opened opened;
    NamedLibrary library("libOpenCL.so.1", " (Debian: ocl-icd-libopencl1)");
    auto& api = opened.api;
    const auto take = [&](const char* name, auto& to) { library.take(name, to); };
    take("clGetPlatformIDs", api.GetPlatformIDs);
    take("clGetPlatformInfo", api.GetPlatformInfo);
    take("clGetDeviceIDs", api.GetDeviceIDs);
    take("clGetDeviceInfo", api.GetDeviceInfo);
    take("clCreateContext", api.CreateContext);
    take("clReleaseContext", api.ReleaseContext);
    take("clCreateCommandQueue", api.CreateCommandQueue);
    take("clReleaseCommandQueue", api.ReleaseCommandQueue);
    take("clCreateProgramWithSource", api.CreateProgramWithSource);
    take("clBuildProgram", api.BuildProgram);
    take("clGetProgramBuildInfo", api.GetProgramBuildInfo);
    take("clReleaseProgram", api.ReleaseProgram);
    take("clCreateKernel", api.CreateKernel);
    take("clSetKernelArg", api.SetKernelArg);
    take("clReleaseKernel", api.ReleaseKernel);
    take("clCreateBuffer", api.CreateBuffer);
    take("clReleaseMemObject", api.ReleaseMemObject);
    take("clEnqueueReadBuffer", api.EnqueueReadBuffer);
    take("clEnqueueWriteBuffer", api.EnqueueWriteBuffer);
    take("clEnqueueFillBuffer", api.EnqueueFillBuffer);
    take("clEnqueueNDRangeKernel", api.EnqueueNDRangeKernel);
    take("clEnqueueMarkerWithWaitList", api.EnqueueMarkerWithWaitList);
    take("clFlush", api.Flush);
    take("clGetEventInfo", api.GetEventInfo);
    take("clSetEventCallback", api.SetEventCallback);
    take("clReleaseEvent", api.ReleaseEvent);
    opened.why = library.why();
    return opened;
}

}  // namespace

Result<const Api*> api() {
    static const Opened opened = open();
    if (!opened.why.empty()) return fail(FaultCode::NotFound, opened.why);
    return &opened.api;
}

std::string describe(Int status) {
    constexpr auto kKnown = std::to_array<std::pair<Int, const char*>>({
        {kDeviceNotFound, "no device"},
        {-3, "the driver has no compiler"},
        {kAllocationFailure, "out of device memory"},
        {kOutOfResources, "out of resources, or the device was reset"},
        {kOutOfHostMemory, "out of host memory"},
        {-11, "the kernels do not compile"},
        {-36, "the queue is gone"},
        {-52, "a kernel lacks an argument"},
        {-54, "a group of threads is too large"},
        {kInvalidBufferSize, "a buffer is too large"},
        {kPlatformNotFound, "no driver is installed"},
    });
    for (const auto& [code, text] : kKnown) {
        if (code == status) return std::to_string(status) + " (" + text + ")";
    }
    return std::to_string(status);
}

bool out_of_memory(Int status) {
    return status == kAllocationFailure || status == kOutOfHostMemory ||
           status == kInvalidBufferSize;
}

}  // namespace starling::compute::gpu::cl
