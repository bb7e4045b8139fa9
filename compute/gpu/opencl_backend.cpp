#include "compute/gpu/opencl_backend.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "compute/gpu/kernels.hpp"

namespace starling::compute::gpu {

namespace {

using Cl = const cl::Api&;

/// Closes a handle of OpenCL with the function that belongs to it.
template <class Handle, cl::Int (*cl::Api::*Release)(Handle)>
class Owned {
public:
    Owned() = default;

    Owned(Cl api, Handle handle) : api_(&api), handle_(handle) {}

    Owned(const Owned&) = delete;
    Owned& operator=(const Owned&) = delete;

    Owned(Owned&& other) noexcept
        : api_(other.api_),
          handle_(std::exchange(other.handle_, nullptr)) {}

    Owned& operator=(Owned&& other) noexcept {
        std::swap(api_, other.api_);
        std::swap(handle_, other.handle_);
        return *this;
    }

    ~Owned() {
        // A handle that the driver does not give back is the driver's loss.
        if (handle_ != nullptr) (void)(api_->*Release)(handle_);
    }

    [[nodiscard]] Handle get() const { return handle_; }

private:
    const cl::Api* api_ = nullptr;
    Handle handle_ = nullptr;
};

using OwnedContext = Owned<cl::Context, &cl::Api::ReleaseContext>;
using OwnedQueue = Owned<cl::Queue, &cl::Api::ReleaseCommandQueue>;
using OwnedProgram = Owned<cl::Program, &cl::Api::ReleaseProgram>;
using OwnedKernel = Owned<cl::Kernel, &cl::Api::ReleaseKernel>;
using OwnedBuffer = Owned<cl::Memory, &cl::Api::ReleaseMemObject>;

class OpenClMemory final : public DeviceMemory {
public:
    OpenClMemory(std::size_t floats, OwnedBuffer buffer)
        : DeviceMemory(floats),
          buffer_(std::move(buffer)) {}

    [[nodiscard]] cl::Memory handle() const { return buffer_.get(); }

private:
    OwnedBuffer buffer_;
};

cl::Memory handle_of(DeviceMemory& memory) {
    auto* ours = dynamic_cast<OpenClMemory*>(&memory);
    STARLING_CHECK(ours != nullptr);
    return ours->handle();
}

class OpenClBackend final : public Backend {
public:
    OpenClBackend(Cl api, const OpenClDevice& device) : api_(api), device_(device) {}

    Result<void> open() {
        cl::Int status = cl::kSuccess;
        context_ = {api_, api_.CreateContext(nullptr, 1, &device_.id, nullptr, nullptr, &status)};
        if (status != cl::kSuccess) return failed("cannot be opened", status);
        queue_ = {api_, api_.CreateCommandQueue(context_.get(), device_.id, 0, &status)};
        if (status != cl::kSuccess) return failed("gives no queue", status);
        const auto source = kernel_source();
        const char* text = source.data();
        const auto length = source.size();
        program_ = {api_, api_.CreateProgramWithSource(context_.get(), 1, &text, &length, &status)};
        if (status != cl::kSuccess) return failed("takes no kernels", status);
        status =
            api_.BuildProgram(program_.get(), 1, &device_.id, "-cl-std=CL1.2", nullptr, nullptr);
        if (status == cl::kSuccess) return {};
        return fail(
            FaultCode::Device, device_.info.name + " does not compile our kernels: " + build_log()
        );
    }

    Result<std::unique_ptr<DeviceMemory>> allocate(std::size_t floats) override {
        if (fault_) return *fault_;
        const auto bytes = std::max<std::size_t>(1, floats) * sizeof(float);
        if (bytes > device_.info.allocation_bytes_max) return too_large(bytes);
        cl::Int status = cl::kSuccess;
        OwnedBuffer buffer(
            api_, api_.CreateBuffer(context_.get(), cl::kReadWrite, bytes, nullptr, &status)
        );
        if (cl::out_of_memory(status)) return too_large(bytes);
        if (status != cl::kSuccess) return remember("gives no memory", status);
        // Many drivers take memory only when it is used for the first time, so that its lack shows
        // here.
        const float zero = 0.0F;
        status = api_.EnqueueFillBuffer(
            queue_.get(), buffer.get(), &zero, sizeof(zero), 0, bytes, 0, nullptr, nullptr
        );
        if (status == cl::kSuccess) status = api_.Finish(queue_.get());
        if (cl::out_of_memory(status)) return too_large(bytes);
        if (status != cl::kSuccess) return remember("gives no memory", status);
        return std::unique_ptr<DeviceMemory>(
            std::make_unique<OpenClMemory>(floats, std::move(buffer))
        );
    }

