#pragma once

// The network thread's event loop and its timers. This header does not include Asio: most of peer/
// only needs to be called at some time or on the network thread, and compiles faster without it.

#include <functional>
#include <memory>

#include "base/duration_histogram.hpp"
#include "base/instant.hpp"

namespace boost::asio {
class io_context;
}

namespace starling::peer {

class Loop {
public:
    Loop();
    ~Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    /// Runs handlers. Blocks until stop().
    /// Thread    the one that becomes the network thread
    void run();

    /// Runs handlers. Blocks until `done()`, asked before each handler, is true, or until stop().
    /// Thread    network
    void run_until(const std::function<bool()>& done);

    /// Makes run() and run_until() return soon.
    /// Thread    any
    void stop();

    /// Calls `work` once on the network thread, never from inside post().
    /// Thread    any
    void post(std::function<void()> work);

    /// Returns a function that does what post() does while the loop lives, and nothing afterwards:
    /// for threads that may outlive it.
    /// Thread    any, also of the function
    [[nodiscard]] std::function<void(std::function<void()>)> poster();

    /// Calls `handler` on the network thread at each of ending_signals(). It replaces an earlier
    /// handler.
    void on_signal(std::function<void(int)> handler);

    [[nodiscard]] boost::asio::io_context& context();

    /// Returns how late the timers on this loop have fired.
    /// Thread    network
    [[nodiscard]] const DurationHistogram& lag() const;

private:
    friend class Timer;
    struct State;
    std::unique_ptr<State> state_;
};

/// Calls `fire` on the network thread when its deadline has passed. Arming again replaces the
/// earlier deadline, which then never fires.
/// Thread    network
class Timer {
public:
    Timer(Loop& loop, std::function<void()> fire);
    ~Timer();
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;

    void arm(Instant when);
    void arm_after(Duration delay);
    void cancel();

private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace starling::peer
