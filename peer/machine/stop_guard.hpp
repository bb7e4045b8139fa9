#pragma once

// Sees to it that a child process which we have stopped does not stay stopped when we die, kill -9
// included: a small process of our own waits for our end and then continues those children. What the
// kernel sends them at our death (Process) waits until they go on, so this is also what ends them.

#include <memory>

#include "base/result.hpp"
#include "peer/machine/files.hpp"

namespace starling::peer {

/// Thread    the one that stops the children
class StopGuard {
public:
    /// Starts the guard.
    /// Errors    Io (no processes, no descriptors)
    [[nodiscard]] static Result<StopGuard> start();

    StopGuard(StopGuard&&) = default;
    StopGuard& operator=(StopGuard&&) = delete;
    /// Ends the guard, which continues the children that it watches, and blocks until it has.
    ~StopGuard();

    /// Call it before a child is stopped, while it cannot have been reaped.
    /// Errors    Io (the guard is gone)
    [[nodiscard]] Result<void> watch(int pid);

private:
    StopGuard(FileHandle pipe, int pid) : pipe_(std::move(pipe)), pid_(pid) {}

    FileHandle pipe_;
    int pid_;
};

}  // namespace starling::peer
