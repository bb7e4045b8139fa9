// starling data: prints what a data set contains, cuts it into a folder of shards, or writes its schema.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <unistd.h>

#include "base/json_text.hpp"
#include "base/printable.hpp"
#include "data/partition.hpp"
#include "data/reading.hpp"
#include "peer/commands/commands.hpp"
#include "peer/commands/data_view.hpp"
#include "peer/machine/clock.hpp"
#include "peer/terms/schema_file.hpp"

namespace starling::peer {

namespace {

struct Flags {
    std::string spec;
    std::string partition = "iid";
    std::string directory;
    std::string file = "schema.json";
    bool json = false;
};

/// Returns what says once a second how far reading is, where a person looks.
std::function<void(const std::string&)> print_progress() {
    if (::isatty(STDERR_FILENO) == 0) return {};
    return [next = real_now()](const std::string& line) mutable {
        if (real_now() < next) return;
        next = real_now() + std::chrono::seconds(1);
        std::fputs(("starling: " + printable(line) + "\n").c_str(), stderr);
    };
}

int inspect(const Flags& flags) {
    const data::Reading reading(print_progress());
    const auto data = look_at(flags.spec);
    if (data.has_error()) {
        return report_fault("data", as_usage(missing_is_usage(data.error())));
    }
    if (!flags.json && ::isatty(STDOUT_FILENO) != 0) {
        std::fputs(data_page(*data).c_str(), stdout);
        return kExitDone;
    }
    // A text may contain escape sequences for a terminal. JSON escapes control characters, and we
    // let it escape everything that is not ASCII.
    std::puts(json_text(data_facts(*data), JsonCharacters::Ascii).c_str());
    return kExitDone;
}

int shard(const Flags& flags) {
    const auto partition = data::Partition::parse(flags.partition);
    if (partition.has_error()) return report_fault("data", partition.error());
    std::vector<std::string> notes;
    const data::Reading reading(print_progress());
    const auto manifest = cut_into_folder(flags.spec, flags.directory, *partition, notes);
    if (manifest.has_error()) return report_fault("data", missing_is_usage(manifest.error()));
    for (const auto& note : notes)
        std::fputs(("starling: " + printable(note) + "\n").c_str(), stderr);
    std::uint64_t bytes = 0;
    for (const auto& info : manifest->shards) bytes += info.bytes;
    const nlohmann::json facts{
        {"dataset", manifest->name},
        {"directory", flags.directory},
        {"train", manifest->samples(data::Split::Train)},
        {"test", manifest->samples(data::Split::Test)},
        {"valid", manifest->samples(data::Split::Valid)},
        {"shards", manifest->shards.size()},
        {"bytes", bytes}};
    std::puts(json_text(facts, JsonCharacters::Ascii).c_str());
    return kExitDone;
}

int schema(const Flags& flags) {
    std::vector<std::string> notes;
    const data::Reading reading(print_progress());
    const auto manifest = schema_of(flags.spec, notes);
    if (manifest.has_error()) {
        return report_fault("data", as_usage(missing_is_usage(manifest.error())));
    }
    if (auto ok = write_schema_file(flags.file, *manifest); ok.has_error()) {
        return report_fault("data", ok.error());
    }
    for (const auto& note : notes)
        std::fputs(("starling: " + printable(note) + "\n").c_str(), stderr);
    const nlohmann::json facts{
        {"dataset", flags.spec},
        {"schema", flags.file},
        {"shape", manifest->shape()},
        {"classes", manifest->classes()},
        {"label", data::to_string(manifest->schema.label.kind)}};
    std::puts(json_text(facts, JsonCharacters::Ascii).c_str());
    return kExitDone;
}

void add_schema(CLI::App& data, Command& chosen) {
    auto* write = data.add_subcommand(
        "schema",
        "Write how a data set's samples are prepared and labelled, for `starling peer --private "
        "--schema`"
    );
    auto flags = std::make_shared<Flags>();
    write->add_option("SPEC", flags->spec, "Data set, as in --dataset")
        ->required()
        ->transform(&expand_home);
    write->add_option("--out", flags->file, "New file; nothing of a single sample is in it")
        ->capture_default_str()
        ->type_name("FILE")
        ->transform(&expand_home);
    write->footer(
        "Example:\n  starling data schema csv:data/samples/digits.csv.gz --out digits-schema.json"
    );
    write->callback([flags, &chosen] { chosen = [flags] { return schema(*flags); }; });
}

void add_shard(CLI::App& data, Command& chosen) {
    auto* cut = data.add_subcommand(
        "shard", "Cut a data set once, for --dataset shards:DIR on any machine"
    );
    auto flags = std::make_shared<Flags>();
    cut->add_option("SPEC", flags->spec, "Data set, as in --dataset")
        ->required()
        ->transform(&expand_home);
    cut->add_option("--out", flags->directory, "New or empty directory for manifest and shards")
        ->required()
        ->type_name("DIR");
    cut->add_option("--partition", flags->partition, "As in `starling peer`")
        ->capture_default_str();
    cut->footer("Example:\n  starling data shard csv:data/samples/digits.csv.gz --out digits-shards"
    );
    cut->callback([flags, &chosen] { chosen = [flags] { return shard(*flags); }; });
}

}  // namespace

void add_data(CLI::App& app, Command& chosen) {
    auto* command =
        app.add_subcommand("data", "Inspect data sets, cut them into shards, write their schema");
    command->require_subcommand(1);
    auto* look = command->add_subcommand(
        "inspect", "Print sizes, shape and classes, and on a terminal some samples"
    );
    auto flags = std::make_shared<Flags>();
    look->add_flag("--json", flags->json, "One JSON object, as without a terminal");
    look->add_option("SPEC", flags->spec, "Data set, as in --dataset")
        ->required()
        ->transform(&expand_home);
    look->footer("Example:\n  starling data inspect idx:/usr/share/datasets/fashion-mnist");
    look->callback([flags, &chosen] { chosen = [flags] { return inspect(*flags); }; });
    add_shard(*command, chosen);
    add_schema(*command, chosen);
}

}  // namespace starling::peer
