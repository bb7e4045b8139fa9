#include "peer/virtual/session_node.hpp"

#include <cstring>
#include <utility>

#include "base/check.hpp"
#include "base/finite.hpp"
#include "peer/crypto/sha256.hpp"

namespace starling::peer_virtual {

namespace {

constexpr const char* kState = "state";
constexpr const char* kShards = "state/shards";
constexpr const char* kFetched = "state/parameters";
constexpr Duration kJoinPatience = std::chrono::seconds(10);
/// More operations than any checkpoint takes, with all shards of a small data set.
constexpr std::uint64_t kOperationsMax = 40;

}  // namespace

bool FloatChunks::write(std::size_t chunk, ByteView bytes) {
    std::vector<float> values(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    if (!all_finite(values)) return false;
    values_.write(chunk, bytes);
    // A chunk that the disk does not take is fetched again by the next life.
    if (files_ != nullptr) (void)files_->keep(static_cast<std::uint32_t>(chunk), bytes);
    return true;
}

void FloatChunks::initialize() {
    Rng rng(seed_);
    std::vector<float> values(values_.values().size());
    for (auto& value : values) value = static_cast<float>(rng.normal());
    values_.write_all(values);
}

namespace {

peer::Session::Parts session_parts(
    const SessionNode::Parts& parts, data::ShardStore& shards, FloatChunks& chunks
) {
    peer::Session::Parts made{parts.averager, shards, chunks};
    made.upload_limit = parts.training.upload_limit;
    made.whole_split = parts.training.whole_split;
    return made;
}

}  // namespace

SessionNode::SessionNode(const PeerId& self, const Parts& parts, Rng rng)
    : parts_(parts),
      self_(self),
      chunks_(parts.floats, parts.terms.descriptor.seed),
      kept_(parts.disk, kFetched, peer::swarm_id_of(parts.terms.blob), &peer::sha256),
      shards_(parts.terms.descriptor.manifest, &peer::sha256),
      shelf_(parts.disk, kShards, shards_),
      trainer_(
          parts.training,
          parts.terms.descriptor.sync,
          shards_,
          parts.floats,
          parts.terms.descriptor.seed,
          rng
      ),
      session_(self, parts.terms.descriptor, session_parts(parts, shards_, chunks_)) {}

std::filesystem::path SessionNode::newest_checkpoint() {
    return std::filesystem::path(kState) / "checkpoint";
}

std::optional<std::vector<Endpoint>> SessionNode::read_disk() {
    auto read = peer::read_checkpoint(parts_.disk, kState);
    if (!read) return std::nullopt;
    resumed_ = std::move(*read);
    std::vector<Endpoint> addresses;
    for (const auto& text : resumed_->addresses) {
        if (const auto address = Endpoint::parse(text)) addresses.push_back(*address);
    }
    return addresses;
}

void SessionNode::fetch_descriptor(Instant now, std::vector<Endpoint> seeds) {
    fetch_.emplace(now, std::move(seeds), self_, kJoinPatience, &peer::sha256);
}

void SessionNode::begin(Instant now, peer::Start start) {
    begun_ = true;
    start_ = start;
    fetch_.reset();
    peer::TrainerReport before;
    if (start != peer::Start::Join) chunks_.initialize();
    if (start == peer::Start::Found) {
        for (const auto& shard : parts_.terms.shards) {
            STARLING_CHECK(shards_.put(shard).has_value());
        }
    }
    if (start == peer::Start::Resume) {
        STARLING_CHECK(resumed_ && resumed_->descriptor == parts_.terms.blob);
        parts_.floats.write_all(resumed_->parameters);
        before.steps = resumed_->steps;
        before.samples = resumed_->samples;
        before.schedule_step = resumed_->schedule_step;
        before.position = resumed_->position;
        shelf_.read();
    }
    const auto learned = resumed_ ? resumed_->learned : 0;
    std::vector<std::uint32_t> fetched;
    if (start == peer::Start::Join) {
        fetched = kept_.load(chunks_, [] { return false; });
        chunks_.keep_in(&kept_);
    } else {
        kept_.clear();
    }
    session_.begin(
        now,
        start,
        {before.steps, before.samples, before.schedule_step, learned, std::move(fetched)}
    );
    trainer_.begin(now, before);
}

void SessionNode::collect_checkpoint(
    const peer::TrainerReport& report, std::vector<std::string> addresses
) {
    collected_.emplace();
    collected_->descriptor = parts_.terms.blob;
    collected_->parameters = parts_.floats.values();
    collected_->steps = report.steps;
    collected_->samples = report.samples;
    collected_->schedule_step = report.schedule_step;
    collected_->learned = session_.record().learned;
    collected_->position = report.position;
    collected_->addresses = std::move(addresses);
}

std::optional<peer::Checkpoint> SessionNode::write_checkpoint() {
    const auto checkpoint = std::exchange(collected_, std::nullopt);
    if (!checkpoint || !all_finite(checkpoint->parameters)) return std::nullopt;
    const bool written = peer::write_checkpoint(parts_.disk, kState, *checkpoint).has_value();
    if (written) {
        chunks_.keep_in(nullptr);
        kept_.clear();
    }
    (void)shelf_.keep();  // what finds no room stays in memory
    return written ? checkpoint : std::nullopt;
}

void SessionNode::die(bool power_fails, Rng& rng) {
    if (trainer_.writing() && collected_) {
        parts_.disk.lose_power_after(rng.below(kOperationsMax));
        (void)write_checkpoint();
        parts_.disk.lose_power_after(~std::uint64_t{0});
    }
    if (power_fails) parts_.disk = parts_.disk.crash(rng);
}

}  // namespace starling::peer_virtual
