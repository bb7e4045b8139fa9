#include "compute/training/plan_engine.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <new>
#include <optional>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include "base/check.hpp"
#include "compute/device/device.hpp"
#include "compute/device/plan.hpp"
#include "compute/training/batch_input.hpp"
#include "compute/training/metrics.hpp"
#include "compute/training/optimizer.hpp"
#include "compute/training/plan_request.hpp"

namespace starling::compute {

namespace {

/// A compiled plan with the values that the engine feeds and reads.
struct Compiled {
    ModelRequest model;  ///< without its graph, which the plan has taken
    std::unique_ptr<Plan> plan;
    std::optional<BatchInput> input;
};

Result<Compiled> compile(
    Device& device,
    const EngineOptions& options,
    const ParameterLayout& layout,
    std::int64_t batch,
    bool training
) {
    auto model = request_model(options, batch, training);
    if (model.has_error()) return model.error();
    auto plan = device.compile(std::move(model->plan), layout);
    if (plan.has_error()) return plan.error();
    Compiled compiled{std::move(*model), std::move(*plan), {}};
    compiled.input.emplace(
        options.task,
        static_cast<std::size_t>(batch),
        compiled.model.answers_each,
        compiled.model.table_rows
    );
    return compiled;
}

class PlanEngine final : public Engine {
public:
    PlanEngine(
        Device& device,
        const EngineOptions& options,
        ParameterStore& store,
        Compiled training,
        Compiled evaluation
    )
        : device_(device),
          store_(store),
          training_(std::move(training)),
          evaluation_(std::move(evaluation)),
          optimizer_(options.optimizer, store.layout(), options.threads, device),
          precision_(options.precision),
          threads_(options.threads),
          task_(options.task),
          eval_batch_(static_cast<std::size_t>(options.eval_batch)) {}

    Result<StepResult> step(const Batch& batch, double learning_rate) override {
        owner_.check();
        const auto entered = device_.enter();
        if (auto loaded = load_whole(batch); loaded.has_error()) return loaded.error();
        if (auto packed = training_.plan->pack(store_); !packed) return packed.error();
        StepResult result;
        const auto end = training_.plan->run(interrupt_);
        if (!end) return end.error();
        if (*end == RunEnd::Interrupted) {
            result.interrupted = true;
            return result;
        }
        result.loss = training_.plan->output(training_.model.loss)[0];
        if (training_.model.hits != ValueId::None) {
            const auto hits = training_.plan->output_labels(training_.model.hits)[0];
            result.correct = static_cast<std::uint64_t>(hits);
        }
        result.unsound = !std::isfinite(result.loss);
        if (result.unsound) return result;
        const auto updated = update(learning_rate);
        if (!updated) return updated.error();
        result.unsound = !*updated;
        if (result.unsound) return result;
        for (const auto& statistic : training_.model.statistics) move_buffer(statistic);
        return result;
    }

    Result<EvalResult> evaluate(const Batch& batch) override {
        owner_.check();
        const auto entered = device_.enter();
        const auto samples = load(evaluation_, batch);
        if (samples.has_error()) return samples.error();
        if (*samples == 0) return EvalResult{};
        if (auto packed = evaluation_.plan->pack(store_); !packed) return packed.error();
        std::atomic<bool> never{false};
        if (const auto end = evaluation_.plan->run(never); !end) return end.error();
        const auto all = evaluation_.plan->output(evaluation_.model.answers);
        answers_ = all.first(all.size() / eval_batch_ * static_cast<std::size_t>(*samples));
        return measure(task_, answers_, batch);
    }

    std::span<const float> answers() const override { return answers_; }

    std::size_t norm_channels() const override {
        std::size_t channels = 0;
        for (std::size_t i = 0; i + 1 < training_.model.statistics.size(); i += 2) {
            channels += buffer(training_.model.statistics[i]).elements;
        }
        return channels;
    }

    Result<void> observe_norms(const Batch& batch, NormMoments& whole) override {
        owner_.check();
        if (training_.model.statistics.empty()) return {};
        const auto entered = device_.enter();
        if (auto loaded = load_whole(batch); loaded.has_error()) return loaded.error();
        if (auto packed = training_.plan->pack(store_); !packed) return packed.error();
        const auto end = training_.plan->run(interrupt_);
        if (!end) return end.error();
        const bool sound = std::isfinite(training_.plan->output(training_.model.loss)[0]);
        if (*end == RunEnd::Interrupted || !sound) return {};
        NormMoments seen;
        seen.samples = static_cast<double>(training_.input->capacity());
        for (std::size_t i = 0; i < training_.model.statistics.size(); ++i) {
            // Each norm has a mean, and then a variance.
            auto& numbers = i % 2 == 0 ? seen.means : seen.variances;
            const auto batch_values = training_.plan->output(training_.model.statistics[i].batch);
            numbers.insert(numbers.end(), batch_values.begin(), batch_values.end());
        }
        return add_moments(whole, seen);
    }

