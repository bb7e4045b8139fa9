#include "membership/awareness.hpp"

namespace starling::membership {

int blame_for_missed_probe(std::uint32_t helpers, std::uint32_t nacks) {
    if (helpers == 0) return 1;
    return static_cast<int>(helpers - std::min(nacks, helpers));
}

}  // namespace starling::membership
