#include "peer/training/trainer.hpp"

#include <algorithm>
#include <exception>
#include <sys/resource.h>
#include <unistd.h>
#include <utility>

#include "base/rng.hpp"
#include "peer/machine/clock.hpp"
#include "peer/machine/files.hpp"
#include "peer/terms/task.hpp"

namespace starling::peer {

namespace {

constexpr Duration kIdleWait = std::chrono::milliseconds(50);
constexpr Duration kPublishEvery = std::chrono::milliseconds(200);
constexpr Duration kCheckpointEvery = std::chrono::seconds(30);
constexpr Duration kFirstEvaluation = std::chrono::seconds(2);
constexpr int kComputeNice = 5;
constexpr double kLossDecay = 0.02;
constexpr std::uint64_t kEvaluationPurpose = 3;
/// An evaluation that is due waits at most so long for the next exchange. It does not wait at all
/// if the last exchange was more than so long before it became due.
constexpr Duration kEvaluationWait = std::chrono::seconds(5);
constexpr Duration kEvaluationPauseMin = std::chrono::milliseconds(500);
/// One batch without a finite loss may be due to the batch; so many in a row are due to the model.
constexpr std::size_t kUnsoundMax = 5;

}  // namespace

Trainer::Trainer(
    TrainerOptions options,
    compute::ParameterStore& parameters,
    data::ShardStore& shards,
    Callbacks callbacks
)
    : options_(std::move(options)),
      parameters_(parameters),
      shards_(shards),
      callbacks_(std::move(callbacks)),
      batcher_(shards, options_.seed) {
    report_.steps = options_.steps;
    report_.samples = options_.samples;
    report_.schedule_step = options_.schedule_step;
    batcher_.resume(options_.position);
    // Each peer begins at another sample, so that a majority of peers has seen more of the test set
    // than one peer has.
    const auto batch = static_cast<std::size_t>(options_.engine.eval_batch);
    const auto batches = shards_.manifest().samples(data::Split::Test) / batch;
    if (batches > 1) {
        eval_next_ = batch * Rng(options_.seed).fork(kEvaluationPurpose).below(batches);
    }
}

Trainer::~Trainer() {
    stop();
}

void Trainer::start() {
    thread_ = std::jthread([this] { run(); });
}

void Trainer::order(TrainerOrder order) {
    orders_.put(std::move(order));
}

std::optional<TrainerReport> Trainer::take_report() {
    return reports_.take();
}

void Trainer::stop() {
    stop_ = true;
    mixed();
    if (auto* engine = running_.load()) engine->interrupt();
    orders_.put(TrainerOrder{TrainerPhase::Stop, {}, 0, 0, {}});
    if (thread_.joinable()) thread_.join();
}

/// Lowers the priority of this thread and of the OpenMP threads that it starts. The network thread
/// must answer probes within milliseconds, even while all cores compute.
void Trainer::yield_to_network() {
    // No kernel refuses this. If one did, the network thread would only be slower.
    (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kComputeNice);
}

void Trainer::run() {
    yield_to_network();
    // The libraries below may throw. An exception that leaves a thread ends the process.
    try {
        const auto ready = prepare();
        if (ready.has_error()) {
            report_.fault = ready.error();
            publish(true);
            return;
        }
        while (!stop_) {
            const bool idle = current_.phase != TrainerPhase::Train;
            if (const auto order = idle ? orders_.wait(kIdleWait) : orders_.take()) obey(*order);
            if (stop_ || current_.phase == TrainerPhase::Stop) break;
            if (current_.phase == TrainerPhase::Train) train_once();
            if (real_now() - checkpointed_ > kCheckpointEvery) checkpoint();
        }
        checkpoint();
        publish(true);
    } catch (const std::exception& error) {
        report_.fault = fail(FaultCode::Io, std::string("training failed: ") + error.what());
        publish(true);
    }
    running_ = nullptr;
}

/// Reads the shards of the last life. Damaged and foreign files are skipped: the store verifies
/// hashes, and the session fetches what is missing.
void Trainer::read_kept_shards() {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(options_.shard_directory, error)) {
        auto bytes = read_file(entry.path(), data::kShardBytesMax);
        if (bytes.has_value()) (void)shards_.put(std::move(*bytes));
    }
}

void Trainer::keep_shards() {
    std::error_code error;
    std::filesystem::create_directories(options_.shard_directory, error);
    for (const auto& shard : shards_.manifest().shards) {
        const auto path = options_.shard_directory / shard.id.hex();
        const auto bytes = shards_.get(shard.id);
        if (bytes == nullptr || std::filesystem::exists(path, error)) continue;
        // If the disk is full, only this copy is missing. The next checkpoint tries again.
        if (write_file_atomically(path, *bytes, 0644).has_error()) return;
    }
}

