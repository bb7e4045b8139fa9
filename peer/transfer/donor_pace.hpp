#pragma once

// How fast one donor gives, and what follows from it: how much to ask of it at once, in pieces of
// which size, and how long to wait. Nobody tells us the rate of a link, so we measure what arrives
// while something is on the way, as BBR measures acknowledgements.
//
// Thread    network
// Source    Cardwell et al., "BBR: Congestion-Based Congestion Control" (2016), delivery rate and
//           windowed maximum; we ask for data instead of sending it, and keep the queue shorter

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/instant.hpp"

namespace starling::peer {

class DonorPace {
public:
    /// Beside two round trips, so much is asked ahead: a line that is full stays full.
    static constexpr Duration kAhead = std::chrono::milliseconds(100);
    /// A piece should take so long. A donor that dies costs a piece; a smaller one costs more headers.
    static constexpr Duration kPieceTime = std::chrono::milliseconds(50);
    /// A donor may take at least so long, however fast it was.
    static constexpr Duration kPatienceMin = std::chrono::seconds(2);
    /// The same while its rate is not known: this, and the bytes asked at kSlowest.
    static constexpr Duration kPatienceFirst = std::chrono::seconds(5);
    static constexpr Duration kPatienceMax = std::chrono::seconds(80);
    /// Bytes per second, as the slowest rate at which a frame may come (kFrameRateMin).
    static constexpr double kSlowest = 16.0 * 1024;

    /// What was delivered when a request was made.
    struct Mark {
        Instant asked_at;
        Instant
            since;  ///< when the last bytes had come, or when the request was made if none were awaited
        std::uint64_t delivered = 0;
    };

    /// Counts bytes that are asked for now.
    [[nodiscard]] Mark asked(Instant now, std::size_t bytes);

    /// Counts the answer to a request, and measures by it.
    void answered(Instant now, const Mark& mark, std::size_t bytes);

    /// Takes in an answer that came after we had given it up: the link is slower than we thought.
    void answered_late(Instant now, const Mark& mark, std::size_t bytes);

    /// Counts bytes that are awaited no longer.
    void given_up(std::size_t bytes) { in_flight_ -= bytes; }

    /// Takes in how long an answer without a queue took.
    void round_trip(Duration took);

    /// Returns bytes per second: the most that was seen in the last answers; 0: nothing was seen.
    [[nodiscard]] double rate() const;

    [[nodiscard]] Duration round_trip() const { return round_trip_; }

    [[nodiscard]] std::size_t in_flight() const { return in_flight_; }

    /// Returns how many bytes may be on the way, at least two pieces of this size.
    [[nodiscard]] std::size_t window(std::size_t piece) const;

    /// Returns how many bytes one piece should have; 0: as few as possible.
    [[nodiscard]] std::size_t piece() const;

    /// Returns how long the next answer may take after the last one, or after the request: all that is
    /// on the way may come first.
    [[nodiscard]] Duration patience() const;

private:
    static constexpr std::size_t kRates = 10;

    void note_rate(double rate);

    std::array<double, kRates> rates_{};
    std::size_t next_ = 0;
    std::size_t in_flight_ = 0;
    std::uint64_t delivered_ = 0;
    Instant delivered_at_{};
    Duration round_trip_ = std::chrono::milliseconds(100);
    bool measured_ = false;  ///< the round trip
};

}  // namespace starling::peer