    Result<void> write(std::span<const std::byte> from, DeviceMemory& to, std::size_t offset)
        override {
        if (fault_) return *fault_;
        if (from.empty()) return {};
        return checked(
            "takes no data",
            api_.EnqueueWriteBuffer(
                queue_.get(),
                handle_of(to),
                cl::kBlocking,
                offset,
                from.size(),
                from.data(),
                0,
                nullptr,
                nullptr
            )
        );
    }

    Result<void> read(DeviceMemory& from, std::size_t offset, std::span<std::byte> to) override {
        if (fault_) return *fault_;
        if (to.empty()) return {};
        return checked(
            "gives no data",
            api_.EnqueueReadBuffer(
                queue_.get(),
                handle_of(from),
                cl::kBlocking,
                offset,
                to.size(),
                to.data(),
                0,
                nullptr,
                nullptr
            )
        );
    }

    Result<void> launch(const Launch& launch) override {
        if (fault_) return *fault_;
        for (const auto groups : launch.grid.groups) {
            if (groups == 0) return {};
        }
        const auto kernel = find(launch.kernel);
        if (!kernel) return kernel.error();
        cl::Uint index = 0;
        for (const auto& argument : launch.arguments) {
            if (argument.memory() != nullptr) {
                auto* const handle = handle_of(*argument.memory());
                const auto status = api_.SetKernelArg(
                    *kernel, index++, sizeof(handle), static_cast<const void*>(&handle)
                );
                if (status != cl::kSuccess) return refused(launch, status);
            }
            const auto bytes = argument.bytes();
            const auto status = api_.SetKernelArg(*kernel, index++, bytes.size(), bytes.data());
            if (status != cl::kSuccess) return refused(launch, status);
        }
        std::array<std::size_t, 3> threads = launch.grid.threads;
        for (std::size_t i = 0; i < threads.size(); ++i) threads[i] *= launch.grid.groups[i];
        const auto status = api_.EnqueueNDRangeKernel(
            queue_.get(),
            *kernel,
            3,
            nullptr,
            threads.data(),
            launch.grid.threads.data(),
            0,
            nullptr,
            nullptr
        );
        return status == cl::kSuccess ? Result<void>() : refused(launch, status);
    }

    Result<void> finish() override {
        if (fault_) return *fault_;
        return checked("has lost its work", api_.Finish(queue_.get()));
    }

private:
    [[nodiscard]] Fault failed(const std::string& what, cl::Int status) const {
        return fail(
            FaultCode::Device,
            device_.info.name + " (" + device_.info.model + ") " + what + ": OpenCL's status " +
                cl::describe(status)
        );
    }

    Fault remember(const std::string& what, cl::Int status) {
        fault_ = failed(what, status);
        return *fault_;
    }

    Result<void> checked(const std::string& what, cl::Int status) {
        if (status == cl::kSuccess) return {};
        return remember(what, status);
    }

    Result<void> refused(const Launch& launch, cl::Int status) {
        return remember(std::string("refuses the kernel ") + launch.kernel, status);
    }

    [[nodiscard]] Fault too_large(std::size_t bytes) const {
        return fail(
            FaultCode::Oversized,
            device_.info.name + " has no " + std::to_string(bytes / 1000000) +
                " MB more in one piece; give a smaller --batch"
        );
    }

    [[nodiscard]] std::string build_log() const {
        constexpr std::size_t kLogMax = 600;
        std::size_t size = 0;
        (void
        )api_.GetProgramBuildInfo(program_.get(), device_.id, cl::kBuildLog, 0, nullptr, &size);
        std::string log(size, '\0');
        (void)api_.GetProgramBuildInfo(
            program_.get(), device_.id, cl::kBuildLog, size, log.data(), nullptr
        );
        for (auto& c : log) {
            if (c < ' ') c = ' ';
        }
        return log.substr(0, kLogMax);
    }

    Result<cl::Kernel> find(const char* name) {
        if (const auto known = kernels_.find(name); known != kernels_.end()) {
            return known->second.get();
        }
        cl::Int status = cl::kSuccess;
        OwnedKernel kernel(api_, api_.CreateKernel(program_.get(), name, &status));
        if (status != cl::kSuccess) return remember(std::string("has no kernel ") + name, status);
        auto* const handle = kernel.get();
        kernels_.emplace(name, std::move(kernel));
        return handle;
    }

    Cl api_;
    OpenClDevice device_;
    std::optional<Fault> fault_;
    OwnedContext context_;
    OwnedQueue queue_;
    OwnedProgram program_;
    std::map<std::string, OwnedKernel, std::less<>> kernels_;
};

}  // namespace

Result<std::unique_ptr<Backend>> open_opencl(const OpenClDevice& device) {
    const auto api = cl::api();
    if (!api) return api.error();
    auto backend = std::make_unique<OpenClBackend>(**api, device);
    if (auto opened = backend->open(); !opened) return opened.error();
    return std::unique_ptr<Backend>(std::move(backend));
}

}  // namespace starling::compute::gpu
