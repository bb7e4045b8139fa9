#include "peer/session/session.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "peer/averaging/averaging_options.hpp"
#include "peer/crypto/sha256.hpp"
#include "peer/machine/clock.hpp"
#include "peer/training/trainer_options.hpp"

namespace starling::peer {

namespace {

constexpr Duration kTick = std::chrono::milliseconds(100);
constexpr Duration kPublishEvery = std::chrono::seconds(1);
/// If more bytes than this are queued for a peer, we decline its requests. It is four times the
/// largest payload of a frame.
constexpr std::size_t kServeQueueMax = 4 * kPayloadMax;

}  // namespace

Session::Session(
    Loop& loop,
    const PeerConfig& config,
    const PeerId& self,
    std::uint64_t epoch,
    const Descriptor& descriptor,
    Bytes descriptor_blob,
    compute::ParameterLayout layout,
    Reporter& reporter,
    Wiring wiring
)
    : loop_(loop),
      config_(config),
      self_(self),
      descriptor_(descriptor),
      blob_(std::move(descriptor_blob)),
      reporter_(reporter),
      wiring_(std::move(wiring)),
      parameters_(std::move(layout)),
      shards_(descriptor.manifest, &sha256),
      checkpoints_(config.state, blob_, parameters_),
      ending_(descriptor.until),
      gossip_(
          loop,
          *averager_config(descriptor),  // lay_out() has checked that it succeeds
          self,
          descriptor.layout,
          parameters_,
          averaging_rng(config.seed, self, epoch),
          GossipDriver::Callbacks{
              wiring_.exchange,
              [this](const gossip::ExchangeEvent& event) { on_exchange(event); },
              config.upload_limit.empty() ? 0.0 : *parse_rate(config.upload_limit)}
      ),
      transfers_(loop, shards_, parameters_, descriptor.layout, wiring_.send),
      tick_(loop, [this] { tick(); }),
      settling_(loop, gossip_, descriptor.settle) {}

Session::~Session() {
    stop();
}

void Session::begin(Start start, std::optional<Checkpoint> checkpoint) {
    owner_.check();
    begun_ = true;
    started_ = joining_since_ = alone_since_ = real_now();
    gossip_.set_accepting(false);
    // Only a founder counts in the sum at once. A peer that joins or returns is a ghost first.
    gossip_.set_ghost(start != Start::Found);
    if (start == Start::Join) {
        transfers_.fetch_state();
    } else {
        initialize_parameters();
    }
    if (checkpoint) {
        parameters_.write_all(checkpoint->parameters);
        report_.steps = checkpoint->steps;
        report_.samples = checkpoint->samples;
        report_.schedule_step = checkpoint->schedule_step;
    }
    gossip_.adopt_parameters();
    Trainer::Callbacks callbacks;
    callbacks.report_ready = [this] { loop_.post([this] { on_report(); }); };
    callbacks.mix_due = [this](std::uint64_t round) { loop_.post([this, round] { mix(round); }); };
    if (!config_.state.empty()) {
        callbacks.checkpoint = [this](const TrainerReport& report, std::span<const float> state) {
            write_checkpoint_now(report, state);
        };
    }
    auto options =
        trainer_options(config_, self_, descriptor_, checkpoint ? &*checkpoint : nullptr);
    if (shards_.held() == 0) options.local_source = config_.dataset;
    trainer_ =
        std::make_unique<EngineTrainer>(std::move(options), parameters_, shards_, std::move(callbacks));
    trainer_->start();
    publish(true);
    tick();
}

void Session::tick() {
    owner_.check();
    if (stopped_) return;
    const SwarmView view = wiring_.view();
    swarm_samples_ = view.samples(report_.samples);
    live_ = view.live;
    update_partners(view);
    update_duties(view);
    update_readiness(view);
    if (state_ == PeerState::Joining) update_joining(view);
    if (recovery_.running()) update_recovery(view);
    if (has_parameters()) update_ending(view);
    // No event tells us that a round has ended without an exchange.
    release_trainer();
    publish(false);
    if (!stopped_) tick_.arm_after(kTick);
}

void Session::update_partners(const SwarmView& view) {
    std::vector<PeerId> now;
    for (const auto& peer : view.training_peers()) now.push_back(peer.id);
    for (const auto& peer : now) {
        if (!std::binary_search(partners_.begin(), partners_.end(), peer)) gossip_.peer_up(peer);
    }
    for (const auto& peer : partners_) {
        if (!std::binary_search(now.begin(), now.end(), peer)) gossip_.peer_down(peer);
    }
    partners_ = std::move(now);
}

void Session::update_duties(const SwarmView& view) {
    if (!report_.prepared) return;
    if (transfers_.shards_missing() > 0) update_holders(view);
    auto peers = view.training_peers();
    // The others count us only when we train. We count ourselves at once, so that our shards are
    // here by then. Until then their present owners train on them.
    peers.push_back({self_, 1});
    const bool same = std::equal(
        peers.begin(),
        peers.end(),
        duty_peers_.begin(),
        duty_peers_.end(),
        [](auto& a, auto& b) { return a.id == b.id && a.weight == b.weight; }
    );
    if (same) return;
    duty_peers_ = std::move(peers);
    duties_ = data::duties_of(self_, duty_peers_, descriptor_.manifest, descriptor_.replicas);
    ++shards_version_;
    transfers_.want_shards(duties_.hold);
    if (transfers_.shards_missing() > 0) update_holders(view);
    give_order();
}

bool Session::settled() const {
    return descriptor_.mix == "none" || partners_.empty() || settling_.agreed();
}

void Session::update_ending(const SwarmView& view) {
    const auto others = view.training_records();
    const bool others_train = std::any_of(others.begin(), others.end(), [](const Record& other) {
        return other.state == PeerState::Training;
    });
    settling_.update(partners_, others_train);
    EndingInputs inputs;
    inputs.others = others;
    inputs.joining = static_cast<std::size_t>(std::count_if(
        view.others.begin(),
        view.others.end(),
        [](const SeenPeer& peer) {
            const bool watches = peer.record && peer.record->state == PeerState::Watching;
            return peer.live() && !peer.trains() && !watches;
        }
    ));
    // A peer that owns no shard makes no steps, and nobody should wait for them.
    inputs.own_steps =
        duties_.train.empty() ? std::numeric_limits<std::uint64_t>::max() : report_.steps;
    inputs.swarm_samples = swarm_samples_;
    inputs.train_samples = descriptor_.manifest.samples(data::Split::Train);
    inputs.accuracy = report_.accuracy;
    inputs.loss = report_.test_loss;
    inputs.settled = settled();
    if (evaluation_ > 0 && report_.evaluation == evaluation_) {
        inputs.full_accuracy = report_.evaluated.accuracy();
        inputs.full_loss = report_.evaluated.loss();
    }
    const auto before = ending_.phase();
    const bool reached_before = ending_.reached();
    const auto after = ending_.advance(real_now(), inputs);
    if (after != before) {
        enter(after);
    } else if (ending_.reached() != reached_before) {
        publish(true);
    }
}

void Session::enter(EndingPhase phase) {
    const auto encoding = *gossip::parse_encoding(descriptor_.encoding);
    switch (phase) {
        case EndingPhase::Train:
            settling_.end(encoding);
            become(PeerState::Training);
            break;
        case EndingPhase::Settle:
            become(PeerState::Settling);
            // Settling exchanges all parts at once. A lattice knows the gaps of single parts only,
            // so it would send bf16 each time.
            settling_.begin(descriptor_.parts > 1 ? gossip::Encoding::F32 : encoding);
            break;
        case EndingPhase::Evaluate:
            settling_.stop();
            ++evaluation_;
            become(PeerState::Evaluating);
            break;
        case EndingPhase::Linger:
            become(PeerState::Lingering);
            break;
        case EndingPhase::Leave:
            finish();
            return;
    }
    give_order();
}

void Session::become(PeerState state) {
    state_ = state;
    publish(true);
}

void Session::give_order() {
    if (!trainer_) return;
    TrainerOrder order;
    order.shards = duties_.train;
    order.shards_version = shards_version_;
    order.evaluation = evaluation_;
    order.schedule_step = schedule_step_;
    order.restarts = recovery_.done();
    // We evaluate when all test shards are here. Those that are missing are being fetched.
    const bool all_tests = std::all_of(
        descriptor_.manifest.shards.begin(),
        descriptor_.manifest.shards.end(),
        [this](const auto& s) { return s.split != data::Split::Test || shards_.has(s.id); }
    );
    const bool trains = state_ == PeerState::Training && enough_ready_ && has_parameters();
    if (trains) order.phase = TrainerPhase::Train;
    if (state_ == PeerState::Evaluating && all_tests) order.phase = TrainerPhase::Evaluate;
    trainer_->order(std::move(order));
}

void Session::on_report() {
    owner_.check();
    if (stopped_ || !trainer_) return;
    auto report = trainer_->take_report();
    if (!report) return;
    if (report->fault) {
        wiring_.ended(report->fault);
        return;
    }
    const bool news = report->evaluation != report_.evaluation ||
                      report->accuracy != report_.accuracy || report->prepared != report_.prepared;
    report_ = std::move(*report);
    note_unsound();
    if (news) tick_.arm_after(Duration::zero());
}

void Session::on_exchange(const gossip::ExchangeEvent& event) {
    owner_.check();
    release_trainer();
    const bool committed = event.outcome == gossip::Outcome::Committed;
    if (committed && event.rule != gossip::Rule::Pull) last_distance_ = event.relative_distance;
    if (committed && trainer_) trainer_->averaged();
    settling_.on_exchange(event);
    judge_exchange(event);
    if (state_ == PeerState::Settling && settled()) tick_.arm_after(Duration::zero());
}

void Session::mix(std::uint64_t round) {
    owner_.check();
    if (state_ == PeerState::Training) {
        if (descriptor_.sync) {
            gossip_.begin_round(round);
        } else {
            (void)gossip_.begin_exchange();
        }
    }
    release_trainer();
}

/// With --sync: lets the trainer go on, unless an exchange is under way or expected.
void Session::release_trainer() {
    if (!descriptor_.sync || !trainer_) return;
    const auto& averager = gossip_.averager();
    if (averager.initiating() || averager.responding() || averager.expecting()) return;
    trainer_->mixed();
}

void Session::handle_frame(const PeerId& from, FrameType type, ByteView payload) {
    owner_.check();
    if (type == FrameType::Exchange) return gossip_.handle_frame(from, payload);
    Transfers::Serving serving;
    serving.overloaded = wiring_.queued_bytes(from) > kServeQueueMax;
    serving.ready = has_parameters();
    serving.schedule_step = report_.schedule_step;
    if (transfers_.handle_frame(from, type, payload, serving)) {
        ++shards_version_;
        give_order();
    }
    if (!has_parameters() && can_train()) tick_.arm_after(Duration::zero());
}

void Session::handle_broken(const PeerId& partner) {
    owner_.check();
    if (stopped_) return;
    gossip_.handle_broken(partner);
    transfers_.handle_broken(partner);
}

void Session::handle_lane_broken(const PeerId& partner, Lanes lanes) {
    owner_.check();
    if (!stopped_) gossip_.handle_lane_broken(partner, lanes);
}

void Session::recycle(FrameType type, Bytes payload) {
    owner_.check();
    if (type == FrameType::Exchange && !stopped_) gossip_.recycle(std::move(payload));
}

void Session::member_up(const PeerId& /*peer*/) {
    owner_.check();
    if (begun_ && !stopped_) tick_.arm_after(Duration::zero());
}

void Session::member_down(const PeerId& peer) {
    owner_.check();
    if (!begun_ || stopped_) return;
    gossip_.peer_down(peer);
    std::erase(partners_, peer);
    handle_broken(peer);
    tick_.arm_after(Duration::zero());
}

Record Session::record() const {
    Record r;
    r.state = state_;
    r.reached = ending_.reached();
    r.ending = ending_.ending();
    r.round = ending_.round();
    r.steps = report_.steps;
    r.samples = report_.samples;
    r.exchanges = gossip_.averager().counters().committed;
    r.bytes = wiring_.bytes_sent();
    r.samples_per_s = static_cast<float>(report_.samples_per_s);
    r.loss = static_cast<float>(report_.loss);
    r.accuracy = report_.accuracy ? static_cast<float>(*report_.accuracy) : -1.0F;
    r.spread = static_cast<float>(gossip_.averager().spread());
    r.shards = static_cast<std::uint16_t>(std::min<std::size_t>(duties_.train.size(), 65535));
    r.held = static_cast<std::uint16_t>(std::min<std::size_t>(shards_.held(), 65535));
    return r;
}

void Session::publish(bool now) {
    const Instant present = real_now();
    if (!now && present - published_ < kPublishEvery) return;
    published_ = present;
    const Record r = record();
    wiring_.publish(r);
    reporter_.progress(ProgressLine{r, live_, swarm_samples_, ending_.ending(), report_.test_loss});
    checkpoints_.set_addresses(wiring_.addresses());
}

void Session::finish() {
    state_ = PeerState::Done;
    publish(true);
    stop();
    FinalLine line;
    line.accuracy = report_.evaluated.accuracy();
    line.loss = report_.evaluated.loss();
    line.samples = report_.samples;
    line.steps = report_.steps;
    line.spread = last_distance_;
    line.seconds = to_seconds(real_now() - started_);
    line.bytes = wiring_.bytes_sent();
    line.exchanges = gossip_.averager().counters().committed;
    line.model = config_.state.empty() ? "" : (config_.state / "checkpoint").string();
    reporter_.finished(line);
    wiring_.ended(std::nullopt);
}

void Session::stop() {
    owner_.check();
    if (stopped_) return;
    stopped_ = true;
    tick_.cancel();
    transfers_.stop();
    settling_.stop();
    gossip_.stop();
    if (trainer_) trainer_->stop();
}

void Session::write_checkpoint_now(
    const TrainerReport& report, std::span<const float> optimizer_state
) {
    const auto written = checkpoints_.write(report, optimizer_state);
    if (written.has_value()) return;
    loop_.post([this, message = written.error().message] { reporter_.note(message); });
}

SessionStatus Session::status() const {
    owner_.check();
    SessionStatus status;
    status.record = record();
    status.shards_missing = transfers_.shards_missing();
    status.swarm_samples = swarm_samples_;
    status.averaging = gossip_.averager().counters();
    status.shard_bytes = transfers_.shard_bytes();
    status.shard_frames_rejected = transfers_.shard_frames_rejected();
    status.unsound_steps = report_.unsound_steps;
    status.recoveries = recovery_.done();
    return status;
}

}  // namespace starling::peer
