// Runs the graph as it was written, node by node in double precision, and makes updates as the
// textbook has them. It serves tests and is not meant to be fast.

#include "compute/reference/device.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/check.hpp"
#include "compute/device/host_memory.hpp"
#include "compute/reference/reference.hpp"

namespace starling::compute {

namespace {

class ReferencePlan final : public Plan {
public:
    ReferencePlan(PlanRequest request, const ParameterLayout& layout)
        : request_(std::move(request)),
          gradients_(request_.gradients.empty() ? 0 : layout.elements()) {
        for (std::size_t i = 0; i < request_.graph.value_count(); ++i) {
            const auto id = static_cast<ValueId>(i);
            const auto& value = request_.graph.value(id);
            if (value.kind != ValueKind::Input) continue;
            const auto count = static_cast<std::size_t>(element_count(value.type.shape));
            if (value.type.element == ElementType::I32) {
                labels_[id].resize(count);
            } else {
                floats_[id].resize(count);
            }
        }
    }

    std::span<float> input_values(ValueId input) override { return floats_.at(input); }

    std::span<std::int32_t> input_labels(ValueId input) override { return labels_.at(input); }

    Result<void> pack(ParameterStore& store) override {
        for (std::size_t i = 0; i < request_.graph.parameters().size(); ++i) {
            const auto& name = request_.graph.parameters()[i].name;
            for (const auto& info : store.layout().parameters()) {
                if (info.name != name) continue;
                offsets_[i] = info.offset;
                store.read_tensor(info, [&](std::span<const float> values) {
                    tensors_[request_.graph.parameter_value(i)] = {
                        info.shape, {values.begin(), values.end()}};
                });
            }
        }
        return {};
    }

    Result<RunEnd> run(std::atomic<bool>& interrupt) override {
        if (interrupt.exchange(false, std::memory_order_relaxed)) return RunEnd::Interrupted;
        for (const auto& [id, values] : floats_) {
            tensors_[id] = {request_.graph.shape(id), {values.begin(), values.end()}};
        }
        for (const auto& [id, values] : labels_) {
            tensors_[id] = {request_.graph.shape(id), {values.begin(), values.end()}};
        }
        // Every operator has a reference: its tests need one.
        STARLING_CHECK(reference::evaluate(request_.graph, tensors_).has_value());
        for (const auto id : request_.outputs) {
            const auto& values = tensors_.at(id).values;
            outputs_[id].assign(values.begin(), values.end());
            whole_outputs_[id].clear();
            if (request_.graph.value(id).type.element != ElementType::I32) continue;
            for (const double value : values) {
                whole_outputs_[id].push_back(static_cast<std::int32_t>(value));
            }
        }
        for (std::size_t i = 0; i < request_.gradients.size(); ++i) {
            if (request_.gradients[i] == ValueId::None) continue;
            const auto& values = tensors_.at(request_.gradients[i]).values;
            std::transform(
                values.begin(),
                values.end(),
                host_floats(gradients()).begin() + static_cast<std::ptrdiff_t>(offsets_.at(i)),
                [](double value) { return static_cast<float>(value); }
            );
        }
        return RunEnd::Whole;
    }

    Result<void> profile(Stopwatch stopwatch, std::vector<KernelTime>& times) override {
        std::atomic<bool> never{false};
        const double start = stopwatch();
        STARLING_CHECK(run(never));
        times.push_back({"the whole graph", "Reference", stopwatch() - start});
        return {};
    }

    Result<void> poison() override { return {}; }  // each run makes its values anew

    std::span<const float> output(ValueId output) const override { return outputs_.at(output); }

    std::span<const std::int32_t> output_labels(ValueId output) const override {
        return whole_outputs_.at(output);
    }

    DeviceSpan gradients() const override { return DeviceSpan(gradients_); }

    MemoryUse memory() const override {
        MemoryUse use;
        use.gradients = gradients_.size() * sizeof(float);
        for (const auto& [id, tensor] : tensors_) {
            use.activations += tensor.values.size() * sizeof(double);
        }
        return use;
    }

