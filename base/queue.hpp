#pragma once

// What the machines' poll functions have in common.

#include <deque>
#include <optional>
#include <utility>

namespace starling {

/// Removes and returns the first element, or returns nothing when the queue is empty.
template <class T>
[[nodiscard]] std::optional<T> take_front(std::deque<T>& queue) {
    if (queue.empty()) return std::nullopt;
    T front = std::move(queue.front());
    queue.pop_front();
    return front;
}

}  // namespace starling
