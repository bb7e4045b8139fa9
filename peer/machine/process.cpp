#include "peer/machine/process.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

#include "base/check.hpp"
#include "peer/machine/coroutine.hpp"
#include "peer/machine/files.hpp"

namespace starling::peer {

void LineSplitter::feed(std::string_view bytes) {
    while (!bytes.empty()) {
        const auto end = bytes.find('\n');
        const auto part = bytes.substr(0, end);
        partial_.append(part.substr(0, kLineBytesMax - std::min(kLineBytesMax, partial_.size())));
        if (end == std::string_view::npos) return;
        on_line_(partial_);
        partial_.clear();
        bytes.remove_prefix(end + 1);
    }
}

void LineSplitter::finish() {
    if (partial_.empty()) return;
    on_line_(partial_);
    partial_.clear();
}

std::string ProcessExit::to_string() const {
    if (signal == 0) return "exit code " + std::to_string(code);
    const char* name = ::sigabbrev_np(signal);
    if (name == nullptr) return "signal " + std::to_string(signal);
    return std::string("SIG") + name;
}

namespace {

namespace asio = boost::asio;
constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

struct Pipe {
    FileHandle read;
    FileHandle write;
};

Fault os_fault(const std::string& what, int error) {
    const auto code = error == ENOENT || error == EACCES ? FaultCode::NotFound : FaultCode::Io;
    return fail(code, what + ": " + std::generic_category().message(error));
}

Result<Pipe> make_pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return os_fault("cannot make a pipe", errno);
    return Pipe{FileHandle(ends[0]), FileHandle(ends[1])};
}

/// Arguments and environment in the form that exec needs. They are made before fork, because the
/// child of a fork may only make system calls and must not allocate.
class ExecVectors {
public:
    explicit ExecVectors(const ProcessOptions& options) {
        texts_.push_back(options.program);
        texts_.insert(texts_.end(), options.arguments.begin(), options.arguments.end());
        const std::size_t arguments = texts_.size();
        for (char** entry = environ; *entry != nullptr; ++entry) {
            if (!is_overridden(*entry, options)) texts_.emplace_back(*entry);
        }
        for (const auto& [name, value] : options.environment) {
            texts_.push_back(name + "=" + value);
        }
        for (std::size_t i = 0; i < texts_.size(); ++i) {
            (i < arguments ? argv_ : envp_).push_back(texts_[i].data());
        }
        argv_.push_back(nullptr);
        envp_.push_back(nullptr);
    }

    [[nodiscard]] char* const* argv() const { return argv_.data(); }

    [[nodiscard]] char* const* envp() const { return envp_.data(); }

private:
    static bool is_overridden(std::string_view entry, const ProcessOptions& options) {
        const auto name = entry.substr(0, entry.find('='));
        return std::any_of(
            options.environment.begin(),
            options.environment.end(),
            [name](const auto& pair) { return pair.first == name; }
        );
    }

    std::vector<std::string> texts_;
    std::vector<char*> argv_;
    std::vector<char*> envp_;
};

struct ChildEnds {
    int input;
    int output;
    int errors;
    int report;  ///< where the child writes errno when it cannot become the program
    pid_t parent;
    int net_space;
};

/// Turns the forked child into the program. It makes only async-signal-safe calls.
[[noreturn]] void become(const ExecVectors& vectors, const ChildEnds& ends) {
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    // The parent may have died before prctl; then the signal would never come.
    if (::getppid() != ends.parent) ::_exit(127);
    ::dup2(ends.input, STDIN_FILENO);
    ::dup2(ends.output, STDOUT_FILENO);
    ::dup2(ends.errors, STDERR_FILENO);
    if (ends.net_space < 0 || ::setns(ends.net_space, CLONE_NEWNET) == 0) {
        ::execve(vectors.argv()[0], vectors.argv(), vectors.envp());
    }
    const int error = errno;
    const auto written = ::write(ends.report, &error, sizeof error);
    ::_exit(written == sizeof error ? 127 : 126);
}

/// Returns the errno that the child reported, or 0 when it became the program.
int read_report(int fd) {
    int error = 0;
    ssize_t count = 0;
    do {
        count = ::read(fd, &error, sizeof error);
    } while (count < 0 && errno == EINTR);
    return count == sizeof error ? error : 0;
}

}  // namespace

struct Process::Impl {
    Impl(asio::io_context& io, ProcessEvents handlers)
        : events(std::move(handlers)),
          output(io),
          errors(io),
          child_signals(io, SIGCHLD) {}