    std::string describe() const override {
        std::string text;
        for (const auto& node : request_.graph.nodes()) text += node.name + " reference\n";
        return text;
    }

private:
    PlanRequest request_;
    mutable HostMemory gradients_;                ///< a range of it is for writing as well
    std::map<std::size_t, std::size_t> offsets_;  ///< in the store, by the graph's parameter
    std::map<ValueId, std::vector<float>> floats_;
    std::map<ValueId, std::vector<std::int32_t>> labels_;
    std::map<ValueId, std::vector<float>> outputs_;
    std::map<ValueId, std::vector<std::int32_t>> whole_outputs_;
    reference::Tensors tensors_;
};

void plain_sgd(const SgdSettings& s, const ChunkUpdate& update, std::span<float> weights) {
    for (std::size_t i = 0; i < weights.size(); ++i) {
        const double w = weights[i];
        const double g = s.gradient_scale * update.gradient[i] + s.weight_decay * w;
        const double m = s.momentum * static_cast<double>(update.mean[i]) + g;
        update.mean[i] = static_cast<float>(m);
        const double direction = s.nesterov ? g + s.momentum * m : m;
        weights[i] = static_cast<float>(w - s.learning_rate * direction);
    }
}

void plain_adamw(const AdamSettings& s, const ChunkUpdate& update, std::span<float> weights) {
    const double beta1 = s.beta1;
    const double beta2 = s.beta2;
    for (std::size_t i = 0; i < weights.size(); ++i) {
        const double g = s.gradient_scale * update.gradient[i];
        const double m = beta1 * update.mean[i] + (1.0 - beta1) * g;
        const double v = beta2 * update.square[i] + (1.0 - beta2) * g * g;
        update.mean[i] = static_cast<float>(m);
        update.square[i] = static_cast<float>(v);
        const double mean = m / (1.0 - std::pow(beta1, s.step));
        const double root = std::sqrt(v / (1.0 - std::pow(beta2, s.step)));
        const double kept = weights[i] * (1.0 - s.learning_rate * s.weight_decay);
        weights[i] = static_cast<float>(kept - s.learning_rate * mean / (root + s.epsilon));
    }
}

class ReferenceDevice final : public HostDevice {
public:
    [[nodiscard]] std::string_view name() const override { return "reference"; }

    [[nodiscard]] std::string describe() const override { return "plain loops in double"; }

    [[nodiscard]] Result<std::unique_ptr<Plan>> compile(
        PlanRequest request, const ParameterLayout& layout
    ) override {
        return std::unique_ptr<Plan>(std::make_unique<ReferencePlan>(std::move(request), layout));
    }

    [[nodiscard]] DeviceInfo info() const override {
        DeviceInfo info;
        info.name = name();
        info.model = describe();
        info.memory_bytes = host_memory_bytes();
        info.precisions = {"f32"};
        info.libraries = "none";
        info.state = "ready; for tests";
        info.ready = true;
        return info;
    }

    [[nodiscard]] Result<double> norm(DeviceSpan gradient, int /*threads*/) override {
        double sum = 0.0;
        for (const double value : host_floats(gradient)) sum += value * value;
        return std::sqrt(sum);
    }

    [[nodiscard]] Result<void> accumulate(
        bool fresh, float share, DeviceSpan gradient, DeviceSpan sum, int /*threads*/
    ) override {
        const auto from = host_floats(gradient);
        const auto to = host_floats(sum);
        if (fresh) std::fill(to.begin(), to.end(), 0.0F);
        for (std::size_t i = 0; i < to.size(); ++i) to[i] += share * from[i];
        return {};
    }

protected:
    void update_chunk(ParameterStore& store, const ChunkUpdate& update) override {
        store.update(update.chunk, [&](std::span<float> weights, std::uint64_t) {
            if (const auto* adam = std::get_if<AdamSettings>(&update.settings)) {
                plain_adamw(*adam, update, weights);
            } else {
                plain_sgd(std::get<SgdSettings>(update.settings), update, weights);
            }
        });
    }
};

}  // namespace

Device& reference_device() {
    static ReferenceDevice device;
    return device;
}

}  // namespace starling::compute
