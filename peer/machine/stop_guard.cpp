#include "peer/machine/stop_guard.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace starling::peer {
namespace {

/// More children than a scenario has; a peer that is watched again has its second entry in vain.
constexpr std::size_t kWatchedMax = 4096;

struct Watched {
    int pid = 0;
    int descriptor = -1;  ///< of the process itself, so that a new one with its number is never hit
};

/// The guard's life. It calls only what is safe between fork and exec.
[[noreturn]] void guard(int pipe) {
    static std::array<Watched, kWatchedMax> watched;
    std::size_t count = 0;
    // It must outlive us, whatever ends us: also Ctrl-C and the end of the terminal.
    (void)::setsid();
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE}) {
        (void)std::signal(signal, SIG_IGN);
    }
    int pid = 0;
    for (;;) {
        const auto got = ::read(pipe, &pid, sizeof(pid));
        if (got < 0 && errno == EINTR) continue;
        if (got != sizeof(pid)) break;  // we are dead, or have closed the pipe
        bool known = false;
        for (std::size_t i = 0; i < count; ++i) known = known || watched.at(i).pid == pid;
        if (known || count == kWatchedMax) continue;
        watched.at(count++) = {pid, static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
    }
    for (std::size_t i = 0; i < count; ++i) {
        const auto& child = watched.at(i);
        if (child.descriptor < 0) continue;
        (void)::syscall(SYS_pidfd_send_signal, child.descriptor, SIGCONT, nullptr, 0);
    }
    ::_exit(0);
}

}  // namespace

Result<StopGuard> StopGuard::start() {
    int ends[2];
    const auto why = [] { return std::string(": ") + std::strerror(errno); };
    if (::pipe2(ends, O_CLOEXEC) != 0) {
        return fail(FaultCode::Io, "cannot make a pipe" + why());
    }
    FileHandle reading(ends[0]);
    FileHandle writing(ends[1]);
    const int pid = ::fork();
    if (pid < 0) return fail(FaultCode::Io, "cannot start a process" + why());
    if (pid == 0) {
        (void)::close(ends[1]);  // otherwise it would wait for its own end
        guard(ends[0]);
    }
    return StopGuard(std::move(writing), pid);
}

StopGuard::~StopGuard() {
    if (!pipe_.is_open()) return;  // moved from
    pipe_ = FileHandle();
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
}

Result<void> StopGuard::watch(int pid) {
    // As short as this it is written as a whole (POSIX, PIPE_BUF).
    if (::write(pipe_.get(), &pid, sizeof(pid)) == sizeof(pid)) return {};
    return fail(FaultCode::Io, "the process that continues stopped peers is gone");
}

}  // namespace starling::peer
