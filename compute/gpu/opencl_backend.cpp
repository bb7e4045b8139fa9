#include "compute/gpu/opencl_backend.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <utility>

#include "compute/gpu/clblast_api.hpp"
#include "compute/gpu/kernels.hpp"
#include "compute/gpu/opencl_owned.hpp"
#include "compute/gpu/opencl_watch.hpp"

namespace starling::compute::gpu {

namespace {

using Cl = const cl::Api&;

/// Any kernel of ours takes less, and so does any copy.
constexpr std::chrono::milliseconds kPatience = std::chrono::seconds(30);

/// Shared by a backend and its memories: a driver that hangs is not asked for anything any more.
using Lost = std::shared_ptr<bool>;

class OpenClMemory final : public DeviceMemory {
public:
    OpenClMemory(std::size_t floats, cl::OwnedBuffer buffer, Lost lost)
        : DeviceMemory(floats),
          buffer_(std::move(buffer)),
          lost_(std::move(lost)) {}

    ~OpenClMemory() override {
        if (*lost_) buffer_.forget();
    }

    OpenClMemory(const OpenClMemory&) = delete;
    OpenClMemory& operator=(const OpenClMemory&) = delete;

    [[nodiscard]] cl::Memory handle() const { return buffer_.get(); }

private:
    cl::OwnedBuffer buffer_;
    Lost lost_;
};

cl::Memory handle_of(DeviceMemory& memory) {
    auto* ours = dynamic_cast<OpenClMemory*>(&memory);
    STARLING_CHECK(ours != nullptr);
    return ours->handle();
}

class OpenClBackend final : public Backend {
public:
    OpenClBackend(Cl api, const OpenClDevice& device, std::chrono::milliseconds patience)
        : api_(api),
          device_(device),
          patience_(patience),
          watch_(api, patience) {}

    ~OpenClBackend() override {
        // The device may still read or write there.
        if (fault_) (void)staging_.release();
        if (!*lost_) return;
        watch_.forget();
        for (auto& [name, kernel] : kernels_) kernel.forget();
        program_.forget();
        queue_.forget();
        context_.forget();
    }

    OpenClBackend(const OpenClBackend&) = delete;
    OpenClBackend& operator=(const OpenClBackend&) = delete;

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
        // What fails below is this memory, and nothing before it.
        const auto before = checked("has lost its work", watch_.wait(queue_.get()));
        if (!before) return before.error();
        cl::Int status = cl::kSuccess;
        cl::OwnedBuffer buffer(
            api_, api_.CreateBuffer(context_.get(), cl::kReadWrite, bytes, nullptr, &status)
        );
        if (cl::out_of_memory(status)) return too_large(bytes);
        if (status != cl::kSuccess) return remember("gives no memory", status);
        // Many drivers take memory only when it is used for the first time, so that its lack shows
        // here.
        const float zero = 0.0F;
        cl::Event event = nullptr;
        status = api_.EnqueueFillBuffer(
            queue_.get(), buffer.get(), &zero, sizeof(zero), 0, bytes, 0, nullptr, &event
        );
        if (status == cl::kSuccess) status = waited(event);
        if (status == cl::kHangs) buffer.forget();
        if (cl::out_of_memory(status)) return too_large(bytes);
        if (status != cl::kSuccess) return remember("gives no memory", status);
        return std::unique_ptr<DeviceMemory>(
            std::make_unique<OpenClMemory>(floats, std::move(buffer), lost_)
        );
    }

    Result<void> write(std::span<const std::byte> from, DeviceMemory& to, std::size_t offset)
        override {
        if (fault_) return *fault_;
        if (from.empty()) return {};
        // Where the device hangs, the host's span may be gone before it has been read.
        staging_->assign(from.begin(), from.end());
        cl::Event event = nullptr;
        auto status = api_.EnqueueWriteBuffer(
            queue_.get(),
            handle_of(to),
            cl::kNotBlocking,
            offset,
            from.size(),
            staging_->data(),
            0,
            nullptr,
            &event
        );
        if (status == cl::kSuccess) status = waited(event);
        if (status == cl::kSuccess) give_back_staging();
        return checked("takes no data", status);
    }

    Result<void> read(DeviceMemory& from, std::size_t offset, std::span<std::byte> to) override {
        if (fault_) return *fault_;
        if (to.empty()) return {};
        staging_->resize(to.size());
        cl::Event event = nullptr;
        auto status = api_.EnqueueReadBuffer(
            queue_.get(),
            handle_of(from),
            cl::kNotBlocking,
            offset,
            to.size(),
            staging_->data(),
            0,
            nullptr,
            &event
        );
        if (status == cl::kSuccess) status = waited(event);
        if (status != cl::kSuccess) return remember("gives no data", status);
        std::copy(staging_->begin(), staging_->end(), to.begin());
        give_back_staging();
        return {};
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
                    *kernel, index++, sizeof(cl::Memory), static_cast<const void*>(&handle)
                );
                if (status != cl::kSuccess) return refused(launch, status);
            }
            const auto bytes = argument.bytes();
            const auto status = api_.SetKernelArg(*kernel, index++, bytes.size(), bytes.data());
            if (status != cl::kSuccess) return refused(launch, status);
        }
        std::array<std::size_t, 3> threads = launch.grid.threads;
        for (std::size_t i = 0; i < threads.size(); ++i) threads[i] *= launch.grid.groups[i];
        cl::Event event = nullptr;
        const bool marked = watch_.wants_mark();
        const auto status = api_.EnqueueNDRangeKernel(
            queue_.get(),
            *kernel,
            3,
            nullptr,
            threads.data(),
            launch.grid.threads.data(),
            0,
            nullptr,
            marked ? &event : nullptr
        );
        if (status != cl::kSuccess) return refused(launch, status);
        if (!marked) return {};
        return checked("has lost its work", watch_.add(queue_.get(), event));
    }

    Result<void> finish() override {
        if (fault_) return *fault_;
        cl::Event event = nullptr;
        auto status = api_.EnqueueMarkerWithWaitList(queue_.get(), 0, nullptr, &event);
        if (status == cl::kSuccess) status = waited(event);
        return checked("has lost its work", status);
    }

    [[nodiscard]] bool has_library() const override {
        // Its first product compiles for half a minute on a CPU.
        return device_.info.kind == DeviceKind::Gpu && clblast::api().has_value();
    }

    Result<void> multiply(const LibraryProduct& product) override {
        if (fault_) return *fault_;
        cl::Event event = nullptr;
        const bool marked = watch_.wants_mark();
        const auto status = call_library(product, marked ? &event : nullptr);
        // What it refuses it has not queued.
        if (status <= clblast::kFirstOfItsOwn) {
            return fail(FaultCode::Unsupported, "CLBlast's status " + std::to_string(status));
        }
        if (cl::out_of_memory(status)) {
            return fail(FaultCode::Oversized, "CLBlast has no memory for its copies");
        }
        if (status != cl::kSuccess) return remember("does not multiply by CLBlast", status);
        if (!marked) return {};
        return checked("has lost its work", watch_.add(queue_.get(), event));
    }

