#include "peer/virtual/state_lines.hpp"

#include <algorithm>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <queue>
#include <span>
#include <utility>

#include "base/finite.hpp"
#include "base/rng.hpp"
#include "peer/transfer/state_donor.hpp"
#include "peer/transfer/state_fetch.hpp"

namespace starling::peer_virtual {

namespace {

/// A fast stream hands its network card as much as a packet of 64 KiB.
constexpr std::size_t kPacketMin = 1448;
constexpr std::size_t kPacketMax = std::size_t{64} * 1024;
constexpr double kPacketSeconds = 5e-4;
constexpr std::size_t kChunkFloats = std::size_t{64} * 1024;
constexpr Duration kViewEvery = std::chrono::milliseconds(100);

/// Parameters in memory. Those of a liar are negated when they are read.
class Floats final : public peer::ParameterChunks {
public:
    Floats(std::size_t count, double lock, std::uint64_t seed)
        : values_(count),
          rng_(seed),
          lock_(lock) {}

    [[nodiscard]] std::size_t chunk_count() const override {
        return (values_.size() + kChunkFloats - 1) / kChunkFloats;
    }

    [[nodiscard]] std::size_t chunk_bytes(std::size_t chunk) const override {
        return std::min(kChunkFloats, values_.size() - chunk * kChunkFloats) * sizeof(float);
    }

    [[nodiscard]] bool try_read(std::size_t chunk, std::span<std::byte> out) override {
        if (lock_ > 0.0 && rng_.chance(lock_)) return false;
        std::memcpy(out.data(), values_.data() + chunk * kChunkFloats, out.size());
        return true;
    }

    [[nodiscard]] bool write(std::size_t chunk, ByteView bytes) override {
        std::memcpy(values_.data() + chunk * kChunkFloats, bytes.data(), bytes.size());
        return all_finite(
            std::span(values_).subspan(chunk * kChunkFloats, bytes.size() / sizeof(float))
        );
    }

    void initialize() override {
        for (std::size_t i = 0; i < values_.size(); ++i) {
            values_[i] =
                static_cast<float>(static_cast<std::int64_t>(mix64(i) >> 40U) - (1 << 23U));
        }
    }

    void negate() {
        for (auto& value : values_) value = -value;
    }

    [[nodiscard]] const std::vector<float>& values() const { return values_; }

private:
    std::vector<float> values_;
    Rng rng_;
    double lock_;
};

PeerId id_of(std::size_t donor) {
    PeerId id;
    id.bytes[0] = static_cast<std::uint8_t>(donor + 1);
    return id;
}

class Lines {
public:
    explicit Lines(const StateLines& lines);

    StateLinesResult run();

private:
    struct Frame {
        peer::OutgoingFrame frame;
        std::size_t left = 0;  ///< bytes that have not come yet
    };

    struct Donor {
        std::unique_ptr<Floats> floats;
        peer::Outbox outbox;
        std::unique_ptr<peer::StateDonor> machine;
        double uplink = 0.0;
        Instant uplink_free{};
        std::deque<Frame> frames;         ///< whose packets are on the way, in order
        std::deque<std::size_t> waiting;  ///< packets at the newcomer's line, by size
        bool dead = false;
    };

    struct Event {
        Instant at;
        std::uint64_t order = 0;
        std::function<void()> act;

        bool operator<(const Event& other) const {
            return std::pair(at, order) > std::pair(other.at, other.order);
        }
    };

    void push(Instant at, std::function<void()> act) {
        events_.push({at, next_++, std::move(act)});
    }

    void pump();
    void ask(const peer::OutgoingFrame& frame);
    void give(std::size_t donor);
    void serve_line();
    void packet_came(std::size_t donor, std::size_t bytes);
    void kill(Donor& donor, std::size_t index);

