#pragma once

// How fast a peer that trains may fetch shards. Taking a shard in costs processor time: it is decrypted,
// hashed and written. Where the threads that train use every core, that time is taken from steps. So while
// it trains a peer lets what it fetches cost a small share of the cores: what is measured is charged, and
// no further piece is asked for before the charge is paid off by time. A peer with nothing to train on
// fetches as fast as it can, and so does one whose threads of network and files have a core each.
//
// Thread    network

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/instant.hpp"

namespace starling::peer {

class FetchPace {
public:
    /// Of the cores' time that fetching may take while the peer trains. Whoever gives the shards pays about
    /// as much; with both on one machine steps keep 95 % of their speed.
    static constexpr double kShare = 0.01;

    /// What is not written yet has not been charged yet. While there is more than this, nothing is asked for: the
    /// thread that writes gives way to steps, and would have much to charge at once.
    static constexpr std::uint64_t kUnwrittenMax = std::uint64_t{1} << 20U;

    /// A machine with `cores`, of which `threads` train.
    FetchPace(std::size_t cores, std::size_t threads);

    struct Inputs {
        Duration network{};   ///< processor time of what the network thread did with pieces, in all
        Duration files{};     ///< of the thread that writes shards, in all; it may be told late
        bool trains = false;  ///< steps are made at present
        std::uint64_t unwritten = 0;  ///< bytes of shards that wait to be written, if they can be
    };

    /// Returns until when no further piece should be asked for; nothing: it may be asked for at once.
    std::optional<Instant> update(Instant now, const Inputs& inputs);

private:
    bool free_;
    double rate_;  ///< seconds of processor time that are paid off in a second
    Inputs last_;
    Instant last_at_;
    bool begun_ = false;
    double charge_ = 0;     ///< seconds of processor time
    Instant exempt_until_;  ///< what is written until then came before the first step
};

}  // namespace starling::peer
