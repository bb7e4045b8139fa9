#include "peer/session_options.hpp"

#include <memory>

#include "peer/clock.hpp"
#include "peer/task.hpp"

namespace starling::peer {

namespace {

/// A trainer that waits for its exchange goes on after so long, whatever has become of it.
constexpr Duration kSyncTrainerWait = std::chrono::seconds(10);
constexpr std::uint64_t kPartnerPurpose = 2;

}  // namespace

Result<gossip::AveragerConfig> averager_config(const Descriptor& descriptor) {
    gossip::AveragerConfig config;
    const auto mix = gossip::Mix::parse(descriptor.mix);
    if (mix.has_error()) return mix.error();
    const auto encoding = gossip::parse_encoding(descriptor.encoding);
    if (encoding.has_error()) return encoding.error();
    config.mix = *mix;
    config.encoding = *encoding;
    config.parts = descriptor.parts;
    config.adapt_window = true;
    config.sync_seed = descriptor.seed;
    if (auto ok = config.validate(); ok.has_error()) return ok.error();
    return config;
}

Rng averaging_luck(const PeerConfig& config, const PeerId& self, std::uint64_t epoch) {
    return Rng(config.seed ^ self.prefix64()).fork(kPartnerPurpose).fork(epoch);
}

TrainerOptions trainer_options(
    const PeerConfig& config,
    const PeerId& self,
    const Descriptor& descriptor,
    const Checkpoint* checkpoint
) {
    TrainerOptions options;
    options.engine.model = descriptor.model;
    options.engine.model_file = std::make_shared<const Bytes>(descriptor.model_file);
    options.engine.task = task_of(descriptor.manifest);
    options.engine.batch = descriptor.batch;
    options.engine.eval_batch = evaluation_batch(descriptor.manifest);
    options.engine.threads = config.threads;
    options.engine.precision = *compute::parse_precision(config.precision);
    options.engine.stopwatch = [] { return to_seconds(real_now().time_since_epoch()); };
    options.engine.optimizer = *compute::OptimizerSpec::parse(descriptor.optimizer);
    options.seed = config.seed ^ self.prefix64();
    const auto mix = *gossip::Mix::parse(descriptor.mix);
    options.mix_every = mix.steps > 0 ? mix.steps : descriptor.mix_every;
    if (descriptor.sync && mix.rule != gossip::Rule::None) options.sync_wait = kSyncTrainerWait;
    if (!config.state.empty()) options.shard_directory = config.state / "shards";
    if (descriptor.until.kind == UntilKind::Steps) {
        options.steps_limit = static_cast<std::uint64_t>(descriptor.until.value);
    }
    if (checkpoint) {
        options.steps = checkpoint->steps;
        options.samples = checkpoint->samples;
        options.schedule_step = checkpoint->schedule_step;
        options.position = checkpoint->position;
        options.optimizer_state = checkpoint->optimizer_state;
    }
    return options;
}

}  // namespace starling::peer
