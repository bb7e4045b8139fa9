#pragma once

// Lines for people about batches that the engine refuses, because a label or a value in them is not
// possible: one line at once, then at most one a minute, with a count. A shard with one bad label
// would otherwise fill the log.
//
// Thread    compute

#include <cstdint>
#include <optional>
#include <string>

#include "base/instant.hpp"
#include "base/result.hpp"

namespace starling::peer {

class RefusedBatches {
public:
    /// Counts a refused batch. Returns a line if one is due.
    [[nodiscard]] std::optional<std::string> handle_fault(Instant now, const Fault& fault);

private:
    std::optional<Instant> told_;
    std::uint64_t untold_ = 0;  ///< refused since the last line
};

}  // namespace starling::peer
