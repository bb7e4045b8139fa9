#include "peer/commands/explain.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <numeric>

namespace starling::peer {

namespace {

/// Returns the edit distance of two words (Levenshtein 1966), with a swap of neighbours as one edit.
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
    for (std::size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
    std::iota(d[0].begin(), d[0].end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replaced = d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, replaced});
            const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped) d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
        }
    }
    return d.back().back();
}

/// Returns the chosen command that is the furthest down, or the app itself.
const CLI::App& chosen_in(const CLI::App& app) {
    const auto chosen = app.get_subcommands();
    return chosen.empty() ? app : chosen_in(*chosen.front());
}

std::string path_of(const CLI::App& command) {
    const auto* parent = command.get_parent();
    return parent == nullptr ? command.get_name() : path_of(*parent) + " " + command.get_name();
}

std::string did_you_mean(const std::string& found) {
    return found.empty() ? std::string() : "; did you mean '" + found + "'?";
}

std::vector<std::string> names_below(const CLI::App& command) {
    std::vector<std::string> names;
    for (const auto* below : command.get_subcommands(nullptr)) names.push_back(below->get_name());
    return names;
}

std::vector<std::string> flags_of(const CLI::App& command) {
    std::vector<std::string> names;
    for (const auto* app = &command; app != nullptr; app = app->get_parent()) {
        for (const auto* option : app->get_options()) {
            for (const auto& name : option->get_lnames()) names.push_back("--" + name);
        }
    }
    return names;
}

/// Explains that the command below `command` is missing or misspelt.
std::string explain_command(const CLI::App& command, const std::vector<std::string>& arguments) {
    const auto names = names_below(command);
    auto at = arguments.begin();
    if (command.get_parent() != nullptr) {
        at = std::find(arguments.begin(), arguments.end(), command.get_name());
        if (at != arguments.end()) ++at;
    }
    const auto path = path_of(command);
    if (at == arguments.end() || at->starts_with('-')) {
        std::string list;
        for (const auto& name : names) list += (list.empty() ? "" : ", ") + name;
        return "'" + path + "' wants a command: " + list;
    }
    return "there is no command '" + path + " " + *at + "'" + did_you_mean(nearest(*at, names));
}

std::string explain_extras(const CLI::App& command, const std::vector<std::string>& arguments) {
    const auto flags = flags_of(command);
    for (const auto& argument : arguments) {
        const auto flag = argument.substr(0, argument.find('='));
        if (!flag.starts_with("--") || flag.size() == 2) continue;
        if (std::find(flags.begin(), flags.end(), flag) != flags.end()) continue;
        return path_of(command) + " has no flag " + flag + did_you_mean(nearest(flag, flags));
    }
    return {};
}

}  // namespace

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
    std::string found;
    std::size_t least = word.size() / 3 + 1;
    for (const auto& candidate : candidates) {
        const auto edits = distance(word, candidate);
        if (edits >= least) continue;
        least = edits;
        found = candidate;
    }
    return found;
}

std::string explain(
    const CLI::App& app, const CLI::ParseError& error, const std::vector<std::string>& arguments
) {
    const auto& command = chosen_in(app);
    std::string what = error.what();
    std::replace(what.begin(), what.end(), '\n', ' ');
    if (error.get_name() == "ConfigError") {
        const auto key = what.substr(what.find_last_of(" .") + 1);
        const auto found = nearest("--" + key, flags_of(command));
        return "--config: " + what +
               (found.empty() ? "; write key = value as the flags of a command are named, in its "
                                "[section] such as [peer]"
                              : "; did you mean " + found.substr(2) + "?");
    }
    const bool lacks_command = !names_below(command).empty();
    if (error.get_name() == "RequiredError" && lacks_command) {
        what = explain_command(command, arguments);
    } else if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExtrasError)) {
        // Its name is that of the command.
        const auto better = explain_extras(command, arguments);
        if (!better.empty()) what = better;
    }
    return what + "; see " + path_of(command) + " --help";
}

}  // namespace starling::peer
