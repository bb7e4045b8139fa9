#include "peer/training/trainer_options.hpp"

#include "gossip/config.hpp"
#include "peer/machine/clock.hpp"
#include "peer/terms/qualities.hpp"
#include "peer/training/engine_options.hpp"

namespace starling::peer {

namespace {

/// A trainer that waits for its round continues after so long in any case. It is more than a partner
/// is waited for and an exchange takes, because averaging has bounds of its own.
constexpr Duration kSyncTrainerWait = std::chrono::seconds(60);

}  // namespace

std::filesystem::path shard_directory(const PeerConfig& config) {
    return config.state.empty() ? std::filesystem::path() : config.state / "shards";
}

TrainerOptions trainer_options(
    const PeerConfig& config,
    const PeerId& self,
    const Descriptor& descriptor,
    const data::Manifest& manifest,
    const Checkpoint* checkpoint
) {
    TrainerOptions options;
    options.engine = engine_options(descriptor, config.threads);
    options.engine.device = config.device;
    options.engine.precision = *compute::parse_precision(config.precision);
    if (config.kernels == Kernels::Measured) {
        options.engine.stopwatch = [] { return to_seconds(real_now().time_since_epoch()); };
        options.engine.search.stopwatch = options.engine.stopwatch;
    }
    options.engine.optimizer = *compute::OptimizerSpec::parse(descriptor.optimizer);
    // All peers shuffle alike, so that a shard's heir can go on where its owner has stopped. Peers have
    // different shards, and a shard has a shuffle of its own.
    options.seed = descriptor.seed;
    options.evaluation_seed = (config.seed_given ? config.seed : descriptor.seed) ^ self.prefix64();
    const auto mix = *gossip::Mix::parse(descriptor.mix);
    options.mix_every = steps_between(descriptor, mix.steps);
    if (descriptor.sync && mix.rule != gossip::Rule::None) options.sync_wait = kSyncTrainerWait;
    options.shard_directory = shard_directory(config);
    options.checkpoint_every = *parse_duration(config.checkpoint_every);
    const auto watched = watched_quality(descriptor.manifest, descriptor.until);
    // These two are estimated in any case.
    const bool known =
        watched == compute::QualityKind::Accuracy || watched == compute::QualityKind::Loss;
    if (!known) options.watched = watched;
    const auto until = own_until(descriptor.until, manifest, descriptor.batch);
    if (until.kind == UntilKind::Steps) {
        options.steps_limit = static_cast<std::uint64_t>(until.value);
    }
    if (checkpoint) {
        options.steps = checkpoint->steps;
        options.samples = checkpoint->samples;
        options.schedule_step = checkpoint->schedule_step;
        options.position = checkpoint->position;
        // Earlier releases had a shuffle for each peer. What is left of that epoch is others' now.
        options.position.seed = descriptor.seed;
        options.optimizer_state = checkpoint->optimizer_state;
        // What was read from the older file must be written again.
        options.kept = !checkpoint->damage;
    }
    return options;
}

}  // namespace starling::peer
