// starling eval: prints loss and accuracy of a checkpoint's model, or of a model file, on a data set.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <variant>

#include "base/json_text.hpp"
#include "base/printable.hpp"
#include "base/spec.hpp"
#include "compute/models/models.hpp"
#include "compute/training/engine.hpp"
#include "data/shard_store.hpp"
#include "peer/commands/commands.hpp"
#include "peer/commands/device_search.hpp"
#include "peer/commands/model_source.hpp"
#include "peer/crypto/sha256.hpp"
#include "peer/machine/cores.hpp"
#include "peer/machine/files.hpp"
#include "peer/terms/data_set.hpp"
#include "peer/terms/descriptor.hpp"
#include "peer/terms/model_file.hpp"
#include "peer/training/engine_options.hpp"
#include "peer/training/evaluation.hpp"
#include "peer/training/trained_model.hpp"

namespace starling::peer {

namespace {

struct EvalFlags {
    ModelSource source;
    std::string dataset;
    std::string model;
    std::string device = "auto";
    int threads = 0;
    bool per_class = false;
};

/// Tells people what is odd about the data, as a peer does that founds a swarm with them.
void print_notes(const CutData& data) {
    for (const auto& note : data.notes) {
        std::fputs(("starling: " + printable(note) + "\n").c_str(), stderr);
    }
}

/// What an evaluation says.
struct Judged {
    Evaluated evaluated;
    Judge judge;
    std::optional<std::string> text = std::nullopt;  ///< that the model has made up
};

/// Evaluates the model of `options` with the parameters of `store` on the test part of the data,
/// which `spec` names.
Result<Judged> evaluate_on(
    const std::string& spec,
    CutShards& data,
    compute::EngineOptions options,
    compute::ParameterStore& store
) {
    data::ShardStore shards(data.manifest, &sha256);
    for (std::size_t i = 0; i < data.shards.size(); ++i) {
        const auto put = shards.put_known(data.manifest.shards[i].id, std::move(data.shards[i]));
        if (put.has_error()) return put.error();
    }
    CardLocks locks;
    search_devices(options, locks);
    auto engine = compute::Engine::create(options, store);
    if (engine.has_error()) return engine.error();
    tell_device(**engine);
    const std::atomic<bool> never_stop{false};
    const bool tests = data.manifest.samples(data::Split::Test) > 0;
    const auto split = tests ? data::Split::Test : data.manifest.target_split();
    Evaluation evaluation(shards, static_cast<std::size_t>(options.eval_batch), split);
    Judge judge(data.manifest);
    evaluation.judge_by(&judge);
    auto result = evaluation.run(**engine, 0, std::numeric_limits<std::size_t>::max(), never_stop);
    // A part of the test set would pass for the whole one.
    if (result.fault) return fail(FaultCode::Usage, spec + ": " + result.fault->message);
    return Judged{std::move(result), std::move(judge)};
}

int threads_of(const EvalFlags& flags) {
    return flags.threads > 0 ? flags.threads : static_cast<int>(core_count());
}

/// Evaluates a model file with the weights that are in it. The data are scaled as a swarm that is
/// founded with them scales them.
Result<Judged> evaluate_file(const EvalFlags& flags) {
    if (flags.model.empty()) {
        return fail(
            FaultCode::Usage,
            "nothing to evaluate: give --state DIR with a checkpoint, --from HOST:PORT of a "
            "member, or "
            "--model onnx:FILE with weights of its own"
        );
    }
    const auto spec = Spec::parse(flags.model);
    if (spec.has_error()) return spec.error();
    if (spec->name != "onnx") {
        return fail(
            FaultCode::Usage,
            "--model " + flags.model +
                ": only a file has weights of its own, as onnx:net.onnx; "
                "give --state DIR with the checkpoint of this model"
        );
    }
    const auto chosen = choose_model(flags.model);
    if (chosen.has_error()) return chosen.error();
    auto cut = cut_for_swarm(flags.dataset, flags.model);
    if (cut.has_error()) return as_usage(cut.error());
    print_notes(*cut);
    auto* sharded = &cut->sharded;
    Descriptor descriptor;
    descriptor.model = chosen->spec;
    descriptor.model_file = *chosen->file;
    descriptor.manifest = sharded->manifest;
    auto options = engine_options(descriptor, threads_of(flags));
    options.device = flags.device;
    auto layout = compute::model_layout(options.model, options.task, *options.model_file);
    if (layout.has_error()) {
        return fail(FaultCode::Usage, "--model " + flags.model + ": " + layout.error().message);
    }
    compute::ParameterStore store(std::move(*layout));
    store.initialize(Rng(0));
    auto result = evaluate_on(flags.dataset, *sharded, options, store);
    if (result.has_error() && result.error().code != FaultCode::Io) {
        return fail(FaultCode::Usage, "--model " + flags.model + ": " + result.error().message);
    }
    return result;
}

constexpr std::size_t kTextTokens = 100;

/// Returns how a text goes on that the model begins by itself; nothing for a model of other data.
Result<std::optional<std::string>> text_of(const TrainedModel& model, int threads) {
    const auto* tokens = std::get_if<data::TokenRecipe>(&model.descriptor.manifest.recipe);
    if (tokens == nullptr || tokens->tokenizer == data::Tokenizer::Numbers) {
        return std::optional<std::string>();
    }
    auto predictor = Predictor::make(model, 1, threads);
    if (predictor.has_error()) return predictor.error();
    auto text = continue_text(*predictor, *tokens, "", {kTextTokens, 0.8, 1});
    if (text.has_error()) return text.error();
    return std::optional(std::move(*text));
}

Result<Judged> evaluate_checkpoint(const EvalFlags& flags) {
    std::optional<ModelChoice> other;
    if (!flags.model.empty()) {
        auto chosen = choose_model(flags.model);
        if (chosen.has_error()) return chosen.error();
        other = std::move(*chosen);
    }
    const auto model = load_model(flags.source, other ? &*other : nullptr);
    if (model.has_error()) return model.error();
    auto cut = cut_for_eval(flags.dataset, model->descriptor.manifest);
    if (cut.has_error()) return as_usage(cut.error());
    print_notes(*cut);
    auto options = engine_options(model->descriptor, threads_of(flags));
    options.device = flags.device;
    auto judged = evaluate_on(flags.dataset, cut->sharded, options, *model->parameters);
    if (judged.has_error() || other) return judged;
    auto text = text_of(*model, threads_of(flags));
    if (text.has_error()) return text.error();
    judged->text = std::move(*text);
    return judged;
}

template <class One>
bool has(const Judge& judge) {
    const auto& tallies = judge.tallies();
    return std::any_of(tallies.begin(), tallies.end(), [](const compute::Tally& tally) {
        return std::holds_alternative<One>(tally);
    });
}

int run_eval(const EvalFlags& flags) {
    const auto result = flags.source.empty() ? evaluate_file(flags) : evaluate_checkpoint(flags);
    if (result.has_error()) return report_fault("eval", result.error());
    const auto& evaluated = result->evaluated;
    nlohmann::json out{{"loss", evaluated.result.loss()}, {"samples", evaluated.samples}};
    if (evaluated.result.has_accuracy) {
        out["accuracy"] = evaluated.result.accuracy();
    } else if (has<compute::NumberTally>(result->judge)) {
        out["absolute_error"] = evaluated.result.absolute_error();
    }
    out.update(result->judge.qualities());
    if (flags.per_class) out["classes"] = result->judge.classes();
    if (result->text) out["text"] = *result->text;
    std::puts(json_text(out).c_str());
    return kExitDone;
}

}  // namespace

void add_eval(CLI::App& app, Command& chosen) {
    auto* command = app.add_subcommand(
        "eval", "Loss and accuracy of a checkpoint, or of a model file, on a data set's test part"
    );
    auto flags = std::make_shared<EvalFlags>();
    add_model_source(*command, flags->source);
    command->add_option("--dataset", flags->dataset, "Data set, as for peer")
        ->required()
        ->transform(&expand_home);
    command
        ->add_option(
            "--model",
            flags->model,
            "Model, when it is not the checkpoint's own; without a checkpoint onnx:FILE, which is "
            "evaluated with its own weights"
        )
        ->transform(&expand_home);
    command->add_option("--threads", flags->threads, "Compute threads (0: all cores)");
    command->add_option("--device", flags->device, "auto, cpu, or opencl:N")->capture_default_str();
    command->add_flag(
        "--per-class",
        flags->per_class,
        "Also precision, recall and F1 of each class, or its average precision"
    );
    command->footer(
        "Besides loss and accuracy: balanced accuracy, F1 and area under the ROC curve of "
        "classes,\n"
        "average precision of two, bits per byte of texts, R^2 of numbers, mean average precision "
        "of "
        "boxes.\n"
        "Examples:\n  starling eval --state ~/.starling --dataset "
        "idx:/usr/share/datasets/fashion-mnist\n"
        "  starling eval --from 192.0.2.7:7300 --key swarm.key --dataset idx:data/samples\n"
        "  starling eval --model onnx:net.onnx --dataset idx:data/samples"
    );
    command->callback([flags, &chosen] { chosen = [flags] { return run_eval(*flags); }; });
}

}  // namespace starling::peer
