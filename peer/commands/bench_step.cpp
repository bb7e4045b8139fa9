#include "peer/commands/bench_step.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fmt/format.h>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <sys/resource.h>
#include <vector>

#include "base/spec.hpp"
#include "compute/models/models.hpp"
#include "compute/training/engine.hpp"
#include "peer/commands/bench_data.hpp"
#include "peer/commands/commands.hpp"
#include "peer/commands/device_search.hpp"
#include "peer/machine/clock.hpp"
#include "peer/machine/cores.hpp"
#include "peer/terms/model_file.hpp"
#include "peer/terms/task.hpp"

namespace starling::peer {

namespace {

struct Flags {
    std::string model = "cnn";
    std::int64_t batch = 0;
    int threads = 0;
    std::string precision = "f32";
    std::string device = "auto";
    std::string optimizer;
    std::string dataset;
    std::vector<std::int64_t> shape;
    std::int64_t classes = 0;
    double seconds = 5.0;
    bool profile = false;
    bool describe = false;
};

double now() {
    return to_seconds(real_now().time_since_epoch());
}

/// The task, batch and optimizer with which a model is measured unless flags say otherwise. The
/// tasks have the shapes of Fashion-MNIST, CIFAR-10, ImageNet, a table of 32 columns, or a text of
/// 65 characters with a context of 256.
struct Standard {
    std::string_view model;
    compute::Task task;
    std::int64_t batch;
    std::string_view optimizer;
};

Standard standard_of(std::string_view model) {
    if (model == "gpt") return {model, {{256}, 65}, 8, "adamw?lr=0.0003"};
    if (model == "resnet20") return {model, {{3, 32, 32}, 10}, 128, "sgd?lr=0.05"};
    if (model == "resnet18") return {model, {{3, 224, 224}, 1000}, 16, "sgd?lr=0.05"};
    if (model == "detector") {
        compute::Task task{{3, 240, 320}, 3, 0, compute::LabelKind::Boxes};
        task.boxes = data::kBoxesMax;
        return {model, std::move(task), 8, "adamw?lr=0.001"};
    }
    if (model == "tabular") return {model, {{32}, 2}, 1024, "adamw?lr=0.001"};
    return {model, {{1, 28, 28}, 10}, 64, "sgd?lr=0.05"};
}

/// What is measured, and on which data.
struct Subject {
    compute::EngineOptions engine;
    bool tokens = false;  ///< a sample's values are whole numbers below the number of classes
};

Result<Subject> subject_of(const Flags& flags) {
    const auto chosen = choose_model(flags.model);
    if (chosen.has_error()) return chosen.error();
    const auto spec = Spec::parse(chosen->spec);
    if (spec.has_error()) return spec.error();
    auto standard = standard_of(spec->name);
    bool tokens = spec->name == "gpt";
    if (spec->name == "onnx") {
        auto stated = compute::onnx_task(chosen->bytes());
        if (stated.has_error()) return stated.error();
        standard.task = std::move(stated->task);
        tokens = stated->whole_numbers;
    }
    const auto precision = compute::parse_precision(flags.precision);
    if (precision.has_error()) return precision.error();
    const auto optimizer = compute::OptimizerSpec::parse(
        flags.optimizer.empty() ? standard.optimizer : std::string_view(flags.optimizer)
    );
    if (optimizer.has_error()) return optimizer.error();
    compute::EngineOptions options;
    options.model = chosen->spec;
    options.model_file = chosen->file != nullptr ? chosen->file : std::make_shared<const Bytes>();
    options.task = standard.task;
    if (!flags.shape.empty()) options.task.sample_shape = flags.shape;
    if (flags.classes > 0) options.task.classes = flags.classes;
    options.batch = flags.batch > 0 ? flags.batch : standard.batch;
    options.eval_batch = 1;
    const auto cores = static_cast<int>(core_count());
    options.threads = flags.threads > 0 ? flags.threads : cores;
    options.optimizer = *optimizer;
    options.precision = *precision;
    options.device = flags.device;
    options.stopwatch = now;
    return Subject{std::move(options), tokens};
}

/// A batch of made-up samples. In a text each value is a token.
struct Samples {
    std::vector<float> values;
    std::vector<std::int32_t> labels;
    std::vector<float> targets;
    double units = 0.0;  ///< samples, or tokens

