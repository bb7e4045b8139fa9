// starling help: prints what the SPEC of a flag may be.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>

#include "peer/commands/commands.hpp"
#include "peer/commands/explain.hpp"
#include "peer/commands/help_topics.hpp"

namespace starling::peer {

namespace {

int print_help(const CLI::App& app, const std::string& topic) {
    if (topic.empty()) {
        std::fputs(app.help().c_str(), stdout);
        return kExitDone;
    }
    // `starling help peer` is what many try first.
    for (const auto* command : app.get_subcommands(nullptr)) {
        if (command->get_name() != topic) continue;
        std::fputs(command->help(app.get_name()).c_str(), stdout);
        return kExitDone;
    }
    std::vector<std::string> names;
    for (const auto& known : help_topics()) {
        names.emplace_back(known.name);
        // Nobody should have to know whether a topic's name is a plural.
        const std::string flag(known.flag.substr(2));
        if (topic != known.name && topic != flag && topic != flag + "s") continue;
        std::fputs(help_text(known).c_str(), stdout);
        return kExitDone;
    }
    std::string list;
    for (const auto& name : names) list += (list.empty() ? "" : ", ") + name;
    return report_fault(
        "help",
        fail(FaultCode::Usage, "no topic '" + topic + "'; there is " + list + ", and each command")
    );
}

}  // namespace

void add_help(CLI::App& app, Command& chosen) {
    auto* command =
        app.add_subcommand("help", "What a SPEC may be: models, optimizer, dataset, ...");
    auto topic = std::make_shared<std::string>();
    command->add_option("TOPIC", *topic, "models, optimizer, dataset, mix, partition or a command");
    command->footer("Example:\n  starling help models");
    command->callback([&app, topic, &chosen] {
        chosen = [&app, topic] { return print_help(app, *topic); };
    });
}

}  // namespace starling::peer
