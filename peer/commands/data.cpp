// starling data: prints what a data set contains.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "data/dataset.hpp"
#include "peer/commands/commands.hpp"
#include "peer/terms/task.hpp"

namespace starling::peer {

namespace {

int inspect(const std::string& spec) {
    const auto dataset = data::load_dataset(spec);
    if (dataset.has_error()) return report_fault("data", missing_is_usage(dataset.error()));
    const auto sharded = cut_dataset(*dataset);
    if (sharded.has_error()) return report_fault("data", as_usage(sharded.error()));
    const auto& manifest = sharded->manifest;
    std::size_t bytes = 0;
    for (const auto& shard : sharded->shards) bytes += shard.size();
    nlohmann::json out{
        {"dataset", dataset->name},
        {"train", manifest.samples(data::Split::Train)},
        {"test", manifest.samples(data::Split::Test)},
        {"shape", dataset->shape},
        {"classes", dataset->classes},
        {"shards", sharded->shards.size()},
        {"bytes", bytes}};
    if (!dataset->notes.empty()) out["notes"] = dataset->notes;
    if (manifest.is_text()) {
        out["train_characters"] = dataset->count(data::Split::Train);
        out["test_characters"] = dataset->count(data::Split::Test);
        out["vocabulary"] = std::get<data::TokenRecipe>(manifest.recipe).vocabulary;
    } else {
        const auto& scale = std::get<data::ImageRecipe>(manifest.recipe).scales[0];
        out["mean"] = scale.mean;
        out["stddev"] = scale.stddev;
    }
    // A text may contain escape sequences for a terminal. JSON escapes control characters, and we
    // let it escape everything that is not ASCII.
    std::puts(out.dump(-1, ' ', true).c_str());
    return kExitDone;
}

}  // namespace

void add_data(CLI::App& app, Command& chosen) {
    auto* command = app.add_subcommand("data", "Inspect data sets");
    command->require_subcommand(1);
    auto* look =
        command->add_subcommand("inspect", "Print sizes, shape and classes as one JSON object");
    auto spec = std::make_shared<std::string>();
    look->add_option("SPEC", *spec, "Data set, as in --dataset")
        ->required()
        ->transform(&expand_home);
    look->footer("Example:\n  starling data inspect idx:/usr/share/datasets/fashion-mnist");
    look->callback([spec, &chosen] { chosen = [spec] { return inspect(*spec); }; });
}

}  // namespace starling::peer
