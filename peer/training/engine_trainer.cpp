#include "peer/training/engine_trainer.hpp"

#include <algorithm>
#include <exception>
#include <limits>
#include <sys/resource.h>
#include <unistd.h>
#include <utility>

#include "peer/machine/clock.hpp"
#include "peer/machine/files.hpp"
#include "peer/terms/data_set.hpp"
#include "peer/terms/shard_files.hpp"
#include "peer/training/norm_observer.hpp"

namespace starling::peer {

namespace {

constexpr Duration kIdleWait = std::chrono::milliseconds(50);
constexpr Duration kPublishEvery = std::chrono::milliseconds(200);
/// Memory for a checkpoint is made so long before it is due.
constexpr Duration kCheckpointSoon = std::chrono::seconds(1);
constexpr int kComputeNice = 5;

}  // namespace

EngineTrainer::EngineTrainer(
    TrainerOptions options,
    compute::ParameterStore& parameters,
    data::ShardStore& shards,
    Callbacks callbacks
)
    : options_(std::move(options)),
      parameters_(parameters),
      shards_(shards),
      callbacks_(std::move(callbacks)),
      engine_(options_.engine, parameters, callbacks_.note),
      batches_(shards, options_.seed, static_cast<std::size_t>(options_.engine.batch)),
      files_(real_disk(), options_.shard_directory, shards),
      pace_(options_.evaluation_share) {
    report_.steps = options_.steps;
    report_.samples = options_.samples;
    report_.schedule_step = options_.schedule_step;
    batches_.resume(options_.position);
}

EngineTrainer::~EngineTrainer() {
    stop();
}

void EngineTrainer::start() {
    thread_ = std::jthread([this] { run(); });
}

void EngineTrainer::order(TrainerOrder order) {
    orders_.put(std::move(order));
}

std::optional<TrainerReport> EngineTrainer::take_report() {
    return reports_.take();
}

void EngineTrainer::begin_stop() {
    stop_ = true;
    mixed(std::numeric_limits<std::uint64_t>::max());
    engine_.interrupt();
    TrainerOrder last;
    last.phase = TrainerPhase::Stop;
    orders_.put(std::move(last));
}

void EngineTrainer::stop() {
    begin_stop();
    if (thread_.joinable()) thread_.join();
}

/// Lowers the priority of this thread and of the OpenMP threads that it starts. The network thread
/// must answer probes within milliseconds, even while all cores compute.
void EngineTrainer::yield_to_network() {
    // No kernel refuses this. If one did, the network thread would only be slower.
    (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kComputeNice);
}

void EngineTrainer::run() {
    yield_to_network();
    // The libraries below may throw. An exception that leaves a thread ends the process.
    try {
        live();
    } catch (const std::exception& error) {
        report_.fault = fail(FaultCode::Io, std::string("training failed: ") + error.what());
        publish(true);
    }
    (void)await_checkpoint();
    files_.stop();
    engine_.retire();
    if (callbacks_.ended) callbacks_.ended();
}

void EngineTrainer::live() {
    const auto ready = prepare();
    if (ready.has_error()) {
        report_.fault = ready.error();
        return publish(true);
    }
    while (!stop_) {
        const bool idle = current_.phase != TrainerPhase::Train;
        if (const auto order = idle ? orders_.wait(kIdleWait) : orders_.take()) obey(*order);
        if (stop_ || current_.phase == TrainerPhase::Stop) break;
        if (current_.phase == TrainerPhase::Train) train_once();
        look_after_checkpoint();
    }
    (void)await_checkpoint();
    report_.checkpoints.last = begin_checkpoint() && await_checkpoint();
    publish(true);
}

/// Cuts those shards of the swarm that are in our own files. Only one at a time is in memory, and those
/// that wait to be written.
Result<void> EngineTrainer::cut_local_source() {
    std::size_t taken = 0;
    const auto take = [&](data::CutShard cut) -> Result<void> {
        // If the source differs from the swarm's data, the manifest does not know its shards. We leave
        // those out, and the session fetches the missing ones from holders. It also fetches later what
        // finds no room now.
        if (shards_.info(cut.id) == nullptr) return {};
        ++taken;
        if (shards_.has(cut.id) || !files_.await_room()) return {};
        if (auto list = extents_worth_keeping(cut)) {
            auto shard = data::shard_in_place(share(std::move(*list)));
            if (shard) (void)shards_.put_known(cut.id, std::move(*shard));
            return {};
        }
        (void)shards_.put_known(cut.id, share(std::move(cut.bytes)));
        return {};
    };
    const auto cut = cut_like(options_.local_source, shards_.manifest(), take);
    if (cut.has_error()) return cut.error();
    const auto all = shards_.manifest().shards.size();
    if (taken < all && callbacks_.note) {
        callbacks_.note(
            "--dataset " + options_.local_source + ": " + std::to_string(taken) + " of the " +
            std::to_string(all) + " shards of this swarm are in these files" +
            (taken == 0 ? ": it is other data, or cut in another way" : "") +
            "; the rest comes from the other peers"
        );
    }
    return {};
}

Result<void> EngineTrainer::prepare() {
    files_.start();
    const bool whole = shards_.held() == shards_.manifest().shards.size();
    if (!options_.local_source.empty() && !whole) {
        if (auto cut = cut_local_source(); cut.has_error()) return cut;
    }
    if (auto made = engine_.make(); made.has_error()) return made;
    // The engine now has its own copy, so we give the memory of ours back. A state that does not
    // fit is of another optimizer; then this one begins anew.
    const auto state = std::exchange(options_.optimizer_state, {});
    if (!state.empty()) (void)engine_->restore_optimizer_state(state);
    const auto eval_batch = static_cast<std::size_t>(options_.engine.eval_batch);
    estimator_.emplace(shards_, eval_batch, options_.evaluation_seed);
    if (options_.watched) estimator_->watch(*options_.watched);
    if (options_.kept) {
        checkpointed_ = real_now();
        report_.checkpoints.kept_at = checkpointed_;
    } else if (callbacks_.checkpoint_soon) {
        callbacks_.checkpoint_soon(engine_.optimizer_state().size());
    }
    report_.prepared = true;
    publish(true);
    return {};
}

/// Returns whether there is an engine to go on with.
bool EngineTrainer::replace_device(const Fault& fault) {
    const auto replaced = engine_.replace(fault);
    if (replaced.has_error()) {
        report_.fault = replaced.error();
        stop_ = true;
    }
    publish(true);
    return replaced.has_value();
}

void EngineTrainer::obey(const TrainerOrder& order) {
    // The order to stop names no shards. The last checkpoint still needs those of the order before.
    if (order.phase == TrainerPhase::Stop) {
        current_.phase = TrainerPhase::Stop;
        return;
    }
    if (order.restarts != report_.restarts) start_over(order.restarts);
    if (order.shards_version != current_.shards_version) {
        if (order.starts.empty()) {
            batches_.set_shards(order.shards);
        } else {
            batches_.set_shards_from(order.starts);
        }
    }
    if (order.schedule_step && order.schedule_step != current_.schedule_step) {
        report_.schedule_step = std::max(report_.schedule_step, *order.schedule_step);
    }
    const bool starts = order.phase == TrainerPhase::Train && current_.phase != TrainerPhase::Train;
    // Before it is prepared it obeys nothing.
    if (order.share != current_.share) estimator_->judge_by(order.share);
    current_ = order;
    report_.obeyed = order.number;
    if (starts) {
        const Instant now = real_now();
        meter_.start(now, report_.samples);
        pace_.start(now);
    }
    if (order.phase == TrainerPhase::Train) parameters_.hold_buffers(false);
    if (order.norms_draw > report_.norms_drawn) draw_norms();
    if (order.norms && order.norms_set > report_.norms_set) set_norms();
    if (order.phase == TrainerPhase::Evaluate && order.evaluation != report_.evaluation)
        evaluate_all();
    if (order.phase != TrainerPhase::Train) {
        report_.samples_per_s = 0;
        publish(true);
    }
}

void EngineTrainer::train_once() {
    if (divergence_.diverged()) return rest();
    const bool last = options_.steps_limit > 0 && report_.steps >= options_.steps_limit;
    const auto after = report_.samples + static_cast<std::uint64_t>(options_.engine.batch);
    const bool waits = current_.samples_limit && after > *current_.samples_limit;
    const bool enough = last || waits;
    const Instant begin = real_now();
    const auto* batch = enough ? nullptr : batches_.next();
    const Instant ready = real_now();
    if (batch == nullptr) {
        // Without samples to train on we still average, and our estimate counts as any other does.
        if (evaluation_due()) update_estimate();
        return rest();
    }
    if (batch->damaged != report_.damaged_records) note_damage(*batch);
    const double rate =
        rate_factor_ * compute::learning_rate_at(options_.engine.optimizer, report_.schedule_step);
    const auto made = engine_->step({batch->values, batch->labels, batch->targets}, rate);
    if (made.has_error() && made.error().code == FaultCode::Device) {
        ++report_.unsound_steps;
        const auto before = batch->before;
        batches_.resume(before);
        (void)replace_device(made.error());
        return;
    }
    if (made.has_error()) note_refused(made.error());
    compute::StepResult result;
    result.unsound = made.has_error();
    if (made.has_value()) result = *made;
    if (result.interrupted) {
        // Nobody has learned from this batch. The next life must get it again.
        const auto before = batch->before;
        batches_.resume(before);
        return;
    }
    if (result.unsound) {
        // Such a batch counts neither as a step nor as samples: nothing was learned.
        ++report_.unsound_steps;
        divergence_.unsound_step();
        return publish(divergence_.diverged());
    }
    divergence_.sound_step();
    ++report_.steps;
    ++report_.schedule_step;
    report_.samples += static_cast<std::uint64_t>(options_.engine.batch);
    meter_.add_step(begin, ready, real_now());
    meter_.add_loss(static_cast<double>(result.loss));
    if (exchange_due()) mix();
    if (evaluation_due()) update_estimate();
    publish(false);
}

/// Labels and values come from shards that a stranger may have cut.
void EngineTrainer::note_refused(const Fault& fault) {
    const auto line = refused_.handle_fault(real_now(), fault);
    if (line && callbacks_.note) callbacks_.note(*line);
}

void EngineTrainer::note_damage(const data::PreparedBatch& batch) {
    const bool first = report_.damaged_records == 0;
    report_.damaged_records = batch.damaged;
    if (!first || !callbacks_.note) return;
    callbacks_.note(
        "a record of the data is damaged and is left out, as further ones will be: " + batch.damage
    );
}

void EngineTrainer::rest() {
    // Others may wait for the word that we have come so far.
    publish(report_.samples != told_samples_);
    if (const auto order = orders_.wait(kIdleWait)) obey(*order);
}

void EngineTrainer::start_over(std::uint64_t number) {
    engine_->reset_optimizer();
    divergence_.restart();
    meter_.forget_loss();
    estimator_->forget();
    report_.restarts = number;
}

bool EngineTrainer::exchange_due() {
    if (options_.mix_every > 0) return report_.steps % options_.mix_every == 0;
    auto from = mix_from_.load();
    // The network thread may have asked for another one in between.
    return real_now() >= from && mix_from_.compare_exchange_strong(from, Instant::max());
}

/// A round's number follows from the place in the schedule, which a newcomer takes from its donor.
/// So peers of one speed have the same numbers.
void EngineTrainer::mix() {
    // Without a number of steps there are no rounds.
    const auto round = report_.schedule_step / std::max<std::uint64_t>(1, options_.mix_every);
    callbacks_.mix_due(round);
    if (options_.sync_wait <= Duration::zero()) return;
    const Instant until = real_now() + options_.sync_wait;
    // Words about earlier rounds, for which we have not waited to the end, may still lie here.
    while (!stop_) {
        const Duration left = until - real_now();
        if (left <= Duration::zero()) return;
        const auto over = mixed_.wait(left);
        if (over && *over >= round) return;
    }
}

void EngineTrainer::mixed(std::uint64_t round) {
    (void)mixed_.put(round);
}

void EngineTrainer::mix_from(Instant from) {
    mix_from_ = from;
}

void EngineTrainer::scale_rate(double factor) {
    rate_factor_ = factor;
}

void EngineTrainer::averaged() {
    averaged_at_ = real_now();
}

bool EngineTrainer::evaluation_due() const {
    const Instant now = real_now();
    return pace_.due(now, averaged_at_);
}

/// Returns whether the evaluation has to be made again, because its device had failed and there is another
/// one now.
bool EngineTrainer::note_evaluation_fault() {
    const auto fault = estimator_->take_fault();
    if (!fault) return false;
    if (fault->code == FaultCode::Device) return replace_device(*fault);
    note_refused(*fault);
    return false;
}

void EngineTrainer::update_estimate() {
    const Instant begin = real_now();
    if (!parameters_.finite()) {
        divergence_.bad_parameters();
        return publish(true);
    }
    const bool changed = estimator_->evaluate_next(*engine_, stop_);
    (void)note_evaluation_fault();
    pace_.evaluated(begin, real_now());
    if (changed) publish(true);
}

void EngineTrainer::evaluate_all() {
    auto result = estimator_->evaluate_all(*engine_, stop_);
    auto tested = estimator_->evaluate_test(*engine_, stop_);
    if (note_evaluation_fault()) return evaluate_all();
    if (stop_) return;
    auto words = estimator_->take_words();
    report_.portions.reset();
    if (current_.share) {
        report_.portions = std::make_shared<const std::vector<PortionWord>>(std::move(words));
    }
    report_.evaluated = std::move(result);
    report_.tested = std::move(tested);
    report_.evaluation = current_.evaluation;
}

/// A peer without enough data, or one whose data cannot be read, has seen nothing.
void EngineTrainer::draw_norms() {
    auto seen =
        observe_own(*engine_, shards_, static_cast<std::size_t>(options_.engine.batch), stop_);
    if (seen.has_error()) note_refused(seen.error());
    auto found = seen.has_value() ? std::move(*seen) : compute::NormMoments{};
    report_.norms = std::make_shared<const compute::NormMoments>(std::move(found));
    report_.norms_drawn = current_.norms_draw;
}

void EngineTrainer::set_norms() {
    // Others may say anything of how many there are.
    if (current_.norms->means.size() == engine_->norm_channels()) {
        // First: what an exchange adds meanwhile is overwritten.
        parameters_.hold_buffers(true);
        engine_->set_norms(*current_.norms);
    }
    report_.norms_set = current_.norms_set;
}

bool EngineTrainer::checkpoint_due() const {
    return !checkpointed_ || real_now() - *checkpointed_ > options_.checkpoint_every;
}

/// Hears what became of the last checkpoint, and begins the next one when it is due. One that takes longer
/// than the interval puts off the next.
void EngineTrainer::look_after_checkpoint() {
    if (const auto written = written_.take()) (void)note_checkpoint(*written);
    if (!keeps() || writing_) return;
    if (checkpoint_due()) {
        (void)begin_checkpoint();
    } else if (!told_soon_ && callbacks_.checkpoint_soon && real_now() - *checkpointed_ > options_.checkpoint_every - kCheckpointSoon) {
        told_soon_ = true;
        callbacks_.checkpoint_soon(engine_.optimizer_state().size());
    }
}

/// Hands over what a checkpoint keeps. Returns whether there is something to keep.
bool EngineTrainer::begin_checkpoint() {
    checkpointed_ = real_now();
    told_soon_ = false;
    if (!callbacks_.checkpoint || !keeps()) return false;
    // The file on disk may be the last sound model: we must not replace it with a bad one.
    if (divergence_.in_doubt() || !parameters_.finite()) return false;
    report_.position = batches_.position();
    writing_ = true;
    callbacks_.checkpoint(report_, engine_.optimizer_state(), [this](Result<void> written) {
        (void)written_.put(std::move(written));
    });
    return true;
}

/// Waits for the checkpoint that is being written. Returns whether the disk has it.
bool EngineTrainer::await_checkpoint() {
    while (writing_) {
        if (const auto written = written_.wait(std::chrono::seconds(1))) {
            return note_checkpoint(*written);
        }
    }
    return false;
}

bool EngineTrainer::note_checkpoint(const Result<void>& written) {
    writing_ = false;
    auto& told = report_.checkpoints;
    const bool failed_before = !told.error.empty();
    told.error = written ? "" : written.error().message;
    ++(written ? told.written : told.failed);
    if (written) told.kept_at = checkpointed_;
    if (failed_before == written.has_value()) publish(true);
    return written.has_value();
}

void EngineTrainer::publish(bool always) {
    const Instant now = real_now();
    if (!always && now - published_ < kPublishEvery) return;
    published_ = now;
    if (current_.phase == TrainerPhase::Train) {
        const auto rate = meter_.samples_per_s(now, report_.samples);
        report_.samples_per_s = rate.value_or(report_.samples_per_s);
    }
    report_.loss = meter_.loss();
    report_.data_wait = meter_.data_wait();
    report_.longest_step = meter_.longest_step();
    report_.diverged = divergence_.diverged();
    report_.shard_files = files_.report();
    report_.device = engine_.report();
    report_.device.step_seconds = meter_.step_seconds();
    const auto estimate = estimator_ ? estimator_->estimate() : std::nullopt;
    report_.accuracy = estimate ? estimate->accuracy : std::nullopt;
    report_.test_loss = estimate ? std::optional(estimate->loss) : std::nullopt;
    report_.quality = estimate ? estimate->quality : std::nullopt;
    report_.position = batches_.position();
    if (places_told_ != batches_.places_version()) {
        places_told_ = batches_.places_version();
        report_.places = std::make_shared<const std::vector<data::ShardPlace>>(batches_.places());
    }
    told_samples_ = report_.samples;
    if (reports_.put(report_)) callbacks_.report_ready();
}

}  // namespace starling::peer
