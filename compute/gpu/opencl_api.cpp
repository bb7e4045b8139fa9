#include "compute/gpu/opencl_api.hpp"

#include <array>
#include <dlfcn.h>
#include <utility>

namespace starling::compute::gpu::cl {

namespace {

constexpr const char* kLibrary = "libOpenCL.so.1";

struct Opened {
    Api api;
    std::string why;  ///< the library cannot be used; empty when it can
};

template <class Function>
void find(void* library, const char* name, Function& to, std::string& why) {
    void* symbol = ::dlsym(library, name);
    if (symbol == nullptr && why.empty()) why = std::string(kLibrary) + " has no " + name;
    // POSIX wants this conversion to work; C++ only allows it conditionally.
    to = reinterpret_cast<Function>(symbol);
}

Opened open() {
    Opened opened;
    void* library = ::dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
        opened.why = std::string(kLibrary) + " not found (Debian: ocl-icd-libopencl1)";
        return opened;
    }
    auto& api = opened.api;
    const auto take = [&](const char* name, auto& to) { find(library, name, to, opened.why); };
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
