#include "peer/commands/commands.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <unistd.h>

#include "base/printable.hpp"
#include "peer/machine/surroundings.hpp"

namespace starling::peer {

namespace {

/// Characters of a fault that are shown: a text of others may be in it.
constexpr std::size_t kLineMax = 4096;

class ConfigFile : public CLI::ConfigTOML {
public:
    explicit ConfigFile(const CLI::App& app) : app_(app) {}

    std::vector<CLI::ConfigItem> from_config(std::istream& input) const override {
        auto entries = CLI::ConfigTOML::from_config(input);
        const auto chosen = app_.get_subcommands();
        if (chosen.empty()) return entries;
        for (auto& item : entries) {
            if (item.parents.empty()) item.parents = {chosen.front()->get_name()};
        }
        return entries;
    }

private:
    const CLI::App& app_;
};

}  // namespace

std::string expand_home(std::string text) {
    const char* home = std::getenv("HOME");
    const auto colon = text.find(':');
    const std::size_t at = text.starts_with("~/") || colon == std::string::npos ? 0 : colon + 1;
    if (home != nullptr && text.compare(at, 2, "~/") == 0) text.replace(at, 1, home);
    return text;
}

void take_config_file(CLI::App& app) {
    // A misspelt key must be an error. This comes before the subcommands, which inherit it.
    app.allow_config_extras(CLI::config_extras_mode::error);
    app.set_config("--config", "", "TOML file with a [section] per command; flags win over it");
    app.config_formatter(std::make_shared<ConfigFile>(app));
    app.fallthrough();
}

int report_fault(std::string_view command, const Fault& fault) {
    if (can_write(STDERR_FILENO))
        std::fputs(
            ("starling " + std::string(command) + ": " + excerpt(fault.message, kLineMax) + "\n")
                .c_str(),
            stderr
        );
    return exit_code_of(fault.code);
}

}  // namespace starling::peer
