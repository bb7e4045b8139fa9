#include "peer/node/session_driver.hpp"

#include <filesystem>
#include <random>
#include <utility>

#include "peer/averaging/averaging_options.hpp"
#include "peer/crypto/sha256.hpp"
#include "peer/machine/clock.hpp"
#include "peer/machine/cores.hpp"
#include "peer/machine/files.hpp"
#include "peer/training/engine_trainer.hpp"
#include "peer/training/trainer_options.hpp"

namespace starling::peer {

namespace {

/// If more bytes than this are queued for a peer, its requests wait. It is four times the largest payload
/// of a frame.
constexpr std::size_t kServeQueueMax = 4 * kPayloadMax;
/// Above this many bytes that wait for anybody, nobody's requests are served: many that ask and do not read
/// cost no more than a few.
constexpr std::size_t kServeQueuesMax = std::size_t{64} << 20U;
constexpr std::size_t kAddressesMax = 64;
/// Of the state directory: the chunks that a newcomer has fetched.
constexpr const char* kFetchedFolder = "parameters";
constexpr Duration kLoadMax = std::chrono::seconds(1);

std::uint64_t secret() {
    std::random_device device;
    return (std::uint64_t{device()} << 32U) | device();
}

/// Returns the bytes a second that the peer may send in bulk; 0: no limit.
double upload_limit(const PeerConfig& config) {
    return config.upload_limit.empty() ? 0.0 : *parse_rate(config.upload_limit);
}

/// Returns how many bytes of shards the peer keeps besides its duties; 0: no limit.
std::uint64_t cache_limit(const PeerConfig& config) {
    return config.cache.empty() ? 0 : *parse_size(config.cache);
}

std::size_t training_threads(const PeerConfig& config) {
    return config.threads > 0 ? static_cast<std::size_t>(config.threads) : core_count();
}

constexpr FrameType kFrames[] = {
    FrameType::Exchange,
    FrameType::StateInfoRequest,
    FrameType::StateInfo,
    FrameType::StateRequest,
    FrameType::StateChunk,
    FrameType::ShardRequest,
    FrameType::ShardPiece,
};

}  // namespace

SessionDriver::SessionDriver(
    const Around& around, const PeerId& self, std::uint64_t process, SwarmPlan plan, Ended ended
)
    : around_(around),
      self_(self),
      plan_(std::move(plan)),
      ended_(std::move(ended)),
      parameters_(std::move(plan_.layout)),
      chunks_(parameters_, plan_.descriptor.seed),
      keeper_(chunks_),
      shards_(plan_.manifest(), &sha256),
      checkpoints_(real_disk(), around.config.state, plan_.blob, parameters_, around.config.keep),
      gossip_(
          around.loop,
          own_averager_config(plan_.descriptor, around.config),  // lay_out() has checked them
          self,
          plan_.descriptor.layout,
          parameters_,
          averaging_rng(around.config.seed, self, process),
          gossip_callbacks()
      ),
      session_(
          self,
          plan_.descriptor,
          {gossip_.machine(),
           shards_,
           keeper_,
           around.config.silent_quality,
           upload_limit(around.config),
           secret(),
           cache_limit(around.config),
           norm_channels(parameters_.layout())}
      ),
      fetch_pace_(core_count(), training_threads(around.config)),
      timer_(around.loop, [this] { on_timer(); }),
      upload_timer_(around.loop, [this] { pump(); }) {
    for (const auto type : kFrames) around.links.route(type, *this);
}

/// Blocks until the compute thread has written the last checkpoint and ended.
SessionDriver::~SessionDriver() {
    begin_stop();
    gossip_.stop();
    if (trainer_) trainer_->stop();
}

GossipDriver::Callbacks SessionDriver::gossip_callbacks() {
    return {
        [this](gossip::Outgoing outgoing) { send_exchange(around_.links, std::move(outgoing)); },
        [this](const gossip::ExchangeEvent& event) { on_exchange(event); },
        upload_limit(around_.config)};
}

void SessionDriver::begin() {
    owner_.check();
    begun_ = true;
    started_ = real_now();
    if (plan_.start != Start::Join) chunks_.initialize();
    Session::Progress before;
    if (const auto& checkpoint = plan_.checkpoint) {
        parameters_.write_all(checkpoint->parameters);
        before = {
            checkpoint->steps, checkpoint->samples, checkpoint->schedule_step, checkpoint->learned};
    }
    before.chunks = fetched_before();
    session_.begin(started_, plan_.start, before);
    start_trainer();
    plan_.checkpoint.reset();
    pump();
}

/// Reads what an earlier life of a newcomer has fetched, and keeps what this one will fetch. Returns the chunks
/// that are here. It takes a second at most, because the network thread does nothing else meanwhile.
std::vector<std::uint32_t> SessionDriver::fetched_before() {
    const auto& state = around_.config.state;
    if (state.empty()) return {};
    KeptChunks files(real_disk(), state / kFetchedFolder, swarm_id_of(plan_.blob), &sha256);
    if (plan_.start != Start::Join) {
        files.clear();
        return {};
    }
    const Instant until = real_now() + kLoadMax;
    auto chunks = files.load(chunks_, [until] { return real_now() >= until; });
    if (!chunks.empty()) {
        around_.reporter.note(
            std::to_string(chunks.size()) + " of " + std::to_string(chunks_.chunk_count()) +
            " chunks of the parameters are here from the last start"
        );
    }
    keeper_.begin(std::move(files));
    return chunks;
}

void SessionDriver::start_trainer() {
    Trainer::Callbacks callbacks;
    callbacks.report_ready = [this] { around_.loop.post([this] { on_report(); }); };
    callbacks.mix_due = [this](std::uint64_t round) {
        if (round_due_.put(round)) around_.loop.post([this] { on_mix_due(); });
    };
    callbacks.ended = [this] { around_.loop.post([this] { on_trainer_ended(); }); };
    callbacks.note = [this](const std::string& line) {
        around_.loop.post([this, line] { around_.reporter.note(line); });
    };
    const auto& config = around_.config;
    if (!config.state.empty()) {
        callbacks.checkpoint = [this](const auto& report, auto state, auto done) {
            checkpoints_.write(report, state, std::move(done));
        };
        callbacks.checkpoint_soon = [this](std::size_t state) { checkpoints_.prepare(state); };
    }
    auto options = trainer_options(
        config,
        self_,
        plan_.descriptor,
        shards_.manifest(),
        plan_.checkpoint ? &*plan_.checkpoint : nullptr
    );
    // Private samples were read before the peer became a member.
    const bool shared = shards_.manifest().mode == data::DataMode::Shared;
    if (shared && shards_.held() == 0) options.local_source = config.dataset;
    trainer_ = std::make_unique<EngineTrainer>(
        std::move(options), parameters_, shards_, std::move(callbacks)
    );
    trainer_->start();
}

void SessionDriver::on_timer() {
    owner_.check();
    if (stopped_) return;
    const Instant now = real_now();
    pace_fetching();
    session_.handle_timeout(now);
    const auto due = session_.view_due();
    if (due && *due <= now) session_.handle_view(now, look(around_.membership.swim()));
    pump();
}

void SessionDriver::on_report() {
    owner_.check();
    if (stopped_ || !trainer_) return;
    auto report = trainer_->take_report();
    if (!report) return;
    note_checkpoints(report->checkpoints);
    if (report->checkpoints.written > 0) keeper_.finish();
    note_shard_files(report->shard_files);
    session_.handle_report(real_now(), std::move(*report));
    pump();
}

/// Charges what has been fetched so far, before more is asked for.
void SessionDriver::pace_fetching() {
    const auto unwritten = shard_files_told_.error.empty() ? shards_.memory_bytes() : 0;
    const FetchPace::Inputs inputs{
        pieces_cost_, shard_files_told_.cpu, session_.trains(), unwritten};
    session_.hold_shards(fetch_pace_.update(real_now(), inputs));
}

void SessionDriver::on_mix_due() {
    owner_.check();
    const auto round = round_due_.take();
    if (stopped_ || !round) return;
    session_.handle_mix_due(real_now(), *round);
    pump();
}

void SessionDriver::on_exchange(const gossip::ExchangeEvent& event) {
    owner_.check();
    if (stopped_) return;
    if (event.outcome == gossip::Outcome::Committed && trainer_) trainer_->averaged();
    session_.handle_exchange(real_now(), event, gossip_.exchange_cost());
    pump();
}

void SessionDriver::handle_frame(const PeerId& from, FrameType type, ByteView payload) {
    owner_.check();
    if (trainer_ended_) return;
    const bool exchange =
        type == FrameType::Exchange && !is_norm_part(payload) && !is_portion_word(payload);
    if (exchange) return gossip_.handle_frame(from, payload);
    if (stopped_) return;
    // Whoever is no member gets no samples; a newcomer that we have not heard of yet asks again. Parameters are
    // for everybody who holds the swarm's key: who holds it could be a member.
    const auto member = around_.membership.swim().find(from);
    const bool stranger = !member || member->state > membership::MemberState::Suspect;
    const auto& links = around_.links;
    const bool denied = stranger && type == FrameType::ShardRequest;
    const bool overloaded = denied || links.queued_in_all() > kServeQueuesMax;
    const bool piece = type == FrameType::ShardPiece;
    if (piece) pace_fetching();
    const Duration before = piece ? thread_cpu_time() : Duration{};
    session_.handle_frame(real_now(), from, type, payload, overloaded);
    // Reading and decrypting it took about half as long as hashing it.
    if (piece) pieces_cost_ += (thread_cpu_time() - before) * 3 / 2;
    pump();
}

void SessionDriver::handle_broken(const PeerId& partner) {
    owner_.check();
    if (trainer_ended_) return;
    gossip_.handle_broken(partner);
    if (stopped_) return;
    session_.handle_broken(real_now(), partner);
    pump();
}

void SessionDriver::handle_lane_broken(const PeerId& partner, Lanes lanes) {
    owner_.check();
    if (!trainer_ended_) gossip_.handle_lane_broken(partner, lanes);
}

void SessionDriver::recycle(FrameType type, Bytes payload) {
    owner_.check();
    if (type == FrameType::Exchange && !trainer_ended_) gossip_.recycle(std::move(payload));
    // There may be room for the next answer.
    if (type == FrameType::StateChunk || type == FrameType::ShardPiece) pump();
}

void SessionDriver::member_up() {
    owner_.check();
    if (!begun_ || stopped_) return;
    session_.member_up(real_now());
    pump();
}

void SessionDriver::member_down(const PeerId& peer) {
    owner_.check();
    if (!begun_ || trainer_ended_) return;
    gossip_.handle_broken(peer);
    if (stopped_) return;
    session_.member_down(real_now(), peer);
    pump();
}

/// Drains the machine and then the averager, which the machine commands. Calls from inside a drain
/// only ask for another round of it: a stream may break during a send, and an exchange may end.
void SessionDriver::pump() {
    owner_.check();
    again_ = true;
    if (draining_ || stopped_) return;
    draining_ = true;
    while (again_ && !stopped_) {
        again_ = false;
        drain();
        if (!stopped_) gossip_.pump();
    }
    draining_ = false;
    if (stopped_) return;
    if (const auto next = session_.poll_timeout()) timer_.arm(*next);
}

/// Sends what the session has to send, and answers requests as far as their streams and the upload limit
/// have room.
void SessionDriver::transmit() {
    auto& upload = gossip_.upload();
    const auto room = [this](const PeerId& to) {
        return around_.links.queued_bytes(to) <= kServeQueueMax;
    };
    bool more = true;
    while (more) {
        while (auto frame = session_.poll_transmit()) {
            const bool answers =
                frame->type == FrameType::StateChunk || frame->type == FrameType::ShardPiece;
            if (answers) upload.take(frame->payload.size());
            around_.links.send(frame->to, frame->type, std::move(frame->payload));
        }
        const Duration wait = upload.wait(real_now());
        more = wait == Duration::zero() && session_.serve(room);
        if (wait > Duration::zero() && session_.asked()) upload_timer_.arm_after(wait);
    }
}

void SessionDriver::drain() {
    transmit();
    if (auto order = session_.poll_order(); order && trainer_) trainer_->order(std::move(*order));
    if (const auto round = session_.poll_release(); round && trainer_) trainer_->mixed(*round);
    if (const auto from = session_.poll_mix_from(); from && trainer_) trainer_->mix_from(*from);
    if (const auto factor = session_.poll_rate_factor(); factor && trainer_) {
        trainer_->scale_rate(*factor);
    }
    while (const auto note = session_.poll_note()) around_.reporter.note(*note);
    if (const auto record = session_.poll_record()) publish(*record);
    if (const auto outcome = session_.poll_outcome()) finish(*outcome);
}

void SessionDriver::publish(Record record) {
    record.bytes = around_.links.counters().bytes_sent;
    record.name = around_.config.name;
    record.reachable = reachable(around_.dial_back.reach());
    around_.membership.swim().set_record(
        real_now(), encode_record(record), session_.record_decides()
    );
    around_.membership.pump();
    auto known = session_.record();
    known.bytes = record.bytes;
    known.name = record.name;
    known.reachable = record.reachable;
    around_.reporter.progress(ProgressLine{
        known,
        session_.live(),
        session_.swarm_samples(),
        record.ending,
        session_.report().test_loss,
        gossip_.averager().ghost(),
        session_.waiting(real_now()),
        session_.report().longest_step});
    checkpoints_.set_known(known_addresses(), known.learned);
}

void SessionDriver::finish(const SessionOutcome& outcome) {
    if (outcome.fault) return ended_(with_last_model(*outcome.fault));
    stop([this, distance = outcome.last_distance] { report_end(distance); });
}

void SessionDriver::report_end(double last_distance) {
    const auto& report = session_.report();
    FinalLine line;
    const auto& last = session_.tested() ? *session_.tested() : session_.evaluated();
    line.accuracy = last.value(compute::QualityKind::Accuracy);
    line.loss = last.result.loss();
    line.qualities = last.qualities;
    if (session_.tested()) line.split = "test";
    if (const auto goal = plan_.descriptor.until.quality()) {
        line.goal = session_.evaluated().value(*goal);
    }
    line.samples = report.samples;
    line.steps = report.steps;
    line.spread = last_distance;
    line.seconds = to_seconds(real_now() - started_);
    line.bytes = around_.links.counters().bytes_sent;
    line.exchanges = gossip_.averager().counters().committed;
    line.judged = session_.judged();
    if (plan_.is_private()) {
        const auto own = session_.record().own_train;
        line.share = sample_share(look(around_.membership.swim()), own).share();
    }
    // Only what is on the disk is promised.
    if (checkpoints_told_.last) line.model = (around_.config.state / "checkpoint").string();
    around_.reporter.finished(line);
    ended_(lost_checkpoint());
}

/// Tells whoever reads that training has diverged where a model from before is, if there is one.
Fault SessionDriver::with_last_model(Fault fault) const {
    const auto file = around_.config.state / "checkpoint";
    std::error_code error;
    const bool kept = !around_.config.state.empty() && std::filesystem::exists(file, error);
    if (fault.code == FaultCode::Diverged && kept) {
        fault.message += " (" + file.string() + " holds a model from before)";
    }
    return fault;
}

std::vector<std::string> SessionDriver::known_addresses() const {
    std::vector<std::string> addresses;
    for (const auto& member : around_.membership.swim().members()) {
        if (member.id != self_ && addresses.size() < kAddressesMax) {
            addresses.push_back(member.address.to_string());
        }
    }
    return addresses;
}

}  // namespace starling::peer
