#pragma once

// How fast each partner is, as earlier exchanges have shown. The deadlines and the window of the
// next exchange follow from that.

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

    /// Returns the window that keeps the link full, within kWindowMin to kWindowMax, or `fallback`
    /// before anything was measured. The rate counts both directions, so its product with the round
    /// trip is twice what one direction holds. Hence, where the window itself was the limit, the
    /// next one is twice as large, and windows stop growing where the link is the limit. A little
    /// is added to keep both processes at work.
    [[nodiscard]] std::size_t window(std::size_t fallback) const;

private:
    double rate_;
    Duration round_trip_{};
    bool measured_ = false;
};

/// The paces of the kPartnersMax partners met last. A new partner, and one that was forgotten,
/// starts with the mean rate of all.
class Paces {
public:
    static constexpr std::size_t kPartnersMax = 256;

    explicit Paces(const AveragerConfig& config);

    /// The reference holds until the next call.
    [[nodiscard]] Pace& of(const PeerId& partner);

    /// Adds a measured rate to the mean with which new partners start.
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
