#pragma once

// Child processes. They start without a shell, an io_context reads their output line by line,
// signals end them, and none is left behind. A child gets its own process group: Ctrl-C on a
// terminal then reaches only us, and we decide what it means for the children. The kernel sends a
// child SIGTERM when the thread that started it ends in any way, kill -9 included.
//
// Thread    the thread that runs the io_context, which must also be the one that spawns

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace boost::asio {
class io_context;
}

namespace starling::peer {

/// Cuts a stream of bytes into lines and calls `on_line` for each, from feed() and finish(). A line
/// above the limit loses its rest, so that a child's output cannot fill our memory.
class LineSplitter {
public:
    using OnLine = std::function<void(std::string_view line)>;

    static constexpr std::size_t kLineBytesMax = std::size_t{64} * 1024;

    explicit LineSplitter(OnLine on_line) : on_line_(std::move(on_line)) {}

    void feed(std::string_view bytes);

    /// Delivers the last line if it has no line break.
    void finish();

private:
    OnLine on_line_;
    std::string partial_;
};

struct ProcessOptions {
    std::string program;                 ///< a path; PATH is not searched
    std::vector<std::string> arguments;  ///< without the program's own name
    std::vector<std::pair<std::string, std::string>> environment;  ///< added to ours
    int net_space = -1;  ///< the network that it runs in (NetSpace::space()); -1: ours
};

/// How a process ended.
struct ProcessExit {
    int code = 0;    ///< its exit code, when no signal ended it
    int signal = 0;  ///< the signal that ended it, or 0

    bool operator==(const ProcessExit&) const = default;

    [[nodiscard]] bool ok() const { return code == 0 && signal == 0; }

    /// Returns `exit code 1` or `SIGSEGV`.
    [[nodiscard]] std::string to_string() const;
};

/// The events of a process. `on_exit` is called once, after the last line.
struct ProcessEvents {
    LineSplitter::OnLine on_stdout;
    LineSplitter::OnLine on_stderr;
    std::function<void(ProcessExit)> on_exit;
};

class Process {
public:
    /// Starts a program with stdin from /dev/null. Blocks until the child runs the program or has
    /// failed to.
    /// Errors    NotFound (no such program, or it may not be run), Io (no descriptors, no memory);
    ///           nothing runs then
    [[nodiscard]] static Result<std::unique_ptr<Process>> spawn(
        boost::asio::io_context& io, const ProcessOptions& options, ProcessEvents events
    );

    /// Kills the process if it still runs and blocks until it is reaped. Calls no event afterwards.
    ~Process();
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

    [[nodiscard]] int pid() const;
    [[nodiscard]] bool running() const;

    /// Sends a signal. Does nothing after the process was reaped, so it never hits a new process
    /// that got the same pid.
    void send_signal(int signal);

private:
    struct Impl;
    explicit Process(std::shared_ptr<Impl> impl);
    std::shared_ptr<Impl> impl_;  ///< shared with the coroutines that read and wait
};

}  // namespace starling::peer
