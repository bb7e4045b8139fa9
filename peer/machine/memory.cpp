#include "peer/machine/memory.hpp"

#include <algorithm>
#include <fstream>
#include <limits>
#include <sys/resource.h>
#include <sys/sysinfo.h>

namespace starling::peer {

namespace {

constexpr auto kUnlimited = std::numeric_limits<std::size_t>::max();

/// A file of the control group's controller. Versions 1 and 2 have it in different places, a
/// machine without control groups in none; "max" is no number.
std::size_t number_in(const char* path) {
    std::ifstream file(path);
    std::size_t bytes = 0;
    return file >> bytes ? bytes : kUnlimited;
}

std::size_t of_the_machine() {
    struct sysinfo info {};

    if (::sysinfo(&info) != 0) return kUnlimited;
    return (std::size_t{info.totalram} + info.totalswap) * info.mem_unit;
}

std::size_t of_the_process() {
    struct rlimit limit {};

    if (::getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return kUnlimited;
    return limit.rlim_cur;
}

}  // namespace

std::size_t memory_limit() {
    return std::min(
        {of_the_machine(),
         of_the_process(),
         number_in("/sys/fs/cgroup/memory.max"),
         number_in("/sys/fs/cgroup/memory/memory.limit_in_bytes")}
    );
}

}  // namespace starling::peer
