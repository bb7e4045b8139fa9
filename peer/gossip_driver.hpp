#pragma once

// Drives the averaging machine over the streams, on the compute arena. One real timer.
//
// Thread    network

#include <functional>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "compute/parameter_store.hpp"
#include "gossip/averager.hpp"
#include "peer/frame.hpp"
#include "peer/loop.hpp"

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

private:
    compute::ParameterStore& store_;
};

class GossipDriver {
public:
    struct Callbacks {
        SendFrame send;
        std::function<void(const gossip::ExchangeEvent&)> exchanged;
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
    void peer_up(const PeerId& peer);
    void peer_down(const PeerId& peer);
    void set_accepting(bool accepting);
    void set_encoding(gossip::Encoding encoding);
    void begin_exchange();

    /// Takes back the memory of a frame that was sent.
    void recycle(Bytes frame);

    [[nodiscard]] const gossip::Averager& averager() const { return averager_; }

    void stop() { timer_.cancel(); }

private:
    void pump();

    StoreVector vector_;
    gossip::Averager averager_;
    Callbacks callbacks_;
    Timer timer_;
    bool pumping_ = false;
    bool again_ = false;
};

}  // namespace starling::peer