Result<void> Trainer::prepare() {
    if (!options_.shard_directory.empty()) read_kept_shards();
    if (!options_.local_source.empty()) {
        auto sharded = cut_like(options_.local_source, shards_.manifest());
        if (sharded.has_error()) return sharded.error();
        for (auto& bytes : sharded->shards) {
            // If the source differs from the swarm's data, the manifest does not know its shards.
            // The store refuses those, and the session fetches the missing ones from holders.
            (void)shards_.put(std::move(bytes));
        }
    }
    auto engine = compute::Engine::create(options_.engine, parameters_);
    if (engine.has_error()) return engine.error();
    engine_ = std::move(*engine);
    running_ = engine_.get();
    if (!options_.optimizer_state.empty() &&
        options_.optimizer_state.size() == engine_->optimizer_state().size()) {
        engine_->restore_optimizer_state(options_.optimizer_state);
    }
    const std::size_t elements = shards_.manifest().sample_elements();
    const std::size_t labels = shards_.manifest().labels_per_sample();
    const auto batch = static_cast<std::size_t>(options_.engine.batch);
    values_.resize(batch * elements);
    labels_.resize(batch * labels);
    evaluation_.emplace(shards_, static_cast<std::size_t>(options_.engine.eval_batch));
    report_.prepared = true;
    publish(true);
    return {};
}

void Trainer::obey(const TrainerOrder& order) {
    // The order to stop names no shards. The last checkpoint still needs those of the order before.
    if (order.phase == TrainerPhase::Stop) {
        current_.phase = TrainerPhase::Stop;
        return;
    }
    if (order.restarts != report_.restarts) start_over(order.restarts);
    if (order.shards_version != current_.shards_version) batcher_.set_shards(order.shards);
    if (order.schedule_step && order.schedule_step != current_.schedule_step) {
        report_.schedule_step = std::max(report_.schedule_step, *order.schedule_step);
    }
    const bool starts = order.phase == TrainerPhase::Train && current_.phase != TrainerPhase::Train;
    current_ = order;
    if (starts) {
        rate_since_ = real_now();
        rate_samples_ = report_.samples;
        if (eval_due_ == Instant{}) eval_due_ = rate_since_ + kFirstEvaluation;
    }
    if (order.phase == TrainerPhase::Evaluate && order.evaluation != report_.evaluation)
        evaluate_all();
    if (order.phase != TrainerPhase::Train) {
        report_.samples_per_s = 0;
        publish(true);
    }
}

void Trainer::train_once() {
    if (report_.diverged) return rest();
    const bool enough = options_.steps_limit > 0 && report_.steps >= options_.steps_limit;
    if (enough || !batcher_.next(values_, labels_)) {
        // Without samples to train on we still average, and our estimate counts as any other does.
        if (evaluation_due()) update_estimate();
        return rest();
    }
    const double rate = compute::learning_rate_at(options_.engine.optimizer, report_.schedule_step);
    const auto result = engine_->step(values_, labels_, rate);
    if (result.interrupted) return;
    if (result.unsound) return note_unsound();
    unsound_in_a_row_ = 0;
    ++report_.steps;
    ++report_.schedule_step;
    report_.samples += static_cast<std::uint64_t>(options_.engine.batch);
    const auto loss = static_cast<double>(result.loss);
    report_.loss = loss_known_ ? report_.loss + kLossDecay * (loss - report_.loss) : loss;
    loss_known_ = true;
    if (report_.steps % options_.mix_every == 0) mix();
    if (evaluation_due()) update_estimate();
    publish(false);
}

void Trainer::rest() {
    publish(false);
    if (const auto order = orders_.wait(kIdleWait)) obey(*order);
}

/// Such a batch counts neither as a step nor as samples: nothing was learned.
void Trainer::note_unsound() {
    ++report_.unsound_steps;
    if (++unsound_in_a_row_ >= kUnsoundMax) return note_divergence();
    publish(false);
}

void Trainer::note_divergence() {
    report_.diverged = true;
    publish(true);
}

void Trainer::start_over(std::uint64_t number) {
    engine_->reset_optimizer();
    unsound_in_a_row_ = 0;
    loss_known_ = false;
    accuracy_ = {};
    test_loss_ = {};
    report_.accuracy.reset();
    report_.test_loss.reset();
    report_.diverged = false;
    report_.restarts = number;
}

