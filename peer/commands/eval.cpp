// starling eval: loss and accuracy of a checkpoint on a data set.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "compute/engine.hpp"
#include "data/batcher.hpp"
#include "data/dataset.hpp"
#include "data/shard_store.hpp"
#include "peer/checkpoint.hpp"
#include "peer/commands/commands.hpp"
#include "peer/descriptor.hpp"
#include "peer/model_file.hpp"
#include "peer/sha256.hpp"
#include "peer/task.hpp"
#include "peer/trainer.hpp"

namespace starling::peer {

namespace {

struct EvalFlags {
    std::string state;
    std::string dataset;
    std::string model;
    int threads = 0;
};

int complain(const Fault& fault) {
    std::fprintf(stderr, "starling eval: %s\n", fault.message.c_str());
    return fault.code == FaultCode::Usage ? kExitUsage : kExitFailed;
}

Result<compute::EvalResult> evaluate_all(
    compute::Engine& engine, const data::ShardStore& shards, std::size_t batch
) {
    const std::size_t elements = shards.manifest().sample_elements();
    std::vector<float> values(batch * elements);
    std::vector<std::int32_t> labels(batch);
    compute::EvalResult total;
    while (true) {
        const std::size_t got = data::read_test_samples(
            shards, static_cast<std::size_t>(total.samples), values, labels
        );
        if (got == 0) return total;
        const auto part =
            engine.evaluate(std::span(values).first(got * elements), std::span(labels).first(got));
        total.loss_sum += part.loss_sum;
        total.correct += part.correct;
        total.samples += part.samples;
    }
}

Result<compute::EvalResult> evaluate(const EvalFlags& flags) {
    const auto checkpoint = read_checkpoint(flags.state);
    if (checkpoint.has_error()) return checkpoint.error();
    const auto descriptor = decode_descriptor(checkpoint->descriptor);
    if (descriptor.has_error()) return descriptor.error();
    const auto dataset = data::load_dataset(flags.dataset);
    if (dataset.has_error()) return dataset.error();
    auto sharded = data::shard_dataset(*dataset, samples_per_shard(*dataset), &sha256);
    // The model was trained on values scaled by the swarm's statistics, not by this data set's.
    sharded.manifest.mean = descriptor->manifest.mean;
    sharded.manifest.stddev = descriptor->manifest.stddev;
    data::ShardStore shards(sharded.manifest, &sha256);
    for (auto& bytes : sharded.shards) {
        if (const auto put = shards.put(std::move(bytes)); put.has_error()) return put.error();
    }
    compute::EngineOptions options;
    ModelChoice model{descriptor->model, std::make_shared<const Bytes>(descriptor->model_file)};
    if (!flags.model.empty()) {
        auto chosen = choose_model(flags.model);
        if (chosen.has_error()) return chosen.error();
        model = std::move(*chosen);
    }
    options.model = model.spec;
    options.model_file = model.file;
    options.task = task_of(descriptor->manifest);
    options.threads = flags.threads > 0
                          ? flags.threads
                          : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
    if (sharded.manifest.shape != descriptor->manifest.shape) {
        return fail(
            FaultCode::Usage, flags.dataset + ": samples have another shape than the model's"
        );
    }
    auto layout = compute::model_layout(options.model, options.task, model.bytes());
    if (layout.has_error()) return layout.error();
    if (layout->elements() != checkpoint->parameters.size()) {
        return fail(
            FaultCode::LayoutMismatch,
            flags.state + ": the checkpoint holds " +
                std::to_string(checkpoint->parameters.size()) + " parameters, " + options.model +
                " has " + std::to_string(layout->elements())
        );
    }
    compute::ParameterStore store(std::move(*layout));
    store.write_all(checkpoint->parameters);
    auto engine = compute::Engine::create(options, store);
    if (engine.has_error()) return engine.error();
    return evaluate_all(**engine, shards, static_cast<std::size_t>(options.eval_batch));
}

int run_eval(const EvalFlags& flags) {
    const auto result = evaluate(flags);
    if (result.has_error()) return complain(result.error());
    const nlohmann::json out{
        {"accuracy", result->accuracy()}, {"loss", result->loss()}, {"samples", result->samples}};
    std::puts(out.dump().c_str());
    return kExitDone;
}

}  // namespace

void add_eval(CLI::App& app, Command& chosen) {
    auto* command =
        app.add_subcommand("eval", "Loss and accuracy of a checkpoint on a data set's test part");
    auto flags = std::make_shared<EvalFlags>();
    command->add_option("--state", flags->state, "State directory with the checkpoint")->required();
    command->add_option("--dataset", flags->dataset, "Data set, as for peer")->required();
    command->add_option("--model", flags->model, "Model, when it is not the checkpoint's own");
    command->add_option("--threads", flags->threads, "Compute threads (0: all cores)");
    command->footer(
        "Example:\n  starling eval --state ~/.starling --dataset "
        "idx:/usr/share/datasets/fashion-mnist"
    );
    command->callback([flags, &chosen] { chosen = [flags] { return run_eval(*flags); }; });
}

}  // namespace starling::peer
