#pragma once

// Members that lie: they hold the swarm's key and behave like the others, but they also send what no honest member
// would. docs/SECURITY.md says what they cannot do with it. Members whose frames are spoiled and donors that lie are
// made by Swarm::set_spoils() and Swarm::set_false_donor().

#include <cstdint>
#include <vector>

#include "base/bytes.hpp"
#include "base/rng.hpp"
#include "membership/messages.hpp"
#include "peer/terms/record.hpp"
#include "peer/virtual/swarm.hpp"

namespace starling::peer_virtual {

class Liar : public Observer {
public:
    /// Sends one packet of lies in the name of the liar, to anybody.
    /// Requires  the liar runs
    virtual void lie() = 0;
};

/// Lies about others: accusations in its own and in others' names, verdicts, forged claims and goodbyes, invented
/// keys, and replays of all that it has heard.
class MemberLiar final : public Liar {
public:
    /// Requires  this outlives the swarm's run, whose events it hears
    MemberLiar(Swarm& swarm, NodeIndex node, Rng rng);

    void lie() override;
    void on_packet(NodeIndex from, NodeIndex to, ByteView packet) override;

private:
    [[nodiscard]] NodeIndex other();
    [[nodiscard]] PeerId anybody();
    [[nodiscard]] membership::Message draw();

    Swarm& swarm_;
    NodeIndex node_;
    Rng rng_;
    std::vector<Bytes> heard_;
};

/// Signs absurd records of its own, forges those of others, and invents peers that it signs for.
class RecordLiar final : public Liar {
public:
    /// Requires  `swarm` outlives this
    RecordLiar(Swarm& swarm, NodeIndex node, Rng rng);

    void lie() override;

    [[nodiscard]] NodeIndex node() const { return node_; }

    /// Returns what it has said of itself, which is its own to say.
    [[nodiscard]] const std::vector<Bytes>& said() const { return said_; }

private:
    [[nodiscard]] PeerId other();
    [[nodiscard]] peer::Record absurd();
    [[nodiscard]] membership::ProgressRecord record_of(const PeerId& owner, std::uint64_t version);
    [[nodiscard]] membership::ProgressRecord own();
    [[nodiscard]] membership::ProgressRecord forged();
    [[nodiscard]] membership::ProgressRecord invented();
    [[nodiscard]] membership::ProgressRecord shown();

    Swarm& swarm_;
    NodeIndex node_;
    Rng rng_;
    std::uint64_t lies_ = 0;
    std::vector<Bytes> said_;
};

}  // namespace starling::peer_virtual
