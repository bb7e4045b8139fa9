#pragma once

// Names of entries: which are refused, and which two are the same.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace starling::data {

inline constexpr std::size_t kEntryNameBytesMax = 4096;

/// Returns the name without `.` components, doubled slashes and a slash at its end. A folder that is
/// the archive's root gives an empty name.
///
/// Errors    BadFormat: absolute, or with a component `..`; Oversized: over kEntryNameBytesMax
/// Thread    any (pure)
[[nodiscard]] Result<std::string> plain_name(std::string_view name);

/// Remembers names by 64 bits of a hash each: 2^22 of them take 64 MiB. That two names
/// of so many that differ meet has a probability of 5e-7.
class NameSet {
public:
    /// Returns whether the name is new.
    [[nodiscard]] bool insert(std::string_view name);

private:
    void grow();
    [[nodiscard]] std::size_t place_of(std::uint64_t hash) const;

    std::vector<std::uint64_t> slots_ = std::vector<std::uint64_t>(64);  ///< 0 is free
    std::size_t count_ = 0;
};

}  // namespace starling::data
