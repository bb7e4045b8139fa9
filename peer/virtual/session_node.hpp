#pragma once

// What a node of a virtual swarm has besides membership and averaging in one life of a peer that
// trains: the session's machine, what it works on, a trainer, and a disk. It corresponds to
// peer/node/session_driver in the daemon; Swarm moves its frames and its time.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/instant.hpp"
#include "data/shard_store.hpp"
#include "gossip/averager.hpp"
#include "peer/session/session.hpp"
#include "peer/training/checkpoint.hpp"
#include "peer/training/shard_shelf.hpp"
#include "peer/transfer/descriptor_fetch.hpp"
#include "peer/transfer/kept_chunks.hpp"
#include "peer/virtual/float_vector.hpp"
#include "peer/virtual/memory_disk.hpp"
#include "peer/virtual/swarm_terms.hpp"
#include "peer/virtual/virtual_trainer.hpp"

namespace starling::peer_virtual {

/// The floats of a node as a transfer sees them.
class FloatChunks final : public peer::ParameterChunks {
public:
    FloatChunks(FloatVector& values, std::uint64_t seed) : values_(values), seed_(seed) {}

    /// From now on keeps what is written in these files, too; null: not any more.
    void keep_in(peer::KeptChunks* files) { files_ = files; }

    [[nodiscard]] std::size_t chunk_count() const override { return values_.chunk_count(); }

    [[nodiscard]] std::size_t chunk_bytes(std::size_t chunk) const override {
        return values_.chunk_elements(chunk) * sizeof(float);
    }

    [[nodiscard]] bool try_read(std::size_t chunk, std::span<std::byte> out) override {
        return values_.try_read(chunk, out);
    }

    [[nodiscard]] bool write(std::size_t chunk, ByteView bytes) override;
    void initialize() override;

private:
    FloatVector& values_;
    std::uint64_t seed_;
    peer::KeptChunks* files_ = nullptr;
};

/// Thread    the owner
class SessionNode {
public:
    struct Parts {
        const SwarmTerms& terms;
        const TrainingOptions& training;
        gossip::Averager& averager;
        FloatVector& floats;
        MemoryDisk& disk;
    };

    /// Requires  the parts outlive the node
    SessionNode(const PeerId& self, const Parts& parts, Rng rng);

    /// Returns where the newest checkpoint lies on the disk.
    [[nodiscard]] static std::filesystem::path newest_checkpoint();

    /// Reads the disk. Returns the addresses of the checkpoint of an earlier life, or nothing if
    /// there is no readable one.
    std::optional<std::vector<Endpoint>> read_disk();

    /// Begins to fetch the descriptor from the seeds.
    void fetch_descriptor(Instant now, std::vector<Endpoint> seeds);

    [[nodiscard]] bool fetching() const { return fetch_ && !fetch_->outcome(); }

    /// Returns the fetch while there is one. After its outcome call begin(), or give up.
    [[nodiscard]] peer::DescriptorFetch* fetch() { return fetch_ ? &*fetch_ : nullptr; }

    /// Begins the session. A founder has all shards.
    void begin(Instant now, peer::Start start);

    [[nodiscard]] bool begun() const { return begun_; }

    [[nodiscard]] std::optional<peer::Start> start() const { return start_; }

    [[nodiscard]] peer::Session& session() { return session_; }

    [[nodiscard]] const peer::Session& session() const { return session_; }

    [[nodiscard]] VirtualTrainer& trainer() { return trainer_; }

    [[nodiscard]] const VirtualTrainer& trainer() const { return trainer_; }

    [[nodiscard]] const data::ShardStore& shards() const { return shards_; }

    /// Returns the checkpoint that this life resumed from.
    [[nodiscard]] const std::optional<peer::Checkpoint>& resumed() const { return resumed_; }

    /// Collects a checkpoint's contents when the trainer begins to write it.
    void collect_checkpoint(const peer::TrainerReport& report, std::vector<std::string> addresses);

    /// Returns the checkpoint that was collected and is not written yet.
    [[nodiscard]] const std::optional<peer::Checkpoint>& collected() const { return collected_; }

    /// Writes the collected checkpoint and the shards. Returns it if it is on the disk.
    std::optional<peer::Checkpoint> write_checkpoint();

    /// The process dies. If a checkpoint is being written, only some of its operations have
    /// happened. With `power_fails` the disk loses what was not safe.
    void die(bool power_fails, Rng& rng);

private:
    Parts parts_;
    PeerId self_;
    std::optional<peer::DescriptorFetch> fetch_;
    FloatChunks chunks_;
    peer::KeptChunks kept_;
    data::ShardStore shards_;
    peer::ShardShelf shelf_;
    VirtualTrainer trainer_;
    peer::Session session_;
    std::optional<peer::Checkpoint> resumed_;
    std::optional<peer::Checkpoint> collected_;
    std::optional<peer::Start> start_;
    bool begun_ = false;
};

}  // namespace starling::peer_virtual
