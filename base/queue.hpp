#pragma once

// Taking from a queue, as the poll functions of all state machines do it.

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
