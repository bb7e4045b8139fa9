#pragma once

// Child processes: started without a shell, their output read line by line on an io_context, ended
// by signals, never left behind. A child gets its own process group, so that Ctrl-C on a terminal
// reaches only us and we decide what it means for the children; and it gets SIGTERM from the kernel
// when the thread that started it ends in any way, kill -9 included.
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

/// Cuts a stream of bytes into lines. A line above the limit is delivered cut, its rest dropped:
/// what a child prints must not fill our memory.
class LineSplitter {
public:
    using OnLine = std::function<void(std::string_view line)>;

    static constexpr std::size_t kLineBytesMax = std::size_t{64} * 1024;

    explicit LineSplitter(OnLine on_line) : on_line_(std::move(on_line)) {}

    void feed(std::string_view bytes);

    /// Delivers a last line that has no end.
    void finish();

private:
    OnLine on_line_;
    std::string partial_;
};

struct ProcessOptions {
    std::string program;                 ///< a path; PATH is not searched
    std::vector<std::string> arguments;  ///< without the program's own name
    std::vector<std::pair<std::string, std::string>> environment;  ///< added to ours
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

/// What a process tells; `on_exit` comes once, after the last line.
struct ProcessEvents {
    LineSplitter::OnLine on_stdout;
    LineSplitter::OnLine on_stderr;
    std::function<void(ProcessExit)> on_exit;
};

class Process {
public:
    /// Starts a program with stdin from /dev/null.
    /// Errors    NotFound (no such program), Io (no descriptors, no memory); nothing runs then
    [[nodiscard]] static Result<std::unique_ptr<Process>> spawn(
        boost::asio::io_context& io, const ProcessOptions& options, ProcessEvents events
    );

    /// Kills and reaps the process if it still runs. No event comes any more.
    ~Process();
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

    [[nodiscard]] int pid() const;
    [[nodiscard]] bool running() const;

    /// Sends a signal; does nothing once the process was reaped, so a recycled pid is never hit.
    void send_signal(int signal);

private:
    struct Impl;
    explicit Process(std::shared_ptr<Impl> impl);
    std::shared_ptr<Impl> impl_;  ///< shared with the coroutines that read and wait
};

}  // namespace starling::peer
