#include "compute/gpu/opencl_watch.hpp"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

namespace starling::compute::gpu::cl {

namespace {

/// Asking so often takes less than it takes a thread to be woken.
constexpr int kPolls = 200;

/// Where a driver's thread leaves word. It outlives whoever does not wait any longer.
class Signal {
public:
    void set(Int status) {
        const std::scoped_lock lock(mutex_);
        status_ = status;
        done_ = true;
        changed_.notify_all();
    }

    [[nodiscard]] Int wait(std::chrono::milliseconds at_most) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, at_most, [this] { return done_; }) ? status_ : kHangs;
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    Int status_ = kSuccess;
    bool done_ = false;
};

using Shared = std::shared_ptr<Signal>;

void called_back(Event /*event*/, Int status, void* handed) {
    const std::unique_ptr<Shared> signal(static_cast<Shared*>(handed));
    (*signal)->set(status);
}

}  // namespace

Int Watch::status_of(Event event) const {
    Int status = kSuccess;
    const auto asked = api_->GetEventInfo(event, kEventStatus, sizeof(status), &status, nullptr);
    return asked == kSuccess ? status : asked;
}

Int Watch::await(Event event) const {
    for (int i = 0; i < kPolls; ++i) {
        const auto status = status_of(event);
        if (status <= kComplete) return status;
        std::this_thread::yield();
    }
    const auto signal = std::make_shared<Signal>();
    auto handed = std::make_unique<Shared>(signal);
    const auto asked = api_->SetEventCallback(event, kComplete, &called_back, handed.get());
    if (asked != kSuccess) return asked;
    (void)handed.release();  // the callback owns it now
    return signal->wait(patience_);
}

Int Watch::await_front() {
    const auto status = await(open_.front().get());
    // An event that hangs stays, so that forget() finds it.
    if (status == kHangs) return status;
    open_.pop_front();
    return status;
}

Int Watch::add(Queue queue, Event event) {
    open_.emplace_back(*api_, event);
    if (open_.size() < kMarksMax) return kSuccess;
    if (const auto flushed = api_->Flush(queue); flushed != kSuccess) return flushed;
    return await_front();
}

Int Watch::wait(Queue queue) {
    if (const auto flushed = api_->Flush(queue); flushed != kSuccess) return flushed;
    while (!open_.empty()) {
        if (const auto status = await_front(); status != kSuccess) return status;
    }
    return kSuccess;
}

void Watch::forget() {
    for (auto& event : open_) event.forget();
    open_.clear();
}

}  // namespace starling::compute::gpu::cl
