#include "peer/averaging/gossip_driver.hpp"

#include <algorithm>
#include <utility>

#include "peer/machine/clock.hpp"

namespace starling::peer {

std::size_t StoreVector::chunk_count() const {
    return store_.layout().chunks().size();
}

std::size_t StoreVector::chunk_elements(std::size_t chunk) const {
    return store_.layout().chunks()[chunk].elements;
}

bool StoreVector::is_buffer(std::size_t chunk) const {
    return store_.layout().chunks()[chunk].buffer;
}

bool StoreVector::try_read(std::size_t chunk, std::span<std::byte> out) {
    const Instant begin = real_now();
    const bool read = store_.try_read(chunk, out);
    if (read) held_ += real_now() - begin;
    return read;
}

bool StoreVector::try_add(std::size_t chunk, ByteView delta) {
    const Instant begin = real_now();
    const bool added = store_.try_add(chunk, delta);
    if (added) held_ += real_now() - begin;
    return added;
}

Duration TokenBucket::wait(Instant now) {
    if (rate_ <= 0.0) return Duration::zero();
    if (filled_ == Instant{}) filled_ = now;
    level_ = std::min(burst(), level_ + rate_ * to_seconds(now - filled_));
    filled_ = now;
    return level_ > 0.0 ? Duration::zero() : from_seconds(-level_ / rate_) + Duration(1);
}

void send_exchange(Links& links, gossip::Outgoing outgoing) {
    const auto& to = outgoing.to;
    if (outgoing.passage == gossip::Passage::InOrder) {
        links.send(to, FrameType::Exchange, std::move(outgoing.frame));
    } else {
        const bool ours = outgoing.passage == gossip::Passage::Offer;
        const auto lanes = ours ? Lanes::Ours : Lanes::Theirs;
        links.send_on_lanes(to, FrameType::Exchange, std::move(outgoing.frame), lanes);
    }
}

GossipDriver::GossipDriver(
    Loop& loop,
    const gossip::AveragerConfig& config,
    const PeerId& self,
    const LayoutHash& layout,
    compute::ParameterStore& store,
    Rng rng,
    Callbacks callbacks
)
    : vector_(store),
      averager_(config, self, layout, vector_, rng),
      callbacks_(std::move(callbacks)),
      timer_(
          loop,
          [this] {
              averager_.handle_timeout(real_now());
              pump();
          }
      ),
      upload_timer_(loop, [this] { pump(); }),
      upload_(callbacks_.upload_limit) {}

void GossipDriver::handle_frame(const PeerId& from, ByteView frame) {
    // A malformed frame ends its exchange, and the averager counts it. The stream stays: its
    // framing is intact, and it may carry other frames that are sound.
    (void)averager_.handle_frame(real_now(), from, frame);
    pump();
}

void GossipDriver::handle_broken(const PeerId& partner) {
    averager_.handle_disconnect(real_now(), partner);
    pump();
}

void GossipDriver::handle_lane_broken(const PeerId& partner, Lanes lanes) {
    const auto passage = lanes == Lanes::Ours ? gossip::Passage::Offer : gossip::Passage::Reply;
    averager_.handle_loss(real_now(), partner, passage);
    pump();
}

void GossipDriver::peer_up(const PeerId& peer) {
    averager_.peer_up(real_now(), peer);
    pump();
}

bool GossipDriver::begin_exchange() {
    const bool begun = averager_.begin_exchange(real_now());
    pump();
    return begun;
}

void GossipDriver::recycle(Bytes frame) {
    owner_.check();
    averager_.recycle(std::move(frame));
}

void GossipDriver::pump() {
    owner_.check();
    // Callbacks may pump again: a stream breaks during a send, or an exchange begins after the
    // last. The outer call then drains once more instead of recursing.
    again_ = true;
    if (pumping_) return;
    pumping_ = true;
    while (again_) {
        again_ = false;
        transmit();
        while (auto event = averager_.poll_event()) {
            if (event->outcome == gossip::Outcome::Committed) cost_.handle_committed(spent());
            callbacks_.exchanged(*event);
        }
    }
    pumping_ = false;
    measure();
    if (const auto next = averager_.poll_timeout()) timer_.arm(*next);
}

/// Asks the clock only when the first exchange begins or the last has ended: it is a system call.
void GossipDriver::measure() {
    const bool running = averager_.initiating() || averager_.responding();
    if (running != cost_.running()) cost_.handle_running(running, spent());
}

Duration GossipDriver::spent() const {
    return thread_cpu_time() + vector_.held();
}

/// Sends what is due. Frames that the limit holds back stay with the averager: at most a window.
void GossipDriver::transmit() {
    while (true) {
        const Duration wait = upload_.wait(real_now());
        if (wait > Duration::zero()) {
            upload_timer_.arm_after(wait);
            return;
        }
        auto outgoing = averager_.poll_transmit();
        if (!outgoing) return;
        upload_.take(outgoing->frame.size());
        callbacks_.send(std::move(*outgoing));
    }
}

}  // namespace starling::peer
