#include "peer/virtual/virtual_trainer.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

namespace starling::peer_virtual {

namespace {

constexpr Duration kReportEvery = std::chrono::milliseconds(200);
constexpr Duration kEstimateEvery = std::chrono::seconds(1);
constexpr Duration kSyncWaitMax = std::chrono::seconds(60);
constexpr std::uint64_t kTestSamples = 1000;
/// Estimates of the loss are off by this share, as those of a small part of a test set are.
constexpr double kEstimateSigma = 0.05;

}  // namespace

VirtualTrainer::VirtualTrainer(
    const TrainingOptions& options,
    bool sync,
    const data::ShardStore& shards,
    FloatVector& parameters,
    std::uint64_t shuffle,
    Rng rng
)
    : options_(options),
      sync_(sync),
      shards_(shards),
      parameters_(parameters),
      rng_(rng) {
    // How far epochs are, only a batcher knows.
    const bool epochs = options_.until.kind == peer::UntilKind::Epochs;
    if (!options_.trained && !epochs) return;
    batches_.emplace(shards, shuffle);
    const auto& manifest = shards.manifest();
    values_.resize(manifest.sample_elements());
    labels_.resize(manifest.labels_per_sample());
}

void VirtualTrainer::begin(Instant now, const peer::TrainerReport& before) {
    report_ = before;
    if (batches_) batches_->resume(before.position);
    due_ = now + drawn(options_.prepare);
}

Duration VirtualTrainer::drawn(Duration median) {
    return from_seconds(to_seconds(median) * std::exp(options_.step_sigma * rng_.normal()));
}

void VirtualTrainer::handle_order(Instant now, peer::TrainerOrder order) {
    pending_ = std::move(order);
    if (activity_ == Activity::Idle) next(now);
}

void VirtualTrainer::handle_mixed(Instant now, std::uint64_t round) {
    if (activity_ == Activity::WaitForMix && round >= round_) next(now);
}

void VirtualTrainer::obey(Instant now, const peer::TrainerOrder& order) {
    if (order.restarts != report_.restarts) {
        report_.restarts = order.restarts;
        report_.diverged = false;
    }
    if (order.schedule_step && order.schedule_step != current_.schedule_step) {
        report_.schedule_step = std::max(report_.schedule_step, *order.schedule_step);
    }
    if (batches_ && order.shards_version != current_.shards_version) {
        batches_->set_shards_from(order.starts);
    }
    current_ = order;
    report_.obeyed = order.number;
    if (order.phase != peer::TrainerPhase::Train) report(now, true);
}

/// Begins what comes next: a checkpoint that is due, or what the newest order says.
void VirtualTrainer::next(Instant now) {
    if (pending_) obey(now, *std::exchange(pending_, std::nullopt));
    due_.reset();
    const bool old = !checkpointed_ || now - *checkpointed_ > options_.checkpoint_every;
    if (old && keeps()) {
        checkpointed_ = now;
        writing_ = report_;
        activity_ = Activity::Checkpoint;
        due_ = now + drawn(options_.checkpoint_takes);
    } else if (current_.phase == peer::TrainerPhase::Train) {
        activity_ = Activity::Step;
        due_ = now + drawn(from_seconds(to_seconds(options_.step) * slowness_));
    } else if (current_.phase == peer::TrainerPhase::Evaluate && current_.evaluation != report_.evaluation) {
        activity_ = Activity::Evaluate;
        due_ = now + drawn(options_.evaluate);
    } else {
        activity_ = Activity::Idle;
        // Only a checkpoint can be due without an order.
        if (keeps()) due_ = *checkpointed_ + options_.checkpoint_every + Duration(1);
    }
}

void VirtualTrainer::handle_timeout(Instant now) {
    if (!due_ || *due_ > now) return;
    due_.reset();
    switch (std::exchange(activity_, Activity::Idle)) {
        case Activity::Prepare:
            report_.prepared = true;
            report(now, true);
            break;
        case Activity::Step:
            step(now);
            break;
        case Activity::Evaluate:
            evaluate();
            report(now, true);
            break;
        case Activity::Checkpoint:
            written_ = true;
            break;
        case Activity::Idle:
        case Activity::WaitForMix:
            break;
    }
    if (activity_ == Activity::Idle) next(now);
}

bool VirtualTrainer::holds_samples() const {
    return std::any_of(current_.shards.begin(), current_.shards.end(), [this](const ShardId& id) {
        return shards_.has(id);
    });
}

void VirtualTrainer::step(Instant now) {
    const bool limited = options_.until.kind == peer::UntilKind::Steps;
    const bool enough = limited && static_cast<double>(report_.steps) >= options_.until.value;
    const auto after = report_.samples + options_.batch;
    const bool waits = current_.samples_limit && after > *current_.samples_limit;
    if (report_.diverged || enough || waits || !holds_samples()) {
        report(now, false);
        return;
    }
    if (options_.diverge > 0.0 && rng_.chance(options_.diverge)) {
        parameters_.spoil();
        report_.diverged = true;
        report_.unsound_steps += 5;
        report(now, true);
        return;
    }
    if (batches_ && !draw()) {
        report(now, false);
        return;
    }
    parameters_.descend(options_.rate, options_.noise);
    ++report_.steps;
    ++report_.schedule_step;
    report_.samples += options_.batch;
    report_.loss = parameters_.mean_square();
    if (now - estimated_ >= kEstimateEvery) {
        estimated_ = now;
        const double loss = report_.loss * (1.0 + kEstimateSigma * rng_.normal());
        report_.test_loss = loss;
        report_.accuracy = 1.0 / (1.0 + loss);
    }
    report(now, false);
    if (!exchange_due(now)) return;
    round_ = report_.schedule_step / std::max(1U, options_.mix_every.steps);
    mix_due_ = round_;
    if (!sync_) return;
    activity_ = Activity::WaitForMix;
    due_ = now + kSyncWaitMax;
}

bool VirtualTrainer::exchange_due(Instant now) {
    const auto& every = options_.mix_every;
    if (sync_ || every.by == peer::MixBy::Steps) return report_.steps % every.steps == 0;
    if (!mix_from_ || now < *mix_from_) return false;
    mix_from_.reset();
    return true;
}

/// Trains on a batch of samples. Returns false if there are none.
bool VirtualTrainer::draw() {
    if (!options_.trained) {
        for (std::uint32_t i = 0; i < options_.batch; ++i) {
            if (!batches_->next({values_, labels_, {}})) return false;
        }
        return true;
    }
    // Here samples have numbers.
    const auto scale = std::get<data::ImageRecipe>(shards_.manifest().recipe).scales[0];
    for (std::uint32_t i = 0; i < options_.batch; ++i) {
        // One at a time, because a batch may begin in one epoch and end in the next.
        if (!batches_->next({values_, labels_, {}})) return false;
        std::uint32_t number = 0;
        for (std::size_t k = values_.size(); k-- > 0;) {
            const float byte = (values_[k] * scale.stddev + scale.mean) * 255.0F;
            number = (number << 8U) | static_cast<std::uint32_t>(std::lround(byte));
        }
        // Behind the last sample of an epoch the position is that of the next one.
        const auto after = batches_->position();
        options_.trained(number, after.next == 0 ? after.epoch - 1 : after.epoch);
    }
    return true;
}

void VirtualTrainer::evaluate() {
    const double loss = parameters_.mean_square();
    report_.evaluation = current_.evaluation;
    report_.evaluated = {};
    auto& result = report_.evaluated.result;
    result.samples = kTestSamples;
    result.loss_sum = loss * static_cast<double>(kTestSamples);
    const double right = static_cast<double>(kTestSamples) / (1.0 + loss);
    result.correct = static_cast<std::uint64_t>(std::max(0.0, std::round(right)));
    if (current_.share) evaluate_share(loss);
    report_.accuracy = result.accuracy();
    report_.test_loss = loss;
}

/// Portions are not equally hard; for all peers alike.
void VirtualTrainer::evaluate_share(double loss) {
    std::vector<peer::PortionWord> words;
    auto& all = report_.evaluated.result;
    all = {};
    for (const auto& portion : *current_.share) {
        peer::PortionWord word;
        word.portion = static_cast<std::uint16_t>(portion.portion);
        bool whole = true;
        for (const auto& shard : portion.shards) {
            whole = whole && shards_.has(shard);
            word.result.samples += shards_.info(shard)->samples;
        }
        if (!whole) continue;
        const auto samples = static_cast<double>(word.result.samples);
        const double hard = loss * (0.9 + 0.01 * static_cast<double>(portion.portion * 7 % 20));
        word.result.loss_sum = hard * samples;
        word.result.correct = static_cast<std::uint64_t>(std::llround(samples / (1.0 + hard)));
        all += word.result;
        words.push_back(std::move(word));
    }
    report_.portions = std::make_shared<const std::vector<peer::PortionWord>>(std::move(words));
}

void VirtualTrainer::report(Instant now, bool always) {
    if (!always && now - reported_ < kReportEvery) return;
    reported_ = now;
    const bool trains = current_.phase == peer::TrainerPhase::Train && holds_samples();
    report_.samples_per_s = trains ? options_.batch / (to_seconds(options_.step) * slowness_) : 0.0;
    if (batches_) {
        report_.position = batches_->position();
        report_.places = std::make_shared<const std::vector<data::ShardPlace>>(batches_->places());
    }
    report_due_ = true;
}

std::optional<peer::TrainerReport> VirtualTrainer::poll_report() {
    if (!std::exchange(report_due_, false)) return std::nullopt;
    return report_;
}

std::optional<std::uint64_t> VirtualTrainer::poll_mix_due() {
    return std::exchange(mix_due_, std::nullopt);
}

std::optional<peer::TrainerReport> VirtualTrainer::poll_checkpoint() {
    if (!std::exchange(written_, false)) return std::nullopt;
    return writing_;
}

std::optional<peer::TrainerReport> VirtualTrainer::writing() const {
    if (activity_ != Activity::Checkpoint) return std::nullopt;
    return writing_;
}

std::optional<peer::TrainerReport> VirtualTrainer::last_checkpoint() const {
    if (!keeps()) return std::nullopt;
    return report_;
}

}  // namespace starling::peer_virtual
