#pragma once

// Which donors are worth having. Several donors behind one line of ours bring no more than one does,
// and each of them could train instead. So now and then the slowest one rests for a moment: if what
// arrives in all falls by less than a tenth, it is let go. Nothing is lost meanwhile where the line
// is ours; where it is the donors', trials are rare.
//
// Thread    network

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/ids.hpp"
#include "base/instant.hpp"

namespace starling::peer {

class DonorTrial {
public:
    /// A donor must raise the sum by so much.
    static constexpr double kWorth = 0.1;
    /// The first trial begins so long after the last change among the donors.
    static constexpr Duration kFirstAfter = std::chrono::seconds(1);
    static constexpr Duration kLeast = std::chrono::milliseconds(500);
    /// After a donor that is worth it, nobody rests for so many times the length of its trial: what
    /// trials cost stays below a twentieth.
    static constexpr int kRest = 20;
    /// Answers that a measurement must contain.
    static constexpr double kAnswers = 16.0;

    struct Donor {
        PeerId id;
        double rate = 0.0;  ///< bytes per second
        std::size_t in_flight = 0;
        std::size_t piece = 0;  ///< bytes of what is asked of it at once
        Duration round_trip{};
    };

    /// Counts bytes that have come from anybody.
    void arrived(std::size_t bytes) { bytes_ += bytes; }

    /// The donors have changed: what was measured is of no use.
    void changed(Instant now);

    /// Goes on. Returns a donor to let go.
    [[nodiscard]] std::optional<PeerId> advance(Instant now, std::span<const Donor> donors);

    /// Returns the donor that must not be asked for now.
    [[nodiscard]] const std::optional<PeerId>& rests() const { return rests_; }

    /// Returns whether far less comes than when a donor was let go. Those may be of use again.
    [[nodiscard]] bool fell() const { return fell_; }

    /// Returns when to call advance().
    [[nodiscard]] Instant timeout() const { return due_; }

private:
    enum class Stage : std::uint8_t { Idle, With, Drain, Without };

    void measure(Instant now, Stage stage);
    [[nodiscard]] double measured(Instant now) const;
    [[nodiscard]] std::optional<PeerId> begin(Instant now, std::span<const Donor> donors);
    [[nodiscard]] std::optional<PeerId> judge(Instant now);

    Stage stage_ = Stage::Idle;
    Instant due_{};
    Instant since_{};
    Duration length_ = kLeast;
    std::uint64_t bytes_ = 0;
    double with_ = 0.0;       ///< bytes per second before somebody rested
    double let_go_at_ = 0.0;  ///< bytes per second when the last donor was let go
    bool fell_ = false;
    std::optional<PeerId> rests_;
};

}  // namespace starling::peer
