#pragma once

// The requests of others for parameters and shards that wait for their turn: nobody's link holds up what
// goes to others, and what is answered is made when it can leave. So the bytes that wait are few, however
// much was asked for.
//
// Thread    network

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <optional>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "peer/streams/frame.hpp"

namespace starling::peer {

class ServeQueue {
public:
    /// As many as a window of whole chunks has, and as many again.
    static constexpr std::size_t kOfOne = 128;
    static constexpr std::size_t kInAll = 1024;
    /// The longest request, that for a piece of a shard, has 36 B.
    static constexpr std::size_t kRequestMax = 64;

    struct Request {
        PeerId from;
        FrameType type = FrameType::StateRequest;
        Bytes payload;
    };

    /// Returns false, and takes nothing, if too many wait.
    [[nodiscard]] bool put(const PeerId& from, FrameType type, ByteView payload);

    /// Takes the next request of those for whose answers there is room; the peers take turns, and
    /// each one's requests keep their order.
    [[nodiscard]] std::optional<Request> take(const std::function<bool(const PeerId&)>& room);

    [[nodiscard]] bool empty() const { return count_ == 0; }

    void forget(const PeerId& peer);

private:
    std::map<PeerId, std::deque<Request>> waiting_;
    std::size_t count_ = 0;
    PeerId last_;  ///< whose turn it was
};

}  // namespace starling::peer
