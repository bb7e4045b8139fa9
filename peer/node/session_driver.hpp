#pragma once

// Drives the session's machine in the daemon: frames come and go on the streams, views come from
// membership, orders go to the compute thread, parameters lie in the compute arena, and lines go to
// the reporter. It owns what the session works on, and the trainer.
//
// Thread    network; the trainer inside runs the compute thread

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/check.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "compute/arena/parameter_store.hpp"
#include "data/shard_store.hpp"
#include "peer/averaging/gossip_driver.hpp"
#include "peer/machine/loop.hpp"
#include "peer/members/dial_back.hpp"
#include "peer/members/membership_driver.hpp"
#include "peer/observe/reporter.hpp"
#include "peer/observe/session_status.hpp"
#include "peer/session/session.hpp"
#include "peer/start/swarm_plan.hpp"
#include "peer/streams/links.hpp"
#include "peer/terms/config.hpp"
#include "peer/training/checkpoint_writer.hpp"
#include "peer/training/handoff.hpp"
#include "peer/training/trainer.hpp"
#include "peer/transfer/chunk_keeper.hpp"
#include "peer/transfer/fetch_pace.hpp"
#include "peer/transfer/store_chunks.hpp"

namespace starling::peer {

class SessionDriver final : private FrameReceiver {
public:
    /// What the driver talks to; all of it outlives the driver.
    struct Around {
        Loop& loop;
        const PeerConfig& config;
        Reporter& reporter;
        Links& links;
        MembershipDriver& membership;
        DialBack& dial_back;
    };

    /// Called once when the session has ended: without a fault, or because of this one.
    using Ended = std::function<void(std::optional<Fault>)>;

    /// Takes the frames of averaging and of transfers from the links. `process` is a random number of
    /// this life. The driver takes the plan's descriptor, layout and checkpoint.
    SessionDriver(
        const Around& around, const PeerId& self, std::uint64_t process, SwarmPlan plan, Ended ended
    );
    ~SessionDriver() override;
    SessionDriver(const SessionDriver&) = delete;
    SessionDriver& operator=(const SessionDriver&) = delete;

    /// Returns the store. The founder puts its shards there before begin().
    [[nodiscard]] data::ShardStore& shards() { return shards_; }

    /// Starts the compute thread and everything else, and returns.
    void begin();

    void handle_broken(const PeerId& partner);
    void handle_lane_broken(const PeerId& partner, Lanes lanes);
    void recycle(FrameType type, Bytes payload);

    /// Membership says that a peer is up or down.
    void member_up();
    void member_down(const PeerId& peer);

    /// Decides nothing any more, begins no exchange, and ends training. Calls `stopped` later, when
    /// the last checkpoint is on the disk. That may take many seconds on a slow disk, in which the
    /// network thread goes on: the others must not call us failed.
    void stop(std::function<void()> stopped);

    /// Returns why the disk lacks what this peer has learned, after stop(). Nothing: it has it, or
    /// there was nothing to keep.
    [[nodiscard]] std::optional<Fault> lost_checkpoint() const;

    [[nodiscard]] SessionStatus status() const;

private:
    void handle_frame(const PeerId& from, FrameType type, ByteView payload) override;
    [[nodiscard]] GossipDriver::Callbacks gossip_callbacks();
    [[nodiscard]] std::vector<std::uint32_t> fetched_before();
    void start_trainer();
    void begin_stop();
    void on_trainer_ended();
    void on_mix_due();
    void pace_fetching();
    void on_timer();
    void on_report();
    void on_exchange(const gossip::ExchangeEvent& event);
    void pump();
    void drain();
    void transmit();
    void publish(Record record);
    void finish(const SessionOutcome& outcome);
    void report_end(double last_distance);
    [[nodiscard]] Fault with_last_model(Fault fault) const;
    [[nodiscard]] std::vector<std::string> known_addresses() const;
    [[nodiscard]] MixingStatus mixing() const;
    void note_checkpoints(const CheckpointReport& told);
    void note_shard_files(const ShardFileReport& told);

    ThreadOwner owner_;
    Around around_;
    PeerId self_;
    SwarmPlan plan_;
    Ended ended_;
    compute::ParameterStore parameters_;
    StoreChunks chunks_;
    ChunkKeeper keeper_;  ///< the same, and files of what a newcomer fetches
    data::ShardStore shards_;
    CheckpointWriter checkpoints_;
    GossipDriver gossip_;
    Session session_;
    std::unique_ptr<Trainer> trainer_;
    CheckpointReport checkpoints_told_;
    ShardFileReport shard_files_told_;
    FetchPace fetch_pace_;
    Duration pieces_cost_{};  ///< processor time for pieces of shards
    Timer timer_;
    Timer upload_timer_;  ///< requests wait for the upload limit
    Instant started_;
    bool begun_ = false;
    bool stopped_ = false;        ///< nothing is decided any more
    bool trainer_ended_ = false;  ///< the compute thread does nothing any more
    std::vector<std::function<void()>> when_stopped_;
    /// The newest round that the trainer has asked for and the network thread has not seen yet.
    Mailbox<std::uint64_t> round_due_;
    bool draining_ = false;
    bool again_ = false;
};

}  // namespace starling::peer