/// A round's number follows from the place in the schedule, which a newcomer takes from its donor.
/// So peers of one speed have the same numbers.
void Trainer::mix() {
    const bool waits = options_.sync_wait > Duration::zero();
    if (waits) (void)mixed_.take();
    callbacks_.mix_due(report_.schedule_step / options_.mix_every);
    if (waits) (void)mixed_.wait(options_.sync_wait);
}

void Trainer::mixed() {
    (void)mixed_.put(true);
}

void Trainer::averaged() {
    averaged_at_ = real_now();
}

/// At the end all peers hold the mean of their models. Just after an exchange our own model is
/// nearest to that mean. Between exchanges the noise of our own steps costs it some points, so an
/// evaluation waits for the next exchange.
bool Trainer::evaluation_due() const {
    const Instant now = real_now();
    const Instant averaged = averaged_at_;
    if (now < eval_due_) return false;
    if (averaged >= eval_due_) return true;
    const bool mixes = averaged != Instant{} && eval_due_ - averaged < kEvaluationWait;
    return !mixes || now - eval_due_ > kEvaluationWait;
}

void Trainer::update_estimate() {
    const Instant begin = real_now();
    // The losses alone do not show it: a rectifier turns a NaN into zero.
    if (!parameters_.finite()) return note_divergence();
    const auto batch = static_cast<std::size_t>(options_.engine.eval_batch);
    auto found = evaluation_->run(*engine_, eval_next_, batch, stop_);
    if (found.samples == 0 && eval_next_ > 0) {
        eval_next_ = 0;
        found = evaluation_->run(*engine_, 0, batch, stop_);
    }
    const auto& result = found.result;
    eval_next_ += found.samples;
    const Instant end = real_now();
    const Duration cost = end - begin;
    // The pause counts from the moment when this evaluation was due. Otherwise the waiting for
    // exchanges would make evaluations rarer.
    const Duration pause = from_seconds(to_seconds(cost) * (1.0 / options_.evaluation_share - 1.0));
    const Duration waited = std::min(begin - eval_due_, pause / 2);
    eval_due_ = end + std::max<Duration>(pause - waited, kEvaluationPauseMin);
    if (result.samples == 0) return;
    // Single evaluations differ by chance. The target is compared with the running mean of the last
    // few.
    const double weight = static_cast<double>(found.samples) / static_cast<double>(batch);
    accuracy_.add(result.accuracy(), weight);
    test_loss_.add(result.loss(), weight);
    report_.accuracy = accuracy_.mean();
    report_.test_loss = test_loss_.mean();
    publish(true);
}

void Trainer::evaluate_all() {
    const auto all = shards_.manifest().samples(data::Split::Test);
    const auto found = evaluation_->run(*engine_, 0, all, stop_);
    const auto& result = found.result;
    if (stop_) return;
    report_.evaluated = result;
    report_.evaluation = current_.evaluation;
    if (result.samples > 0) {
        // The estimate starts from this result. Otherwise, after a missed target, one small
        // evaluation that is good by chance would ask for the whole test set again.
        const double weight =
            static_cast<double>(found.samples) / static_cast<double>(options_.engine.eval_batch);
        accuracy_.restart(result.accuracy(), weight);
        test_loss_.restart(result.loss(), weight);
        report_.accuracy = result.accuracy();
        report_.test_loss = result.loss();
    }
}

void Trainer::checkpoint() {
    checkpointed_ = real_now();
    // Before the first order we hold nothing that a restarted peer could not fetch from others.
    if (!callbacks_.checkpoint || current_.shards_version == 0) return;
    // The file on disk may be the last sound model: we must not replace it with a bad one.
    if (unsound_in_a_row_ > 0 || !parameters_.finite()) return;
    report_.position = batcher_.position();
    callbacks_.checkpoint(report_, engine_->optimizer_state());
    if (!options_.shard_directory.empty()) keep_shards();
}

void Trainer::publish(bool always) {
    const Instant now = real_now();
    if (!always && now - published_ < kPublishEvery) return;
    published_ = now;
    const double seconds = to_seconds(now - rate_since_);
    if (current_.phase == TrainerPhase::Train && seconds > 0.5) {
        report_.samples_per_s = static_cast<double>(report_.samples - rate_samples_) / seconds;
        if (seconds > 3.0) {
            rate_since_ = now;
            rate_samples_ = report_.samples;
        }
    }
    report_.position = batcher_.position();
    if (reports_.put(report_)) callbacks_.report_ready();
}

}  // namespace starling::peer
