#include "peer/machine/surroundings.hpp"

#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <sys/prctl.h>
#include <system_error>
#include <unistd.h>

namespace starling::peer {

namespace {

constexpr int kWriteWaitMs = 1000;

bool is_ignored(int signal) {
    struct sigaction action {};

    return ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

}  // namespace

void name_process(const char* name) {
    (void)::prctl(PR_SET_NAME, name);
}

void open_standard_streams() {
    for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        if (::fcntl(stream, F_GETFD) >= 0) continue;
        // The lowest free number is the one that we look at: those below it are open.
        if (::open("/dev/null", O_RDWR) < 0) return;  // without /dev there is nothing better
    }
}

void survive_failed_writes() {
    (void)::signal(SIGPIPE, SIG_IGN);
    (void)::signal(SIGXFSZ, SIG_IGN);
}

std::vector<int> ending_signals() {
    std::vector<int> signals{SIGINT, SIGTERM};
    if (!is_ignored(SIGHUP)) signals.push_back(SIGHUP);
    return signals;
}

NetworkNamespace network_namespace() {
    std::error_code mine_error;
    std::error_code first_error;
    const auto mine = std::filesystem::read_symlink("/proc/self/ns/net", mine_error);
    const auto first = std::filesystem::read_symlink("/proc/1/ns/net", first_error);
    if (mine_error || first_error) return NetworkNamespace::Unknown;
    return mine == first ? NetworkNamespace::Initial : NetworkNamespace::Own;
}

bool can_write(int descriptor) {
    pollfd wanted{descriptor, POLLOUT, 0};
    return ::poll(&wanted, 1, kWriteWaitMs) > 0;
}

}  // namespace starling::peer
