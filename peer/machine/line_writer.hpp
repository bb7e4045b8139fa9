#pragma once

// Lines for a terminal, a pipe or a log, written by a thread of their own. Whoever prints never
// waits: a terminal that is stopped, a pipe that nobody reads or a log on a hung disk holds up only
// this thread. What cannot be written is dropped and counted.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace starling::peer {

/// How dear a line is when nobody reads.
enum class LineKind : std::uint8_t {
    Progress,  ///< dropped first: the next one tells the same and more
    Event,     ///< dropped only when kEventBytesMax are queued
    Last,      ///< never dropped; a program has few of them
};

class LineWriter {
public:
    /// Above so many queued bytes progress lines are dropped.
    static constexpr std::size_t kProgressBytesMax = std::size_t{64} * 1024;
    /// Above so many queued bytes events are dropped, too: hours of them, if nobody reads.
    static constexpr std::size_t kEventBytesMax = std::size_t{1024} * 1024;

    /// Makes the line that tells a reader who comes back how many lines are missing there.
    using Notice = std::function<std::string(std::uint64_t lines)>;

    /// Starts the thread. Lines go to `descriptor`, which stays open.
    LineWriter(int descriptor, Notice notice);

    /// Lets the thread end when it has written what is queued. A thread that waits for the descriptor
    /// is left to the end of the process.
    ~LineWriter();
    LineWriter(const LineWriter&) = delete;
    LineWriter& operator=(const LineWriter&) = delete;

    /// Queues a line without its line break, or drops it. Never waits for the descriptor.
    /// Thread    any
    void put(std::string line, LineKind kind);

    /// Blocks until all queued lines are written, at most `at_most`. Returns whether they are.
    /// Thread    any
    bool drain(std::chrono::nanoseconds at_most);

    /// Returns how many lines were dropped, or failed to be written.
    /// Thread    any
    [[nodiscard]] std::uint64_t dropped() const;

private:
    struct State;
    std::shared_ptr<State> state_;  ///< shared with the thread
};

/// Returns whether both descriptors lead to the same terminal, pipe or file.
[[nodiscard]] bool same_file(int one, int other);

}  // namespace starling::peer