    StateLines lines_;
    std::vector<Donor> donors_;
    Floats mine_;
    peer::Outbox out_;
    peer::StateFetch fetch_;
    std::vector<PeerId> candidates_;
    std::priority_queue<Event> events_;
    std::uint64_t next_ = 0;
    Instant now_{std::chrono::seconds(1)};
    std::size_t packet_;
    bool line_busy_ = false;
    std::size_t turn_ = 0;
    std::uint64_t bytes_ = 0;
};

Lines::Lines(const StateLines& lines)
    : lines_(lines),
      donors_(lines.donors),
      mine_(lines.model_bytes / sizeof(float), 0.0, 0),
      fetch_(mine_, LayoutHash{}, mix64(lines.seed), out_),
      packet_(
          std::clamp(static_cast<std::size_t>(lines.rate * kPacketSeconds), kPacketMin, kPacketMax)
      ) {
    for (std::size_t i = 0; i < lines.donors; ++i) {
        auto& donor = donors_[i];
        donor.floats =
            std::make_unique<Floats>(lines.model_bytes / sizeof(float), lines.lock, lines.seed + i);
        donor.floats->initialize();
        if (std::find(lines.liars.begin(), lines.liars.end(), i) != lines.liars.end()) {
            donor.floats->negate();
        }
        donor.machine =
            std::make_unique<peer::StateDonor>(*donor.floats, LayoutHash{}, donor.outbox);
        donor.uplink = i < lines.uplinks.size() ? lines.uplinks[i] : 0.0;
        candidates_.push_back(id_of(i));
    }
}

/// Carries what the newcomer asks to the donors.
void Lines::pump() {
    while (!out_.empty()) {
        const auto frame = std::make_shared<peer::OutgoingFrame>(std::move(out_.front()));
        out_.pop_front();
        push(now_ + lines_.round_trip / 2, [this, frame] { ask(*frame); });
    }
}

void Lines::ask(const peer::OutgoingFrame& frame) {
    const auto index = static_cast<std::size_t>(frame.to.bytes[0]) - 1;
    auto& donor = donors_[index];
    if (donor.dead) return;
    PeerId newcomer;
    newcomer.bytes[0] = 255;
    if (frame.type == peer::FrameType::StateInfoRequest) {
        donor.machine->handle_info_request(newcomer, true, 1);
    } else {
        donor.machine->handle_request(newcomer, frame.payload, false);
    }
    give(index);
}

/// Sends what a donor gives over its own line, packet by packet.
void Lines::give(std::size_t index) {
    auto& donor = donors_[index];
    while (!donor.outbox.empty()) {
        Frame frame;
        frame.frame = std::move(donor.outbox.front());
        donor.outbox.pop_front();
        frame.left = peer::kFrameHeaderSize + frame.frame.payload.size();
        for (std::size_t left = frame.left; left > 0;) {
            const auto size = std::min(packet_, left);
            left -= size;
            auto& free = donor.uplink_free;
            free = std::max(free, now_);
            if (donor.uplink > 0.0) free += from_seconds(static_cast<double>(size) / donor.uplink);
            push(free + lines_.round_trip / 2, [this, index, size] {
                if (donors_[index].dead) return;
                donors_[index].waiting.push_back(size);
                serve_line();
            });
        }
        donor.frames.push_back(std::move(frame));
    }
}

/// Lets the next packet through the newcomer's line; the streams take turns.
void Lines::serve_line() {
    if (line_busy_) return;
    for (std::size_t tried = 0; tried < donors_.size(); ++tried) {
        const auto index = (turn_ + tried) % donors_.size();
        auto& waiting = donors_[index].waiting;
        if (waiting.empty()) continue;
        const auto size = waiting.front();
        waiting.pop_front();
        turn_ = index + 1;
        line_busy_ = true;
        push(now_ + from_seconds(static_cast<double>(size) / lines_.rate), [this, index, size] {
            line_busy_ = false;
            packet_came(index, size);
            serve_line();
        });
        return;
    }
}

void Lines::packet_came(std::size_t index, std::size_t bytes) {
    auto& donor = donors_[index];
    if (donor.dead) return;
    bytes_ += bytes;
    auto& frame = donor.frames.front();
    frame.left -= bytes;
    if (frame.left == 0) {
        const auto whole = std::move(frame.frame);
        donor.frames.pop_front();
        if (whole.type == peer::FrameType::StateInfo) {
            fetch_.handle_info(now_, id_of(index), whole.payload);
        } else {
            fetch_.handle_chunk(now_, id_of(index), whole.payload);
        }
        pump();
    }
    if (lines_.killed_at && bytes_ >= *lines_.killed_at && !donors_[0].dead) kill(donors_[0], 0);
}

void Lines::kill(Donor& donor, std::size_t index) {
    donor.dead = true;
    donor.frames.clear();
    donor.waiting.clear();
    std::erase(candidates_, id_of(index));
    if (lines_.dark) return;
    push(now_ + lines_.round_trip / 2, [this, index] {
        fetch_.handle_broken(now_, id_of(index));
        pump();
    });
}

StateLinesResult Lines::run() {
    const Instant begun = now_;
    Instant view_at = now_;
    StateLinesResult result;
    while (!fetch_.complete() && now_ - begun < lines_.patience) {
        auto next = view_at;
        if (!events_.empty()) next = std::min(next, events_.top().at);
        if (const auto due = fetch_.timeout()) next = std::min(next, *due);
        now_ = std::max(now_, next);
        while (!events_.empty() && events_.top().at <= now_) {
            const auto act = events_.top().act;
            events_.pop();
            act();
        }
        if (view_at <= now_) {
            view_at = now_ + kViewEvery;
            fetch_.set_candidates(now_, candidates_);
        }
        if (const auto due = fetch_.timeout(); due && *due <= now_) fetch_.handle_timeout(now_);
        pump();
        while (auto note = fetch_.poll_note()) result.notes.push_back(std::move(*note));
    }
    Floats honest(mine_.values().size(), 0.0, 0);
    honest.initialize();
    result.complete = fetch_.complete();
    result.right = result.complete && honest.values() == mine_.values();
    result.seconds = to_seconds(now_ - begun);
    result.bytes = bytes_;
    result.donors = fetch_.donors();
    return result;
}

}  // namespace

StateLinesResult run(const StateLines& lines) {
    return Lines(lines).run();
}

}  // namespace starling::peer_virtual
