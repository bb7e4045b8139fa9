#pragma once

// What a program that runs for days settles with the machine before it starts: its name, its
// descriptors, and what signals of terminals, pipes and logs may do to it.

#include <vector>

namespace starling::peer {

/// Names this process, for ps and top.
/// Thread    the first one
void name_process(const char* name);

/// Opens /dev/null for each of stdin, stdout and stderr that is closed. Otherwise the next socket or
/// file would get that number, and lines for people would go there.
void open_standard_streams();

/// Makes a lost reader or a full log an error of the write that meets it. By default SIGPIPE and
/// SIGXFSZ (a file above the limit of `ulimit -f`) end the process.
void survive_failed_writes();

/// Returns the signals that ask this process to end in good order: SIGINT, SIGTERM, and SIGHUP, which
/// comes when its terminal closes, unless it was started to outlive that (nohup).
[[nodiscard]] std::vector<int> ending_signals();

/// Whether this process has a network namespace of its own, in which nobody outside can reach it.
enum class NetworkNamespace {
    Initial,  ///< that of the machine's first process
    Own,
    Unknown,  ///< the first process belongs to somebody else, whose namespaces we may not see
};

[[nodiscard]] NetworkNamespace network_namespace();

/// Waits until a short line can be written without waiting, at most one second. The line may be lost
/// otherwise, but the process ends.
[[nodiscard]] bool can_write(int descriptor);

}  // namespace starling::peer
