#include "peer/machine/loop.hpp"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "peer/machine/clock.hpp"
#include "peer/machine/surroundings.hpp"

namespace starling::peer {

namespace asio = boost::asio;

namespace {

/// Where threads that may outlive the loop find it.
struct Address {
    std::mutex mutex;
    Loop* loop = nullptr;
};

}  // namespace

struct Loop::State {
    std::shared_ptr<Address> address = std::make_shared<Address>();
    asio::io_context context{1};
    asio::executor_work_guard<asio::io_context::executor_type> guard =
        asio::make_work_guard(context);
    std::optional<asio::signal_set> signals;
    std::function<void(int)> on_signal;
    DurationHistogram lag;

    void wait_for_signal() {
        signals->async_wait([this](const boost::system::error_code& error, int signal) {
            if (error) return;
            on_signal(signal);
            wait_for_signal();
        });
    }
};

Loop::Loop() : state_(std::make_unique<State>()) {
    state_->address->loop = this;
}

Loop::~Loop() {
    const std::lock_guard lock(state_->address->mutex);
    state_->address->loop = nullptr;
}

void Loop::run() {
    state_->context.run();
}

void Loop::run_until(const std::function<bool()>& done) {
    while (!done() && state_->context.run_one() > 0) {
    }
}

void Loop::stop() {
    state_->context.stop();
}

void Loop::post(std::function<void()> work) {
    asio::post(state_->context, std::move(work));
}

std::function<void(std::function<void()>)> Loop::poster() {
    return [address = state_->address](std::function<void()> work) {
        const std::lock_guard lock(address->mutex);
        if (address->loop != nullptr) address->loop->post(std::move(work));
    };
}

void Loop::on_signal(std::function<void(int)> handler) {
    const bool first = !state_->signals;
    state_->on_signal = std::move(handler);
    if (!first) return;
    state_->signals.emplace(state_->context);
    for (const int signal : ending_signals()) state_->signals->add(signal);
    state_->wait_for_signal();
}

asio::io_context& Loop::context() {
    return state_->context;
}

const DurationHistogram& Loop::lag() const {
    return state_->lag;
}

struct Timer::State {
    asio::steady_timer timer;
    DurationHistogram& lag;  ///< of the loop, which outlives its handlers
    std::function<void()> fire;
    Instant due;
    // A new deadline cancels waits, but not completions that Asio has already queued. The
    // generation tells such a completion that it must not fire.
    std::uint64_t generation = 0;

    State(asio::io_context& context, DurationHistogram& loop_lag, std::function<void()> on_fire)
        : timer(context),
          lag(loop_lag),
          fire(std::move(on_fire)) {}

    void on_time() {
        lag.add(real_now() - due);
        fire();
    }
};

Timer::Timer(Loop& loop, std::function<void()> fire)
    : state_(std::make_shared<State>(loop.context(), loop.state_->lag, std::move(fire))) {}

Timer::~Timer() {
    cancel();
}

void Timer::arm(Instant when) {
    const auto generation = ++state_->generation;
    // A deadline in the past counts from now: the timer cannot be late before it is armed.
    state_->due = std::max(when, real_now());
    state_->timer.expires_at(std::chrono::steady_clock::time_point(
        std::chrono::duration_cast<std::chrono::steady_clock::duration>(when.time_since_epoch())
    ));
    state_->timer.async_wait([state = state_, generation](const boost::system::error_code& error) {
        if (!error && generation == state->generation) state->on_time();
    });
}

void Timer::arm_after(Duration delay) {
    arm(real_now() + delay);
}

void Timer::cancel() {
    ++state_->generation;
    state_->timer.cancel();
}

}  // namespace starling::peer
