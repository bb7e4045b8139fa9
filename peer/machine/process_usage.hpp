#pragma once

// What another process of ours has in memory and open, as Linux tells it.

#include <cstddef>
#include <cstdint>
#include <optional>

namespace starling::peer {

struct ProcessUsage {
    std::uint64_t memory =
        0;  ///< bytes of its own that are in memory; files that it maps do not count
    std::size_t descriptors = 0;  ///< that it has open
};

/// Returns nothing if the process has ended, or this is not Linux.
[[nodiscard]] std::optional<ProcessUsage> process_usage(int pid);

}  // namespace starling::peer
