// starling eval: prints loss and accuracy of a checkpoint's model on a data set.

#include <CLI/CLI.hpp>
#include <atomic>
#include <cstdio>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "compute/models/models.hpp"
#include "compute/training/engine.hpp"
#include "data/dataset.hpp"
#include "data/shard_store.hpp"
#include "peer/commands/commands.hpp"
#include "peer/crypto/sha256.hpp"
#include "peer/machine/cores.hpp"
#include "peer/machine/files.hpp"
#include "peer/terms/descriptor.hpp"
#include "peer/terms/model_file.hpp"
#include "peer/terms/task.hpp"
#include "peer/training/checkpoint.hpp"
#include "peer/training/engine_options.hpp"
#include "peer/training/evaluation.hpp"

namespace starling::peer {

namespace {

struct EvalFlags {
    std::string state;
    std::string dataset;
    std::string model;
    int threads = 0;
};

/// Cuts the data on which a model of this swarm is evaluated. Images are scaled as the swarm's own
/// data, and the characters of a text are numbered by the swarm's vocabulary.
Result<data::Sharded> cut_for(const std::string& spec, const data::Manifest& swarm) {
    auto dataset = data::load_dataset(spec);
    if (dataset.has_error()) return missing_is_usage(dataset.error());
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
    if (dataset->classes > swarm.classes) {
        return fail(
            FaultCode::Usage,
            spec + ": has " + std::to_string(dataset->classes) + " classes, the model " +
                std::to_string(swarm.classes)
        );
    }
    dataset->classes = swarm.classes;
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
    const auto checkpoint = read_checkpoint(real_disk(), flags.state);
    if (checkpoint.has_error()) return missing_is_usage(checkpoint.error());
    const auto descriptor = decode_descriptor(checkpoint->descriptor);
    if (descriptor.has_error()) return descriptor.error();
    auto sharded = cut_for(flags.dataset, descriptor->manifest);
    if (sharded.has_error()) return sharded.error();
    data::ShardStore shards(sharded->manifest, &sha256);
    for (auto& bytes : sharded->shards) {
        if (const auto put = shards.put(std::move(bytes)); put.has_error()) return put.error();
    }
    const int threads = flags.threads > 0 ? flags.threads : static_cast<int>(core_count());
    auto options = engine_options(*descriptor, threads);
    if (!flags.model.empty()) {
        const auto chosen = choose_model(flags.model);
        if (chosen.has_error()) return chosen.error();
        options.model = chosen->spec;
        options.model_file = chosen->file ? chosen->file : std::make_shared<const Bytes>();
    }
    auto layout = compute::model_layout(options.model, options.task, *options.model_file);
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
    const std::atomic<bool> never_stop{false};
    Evaluation evaluation(shards, static_cast<std::size_t>(options.eval_batch));
    return evaluation.run(**engine, 0, std::numeric_limits<std::size_t>::max(), never_stop);
}

int run_eval(const EvalFlags& flags) {
    const auto result = evaluate(flags);
    if (result.has_error()) return report_fault("eval", result.error());
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
    command->add_option("--state", flags->state, "State directory with the checkpoint")
        ->required()
        ->transform(&expand_home)
        ->envname("STARLING_STATE");
    command->add_option("--dataset", flags->dataset, "Data set, as for peer")
        ->required()
        ->transform(&expand_home);
    command->add_option("--model", flags->model, "Model, when it is not the checkpoint's own");
    command->add_option("--threads", flags->threads, "Compute threads (0: all cores)");
    command->footer(
        "Example:\n  starling eval --state ~/.starling --dataset "
        "idx:/usr/share/datasets/fashion-mnist"
    );
    command->callback([flags, &chosen] { chosen = [flags] { return run_eval(*flags); }; });
}

}  // namespace starling::peer
