#pragma once

// The crossings between the network thread and the compute thread: by value, through mailboxes that
// keep only the newest letter. Neither side ever waits for the other while it holds anything.

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <utility>

namespace starling::peer {

/// Keeps the newest value that was put. Bounded by construction: one letter.
/// Thread    any
template <class Letter>
class Mailbox {
public:
    /// Replaces the letter. Returns true when the box was empty: only then the reader needs a call.
    bool put(Letter letter) {
        bool was_empty = false;
        {
            const std::scoped_lock lock(mutex_);
            was_empty = !letter_.has_value();
            letter_ = std::move(letter);
        }
        arrived_.notify_one();
        return was_empty;
    }

    /// Takes the letter, if there is one.
    std::optional<Letter> take() {
        const std::scoped_lock lock(mutex_);
        return std::exchange(letter_, std::nullopt);
    }

    /// Waits for a letter, at most this long, and takes it.
    std::optional<Letter> wait(std::chrono::nanoseconds at_most) {
        std::unique_lock lock(mutex_);
        arrived_.wait_for(lock, at_most, [this] { return letter_.has_value(); });
        return std::exchange(letter_, std::nullopt);
    }

private:
    std::mutex mutex_;
    std::condition_variable arrived_;
    std::optional<Letter> letter_;
};

}  // namespace starling::peer
