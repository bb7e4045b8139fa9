#pragma once

// Everything that begins once the descriptor is known: parameters, shards, trainer, averaging,
// transfers, and the common end of the swarm. Node owns the sockets and passes events in.
//
// Thread    network; the trainer inside runs the compute thread

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/check.hpp"
#include "base/ids.hpp"
#include "base/instant.hpp"
#include "base/result.hpp"
#include "compute/arena/parameter_store.hpp"
#include "data/shard_store.hpp"
#include "peer/averaging/gossip_driver.hpp"
#include "peer/averaging/settling.hpp"
#include "peer/machine/loop.hpp"
#include "peer/observe/reporter.hpp"
#include "peer/observe/session_status.hpp"
#include "peer/session/ending.hpp"
#include "peer/session/recovery.hpp"
#include "peer/start/swarm_plan.hpp"
#include "peer/terms/config.hpp"
#include "peer/terms/descriptor.hpp"
#include "peer/terms/record.hpp"
#include "peer/terms/swarm_view.hpp"
#include "peer/training/checkpoint.hpp"
#include "peer/training/checkpoint_writer.hpp"
#include "peer/training/trainer.hpp"
#include "peer/transfer/transfers.hpp"

namespace starling::peer {

class Session {
public:
    struct Wiring {
        SendFrame send;
        std::function<void(gossip::Outgoing outgoing)> exchange;
        std::function<std::size_t(const PeerId&)> queued_bytes;
        std::function<SwarmView()> view;
        std::function<void(const Record&)> publish;  ///< gives our record to membership
        std::function<std::uint64_t()> bytes_sent;
        std::function<std::vector<std::string>()> addresses;  ///< other members', for checkpoints
        /// The session has ended: without a fault, or because of this one.
        std::function<void(std::optional<Fault>)> ended;
    };

    /// `epoch` is the boot epoch of this life.
    Session(
        Loop& loop,
        const PeerConfig& config,
        const PeerId& self,
        std::uint64_t epoch,
        const Descriptor& descriptor,
        Bytes descriptor_blob,
        compute::ParameterLayout layout,
        Reporter& reporter,
        Wiring wiring
    );
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    /// Returns the store. The founder puts its shards there before begin().
    [[nodiscard]] data::ShardStore& shards() { return shards_; }

    /// Starts the compute thread and everything else, and returns. The session calls the functions
    /// of `Wiring` from then on.
    void begin(Start start, std::optional<Checkpoint> checkpoint);

    void handle_frame(const PeerId& from, FrameType type, ByteView payload);
    void handle_broken(const PeerId& partner);
    void handle_lane_broken(const PeerId& partner, Lanes lanes);
    void recycle(FrameType type, Bytes payload);

    /// Membership says that a peer is up or down.
    void member_up(const PeerId& peer);
    void member_down(const PeerId& peer);

    /// Stops everything. Blocks until the compute thread has written the last checkpoint and ended.
    void stop();

    [[nodiscard]] SessionStatus status() const;

private:
    void tick();
    void on_report();
    void on_exchange(const gossip::ExchangeEvent& event);
    void mix(std::uint64_t round);
    void release_trainer();
    void update_partners(const SwarmView& view);
    void update_duties(const SwarmView& view);
    void update_holders(const SwarmView& view);
    void update_joining(const SwarmView& view);
    void update_recovery(const SwarmView& view);
    void initialize_parameters();
    bool offer_donors(const SwarmView& view);
    void note_unsound();
    void judge_exchange(const gossip::ExchangeEvent& event);
    void begin_recovery(RecoveryCause cause);
    void end_diverged();
    void end_if_deserted(const SwarmView& view);
    void update_ending(const SwarmView& view);
    void enter(EndingPhase phase);
    void become(PeerState state);
    void give_order();
    void update_readiness(const SwarmView& view);
    void publish(bool now);
    void finish();
    /// Thread    compute
    void write_checkpoint_now(const TrainerReport& report, std::span<const float> optimizer_state);
    [[nodiscard]] Record record() const;
    [[nodiscard]] bool settled() const;
    [[nodiscard]] bool can_train() const;
    [[nodiscard]] bool has_parameters() const;

    ThreadOwner owner_;
    Loop& loop_;
    PeerConfig config_;
    PeerId self_;
    Descriptor descriptor_;
    Bytes blob_;
    Reporter& reporter_;
    Wiring wiring_;
    compute::ParameterStore parameters_;
    data::ShardStore shards_;
    CheckpointWriter checkpoints_;
    Ending ending_;
    GossipDriver gossip_;
    Transfers transfers_;
    std::unique_ptr<Trainer> trainer_;
    Timer tick_;
    Settling settling_;
    Recovery recovery_;

    PeerState state_ = PeerState::Joining;
    TrainerReport report_;
    data::Duties duties_;
    std::vector<data::WeightedPeer> duty_peers_;
    std::uint64_t shards_version_ = 0;
    std::vector<PeerId> partners_;
    std::uint64_t evaluation_ = 0;
    std::optional<std::uint64_t> schedule_step_;
    double last_distance_ = 0;
    std::uint64_t swarm_samples_ = 0;
    std::size_t live_ = 1;
    Instant started_;
    Instant published_;
    Instant joining_since_;
    Instant alone_since_;
    bool stopped_ = false;
    std::size_t waiting_with_ = 0;  ///< number of ready peers in the last note about them
    bool enough_ready_ = false;     ///< as many peers were ready as the founder asked for
    bool begun_ = false;
    bool unsound_noted_ = false;
};

}  // namespace starling::peer
