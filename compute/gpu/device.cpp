#include "compute/gpu/device.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "base/check.hpp"
#include "compute/gpu/kernels.hpp"
#include "compute/gpu/plan.hpp"
#include "compute/gpu/weight_mirror.hpp"

namespace starling::compute::gpu {

namespace {

Grid flat(std::size_t count) {
    return {{(count + kFlatLanes - 1) / kFlatLanes, 1, 1}, {kFlatLanes, 1, 1}};
}

Argument place(DeviceSpan range) {
    return {&range.memory(), static_cast<std::int64_t>(range.offset())};
}

Argument wide(std::size_t count) {
    return Argument(static_cast<std::int64_t>(count));
}

Argument truth(bool value) {
    return Argument(std::int32_t{value ? 1 : 0});
}

class GpuDevice final : public Device {
public:
    GpuDevice(DeviceInfo info, std::unique_ptr<Backend> backend)
        : info_(std::move(info)),
          backend_(std::move(backend)) {}

    [[nodiscard]] std::string_view name() const override { return info_.name; }

    [[nodiscard]] DeviceInfo info() const override { return info_; }

    [[nodiscard]] std::string describe() const override {
        return info_.name + ", " + info_.model + ", " + info_.libraries;
    }

    [[nodiscard]] FlushDenormals enter() override { return {}; }

    [[nodiscard]] bool on_host() const override { return false; }

    [[nodiscard]] Result<std::unique_ptr<DeviceMemory>> allocate(std::size_t floats) override {
        return backend_->allocate(floats);
    }

    [[nodiscard]] Result<void> copy_in(std::span<const float> host, DeviceSpan device) override {
        STARLING_CHECK(host.size() == device.size());
        if (host.empty()) return {};
        const auto offset = device.offset() * sizeof(float);
        return backend_->write(std::as_bytes(host), device.memory(), offset);
    }

    [[nodiscard]] Result<void> copy_out(DeviceSpan device, std::span<float> host) override {
        STARLING_CHECK(host.size() == device.size());
        if (host.empty()) return {};
        const auto offset = device.offset() * sizeof(float);
        return backend_->read(device.memory(), offset, std::as_writable_bytes(host));
    }

    [[nodiscard]] Result<void> synchronize() override { return backend_->finish(); }

    [[nodiscard]] Result<std::unique_ptr<Plan>> compile(
        PlanRequest request, const ParameterLayout& layout
    ) override {
        auto mirror = mirror_of(layout);
        if (!mirror) return mirror.error();
        return compile_plan(std::move(request), layout, *backend_, std::move(*mirror));
    }

    [[nodiscard]] Result<double> norm(DeviceSpan gradient, int /*threads*/) override {
        constexpr std::size_t kLength = 4096;
        const auto groups = (gradient.size() + kLength - 1) / kLength;
        if (parts_ == nullptr || parts_->size() < groups) {
            auto memory = backend_->allocate(groups);
            // A device without room for a few sums has none for another step.
            if (!memory) return fail(FaultCode::Device, memory.error().message);
            parts_ = std::move(*memory);
        }
        const DeviceSpan parts(*parts_, 0, groups);
        const Launch launch{
            "squares",
            {{groups, 1, 1}, {kRowLanes, 1, 1}},
            {place(gradient),
             place(parts),
             wide(gradient.size()),
             Argument(static_cast<std::int32_t>(kLength))}};
        if (auto ok = backend_->launch(launch); !ok) return ok.error();
        std::vector<float> sums(groups);
        if (auto ok = copy_out(parts, sums); !ok) return ok.error();
        double total = 0.0;
        for (const float sum : sums) total += static_cast<double>(sum);
        return std::sqrt(total);
    }

    [[nodiscard]] Result<void> accumulate(
        bool fresh, float share, DeviceSpan gradient, DeviceSpan sum, int /*threads*/
    ) override {
        STARLING_CHECK(gradient.size() == sum.size());
        return backend_->launch(
            {"accumulate",
             flat(sum.size()),
             {place(gradient), place(sum), wide(sum.size()), Argument(share), truth(fresh)}}
        );
    }

