#pragma once

// Counts by score, in bins that are as fine as their number allows.
//
// The bins lie on the log odds of a score, where probabilities near 0 and near 1 have as much room as
// those between. Bin i of level L holds the log odds in (i, i + 1] * 2^(L - 40). The level is the
// smallest at which at most `bins_max` bins are occupied. It follows from the scores alone, so tallies
// merge exactly and in any order; up to `bins_max` different scores keep a bin each. No bin has log
// odds on both sides of 0.
//
// Width: where the occupied bins span R of log odds, a bin is narrower than 2 R / bins_max.
// Source    the collapse of UDDSketch (Epicoco, Melle, Cafaro, Pulimeno and Morleo, "UDDSketch:
//           Accurate tracking of quantiles in data streams", 2020, section 3), on log odds and not on
//           logarithms, and with a level that is the same for every order of insertion

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "compute/metrics/packing.hpp"

namespace starling::compute {

inline constexpr std::size_t kBinsMax = 4096;

/// Log odds beyond this are taken for it. Those of probabilities stay within 104.
inline constexpr double kLogOddsMax = 65536.0;
inline constexpr int kBinBits = 40;
inline constexpr std::int64_t kBinIndexMax = std::int64_t{1} << 56U;
/// At this level all scores lie in two bins.
inline constexpr unsigned kLevelMax = 56;

/// Returns the bin of level 0 that log odds fall into.
/// Requires  no NaN
[[nodiscard]] std::int64_t bin_of(double log_odds);

/// Returns the lower end of a bin, which does not belong to it, in log odds.
[[nodiscard]] double lower_end(std::int64_t index, unsigned level);

/// Returns how many bins each of several score bins may have: kBinsMax, and fewer where there are
/// more than 16, so that all together stay within a few MiB.
[[nodiscard]] std::size_t bins_for(std::size_t tallies);

/// Bins with N counts each.
/// Invariant: bins are sorted by index, none is empty, and their number is at most bins_max().
/// Thread    any, one at a time
template <std::size_t N>
class ScoreBins {
public:
    using Counts = std::array<std::uint64_t, N>;

    struct Bin {
        std::int64_t index = 0;
        Counts counts{};

        [[nodiscard]] bool operator==(const Bin& other) const = default;
    };

    /// Requires  bins_max in [2, kBinsMax]
    explicit ScoreBins(std::size_t bins_max = kBinsMax) : bins_max_(bins_max) {
        STARLING_CHECK(bins_max >= 2 && bins_max <= kBinsMax);
    }

    [[nodiscard]] std::size_t bins_max() const { return bins_max_; }

    /// Returns how often the bins have doubled their width.
    [[nodiscard]] unsigned level() const { return level_; }

    [[nodiscard]] const std::vector<Bin>& bins() const { return bins_; }

    [[nodiscard]] const Counts& totals() const { return totals_; }

    /// Adds bins of level 0, in any order.
    /// Requires  counts that stay within kCountMax, and no bin of zeros
    void add(std::vector<Bin> fresh) { absorb(std::move(fresh), 0); }

    /// Requires  equal bins_max, and counts that stay within kCountMax
    void merge(const ScoreBins& other) {
        STARLING_CHECK(other.bins_max_ == bins_max_);
        if (other.level_ > level_) {
            coarsen(bins_, other.level_ - level_);
            level_ = other.level_;
        }
        absorb(other.bins_, other.level_);
    }

    /// Writes 3 to 10 bytes, and for each bin 1 to 9 for its place and 1 to 7 for each count.
    void encode(ByteWriter& out) const {
        put_packed(out, bins_max_);
        put_packed(out, level_);
        put_packed(out, bins_.size());
        std::int64_t next = -(kBinIndexMax >> level_);
        for (const auto& bin : bins_) {
            put_packed(out, static_cast<std::uint64_t>(bin.index - next));
            for (const auto count : bin.counts) put_packed(out, count);
            next = bin.index + 1;
        }
    }

    /// Reads what encode() writes. Anything else spoils the reader: a level that is not the smallest,
    /// an empty bin, counts beyond kCountMax in all.
    [[nodiscard]] static ScoreBins decode(ByteReader& in) {
        const auto bins_max = take_packed(in, kBinsMax);
        if (bins_max < 2) in.spoil();
        ScoreBins out(std::max<std::uint64_t>(bins_max, 2));
        out.level_ = static_cast<unsigned>(take_packed(in, kLevelMax));
        const auto count = take_packed(in, out.bins_max_);
        // Halves of these bins would have fitted, and then the level would be lower.
        if (out.level_ > 0 && 2 * count <= out.bins_max_) in.spoil();
        const std::int64_t end = kBinIndexMax >> out.level_;
        std::int64_t next = -end;
        for (std::uint64_t i = 0; i < count && in.ok(); ++i) {
            Bin bin;
            bin.index = next + static_cast<std::int64_t>(take_packed(in, 2 * kBinIndexMax));
            for (std::size_t c = 0; c < N; ++c) {
                bin.counts[c] = take_packed(in, kCountMax - out.totals_[c]);
                out.totals_[c] += bin.counts[c];
            }
            if (bin.index >= end || bin.counts == Counts{}) in.spoil();
            out.bins_.push_back(bin);
            next = bin.index + 1;
        }
        return in.ok() ? out : ScoreBins(out.bins_max_);
    }

    [[nodiscard]] bool operator==(const ScoreBins& other) const = default;

private:
    /// Takes bins of a level up to ours.
    void absorb(std::vector<Bin> fresh, unsigned level) {
        for (const auto& bin : fresh) {
            for (std::size_t c = 0; c < N; ++c) totals_[c] += bin.counts[c];
        }
        std::sort(fresh.begin(), fresh.end(), [](const Bin& left, const Bin& right) {
            return left.index < right.index;
        });
        coarsen(fresh, level_ - level);
        std::vector<Bin> all;
        all.reserve(bins_.size() + fresh.size());
        std::merge(
            bins_.begin(),
            bins_.end(),
            fresh.begin(),
            fresh.end(),
            std::back_inserter(all),
            [](const Bin& left, const Bin& right) { return left.index < right.index; }
        );
        bins_ = std::move(all);
        coarsen(bins_, 0);
        for (; bins_.size() > bins_max_; ++level_) coarsen(bins_, 1);
    }

    /// Doubles the width of sorted bins so often, and joins those with the same index.
    static void coarsen(std::vector<Bin>& bins, unsigned doublings) {
        std::size_t kept = 0;
        for (auto& bin : bins) {
            bin.index >>= doublings;
            if (kept > 0 && bins[kept - 1].index == bin.index) {
                for (std::size_t c = 0; c < N; ++c) bins[kept - 1].counts[c] += bin.counts[c];
            } else {
                bins[kept++] = bin;
            }
        }
        bins.resize(kept);
    }

    std::size_t bins_max_;
    unsigned level_ = 0;
    Counts totals_{};
    std::vector<Bin> bins_;
};

}  // namespace starling::compute
