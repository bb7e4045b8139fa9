#pragma once

// How fast each partner is, as the exchanges before have shown: the deadlines and the window of the
// next one follow from it.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/ids.hpp"
#include "base/instant.hpp"
#include "gossip/config.hpp"

namespace starling::gossip {

/// Rate and round trip of one partner.
class Pace {
public:
    explicit Pace(double rate) : rate_(rate) {}

    /// An exchange of `bytes` payload, both directions, was committed after `elapsed`.
    void committed(std::size_t bytes, Duration elapsed);

    /// An accepted exchange ran out of time. The rate halves, so that on a link slower than assumed
    /// the deadlines grow until one exchange is through and can be measured.
    void timed_out();

    /// An Open was answered after `elapsed`. Nothing of ours was queued before it, so this is the
    /// link's own delay; a larger sample counts little, a smaller one wholly.
    void answered(Duration elapsed);

    /// Units    payload bytes per second, both directions together
    [[nodiscard]] double rate() const { return rate_; }

    /// Returns what keeps the link full, within kWindowMin to kWindowMax, or `fallback` before
    /// anything was measured. The rate counts both directions, so its product with the round trip
    /// is twice what one direction holds; where the window itself was the limit, the next one is
    /// therefore twice as large, and it stops growing where the link is. A little more keeps both
    /// processes at work.
    [[nodiscard]] std::size_t window(std::size_t fallback) const;

private:
    double rate_;
    Duration round_trip_{};
    bool measured_ = false;
};

/// The paces of the partners met last; one that was forgotten starts with the mean of all.
class Paces {
public:
    static constexpr std::size_t kPartnersMax = 256;

    explicit Paces(const AveragerConfig& config);

    /// The reference holds until the next call.
    [[nodiscard]] Pace& of(const PeerId& partner);

    /// Notes a rate for those who were not met yet.
    void measured(double rate);

    /// Returns how long an exchange of `bytes` with this partner may take: base + bytes / rate *
    /// slack.
    [[nodiscard]] Duration allowance(const PeerId& partner, std::size_t bytes);

private:
    struct Known {
        PeerId id;
        std::uint64_t used = 0;
        Pace pace;
    };

    Duration base_;
    double slack_;
    double usual_rate_;
    std::vector<Known> known_;
    std::uint64_t clock_ = 0;
};

}  // namespace starling::gossip