    [[nodiscard]] compute::Batch batch() const { return {values, labels, targets}; }
};

/// A dozen boxes in each picture.
std::vector<float> made_up_boxes(const compute::EngineOptions& options, Rng& rng) {
    constexpr std::int64_t kBoxes = 12;
    std::vector<float> rows;
    for (std::int64_t i = 0; i < options.batch * options.task.boxes; ++i) {
        const bool box = i % options.task.boxes < kBoxes;
        const auto classes = static_cast<std::uint64_t>(options.task.classes);
        rows.push_back(box ? static_cast<float>(rng.below(classes)) : -1.0F);
        for (std::int64_t k = 1; k < compute::kBoxNumbers; ++k) {
            rows.push_back(static_cast<float>(box ? 0.1 + 0.2 * rng.uniform() : 0.0));
        }
    }
    return rows;
}

/// `rows` says which values choose rows of a table, as ModelFacts has it.
Samples make_samples(
    const compute::EngineOptions& options, bool tokens, std::span<const std::int64_t> rows
) {
    const auto& shape = options.task.sample_shape;
    const auto elements =
        std::accumulate(shape.begin(), shape.end(), options.batch, std::multiplies<>());
    // A net for texts that says nothing else has a label for each token.
    const auto each = options.task.labels > 0 ? options.task.labels : tokens ? shape[0] : 1;
    const auto labels = each * options.batch;
    const auto classes = static_cast<std::uint64_t>(options.task.classes);
    Rng rng(1);
    Samples made;
    for (std::int64_t i = 0; i < elements; ++i) {
        const auto named = rows.empty() ? 0 : rows[static_cast<std::size_t>(i) % rows.size()];
        const auto limit = named > 0 ? static_cast<std::uint64_t>(named) : tokens ? classes : 0;
        made.values.push_back(
            static_cast<float>(limit > 0 ? static_cast<double>(rng.below(limit)) : rng.uniform())
        );
    }
    made.units = static_cast<double>(labels);
    if (options.task.kind == compute::LabelKind::Boxes) {
        made.targets = made_up_boxes(options, rng);
        return made;
    }
    for (std::int64_t i = 0; i < labels; ++i) {
        made.labels.push_back(static_cast<std::int32_t>(rng.below(classes)));
    }
    return made;
}

struct Timing {
    double median = 0.0;
    double best = 0.0;
    float loss = 0.0F;
    std::size_t steps = 0;
    std::size_t peak_bytes = 0;       ///< resident, before any profile
    std::optional<double> data_wait;  ///< share of time that steps waited for data
};

std::size_t peak_resident() {
    rusage usage{};
    (void)::getrusage(RUSAGE_SELF, &usage);
    return static_cast<std::size_t>(usage.ru_maxrss) * 1024;
}

Result<Timing> time_steps(
    compute::Engine& engine, const Samples& samples, double rate, double seconds
) {
    constexpr int kWarm = 3;
    for (int i = 0; i < kWarm; ++i) {
        if (auto made = engine.step(samples.batch(), rate); made.has_error()) return made.error();
    }
    std::vector<double> times;
    Timing timing;
    const double end = now() + seconds;
    do {
        const double start = now();
        const auto made = engine.step(samples.batch(), rate);
        times.push_back(now() - start);
        if (made.has_error()) return made.error();
        timing.loss = made->loss;
    } while (now() < end);
    std::sort(times.begin(), times.end());
    timing.median = times[times.size() / 2];
    timing.best = times.front();
    timing.steps = times.size();
    timing.peak_bytes = peak_resident();
    return timing;
}

/// As time_steps(), each step with the next batch of a data set. The time of a step does not include
/// its wait for the batch.
Result<Timing> time_data_steps(
    compute::Engine& engine, BenchData& data, double rate, double seconds
) {
    std::vector<double> times;
    Timing timing;
    double waited = 0.0;
    const double begin = now();
    do {
        const double asked = now();
        const auto& batch = data.next();
        const double start = now();
        const auto step = engine.step({batch.values, batch.labels, batch.targets}, rate);
        if (step.has_error()) return step.error();
        timing.loss = step->loss;
        times.push_back(now() - start);
        waited += start - asked;
    } while (now() < begin + seconds);
    timing.data_wait = waited / (now() - begin);
    std::sort(times.begin(), times.end());
    timing.median = times[times.size() / 2];
    timing.best = times.front();
    timing.steps = times.size();
    timing.peak_bytes = peak_resident();
    return timing;
}

/// Returns each kernel's best time over some repetitions: what the machine can do when no other
/// program uses it.
Result<std::vector<compute::KernelTime>> best_kernels(
    compute::Engine& engine, const Samples& samples, double seconds
) {
    auto best = engine.profile(samples.batch(), now);
    const double end = now() + seconds;
    while (best.has_value() && now() < end) {
        const auto times = engine.profile(samples.batch(), now);
        if (times.has_error()) return times.error();
        for (std::size_t i = 0; i < best->size(); ++i) {
            (*best)[i].seconds = std::min((*best)[i].seconds, (*times)[i].seconds);
        }
    }
    return best;
}

struct Totals {
    double seconds = 0.0;
    double flops = 0.0;
    double arithmetic = 0.0;  ///< seconds of the kernels whose operations are counted
};

Totals total_of(const std::vector<compute::KernelTime>& kernels) {
    Totals totals;
    for (const auto& kernel : kernels) {
        totals.seconds += kernel.seconds;
        totals.flops += kernel.flops;
        if (kernel.flops > 0.0) totals.arithmetic += kernel.seconds;
    }
    return totals;
}

void print_row(const std::string& name, int count, const compute::KernelTime& sum, double step) {
    std::fprintf(
        stderr,
        "%-34s %5d %10.3f %9.1f %9.1f %7.1f\n",
        name.c_str(),
        count,
        1e3 * sum.seconds,
        1e-9 * sum.flops / sum.seconds,
        1e-9 * sum.bytes / sum.seconds,
        100.0 * sum.seconds / step
    );
}

void print_profile(const std::vector<compute::KernelTime>& kernels, double step, bool each) {
    std::map<std::string, std::pair<int, compute::KernelTime>> by_op;
    for (const auto& kernel : kernels) {
        auto& [count, sum] = by_op[kernel.op];
        ++count;
        sum.seconds += kernel.seconds;
        sum.flops += kernel.flops;
        sum.bytes += kernel.bytes;
    }
    std::vector<std::pair<std::string, std::pair<int, compute::KernelTime>>> rows(
        by_op.begin(), by_op.end()
    );
    std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
        return a.second.second.seconds > b.second.second.seconds;
    });
    std::fprintf(
        stderr,
        "%-34s %5s %10s %9s %9s %7s\n",
        "operator",
        "count",
        "best ms",
        "GFLOP/s",
        "GB/s",
        "share %"
    );
    for (const auto& [name, row] : rows) print_row(name, row.first, row.second, step);
    if (!each) return;
    for (const auto& kernel : kernels) print_row(kernel.name, 1, kernel, step);
}

