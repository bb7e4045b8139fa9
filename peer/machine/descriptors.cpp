#include "peer/machine/descriptors.hpp"

#include <algorithm>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace starling::peer {

namespace {

/// What is kept back: a quarter, because even ten must suffice for a peer without partners.
constexpr std::size_t kReserveMax = 32;

rlimit read_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) limit = {kDescriptorsMax, kDescriptorsMax};
    return limit;
}

}  // namespace

std::size_t raise_descriptor_limit() {
    auto limit = read_limit();
    const auto wanted = std::min<rlim_t>(limit.rlim_max, kDescriptorsMax);
    if (limit.rlim_cur < wanted) {
        limit.rlim_cur = wanted;
        // No kernel refuses what is below the hard limit. With the old limit a peer works as well.
        (void)::setrlimit(RLIMIT_NOFILE, &limit);
    }
    return static_cast<std::size_t>(read_limit().rlim_cur);
}

std::size_t descriptors_below(std::size_t limit, DescriptorUse use) {
    const auto reserve = std::min(limit / 4, kReserveMax);
    return limit - (use == DescriptorUse::Stream ? reserve : reserve / 2);
}

bool descriptor_free(DescriptorUse use) {
    // The kernel gives the lowest number that is free.
    const int next = ::open("/", O_PATH | O_CLOEXEC);
    if (next < 0) return false;
    ::close(next);
    const auto limit = static_cast<std::size_t>(read_limit().rlim_cur);
    return static_cast<std::size_t>(next) < descriptors_below(limit, use);
}

}  // namespace starling::peer
