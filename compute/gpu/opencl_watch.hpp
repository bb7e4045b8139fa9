#pragma once

// Waits for what is queued on a device, and notices when it does nothing any more. A driver's own
// waiting calls have no bound, and a thread that waits in one cannot be got out. So nothing here blocks in
// the driver: each command that we wait for has an event, and who waits for it sleeps until the driver
// calls back, or until the patience is over. Long work is told from work that hangs by marks: now and
// then a kernel has an event, too, and the patience begins anew with each that is done.
//
// Thread    compute; the driver calls back on its own

#include <chrono>
#include <deque>

#include "compute/gpu/opencl_api.hpp"
#include "compute/gpu/opencl_owned.hpp"

namespace starling::compute::gpu::cl {

/// A status that no driver gives: nothing was done for the whole patience.
inline constexpr Int kHangs = -1'000'000;

class Watch {
public:
    Watch(const Api& api, std::chrono::milliseconds patience) : api_(&api), patience_(patience) {}

    /// Returns true when the next kernel should have an event that add() takes.
    [[nodiscard]] bool wants_mark() { return ++launches_ % kMarkEvery == 0; }

    /// Takes the event of a command that was just queued. The queue must not grow without bound, because
    /// a driver blocks in a call when it is full: so with many marks open it waits for the oldest.
    /// Returns what wait() returns.
    [[nodiscard]] Int add(Queue queue, Event event);

    /// Waits until all commands whose events it has taken are done. Returns kSuccess; a command's failure; or
    /// kHangs.
    [[nodiscard]] Int wait(Queue queue);

    /// Forgets them, as Owned::forget().
    void forget();

private:
    static constexpr unsigned kMarkEvery = 16;
    static constexpr std::size_t kMarksMax = 32;

    /// Waits for one that was flushed.
    [[nodiscard]] Int await(Event event) const;
    [[nodiscard]] Int await_front();
    [[nodiscard]] Int status_of(Event event) const;

    const Api* api_;
    std::chrono::milliseconds patience_;
    unsigned launches_ = 0;
    std::deque<OwnedEvent> open_;
};

}  // namespace starling::compute::gpu::cl
