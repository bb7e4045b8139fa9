#pragma once

// What a peer moves besides averages, as one machine without I/O: shards, which it fetches and
// serves, and the present parameters, which it fetches as a newcomer and serves as a donor.
//
// Use: call one function that takes `now`, send what is in the outbox, and call handle_timeout() at
// timeout(). Whenever something may leave, call serve().
//
// Thread    network

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/instant.hpp"
#include "data/ownership.hpp"
#include "data/shard_store.hpp"
#include "peer/transfer/outbox.hpp"
#include "peer/transfer/parameter_chunks.hpp"
#include "peer/transfer/serve_queue.hpp"
#include "peer/transfer/shard_cache.hpp"
#include "peer/transfer/shard_transfer.hpp"
#include "peer/transfer/state_donor.hpp"
#include "peer/transfer/state_fetch.hpp"

namespace starling::peer {

class Transfers {
public:
    /// What the answer to a request depends on.
    struct Serving {
        bool overloaded = false;  ///< the asking peer gets nothing now
        bool ready = false;       ///< our parameters are good enough for a newcomer
        std::uint64_t schedule_step = 0;
    };

    /// `salt` differs from peer to peer. Shards are kept below `cache` bytes; 0: without a limit.
    /// Requires  `shards`, `parameters`, `out` outlive this
    Transfers(
        data::ShardStore& shards,
        ParameterChunks& parameters,
        const LayoutHash& layout,
        std::uint64_t salt,
        Outbox& out,
        std::uint64_t cache = 0
    );

    /// Begins to fetch the parameters from the peers that set_donors() names. Of `kept` chunks an earlier life
    /// has fetched what the parameters hold; they are only compared.
    void fetch_state(std::vector<std::uint32_t> kept = {});

    /// Ends the fetch of the parameters, whether it is complete or not.
    void end_state();

    [[nodiscard]] bool fetching_state() const { return fetch_ && !fetch_->complete(); }

    /// Returns how many chunks of the parameters have come since fetch_state().
    [[nodiscard]] std::size_t state_chunks() const { return fetch_ ? fetch_->chunks_done() : 0; }

    /// Returns the furthest place in the schedule that a donor named, while we fetch or have just
    /// fetched.
    [[nodiscard]] std::optional<std::uint64_t> donors_schedule_step() const;

    /// Returns how many peers give us parameters.
    [[nodiscard]] std::size_t donors() const { return fetch_ ? fetch_->donors() : 0; }

    /// Returns a number that changes whenever something of the parameters has come.
    [[nodiscard]] std::uint64_t state_progress() const { return fetch_ ? fetch_->progress() : 0; }

    /// Returns how many donors were refused since fetch_state(); what they gave is asked for anew.
    [[nodiscard]] std::size_t donors_refused() const { return fetch_ ? fetch_->refused() : 0; }

    /// `spread` is how far apart the peers that train are, relative to the norm.
    void set_donors(Instant now, std::span<const PeerId> donors, double spread);

    /// Returns a line for people.
    [[nodiscard]] std::optional<std::string> poll_note();

    /// Replaces the shards that we should hold, and the peers that may have them.
    void want_shards(
        Instant now, const std::vector<ShardId>& shards, const ShardTransfer::Last& last = {}
    );
    void set_holders(Instant now, std::vector<data::WeightedPeer> holders);

    /// Says what we should hold, for the limit of what is held.
    void set_duties(Instant now, ShardCache::Duties duties) {
        cache_.set_duties(now, std::move(duties));
    }

    [[nodiscard]] const ShardCache& cache() const { return cache_; }

    /// Asks for no further piece of a shard before this time.
    void hold_shards(std::optional<Instant> until) { shards_.hold(until); }

    [[nodiscard]] bool fetching_shards() const { return shards_.fetching(); }

    [[nodiscard]] std::size_t shards_missing() const { return shards_.missing(); }

    [[nodiscard]] std::uint64_t shard_bytes() const { return shards_.bytes_fetched(); }

    [[nodiscard]] std::uint64_t shard_frames_rejected() const { return shards_.rejected(); }

    [[nodiscard]] std::uint64_t shard_requests_denied() const { return shards_.denied(); }

    /// Handles a frame about shards or parameters and ignores all others. Returns true when it
    /// completed a shard.
    bool handle_frame(
        Instant now, const PeerId& from, FrameType type, ByteView payload, const Serving& serving
    );
    /// Answers one request that waits, of a peer for which there is room. Returns false if there is none.
    bool serve(const Serving& serving, const std::function<bool(const PeerId&)>& room);

    /// Returns whether requests wait.
    [[nodiscard]] bool asked() const { return !waiting_.empty(); }

    void handle_broken(Instant now, const PeerId& partner);
    void handle_timeout(Instant now);

    /// Returns when to call handle_timeout, or nothing when nothing is awaited.
    [[nodiscard]] std::optional<Instant> timeout() const;

private:
    void answer(const PeerId& from, FrameType type, ByteView payload, bool refuse);

    ParameterChunks& parameters_;
    LayoutHash layout_;
    std::uint64_t salt_;
    Outbox& out_;
    ShardTransfer shards_;
    ShardCache cache_;
    StateDonor donor_;
    ServeQueue waiting_;
    std::optional<StateFetch> fetch_;
};

}  // namespace starling::peer
