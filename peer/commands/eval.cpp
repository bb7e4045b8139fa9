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
#include "compute/models/models.hpp"
#include "data/batcher.hpp"
#include "data/dataset.hpp"
#include "data/shard_store.hpp"
#include "peer/checkpoint.hpp"
#include "peer/commands/commands.hpp"
#include "peer/descriptor.hpp"
#include "peer/model_file.hpp"
#include "peer/sha256.hpp"
#include "peer/task.hpp"

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

/// What was found, and of how many samples: a text's windows have many labels each.
struct Evaluated {
    compute::EvalResult result;
    std::size_t samples = 0;
};

Evaluated evaluate_all(compute::Engine& engine, const data::ShardStore& shards, std::size_t batch) {
    const std::size_t elements = shards.manifest().sample_elements();
    const std::size_t per_sample = shards.manifest().labels_per_sample();
    std::vector<float> values(batch * elements);
    std::vector<std::int32_t> labels(batch * per_sample);
    Evaluated total;
    while (true) {
        const auto got = data::read_test_samples(shards, total.samples, values, labels);
        if (got == 0) return total;
        const auto part = engine.evaluate(
            std::span(values).first(got * elements), std::span(labels).first(got * per_sample)
        );
        total.samples += got;
        total.result += part;
    }
}

/// Cuts the data to judge a model of this swarm: scaled, or numbered, as those it was trained on.
Result<data::Sharded> cut_for(const std::string& spec, const data::Manifest& swarm) {
    auto dataset = data::load_dataset(spec);
    if (dataset.has_error()) return dataset.error();
    if (dataset->is_text() != swarm.is_text()) {
        return fail(
            FaultCode::Usage,
            spec + (swarm.is_text() ? ": the model wants a text" : ": the model wants no text")
        );
    }
    if (swarm.is_text()) {
        dataset->shape = swarm.shape;
        if (auto ok = data::adopt_vocabulary(*dataset, swarm.vocabulary); !ok) return ok.error();
        if (dataset->count(data::Split::Test) <= swarm.shape[0]) {
            return fail(
                FaultCode::Usage,
                spec + ": its test part is shorter than the model's context, " +
                    std::to_string(swarm.shape[0])
            );
        }
    }
    auto sharded = cut_dataset(*dataset);
    if (sharded.has_error()) return sharded.error();
    sharded->manifest.mean = swarm.mean;
    sharded->manifest.stddev = swarm.stddev;
    if (sharded->manifest.shape != swarm.shape) {
        return fail(FaultCode::Usage, spec + ": samples have another shape than the model's");
    }
    return sharded;
}

Result<Evaluated> evaluate(const EvalFlags& flags) {
    const auto checkpoint = read_checkpoint(flags.state);
    if (checkpoint.has_error()) return checkpoint.error();
    const auto descriptor = decode_descriptor(checkpoint->descriptor);
    if (descriptor.has_error()) return descriptor.error();
    auto sharded = cut_for(flags.dataset, descriptor->manifest);
    if (sharded.has_error()) return sharded.error();
    data::ShardStore shards(sharded->manifest, &sha256);
    for (auto& bytes : sharded->shards) {
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
    options.eval_batch = evaluation_batch(descriptor->manifest);
    options.threads = flags.threads > 0
                          ? flags.threads
                          : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
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
        {"accuracy", result->result.accuracy()},
        {"loss", result->result.loss()},
        {"samples", result->samples}};
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
