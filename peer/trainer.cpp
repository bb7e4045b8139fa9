#include "peer/trainer.hpp"

#include <algorithm>
#include <cmath>
#include <exception>
#include <sys/resource.h>
#include <unistd.h>
#include <utility>

#include "base/check.hpp"
#include "base/rng.hpp"
#include "peer/clock.hpp"
#include "peer/files.hpp"
#include "peer/task.hpp"

namespace starling::peer {

namespace {

constexpr Duration kIdleWait = std::chrono::milliseconds(50);
constexpr Duration kPublishEvery = std::chrono::milliseconds(200);
constexpr Duration kCheckpointEvery = std::chrono::seconds(30);
constexpr Duration kFirstEvaluation = std::chrono::seconds(2);
constexpr int kComputeNice = 5;
constexpr double kLossDecay = 0.02;
constexpr std::uint64_t kEvaluationPurpose = 3;
/// An evaluation that is due waits so long for an exchange, where the last is not much longer ago.
constexpr Duration kEvaluationWait = std::chrono::seconds(5);
constexpr Duration kEvaluationPauseMin = std::chrono::milliseconds(500);
/// One batch without a finite loss can be the batch's fault; so many in a row are the model's.
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
    // Each peer begins elsewhere, so that a majority has seen more of the test set than one has.
    const auto part = static_cast<std::size_t>(options_.engine.eval_batch);
    const auto parts = shards_.manifest().samples(data::Split::Test) / part;
    if (parts > 1) eval_next_ = part * Rng(options_.seed).fork(kEvaluationPurpose).below(parts);
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

/// Probes must be answered within milliseconds while all cores compute, so this thread, and with it
/// the OpenMP threads that it starts, yields to the network thread.
void Trainer::yield_to_network() {
    // Refused by no kernel; were it, training would only be less polite.
    (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kComputeNice);
}

void Trainer::run() {
    yield_to_network();
    // The libraries below may throw; a thread that throws ends the process without a word.
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

/// Whatever is damaged or foreign there is skipped: shards are verified by their hash, and what is
/// missing is fetched.
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
        // A full disk costs the kept copy and nothing else; the next checkpoint tries again.
        if (write_file_atomically(path, *bytes, 0644).has_error()) return;
    }
}

Result<void> Trainer::prepare() {
    if (!options_.shard_directory.empty()) read_kept_shards();
    if (!options_.local_source.empty()) {
        auto sharded = cut_like(options_.local_source, shards_.manifest());
        if (sharded.has_error()) return sharded.error();
        for (auto& bytes : sharded->shards) {
            // A source that differs from the swarm's data yields shards that the manifest does not
            // know; those are simply not ours to use, and what is missing is fetched from holders.
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
    const auto eval_batch = static_cast<std::size_t>(options_.engine.eval_batch);
    values_.resize(batch * elements);
    labels_.resize(batch * labels);
    eval_values_.resize(eval_batch * elements);
    eval_labels_.resize(eval_batch * labels);
    report_.prepared = true;
    publish(true);
    return {};
}

void Trainer::obey(const TrainerOrder& order) {
    // The order to stop names no shards: the last checkpoint still needs those of the one before.
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
        // Without samples to train on we still average, and our judgement counts like any other.
        if (evaluation_due()) evaluate_part();
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
    if (evaluation_due()) evaluate_part();
    publish(false);
}

void Trainer::rest() {
    publish(false);
    if (const auto order = orders_.wait(kIdleWait)) obey(*order);
}

/// Counts neither as a step nor as samples: nothing was learned.
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

/// Rounds are counted by the place in the schedule, which a newcomer takes from its donor: so peers
/// of one speed count alike.
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

/// Evaluates up to `count` test samples from `first` on and says how many it has `done`; of a text,
/// whose windows have many labels each, the result counts these.
compute::EvalResult Trainer::evaluate_range(
    std::size_t first, std::size_t count, std::size_t& done
) {
    compute::EvalResult total;
    const std::size_t elements = shards_.manifest().sample_elements();
    const std::size_t per_sample = shards_.manifest().labels_per_sample();
    done = 0;
    while (done < count && !stop_) {
        const std::size_t wanted = std::min(eval_labels_.size() / per_sample, count - done);
        const std::span values(eval_values_.data(), wanted * elements);
        const std::span labels(eval_labels_.data(), wanted * per_sample);
        const std::size_t got = data::read_test_samples(shards_, first + done, values, labels);
        if (got == 0) break;
        const auto part =
            engine_->evaluate(values.first(got * elements), labels.first(got * per_sample));
        total += part;
        if (part.samples == 0) break;  // interrupted
        done += got;
    }
    return total;
}

/// What the swarm will hold in the end is the mean over its peers, and just after an exchange our
/// own model is nearest to it: between exchanges the noise of our own steps costs it some points.
bool Trainer::evaluation_due() const {
    const Instant now = real_now();
    const Instant averaged = averaged_at_;
    if (now < eval_due_) return false;
    if (averaged >= eval_due_) return true;
    const bool mixes = averaged != Instant{} && eval_due_ - averaged < kEvaluationWait;
    return !mixes || now - eval_due_ > kEvaluationWait;
}

void Trainer::evaluate_part() {
    const Instant begin = real_now();
    // Losses alone do not show it: a rectifier makes zero of a NaN.
    if (!parameters_.finite()) return note_divergence();
    const auto part = static_cast<std::size_t>(options_.engine.eval_batch);
    std::size_t done = 0;
    auto result = evaluate_range(eval_next_, part, done);
    if (result.samples == 0 && eval_next_ > 0) {
        eval_next_ = 0;
        result = evaluate_range(0, part, done);
    }
    eval_next_ += done;
    const Instant end = real_now();
    const Duration cost = end - begin;
    // Counted from when this one was due, or waiting for exchanges would make them rarer still.
    const Duration pause = from_seconds(to_seconds(cost) * (1.0 / options_.evaluation_share - 1.0));
    const Duration waited = std::min(begin - eval_due_, pause / 2);
    eval_due_ = end + std::max<Duration>(pause - waited, kEvaluationPauseMin);
    if (result.samples == 0) return;
    // Parts differ by chance; the running mean of the last few is what a target is held against.
    const double parts = static_cast<double>(done) / static_cast<double>(part);
    accuracy_.add(result.accuracy(), parts);
    test_loss_.add(result.loss(), parts);
    report_.accuracy = accuracy_.mean();
    report_.test_loss = test_loss_.mean();
    publish(true);
}

void Trainer::evaluate_all() {
    std::size_t done = 0;
    const auto result = evaluate_range(0, shards_.manifest().samples(data::Split::Test), done);
    if (stop_) return;
    report_.evaluated = result;
    report_.evaluation = current_.evaluation;
    if (result.samples > 0) {
        // After a miss a lucky part would otherwise call for the whole set again.
        const double parts =
            static_cast<double>(done) / static_cast<double>(options_.engine.eval_batch);
        accuracy_.restart(result.accuracy(), parts);
        test_loss_.restart(result.loss(), parts);
        report_.accuracy = result.accuracy();
        report_.test_loss = result.loss();
    }
}

void Trainer::checkpoint() {
    checkpointed_ = real_now();
    // Before the first order there is nothing that a restart could not fetch better from others.
    if (!callbacks_.checkpoint || current_.shards_version == 0) return;
    // The file may be the last that holds a sound model.
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
