#include "peer/commands/swarm_flags.hpp"

#include <cstdlib>
#include <string_view>
#include <system_error>
#include <unistd.h>
#include <utility>

#include "base/spec.hpp"
#include "peer/commands/commands.hpp"
#include "peer/commands/founder_flags.hpp"
#include "peer/crypto/swarm_key.hpp"
#include "peer/machine/files.hpp"
#include "peer/machine/private_folder.hpp"

namespace starling::peer {
namespace {

/// Returns the path of our own binary. It is the real path, so that `ps` shows a readable name.
std::string own_binary() {
    std::error_code error;
    const auto path = std::filesystem::read_symlink("/proc/self/exe", error);
    return error ? "/proc/self/exe" : path.string();
}

/// The file with the key of this run's swarm. It stays in the state directory if there is one.
/// Otherwise it is in a temporary directory, which is removed after the run.
class KeyFile {
public:
    /// Makes the file if it does not exist yet. Returns its name, which is empty if the state
    /// directory comes from an open swarm.
    /// Errors    Io
    Result<std::string> make(const std::string& state) {
        namespace fs = std::filesystem;
        fs::path path;
        if (state.empty()) {
            auto made = private_.make();
            if (!made) return made.error();
            path = *made / "swarm.key";
        } else {
            std::error_code ignored;  // if exists() fails, writing fails below with a message
            path = fs::path(state) / "swarm.key";
            if (fs::exists(path, ignored)) return path.string();
            if (fs::exists(fs::path(state) / "peer-1", ignored)) return std::string();
        }
        if (auto ok = write_swarm_key(path, random_swarm_key()); !ok) return ok.error();
        return path.string();
    }

private:
    TemporaryFolder private_;
};

}  // namespace

int swarm_usage_error(const std::string& message) {
    return report_fault("swarm", fail(FaultCode::Usage, message));
}

TemporaryFolder::~TemporaryFolder() {
    std::error_code ignored;  // what is left behind is this user's own
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

Result<std::filesystem::path> TemporaryFolder::make() {
    std::error_code error;
    std::string pattern =
        (std::filesystem::temp_directory_path(error) / "starling-XXXXXX").string();
    if (error || ::mkdtemp(pattern.data()) == nullptr) {
        return fail(FaultCode::Io, "cannot make a directory for files of this run");
    }
    path_ = pattern;
    return path_;
}

std::string for_all_peers(const std::string& partition, std::size_t peers) {
    auto spec = Spec::parse(partition);
    if (spec.has_error()) return partition;
    // Each value of a column has an owner, and peers share them out.
    if (partition.starts_with("column=")) return partition;
    spec->options.try_emplace("owners", std::to_string(peers));
    return spec->to_string();
}

int run_with_key(SwarmFlags& flags, const std::function<int()>& go) {
    auto& options = flags.options;
    if (options.program.empty()) options.program = own_binary();
    if (!options.state.empty()) {
        const auto made = make_directories(real_disk(), options.state, kPrivateDirectory);
        if (!made) return swarm_usage_error("--state " + made.error().message);
        const auto closed = close_to_others(options.state, {.untouched = {"swarm.key"}});
        if (!closed) return report_fault("swarm", closed.error());
    }
    // These are for one peer. Ours would all take the same directory and the same port.
    for (const char* name : {"STARLING_STATE", "STARLING_KEY", "STARLING_HTTP"}) {
        (void)::unsetenv(name);
    }
    KeyFile key_file;
    const auto key = key_file.make(options.state);
    if (!key) return swarm_usage_error(key.error().message);
    options.key = *key;
    const bool terminal = ::isatty(STDOUT_FILENO) == 1;
    options.output = terminal ? OutputMode::Table : OutputMode::Lines;
    if (flags.scenario == kStandardInput) options.output = OutputMode::Answers;
    if (flags.json) options.output = OutputMode::Json;
    return go();
}

void take_founder_values(SwarmFlags& flags) {
    const auto known = founder_flags();
    for (std::size_t i = 0; i < known.size(); ++i) {
        auto value = flags.founder[i];
        if (value.empty()) continue;
        if (known[i].name == std::string_view("--partition")) {
            value = for_all_peers(value, flags.options.peers);
        }
        flags.options.founder_flags.emplace_back(known[i].name, std::move(value));
    }
}

}  // namespace starling::peer