    ProcessEvents events;
    asio::posix::stream_descriptor output;
    asio::posix::stream_descriptor errors;
    asio::signal_set child_signals;  ///< armed before fork, so no exit is missed
    pid_t pid = -1;
    std::optional<ProcessExit> exit;
    int streams_open = 2;
    bool abandoned = false;

    void reap(int flags);
    void tell_exit();
    static asio::awaitable<void> read_lines(
        std::shared_ptr<Impl> self,
        asio::posix::stream_descriptor& stream,
        const LineSplitter::OnLine& on_line
    );
    static asio::awaitable<void> wait_for_exit(std::shared_ptr<Impl> self);
};

void Process::Impl::reap(int flags) {
    if (exit) return;
    int status = 0;
    pid_t reaped = 0;
    do {
        reaped = ::waitpid(pid, &status, flags);
    } while (reaped < 0 && errno == EINTR);
    if (reaped != pid) return;
    exit = WIFSIGNALED(status) ? ProcessExit{0, WTERMSIG(status)}
                               : ProcessExit{WEXITSTATUS(status), 0};
}

void Process::Impl::tell_exit() {
    if (abandoned || !exit || streams_open > 0) return;
    abandoned = true;
    events.on_exit(*exit);
}

asio::awaitable<void> Process::Impl::read_lines(
    std::shared_ptr<Impl> self,
    asio::posix::stream_descriptor& stream,
    const LineSplitter::OnLine& on_line
) {
    LineSplitter splitter([&self, &on_line](std::string_view line) {
        if (!self->abandoned) on_line(line);
    });
    std::array<char, 8192> bytes{};
    while (true) {
        const auto [error, count] = co_await stream.async_read_some(asio::buffer(bytes), kTuple);
        if (error) break;
        splitter.feed({bytes.data(), count});
    }
    splitter.finish();
    --self->streams_open;
    self->tell_exit();
}

asio::awaitable<void> Process::Impl::wait_for_exit(std::shared_ptr<Impl> self) {
    self->reap(WNOHANG);
    while (!self->exit) {
        const auto [error, signal] = co_await self->child_signals.async_wait(kTuple);
        if (error) co_return;
        self->reap(WNOHANG);
    }
    self->tell_exit();
}

Process::Process(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

Process::~Process() {
    impl_->abandoned = true;
    if (!impl_->exit) {
        ::kill(impl_->pid, SIGKILL);
        impl_->reap(0);
    }
    boost::system::error_code ignored;
    impl_->output.close(ignored);
    impl_->errors.close(ignored);
    impl_->child_signals.cancel(ignored);
}

Result<std::unique_ptr<Process>> Process::spawn(
    asio::io_context& io, const ProcessOptions& options, ProcessEvents events
) {
    STARLING_CHECK(events.on_stdout && events.on_stderr && events.on_exit);
    auto output = make_pipe();
    auto errors = make_pipe();
    auto report = make_pipe();
    for (const auto* pipe : {&output, &errors, &report}) {
        if (!*pipe) return pipe->error();
    }
    const FileHandle input(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (input.get() < 0) return os_fault("cannot open /dev/null", errno);
    auto impl = std::make_shared<Impl>(io, std::move(events));
    const ExecVectors vectors(options);
    const ChildEnds ends{
        input.get(),
        output->write.get(),
        errors->write.get(),
        report->write.get(),
        ::getpid(),
        options.net_space};
    impl->pid = ::fork();
    if (impl->pid < 0) return os_fault("cannot start " + options.program, errno);
    if (impl->pid == 0) become(vectors, ends);
    report->write = FileHandle();
    if (const int error = read_report(report->read.get()); error != 0) {
        impl->reap(0);
        return os_fault("cannot start " + options.program, error);
    }
    impl->output.assign(output->read.release());
    impl->errors.assign(errors->read.release());
    // Without any of them nobody would ever hear that the child has ended.
    const auto executor = io.get_executor();
    spawn_vital(
        executor,
        Impl::read_lines(impl, impl->output, impl->events.on_stdout),
        "reading the lines of a child"
    );
    spawn_vital(
        executor,
        Impl::read_lines(impl, impl->errors, impl->events.on_stderr),
        "reading the error lines of a child"
    );
    spawn_vital(executor, Impl::wait_for_exit(impl), "waiting for the end of a child");
    return std::unique_ptr<Process>(new Process(std::move(impl)));
}

int Process::pid() const {
    return impl_->pid;
}

bool Process::running() const {
    return !impl_->exit.has_value();
}

void Process::send_signal(int signal) {
    if (running()) ::kill(impl_->pid, signal);
}

}  // namespace starling::peer
