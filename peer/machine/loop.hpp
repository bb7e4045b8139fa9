#pragma once

// The network thread's event loop and its timers, without Asio in the header: most of peer/ needs
// only "call me at that time" and "call this on the network thread", and compiles quickly for it.

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

    /// Runs handlers until stop(). Thread: the one that becomes the network thread.
    void run();

    /// Runs handlers until `done()` holds after one of them, or stop().
    void run_until(const std::function<bool()>& done);

    /// Makes run() return soon. Thread any.
    void stop();

    /// Calls `work` on the network thread. Thread any.
    void post(std::function<void()> work);

    /// Calls `handler` on SIGINT and SIGTERM.
    void on_signal(std::function<void(int)> handler);

    [[nodiscard]] boost::asio::io_context& context();

    /// Returns how late the timers on this loop have fired. Thread network.
    [[nodiscard]] const DurationHistogram& lag() const;

private:
    friend class Timer;
    struct State;
    std::unique_ptr<State> state_;
};

/// One real timer. Arming again replaces the earlier deadline; a replaced deadline never fires.
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