void print_summary(const Totals& totals, const Timing& timing) {
    std::fprintf(
        stderr,
        "kernels alone %.3f ms of a step's %.3f ms; convolutions, products and attention %.3f ms\n",
        1e3 * totals.seconds,
        1e3 * timing.median,
        1e3 * totals.arithmetic
    );
}

void print_result(
    const compute::EngineOptions& options,
    const compute::Engine& engine,
    std::size_t parameters,
    const Timing& timing,
    const Totals& totals,
    double units
) {
    char wait[32] = "";
    if (timing.data_wait)
        std::snprintf(wait, sizeof(wait), ",\"data_wait\":%.4f", *timing.data_wait);
    const auto planned = engine.memory().total() + parameters * sizeof(float);
    // A net that diverged has a loss that JSON has no word for.
    const auto loss =
        std::isfinite(timing.loss) ? fmt::format("{:.5f}", timing.loss) : std::string("null");
    std::printf(
        "{\"bench\":\"step\",\"model\":\"%s\",\"batch\":%lld,\"threads\":%d,\"device\":\"%s\","
        "\"precision\":\"%s\","
        "\"params\":%zu,\"steps\":%zu,\"step_ms\":%.3f,\"best_ms\":%.3f,\"per_s\":%.1f,"
        "\"gflops\":%.1f,\"roofline\":%.3f,\"peak_bytes\":%zu,\"planned_bytes\":%zu,"
        "\"loss\":%s%s}\n",
        options.model.c_str(),
        static_cast<long long>(options.batch),
        options.threads,
        engine.device().name.c_str(),
        std::string(to_string(engine.precision())).c_str(),
        parameters,
        timing.steps,
        1e3 * timing.median,
        1e3 * timing.best,
        units / timing.median,
        1e-9 * totals.flops / timing.median,
        totals.arithmetic / timing.median,
        timing.peak_bytes,
        planned,
        loss.c_str(),
        wait
    );
}