    [[nodiscard]] Result<void> update(ParameterStore& store, const UpdateRequest& request)
        override {
        auto* mirror = dynamic_cast<WeightMirror*>(request.copies);
        STARLING_CHECK((mirror == nullptr) == (request.copies == nullptr));
        std::shared_ptr<WeightMirror> own;
        if (mirror == nullptr) {
            auto made = mirror_of(store.layout());
            if (!made) return made.error();
            own = std::move(*made);
            mirror = own.get();
        }
        const auto& chunks = store.layout().chunks();
        for (std::size_t c = 0; c < chunks.size(); ++c) {
            if (chunks[c].buffer) continue;
            auto done = mirror->update(store, c, [&]() -> Result<void> {
                if (auto ok = shrink(store.layout(), chunks[c], request, *mirror); !ok) return ok;
                return backend_->launch(launch_of(chunks[c], request, *mirror));
            });
            if (!done) return done;
        }
        return {};
    }

private:
    /// Plans and updates over one layout share a mirror, which lives as long as one of them.
    Result<std::shared_ptr<WeightMirror>> mirror_of(const ParameterLayout& layout) {
        std::erase_if(mirrors_, [](const auto& entry) { return entry.second.expired(); });
        if (auto known = mirrors_[&layout].lock()) return known;
        auto made = WeightMirror::make(*backend_, layout);
        if (made) mirrors_[&layout] = *made;
        return made;
    }

    /// Multiplies the chunk's parts of matrices.
    Result<void> shrink(
        const ParameterLayout& layout,
        const ChunkInfo& chunk,
        const UpdateRequest& request,
        WeightMirror& mirror
    ) {
        if (request.matrix_factor == 1.0F) return {};
        for (const auto& info : layout.parameters()) {
            if (info.buffer || info.shape.size() < 2) continue;
            const auto begin = std::max(info.offset, chunk.offset);
            const auto end = std::min(info.offset + info.elements, chunk.offset + chunk.elements);
            if (begin >= end) continue;
            const DeviceSpan part(mirror.memory(), begin, end - begin);
            const Launch launch{
                "scale",
                flat(part.size()),
                {place(part), wide(part.size()), Argument(request.matrix_factor)}};
            if (auto ok = backend_->launch(launch); !ok) return ok;
        }
        return {};
    }

    static Launch launch_of(
        const ChunkInfo& chunk, const UpdateRequest& request, WeightMirror& mirror
    ) {
        const auto part = [&](DeviceSpan range) {
            return place(range.subspan(chunk.offset, chunk.elements));
        };
        const auto weights = part(DeviceSpan(mirror.memory()));
        const auto grid = flat(chunk.elements);
        const auto count = wide(chunk.elements);
        if (const auto* adam = std::get_if<AdamSettings>(&request.settings)) {
            const auto share = [&](float beta) {
                const double kept = std::pow(static_cast<double>(beta), adam->step);
                return Argument(static_cast<float>(1.0 / (1.0 - kept)));
            };
            return {
                "adamw",
                grid,
                {part(request.gradient),
                 part(request.mean),
                 part(request.square),
                 weights,
                 count,
                 Argument(adam->learning_rate),
                 Argument(adam->beta1),
                 Argument(adam->beta2),
                 Argument(adam->epsilon),
                 Argument(adam->weight_decay),
                 Argument(adam->gradient_scale),
                 share(adam->beta1),
                 share(adam->beta2)}};
        }
        const auto& sgd = std::get<SgdSettings>(request.settings);
        return {
            "sgd",
            grid,
            {part(request.gradient),
             part(request.mean),
             weights,
             count,
             Argument(sgd.learning_rate),
             Argument(sgd.momentum),
             Argument(sgd.weight_decay),
             Argument(sgd.gradient_scale),
             truth(sgd.nesterov)}};
    }

    DeviceInfo info_;
    std::unique_ptr<Backend> backend_;
    std::unique_ptr<DeviceMemory> parts_;  ///< of norms
    std::map<const ParameterLayout*, std::weak_ptr<WeightMirror>> mirrors_;
};

}  // namespace

std::unique_ptr<Device> make_device(DeviceInfo info, std::unique_ptr<Backend> backend) {
    return std::make_unique<GpuDevice>(std::move(info), std::move(backend));
}

}  // namespace starling::compute::gpu
