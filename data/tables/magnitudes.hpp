#pragma once

// Quantiles of how large numbers are, of any number of them in bounded memory.

#include <cstdint>
#include <vector>

namespace starling::data {

/// Counts of |x| in bins that are fixed beforehand: eight in each octave from 2^-64 to 2^64, and what
/// lies outside goes into the outermost ones. So the counts depend on the values alone, not on their
/// order, and those of parts add up to those of the whole. A quantile is off by at most a sixteenth of
/// itself in that range. Zeros are not counted: they have no magnitude.
///
/// Memory: 8 bytes a bin between the smallest and the largest, 8 KiB at most.
///
/// Thread    one at a time
/// Source    Masson, Rim and Lee, "DDSketch" (arXiv 1908.10693), section 2: bins with a relative
///           width bound the relative error; here they come from the bits of a double
class Magnitudes {
public:
    /// Requires  a finite value
    void add(double value) {
        if (value != 0.0) ++count_of(key_of(value));
    }

    /// Adds what another has counted.
    void add(const Magnitudes& other);

    [[nodiscard]] std::uint64_t count() const;

    /// Returns the middle of the bin in which a share of the magnitudes lies below; 0 if there are
    /// none.
    /// Requires  0 <= share <= 1
    [[nodiscard]] double quantile(double share) const;

private:
    [[nodiscard]] static std::uint64_t key_of(double value);
    std::uint64_t& count_of(std::uint64_t key);

    std::uint64_t first_ = 0;  ///< the key of the first count
    std::vector<std::uint64_t> counts_;
};

}  // namespace starling::data