int complain(const Flags& flags, const Fault& fault) {
    if (fault.code == FaultCode::Io) return report_fault("bench", fault);
    // Every other fault follows from a flag; what an importer says does not name the file.
    const bool importer = fault.message.starts_with("onnx: ");
    const auto what = importer ? "--model " + flags.model + ": " + fault.message : fault.message;
    return report_fault("bench", fail(FaultCode::Usage, what));
}

int run(const Flags& flags) {
    auto subject = subject_of(flags);
    if (subject.has_error()) return complain(flags, subject.error());
    std::unique_ptr<BenchData> data;
    if (!flags.dataset.empty()) {
        auto loaded = BenchData::load(flags.dataset, flags.model, subject->engine.batch);
        if (loaded.has_error()) return complain(flags, loaded.error());
        data = std::move(*loaded);
        subject->engine.task = task_of(data->manifest());
        subject->tokens = data->manifest().is_text();
    }
    CardLocks locks;
    search_devices(subject->engine, locks);
    const auto* options = &subject->engine;
    auto facts =
        compute::inspect_model(options->model, options->task, options->batch, *options->model_file);
    if (facts.has_error()) return complain(flags, facts.error());
    const auto parameters = facts->layout.elements();
    compute::ParameterStore store(std::move(facts->layout));
    store.initialize(Rng(7));
    const auto engine = compute::Engine::create(*options, store);
    if (engine.has_error()) return complain(flags, engine.error());
    tell_device(**engine);
    const auto samples = make_samples(*options, subject->tokens, facts->table_rows);
    const double rate = options->optimizer.learning_rate;
    const auto timing = data ? time_data_steps(**engine, *data, rate, flags.seconds)
                             : time_steps(**engine, samples, rate, flags.seconds);
    if (timing.has_error()) return complain(flags, timing.error());
    const auto kernels = best_kernels(**engine, samples, 0.3 * flags.seconds);
    if (kernels.has_error()) return complain(flags, kernels.error());
    const auto totals = total_of(*kernels);
    if (flags.describe) std::fputs((*engine)->describe().c_str(), stderr);
    if (flags.profile) {
        print_profile(*kernels, timing->median, flags.describe);
        print_summary(totals, *timing);
    }
    print_result(*options, **engine, parameters, *timing, totals, samples.units);
    return kExitDone;
}

}  // namespace

void add_bench_step(CLI::App& bench, Command& chosen) {
    auto flags = std::make_shared<Flags>();
    auto* command =
        bench.add_subcommand("step", "One training step, on made-up data or a data set's");
    command
        ->add_option(
            "--model", flags->model, "mlp, cnn, resnet20, gpt, ... with options, or onnx:FILE"
        )
        ->transform(&expand_home)
        ->capture_default_str();
    command->add_option("--batch", flags->batch, "Samples a step (0: the model's usual number)")
        ->check(CLI::Range(0, 65536));
    command->add_option("--threads", flags->threads, "Compute threads (0: all cores)")
        ->check(CLI::Range(0, 1024));
    command->add_option("--precision", flags->precision, "f32, bf16 or auto")
        ->capture_default_str();
    command->add_option("--device", flags->device, "auto, cpu, opencl:N, or reference")
        ->capture_default_str();
    command->add_option("--optimizer", flags->optimizer, "As for peer");
    command->add_option(
        "--dataset", flags->dataset, "Train on its samples, as for peer, and report data_wait"
    );
    command->add_option("--shape", flags->shape, "Shape of a sample: 3,32,32")->delimiter(',');
    command->add_option("--classes", flags->classes, "Classes of the labels");
    command->add_option("--seconds", flags->seconds, "Measure for so long")
        ->check(CLI::Range(0.01, 3600.0))
        ->capture_default_str();
    command->add_flag("--profile", flags->profile, "A table by operator on standard error");
    command->add_flag("--describe", flags->describe, "Each kernel, and the number of reorders");
    command->footer("Example:\n  starling bench step --model gpt --threads 2 --profile");
    command->callback([flags, &chosen] { chosen = [flags] { return run(*flags); }; });
}

}  // namespace starling::peer
