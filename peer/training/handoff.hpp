#pragma once

// How values go from the network thread to the compute thread and back: through mailboxes that keep
// only the newest value. No thread waits for the other one while it holds a lock.

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <utility>

namespace starling::peer {

/// Keeps the newest value that was put, and no more than that.
/// Thread    any
template <class Value>
class Mailbox {
public:
    /// Replaces the value. Returns true if the mailbox was empty: only then the caller must tell
    /// the reader that there is a value.
    bool put(Value value) {
        bool was_empty = false;
        {
            const std::scoped_lock lock(mutex_);
            was_empty = !value_.has_value();
            value_ = std::move(value);
        }
        arrived_.notify_one();
        return was_empty;
    }

    /// Takes the value, if there is one. Never waits for a value.
    std::optional<Value> take() {
        const std::scoped_lock lock(mutex_);
        return std::exchange(value_, std::nullopt);
    }

    /// Blocks until there is a value, at most `at_most`, and takes it.
    std::optional<Value> wait(std::chrono::nanoseconds at_most) {
        std::unique_lock lock(mutex_);
        arrived_.wait_for(lock, at_most, [this] { return value_.has_value(); });
        return std::exchange(value_, std::nullopt);
    }

private:
    std::mutex mutex_;
    std::condition_variable arrived_;
    std::optional<Value> value_;
};

}  // namespace starling::peer