private:
    [[nodiscard]] cl::Int call_library(const LibraryProduct& product, cl::Event* event) {
        const auto& library = **clblast::api();
        const auto& shape = product.shape;
        const auto size = [](std::int64_t value) { return static_cast<std::size_t>(value); };
        const auto way = [](bool turned) { return turned ? clblast::kTurned : clblast::kPlain; };
        const auto a_pitch = size(shape.a_turned ? shape.rows : shape.depth);
        const auto b_pitch = size(shape.b_turned ? shape.depth : shape.columns);
        const auto y_pitch = size(shape.columns);
        auto* queue = queue_.get();
        if (shape.batches == 1) {
            return library.Sgemm(
                clblast::kRowMajor,
                way(shape.a_turned),
                way(shape.b_turned),
                size(shape.rows),
                size(shape.columns),
                size(shape.depth),
                1.0F,
                handle_of(*product.a.memory),
                size(product.a.offset),
                a_pitch,
                handle_of(*product.b.memory),
                size(product.b.offset),
                b_pitch,
                0.0F,
                handle_of(*product.y.memory),
                size(product.y.offset),
                y_pitch,
                &queue,
                event
            );
        }
        return library.SgemmStridedBatched(
            clblast::kRowMajor,
            way(shape.a_turned),
            way(shape.b_turned),
            size(shape.rows),
            size(shape.columns),
            size(shape.depth),
            1.0F,
            handle_of(*product.a.memory),
            size(product.a.offset),
            a_pitch,
            size(shape.a_step),
            handle_of(*product.b.memory),
            size(product.b.offset),
            b_pitch,
            size(shape.b_step),
            0.0F,
            handle_of(*product.y.memory),
            size(product.y.offset),
            y_pitch,
            size(shape.rows * shape.columns),
            size(shape.batches),
            &queue,
            event
        );
    }

    /// Waits for a command that was just queued, and so for all before it.
    [[nodiscard]] cl::Int waited(cl::Event event) {
        const auto status = watch_.add(queue_.get(), event);
        return status == cl::kSuccess ? watch_.wait(queue_.get()) : status;
    }

    /// Keeps room for chunks of parameters, and not for the answers of a whole batch.
    void give_back_staging() {
        constexpr std::size_t kKept = std::size_t{4} << 20U;
        if (staging_->size() > kKept) *staging_ = {};
    }

    [[nodiscard]] Fault failed(const std::string& what, cl::Int status) const {
        const auto name = device_.info.name + " (" + device_.info.model + ")";
        if (status == cl::kHangs) {
            return fail(
                FaultCode::Device,
                name + " has done nothing for " + std::to_string(patience_.count() / 1000) +
                    " s: it hangs"
            );
        }
        return fail(
            FaultCode::Device, name + " " + what + ": OpenCL's status " + cl::describe(status)
        );
    }

    Fault remember(const std::string& what, cl::Int status) {
        *lost_ = status == cl::kHangs;
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
        cl::OwnedKernel kernel(api_, api_.CreateKernel(program_.get(), name, &status));
        if (status != cl::kSuccess) return remember(std::string("has no kernel ") + name, status);
        auto* const handle = kernel.get();
        kernels_.emplace(name, std::move(kernel));
        return handle;
    }

    Cl api_;
    OpenClDevice device_;
    std::chrono::milliseconds patience_;
    std::optional<Fault> fault_;
    Lost lost_ = std::make_shared<bool>(false);
    cl::OwnedContext context_;
    cl::OwnedQueue queue_;
    cl::OwnedProgram program_;
    std::map<std::string, cl::OwnedKernel, std::less<>> kernels_;
    cl::Watch watch_;
    /// What is on its way between the host and the device.
    std::unique_ptr<std::vector<std::byte>> staging_ = std::make_unique<std::vector<std::byte>>();
};

}  // namespace

Result<std::unique_ptr<Backend>> open_opencl(const OpenClDevice& device) {
    const auto api = cl::api();
    if (!api) return api.error();
    return open_opencl(device, **api, kPatience);
}

Result<std::unique_ptr<Backend>> open_opencl(
    const OpenClDevice& device, const cl::Api& api, std::chrono::milliseconds patience
) {
    auto backend = std::make_unique<OpenClBackend>(api, device, patience);
    if (auto opened = backend->open(); !opened) return opened.error();
    return std::unique_ptr<Backend>(std::move(backend));
}

}  // namespace starling::compute::gpu
