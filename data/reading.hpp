#pragma once

// What a long reading of files tells while it goes on, and how it is ended. Whoever reads a data set
// makes a Reading on its thread; the primitives that read files report to the one that was made last on
// theirs. So no reader has to hand anything down, and where nobody listens nothing is told.

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace starling::data {

/// Thread    the one that made it; `stop` may be set on any
class Reading {
public:
    /// Collects notes; tells and stops as the Reading did that was made before on this thread.
    Reading();

    /// `tell` is called with lines such as "40 % of big.txt read": of one file after each eight
    /// megabytes, or each twentieth of it; it may be empty. When `stop` becomes true, the next read fails. `stop` may be null.
    explicit Reading(
        std::function<void(const std::string& line)> tell, const std::atomic<bool>* stop = nullptr
    );
    ~Reading();
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;

    /// Returns what is odd about files that were read all the same, each line once.
    [[nodiscard]] std::vector<std::string> take_notes();

    // For readers:

    /// `more` bytes of a file were read, so `done` of its `size`.
    /// Errors    Cancelled
    [[nodiscard]] static Result<void> advance(
        std::string_view path, std::uint64_t more, std::uint64_t done, std::uint64_t size
    );

    /// `done` of `all` things were looked at, such as "pictures"; some of these lines are told.
    /// Errors    Cancelled
    [[nodiscard]] static Result<void> seen(
        std::uint64_t done, std::uint64_t all, std::string_view what
    );

    /// Something else has happened that takes time, such as a shard that was cut.
    /// Errors    Cancelled
    [[nodiscard]] static Result<void> tell(const std::string& line);

    /// Something is odd.
    static void note(const std::string& line);

private:
    [[nodiscard]] Result<void> check() const;

    std::function<void(const std::string&)> tell_;
    const std::atomic<bool>* stop_;
    Reading* before_;           ///< of this thread
    std::uint64_t untold_ = 0;  ///< bytes since the last line
    std::vector<std::string> notes_;
};

}  // namespace starling::data
