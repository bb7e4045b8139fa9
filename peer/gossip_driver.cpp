#include "peer/gossip_driver.hpp"

#include <utility>

#include "peer/clock.hpp"

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
    return store_.try_read(chunk, out);
}

bool StoreVector::try_add(std::size_t chunk, ByteView delta) {
    return store_.try_add(chunk, delta);
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
      averager_(config, self, layout, vector_, rng, real_now()),
      callbacks_(std::move(callbacks)),
      timer_(loop, [this] {
          averager_.handle_timeout(real_now());
          pump();
      }) {}

void GossipDriver::handle_frame(const PeerId& from, ByteView frame) {
    // A malformed frame has ended its exchange and is counted there; the stream itself may carry
    // other things that are sound, and its framing held.
    (void)averager_.handle_frame(real_now(), from, frame);
    pump();
}

void GossipDriver::handle_broken(const PeerId& partner) {
    averager_.handle_disconnect(real_now(), partner);
    pump();
}

void GossipDriver::peer_up(const PeerId& peer) {
    averager_.peer_up(real_now(), peer);
    pump();
}

void GossipDriver::peer_down(const PeerId& peer) {
    averager_.peer_down(real_now(), peer);
    pump();
}

void GossipDriver::set_accepting(bool accepting) {
    averager_.set_accepting(accepting);
}

void GossipDriver::set_encoding(gossip::Encoding encoding) {
    averager_.set_encoding(encoding);
}

void GossipDriver::begin_exchange() {
    averager_.begin_exchange(real_now());
    pump();
}

void GossipDriver::recycle(Bytes frame) {
    averager_.recycle(std::move(frame));
}

void GossipDriver::pump() {
    // Callbacks come back here: a broken stream while sending, a new exchange after the last. The
    // outer turn then drains once more instead of recursing.
    again_ = true;
    if (pumping_) return;
    pumping_ = true;
    while (again_) {
        again_ = false;
        while (auto outgoing = averager_.poll_transmit()) {
            callbacks_.send(outgoing->to, FrameType::Exchange, std::move(outgoing->frame));
        }
        while (auto event = averager_.poll_event()) callbacks_.exchanged(*event);
    }
    pumping_ = false;
    if (const auto next = averager_.poll_timeout()) timer_.arm(*next);
}

}  // namespace starling::peer
