#pragma once

// Starts coroutines that nobody waits for. Each has an owner who knows what it means when one ends by
// an exception, which is mostly a lack of memory: asio::detached would drop the exception, and a
// peer would go on that accepts nobody or hears nobody.
//
// Thread    the one that runs the executor

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <exception>
#include <stdexcept>
#include <string>
#include <utility>

namespace starling::peer {

/// Returns one line: what the coroutine does, and what it has thrown.
[[nodiscard]] inline std::string describe(const char* name, const std::exception_ptr& thrown) {
    try {
        std::rethrow_exception(thrown);
    } catch (const std::exception& error) {
        return std::string(name) + " has failed: " + error.what();
    } catch (...) {
        return std::string(name) + " has failed";
    }
}

/// Starts a coroutine. If it ends by an exception, calls `failed` with one line that begins with
/// `name`. What `failed` throws leaves run() of the executor's context.
/// Requires  `name` is a literal: it says what the coroutine does, for instance "reading a stream"
template <class Executor, class Failed>
void spawn(
    const Executor& executor, boost::asio::awaitable<void> work, const char* name, Failed failed
) {
    boost::asio::co_spawn(
        executor,
        std::move(work),
        [executor, name, failed = std::move(failed)](const std::exception_ptr& thrown) mutable {
            if (!thrown) return;
            // Not from here: the frames of the coroutine are still being left.
            boost::asio::post(
                executor,
                [line = describe(name, thrown), failed = std::move(failed)]() mutable {
                    failed(line);
                }
            );
        }
    );
}

/// Starts a coroutine without which the process is of no use: an acceptor, or the receiver of
/// datagrams. If it ends by an exception, run() of the executor's context throws std::runtime_error
/// with that line.
template <class Executor>
void spawn_vital(const Executor& executor, boost::asio::awaitable<void> work, const char* name) {
    spawn(executor, std::move(work), name, [](const std::string& line) {
        throw std::runtime_error(line);
    });
}

}  // namespace starling::peer
