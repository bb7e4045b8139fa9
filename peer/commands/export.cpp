// starling export: writes the model of a checkpoint to a file for other programs.

#include "compute/onnx/export.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/json_text.hpp"
#include "compute/files/safetensors.hpp"
#include "compute/models/models.hpp"
#include "peer/commands/commands.hpp"
#include "peer/commands/model_source.hpp"
#include "peer/machine/files.hpp"
#include "peer/terms/recipe_json.hpp"
#include "peer/terms/task.hpp"
#include "peer/training/trained_model.hpp"

namespace starling::peer {

namespace {

struct ExportFlags {
    ModelSource source;
    std::string output;
    std::string format;
};

/// Returns the format that the flag gives, or else the file's ending.
Result<std::string> format_of(const ExportFlags& flags) {
    auto format = flags.format;
    if (format.empty()) {
        const auto ending = std::filesystem::path(flags.output).extension().string();
        format = ending.empty() ? ending : ending.substr(1);
    }
    if (format == "onnx" || format == "safetensors") return format;
    return fail(
        FaultCode::Usage,
        flags.output + ": in which format? End the name in .onnx or .safetensors, or give --format"
    );
}

/// Returns the line to print.
Result<std::string> export_checkpoint(const ExportFlags& flags) {
    const auto format = format_of(flags);
    if (format.has_error()) return format.error();
    const auto trained = load_model(flags.source);
    if (trained.has_error()) return trained.error();
    const auto& d = trained->descriptor;
    auto& store = *trained->parameters;
    const auto task = task_of(d.manifest);
    Result<Bytes> bytes = Bytes{};
    if (*format == "onnx") {
        const auto build = [&](std::int64_t batch) {
            return compute::build_model(
                d.model, task, batch, compute::Purpose::Inference, d.model_file
            );
        };
        // Whoever runs the file elsewhere needs to know how to prepare a sample. JSON that is ASCII
        // is read by everything.
        const compute::onnx::Metadata metadata{
            {"starling.model", d.model},
            {"starling.dataset", d.manifest.name},
            {"starling.recipe", json_text(recipe_json(d.manifest), JsonCharacters::Ascii)},
            {"starling.label", json_text(label_json(d.manifest), JsonCharacters::Ascii)}};
        bytes = compute::onnx::export_onnx(build, store, metadata);
        if (bytes.has_error()) return bytes.error();
    } else {
        bytes = compute::export_safetensors(store);
    }
    const auto written = write_file_atomically(flags.output, *bytes, 0644);
    if (written.has_error()) return written.error();
    const nlohmann::json line{
        {"file", flags.output},
        {"format", *format},
        {"model", d.model},
        {"parameters", store.layout().elements()},
        {"bytes", bytes->size()}};
    return json_text(line);
}

int run_export(const ExportFlags& flags) {
    const auto result = export_checkpoint(flags);
    if (result.has_error()) return report_fault("export", result.error());
    std::puts(result->c_str());
    return kExitDone;
}

}  // namespace

void add_export(CLI::App& app, Command& chosen) {
    auto* command =
        app.add_subcommand("export", "Write a checkpoint's model as an ONNX or safetensors file");
    auto flags = std::make_shared<ExportFlags>();
    add_model_source(*command, flags->source);
    command->add_option("--output", flags->output, "File to write: NAME.onnx or NAME.safetensors")
        ->required();
    command->add_option(
        "--format", flags->format, "onnx or safetensors, when the name says neither"
    );
    command->footer(
        "An ONNX file takes samples as the model sees them. How a stored sample becomes that, with "
        "the\n"
        "swarm's means, deviations and categories, stands in its metadata (starling.recipe, as "
        "JSON).\n"
        "Example:\n  starling export --state ~/.starling --output net.onnx"
    );
    command->callback([flags, &chosen] { chosen = [flags] { return run_export(*flags); }; });
}

}  // namespace starling::peer
