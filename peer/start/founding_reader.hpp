#pragma once

// Reads the files of a founder, or of a peer with private samples, on a thread of its own, so that the peer listens
// meanwhile, answers those who want to join, and ends at once when it is asked to.

#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/result.hpp"
#include "peer/start/swarm_plan.hpp"

namespace starling::peer {

/// Thread    network, except where stated
class FoundingReader {
public:
    using Job = std::function<Result<Founding>()>;

    /// Starts the job, which reads `dataset`. `done` is called once, on the reading thread, when the outcome
    /// is there.
    FoundingReader(const std::string& dataset, Job job, std::function<void()> done);
    FoundingReader(const FoundingReader&) = delete;
    FoundingReader& operator=(const FoundingReader&) = delete;
    /// Ends the reading if it goes on, and waits for the next piece of a file until it has ended.
    ~FoundingReader();

    /// Returns a line that says how far it is, such as "40 % of big.txt read".
    [[nodiscard]] std::string progress() const;

    /// Returns what was read, once; nothing before it is there.
    /// Errors    those of the job
    [[nodiscard]] std::optional<Result<Founding>> take();

private:
    void read(const std::string& dataset, const Job& job);

    std::atomic<bool> stop_{false};
    mutable std::mutex mutex_;
    std::string progress_;
    std::optional<Result<Founding>> outcome_;
    std::function<void()> done_;
    std::thread thread_;
};

}  // namespace starling::peer
