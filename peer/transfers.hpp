#pragma once

// What a peer moves besides averages: its shards, from those who hold them and to those who ask,
// and, for a newcomer, the present parameters. One timer for all of it.
//
// Thread    network

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "compute/parameter_store.hpp"
#include "data/ownership.hpp"
#include "data/shard_store.hpp"
#include "peer/frame.hpp"
#include "peer/loop.hpp"
#include "peer/shard_transfer.hpp"
#include "peer/state_transfer.hpp"

namespace starling::peer {

class Transfers {
public:
    /// What an answer depends on.
    struct Serving {
        bool overloaded = false;  ///< enough is queued for whoever asks already
        bool ready = false;       ///< our parameters are worth having
        std::uint64_t schedule_step = 0;
    };

    /// Requires  the stores outlive it
    Transfers(
        Loop& loop,
        data::ShardStore& shards,
        compute::ParameterStore& parameters,
        const LayoutHash& layout,
        const SendFrame& send
    );

    /// Begins to fetch the parameters, from whomever set_donors names.
    void fetch_state();

    /// Forgets about fetching them, done or not.
    void end_state();

    [[nodiscard]] bool fetching_state() const { return fetch_ && !fetch_->complete(); }

    /// Returns how many of their chunks have come since fetch_state.
    [[nodiscard]] std::size_t state_chunks() const { return fetch_ ? fetch_->chunks_done() : 0; }

    /// Returns the furthest place in the schedule that a donor named, while we fetch or have just
    /// fetched.
    [[nodiscard]] std::optional<std::uint64_t> donors_schedule_step() const;

    void set_donors(std::vector<PeerId> donors);

    /// Replaces the shards that we should hold, and who may have them.
    void want_shards(const std::vector<ShardId>& shards);
    void set_holders(std::vector<data::WeightedPeer> holders);

    [[nodiscard]] std::size_t shards_missing() const { return shards_.missing(); }

    [[nodiscard]] std::uint64_t shard_bytes() const { return shards_.bytes_fetched(); }

    [[nodiscard]] std::uint64_t shard_frames_rejected() const { return shards_.rejected(); }

    /// Returns true when a whole shard came by this frame. Frames of other types are not ours.
    bool handle_frame(const PeerId& from, FrameType type, ByteView payload, const Serving& serving);
    void handle_broken(const PeerId& partner);

    void stop() { timer_.cancel(); }

private:
    void arm();
    void handle_timeout();

    compute::ParameterStore& parameters_;
    LayoutHash layout_;
    SendFrame send_;
    ShardTransfer shards_;
    StateDonor donor_;
    std::unique_ptr<StateFetch> fetch_;
    Timer timer_;
};

}  // namespace starling::peer
