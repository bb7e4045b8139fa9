#pragma once

#include <ctime>

namespace starling {

/// The seconds of this thread alone, which other programs on the machine do not lengthen.
inline double thread_time() {
    timespec time{};
    (void)::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

}  // namespace starling