    void set_norms(const NormMoments& moments) override {
        owner_.check();
        STARLING_CHECK(moments.means.size() == norm_channels());
        std::array<std::size_t, 2> next{};
        for (std::size_t i = 0; i < training_.model.statistics.size(); ++i) {
            const auto& numbers = i % 2 == 0 ? moments.means : moments.variances;
            const auto& info = buffer(training_.model.statistics[i]);
            auto& first = next.at(i % 2);
            store_.update_tensor(info, [&](std::span<float> piece, std::size_t at) {
                for (std::size_t k = 0; k < piece.size(); ++k) {
                    piece[k] = static_cast<float>(numbers[first + at + k]);
                }
            });
            first += info.elements;
        }
    }

    void interrupt() override { interrupt_.store(true, std::memory_order_relaxed); }

    [[nodiscard]] std::span<const float> optimizer_state() const override {
        return optimizer_.state();
    }

    bool restore_optimizer_state(std::span<const float> state) override {
        return optimizer_.restore(state);
    }

    void reset_optimizer() override { optimizer_.reset(); }

    MemoryUse memory() const override {
        auto use = training_.plan->memory();
        const auto evaluation = evaluation_.plan->memory();
        use.activations += evaluation.activations;
        use.lasting += evaluation.lasting;
        use.optimizer = optimizer_.bytes();
        return use;
    }

    Precision precision() const override { return precision_; }

    DeviceInfo device() const override { return device_.info(); }

    std::string describe() const override { return training_.plan->describe(); }

    Result<std::vector<KernelTime>> profile(const Batch& batch, Stopwatch stopwatch) override {
        owner_.check();
        const auto entered = device_.enter();
        std::vector<KernelTime> times;
        const double start = stopwatch();
        if (auto loaded = load_whole(batch); loaded.has_error()) return loaded.error();
        if (auto packed = training_.plan->pack(store_); !packed) return packed.error();
        times.push_back({"pack", "Pack", stopwatch() - start});
        if (auto run = training_.plan->profile(stopwatch, times); !run) return run.error();
        if (auto updated = profile_update(stopwatch, times); !updated) return updated.error();
        return times;
    }

    Result<double> step_time(Stopwatch stopwatch) override {
        constexpr int kMost = 20;
        constexpr double kLong = 1.0;
        owner_.check();
        const auto entered = device_.enter();
        const double begin = stopwatch();
        double best = std::numeric_limits<double>::infinity();
        for (int i = 0; i < kMost; ++i) {
            const auto seconds = idle_step(stopwatch);
            if (!seconds) return seconds.error();
            // A driver compiles kernels when they run for the first time.
            const bool counts = i > 0 || (device_.on_host() && *seconds > kLong);
            if (counts) best = std::min(best, *seconds);
            if (counts && stopwatch() - begin > kLong) break;
        }
        optimizer_.reset();
        return best;
    }

private:
    /// Makes a step that changes nothing, on what the inputs hold, and returns its seconds.
    Result<double> idle_step(Stopwatch stopwatch) {
        std::atomic<bool> never{false};
        const double start = stopwatch();
        if (auto packed = training_.plan->pack(store_); !packed) return packed.error();
        if (const auto end = training_.plan->run(never); !end) return end.error();
        const double run = stopwatch() - start;
        // Nothing times infinity is no number, and would spoil the weights.
        const auto norm = device_.norm(training_.plan->gradients(), threads_);
        if (!norm) return norm.error();
        if (!std::isfinite(*norm)) return run;
        const double again = stopwatch();
        if (const auto updated = update(0.0); !updated) return updated.error();
        return run + stopwatch() - again;
    }

    Result<bool> update(double learning_rate) {
        auto& plan = *training_.plan;
        return optimizer_.step(store_, plan.gradients(), learning_rate, plan.copies());
    }

    Result<void> profile_update(Stopwatch stopwatch, std::vector<KernelTime>& times) {
        const auto state = optimizer_.state();
        const std::vector<float> before(state.begin(), state.end());
        const double start = stopwatch();
        if (const auto updated = update(0.0); !updated) return updated.error();
        const double seconds = stopwatch() - start;
        STARLING_CHECK(optimizer_.restore(before));
        const auto bytes = static_cast<double>(4 * (store_.layout().elements() + before.size()));
        times.push_back({"optimizer", "Update", seconds, 0.0, 2.0 * bytes});
        return {};
    }

    void move_buffer(const RunningStatistic& statistic) {
        const auto batch = training_.plan->output(statistic.batch);
        const auto share = static_cast<float>(statistic.momentum);
        const auto factor = static_cast<float>(statistic.factor);
        store_.update_tensor(buffer(statistic), [&](std::span<float> piece, std::size_t at) {
            for (std::size_t i = 0; i < piece.size(); ++i) {
                piece[i] += share * (factor * batch[at + i] - piece[i]);
            }
        });
    }

