// What a session's driver tells of itself.

#include "peer/machine/clock.hpp"
#include "peer/node/session_driver.hpp"

namespace starling::peer {

MixingStatus SessionDriver::mixing() const {
    MixingStatus mixing;
    if (around_.config.weight_max > 1) mixing.weight_log2 = session_.mix_weight();
    const auto outer = gossip::Mix::parse(plan_.descriptor.mix)->steps;
    auto every = plan_.descriptor.mix_every;
    if (outer > 0) every = {MixBy::Steps, outer, {}};
    mixing.every = plan_.descriptor.mix == "none" ? "never" : every.to_string();
    mixing.interval = session_.interval();
    mixing.rate_factor = session_.rate_factor();
    mixing.target_spread = gossip::Interval::target_spread(session_.report().schedule_step);
    return mixing;
}

SessionStatus SessionDriver::status() const {
    owner_.check();
    SessionStatus status;
    status.record = session_.record();
    status.record.bytes = around_.links.counters().bytes_sent;
    status.record.reachable = reachable(around_.dial_back.reach());
    status.shards_missing = session_.transfers().shards_missing();
    status.swarm_samples = session_.swarm_samples();
    status.averaging = gossip_.averager().counters();
    status.mixing = mixing();
    status.private_samples = shards_.manifest().mode == data::DataMode::Private;
    status.silent_quality = status.private_samples && around_.config.silent_quality;
    status.shard_requests_denied = session_.transfers().shard_requests_denied();
    status.shard_bytes = session_.transfers().shard_bytes();
    status.shard_frames_rejected = session_.transfers().shard_frames_rejected();
    status.unsound_steps = session_.report().unsound_steps;
    status.waiting = session_.waiting(real_now());
    status.damaged_records = session_.report().damaged_records;
    status.data_wait = session_.report().data_wait;
    status.longest_step = session_.report().longest_step;
    status.device = session_.report().device;
    status.recoveries = session_.recovery().done();
    status.checkpoints = checkpoints_told_;
    if (const auto at = checkpoints_told_.kept_at) status.checkpoint_age = real_now() - *at;
    status.shard_files = shard_files_told_;
    const auto& cache = session_.transfers().cache();
    status.cache = {shards_.bytes(), cache.limit(), cache.dropped()};
    const auto share = session_.share();
    const auto& check = session_.cross_check();
    auto& judging = status.judging;
    judging = {share.portions, share.portions_of_all, share.bytes, share.bytes_of_all};
    judging.judged = session_.judged();
    for (const auto& suspect : check.suspects) judging.off.push_back(suspect.peer);
    judging.we_differ = check.we_differ;
    return status;
}

}  // namespace starling::peer
