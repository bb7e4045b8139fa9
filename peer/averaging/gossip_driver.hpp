#pragma once

// Drives the averaging machine: its frames travel on the streams, its parameters lie in the compute
// arena, and it has two real timers, for its deadlines and for the upload limit.
//
// Thread    network

#include <functional>
#include <span>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "base/ids.hpp"
#include "compute/arena/parameter_store.hpp"
#include "gossip/averager.hpp"
#include "peer/averaging/exchange_cost.hpp"
#include "peer/machine/loop.hpp"
#include "peer/streams/links.hpp"

namespace starling::peer {

/// The compute arena as averaging sees it.
class StoreVector final : public gossip::ParameterVector {
public:
    explicit StoreVector(compute::ParameterStore& store) : store_(store) {}

    [[nodiscard]] gossip::Element element() const override { return gossip::Element::F32; }

    [[nodiscard]] std::size_t chunk_count() const override;
    [[nodiscard]] std::size_t chunk_elements(std::size_t chunk) const override;
    [[nodiscard]] bool is_buffer(std::size_t chunk) const override;
    [[nodiscard]] bool try_read(std::size_t chunk, std::span<std::byte> out) override;
    [[nodiscard]] bool try_add(std::size_t chunk, ByteView delta) override;

    /// Returns for how long locks were held here, over all calls: training can have waited no longer.
    [[nodiscard]] Duration held() const { return held_; }

private:
    compute::ParameterStore& store_;
    Duration held_{};
};

/// Limits what is sent to `rate` bytes a second in the mean, and to what a tenth of a second brings
/// at once. A frame is never cut, so the level may fall below zero; then everything waits until it
/// is above zero again.
class TokenBucket {
public:
    /// Requires  rate >= 0; 0 means no limit
    explicit TokenBucket(double rate) : rate_(rate), level_(burst()) {}

    /// Returns how long to wait before the next frame; zero: send it now.
    [[nodiscard]] Duration wait(Instant now);

    /// Counts bytes that are sent now.
    void take(std::size_t bytes) { level_ -= static_cast<double>(bytes); }

private:
    [[nodiscard]] double burst() const { return rate_ / 10.0; }

    double rate_;
    double level_;
    Instant filled_{};
};

/// Sends a frame of the averaging machine. A frame whose order does not matter may take a lane.
void send_exchange(Links& links, gossip::Outgoing outgoing);

/// Hands each call to the averager. All but machine() and recycle() then drain it, so they call
/// `send` and `exchanged` before they return; inside a callback the outer call does so.
class GossipDriver {
public:
    struct Callbacks {
        std::function<void(gossip::Outgoing outgoing)> send;
        std::function<void(const gossip::ExchangeEvent&)> exchanged;
        /// Bytes per second that exchanges, and answers to newcomers, may send; 0: no limit. Membership's frames do not pass
        /// here, so they never wait for this limit.
        double upload_limit = 0.0;
    };

    GossipDriver(
        Loop& loop,
        const gossip::AveragerConfig& config,
        const PeerId& self,
        const LayoutHash& layout,
        compute::ParameterStore& store,
        Rng rng,
        Callbacks callbacks
    );

    void handle_frame(const PeerId& from, ByteView frame);
    void handle_broken(const PeerId& partner);
    /// A lane broke, and the main stream still lives.
    void handle_lane_broken(const PeerId& partner, Lanes lanes);
    void peer_up(const PeerId& peer);
    /// Returns false when no exchange could begin.
    bool begin_exchange();

    /// Returns the machine for whoever decides about averaging. Call pump() after its commands.
    [[nodiscard]] gossip::Averager& machine() {
        owner_.check();
        return averager_;
    }

    /// Sends what the machine has to send, tells how exchanges have ended, and arms the timer.
    void pump();

    /// Returns what an exchange takes from training, as a running mean.
    [[nodiscard]] Duration exchange_cost() const {
        owner_.check();
        return cost_.mean();
    }

    /// Returns the upload limit, which holds for all that a peer sends in bulk.
    [[nodiscard]] TokenBucket& upload() {
        owner_.check();
        return upload_;
    }

    /// Takes back the memory of a frame that was sent.
    void recycle(Bytes frame);

    [[nodiscard]] const gossip::Averager& averager() const {
        owner_.check();
        return averager_;
    }

    void stop() {
        owner_.check();
        timer_.cancel();
        upload_timer_.cancel();
    }

private:
    void transmit();
    void measure();
    [[nodiscard]] Duration spent() const;

    ThreadOwner owner_;
    StoreVector vector_;
    gossip::Averager averager_;
    Callbacks callbacks_;
    Timer timer_;
    Timer upload_timer_;
    TokenBucket upload_;
    ExchangeCost cost_;
    bool pumping_ = false;
    bool again_ = false;
};

}  // namespace starling::peer