    [[nodiscard]] const ParameterInfo& buffer(const RunningStatistic& statistic) const {
        const auto& all = store_.layout().parameters();
        const auto found = std::find_if(all.begin(), all.end(), [&](const ParameterInfo& info) {
            return info.name == statistic.buffer;
        });
        STARLING_CHECK(found != all.end());
        return *found;
    }

    /// Copies a batch into a plan's inputs. Returns the number of its samples.
    Result<std::size_t> load(Compiled& compiled, const Batch& batch) const {
        BatchTarget to;
        to.values = compiled.plan->input_values(compiled.model.values);
        if (task_.kind == LabelKind::Class) {
            to.labels = compiled.plan->input_labels(compiled.model.labels);
        } else {
            to.targets = compiled.plan->input_values(compiled.model.labels);
        }
        return compiled.input->copy(batch, to);
    }

    Result<void> load_whole(const Batch& batch) {
        const auto samples = load(training_, batch);
        if (samples.has_error()) return samples.error();
        const auto wanted = training_.input->capacity();
        if (*samples == wanted) return {};
        return fail(
            FaultCode::BadValue,
            "a step wants a batch of " + std::to_string(wanted) + " samples, not " +
                std::to_string(*samples)
        );
    }

    Device& device_;
    ParameterStore& store_;
    Compiled training_;
    Compiled evaluation_;
    Optimizer optimizer_;
    Precision precision_;
    int threads_;
    Task task_;
    std::size_t eval_batch_;
    std::span<const float> answers_;  ///< of the last evaluation
    std::atomic<bool> interrupt_{false};
    ThreadOwner owner_;
};

/// Returns the seconds of a step's forward and backward pass, the best of four. It runs with the
/// parameters as they are and on a batch of zeros.
Result<double> step_time(Compiled& compiled, ParameterStore& store, Stopwatch stopwatch) {
    constexpr int kRepetitions = 4;
    double best = std::numeric_limits<double>::infinity();
    for (int i = 0; i < kRepetitions; ++i) {
        std::atomic<bool> never{false};
        const double start = stopwatch();
        if (auto packed = compiled.plan->pack(store); !packed) return packed.error();
        if (const auto end = compiled.plan->run(never); !end) return end.error();
        best = std::min(best, stopwatch() - start);
    }
    return best;
}

/// Returns freed memory to the system now; the allocator would keep it.
void give_back_memory() {
#if defined(__GLIBC__)
    (void)malloc_trim(0);
#endif
}

/// Compiles the training step and replaces Precision::Auto in the options by its choice. Auto takes
/// bf16 only if it saves a tenth of the time, because it costs digits. It holds one plan at a time:
/// two would need twice the memory of the one that it takes.
Result<Compiled> compile_training(Device& device, EngineOptions& options, ParameterStore& store) {
    const bool choose = options.precision == Precision::Auto;
    if (choose) options.precision = Precision::F32;
    auto exact = compile(device, options, store.layout(), options.batch, true);
    if (exact.has_error() || !choose || options.stopwatch == nullptr) return exact;
    const auto exact_seconds = step_time(*exact, store, options.stopwatch);
    if (!exact_seconds) return exact_seconds.error();
    exact->plan.reset();
    give_back_memory();
    options.precision = Precision::Bf16;
    auto rounded = compile(device, options, store.layout(), options.batch, true);
    // A processor or library that has no bf16 says so here.
    if (rounded.has_value()) {
        const auto seconds = step_time(*rounded, store, options.stopwatch);
        if (!seconds) return seconds.error();
        if (*seconds < 0.9 * *exact_seconds) return rounded;
        rounded->plan.reset();
        give_back_memory();
    }
    options.precision = Precision::F32;
    return compile(device, options, store.layout(), options.batch, true);
}

}  // namespace

Result<std::unique_ptr<Engine>> make_plan_engine(
    Device& device, EngineOptions options, ParameterStore& store
) {
    // Measurements start OpenMP's threads, which keep the floating-point mode they start with.
    const auto entered = device.enter();
    auto training = compile_training(device, options, store);
    if (training.has_error()) return training.error();
    auto evaluation = compile(device, options, store.layout(), options.eval_batch, false);
    if (evaluation.has_error()) return evaluation.error();
    give_back_memory();
    try {
        return std::make_unique<PlanEngine>(
            device, options, store, std::move(*training), std::move(*evaluation)
        );
    } catch (const std::bad_alloc&) {
        return fail(FaultCode::Oversized, "the optimizer's state does not fit in memory");
    }
}

}  // namespace starling::compute
