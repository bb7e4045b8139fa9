#include "peer/node/node.hpp"

#include <filesystem>
#include <random>
#include <utility>

#include "base/check.hpp"
#include "peer/crypto/notary.hpp"
#include "peer/http/page.hpp"
#include "peer/machine/clock.hpp"
#include "peer/machine/descriptors.hpp"
#include "peer/machine/files.hpp"
#include "peer/machine/resolve.hpp"
#include "peer/observe/metrics.hpp"
#include "peer/observe/status.hpp"
#include "peer/start/listening_place.hpp"
#include "peer/streams/dial.hpp"
#include "peer/terms/record.hpp"
#include "peer/transfer/descriptor_transfer.hpp"

namespace starling::peer {

namespace {

/// How long the goodbye may spread before the loop stops: a few gossip ticks.
constexpr Duration kGoodbyeTime = std::chrono::milliseconds(900);
/// How long an answer over HTTP may take before the loop stops.
constexpr Duration kAnswerTime = std::chrono::milliseconds(100);
/// How long members of the resumed swarm may take to answer when --join names another swarm.
constexpr Duration kOwnSwarmTime = std::chrono::seconds(10);
/// How long a peer with a past says nothing by datagram, unless a member tells it what is known of it.
constexpr Duration kHoldTime = std::chrono::seconds(2);
/// Processes that share a boot epoch are told apart by one of so many marks.
constexpr std::uint64_t kMarks = 1U << 20U;
constexpr Duration kLookAroundEvery = std::chrono::seconds(5);

std::string_view event_name(membership::EventKind kind) {
    switch (kind) {
        case membership::EventKind::Up:
            return "up";
        case membership::EventKind::Suspected:
            return "suspected";
        case membership::EventKind::Refuted:
            return "refuted";
        case membership::EventKind::Failed:
            return "failed";
        case membership::EventKind::Left:
            return "left";
        case membership::EventKind::Moved:
            return "moved";
        case membership::EventKind::Record:
            return "record";
        case membership::EventKind::Contested:
            return "contested";
        case membership::EventKind::Displaced:
            return "displaced";
    }
    return "unknown";
}

}  // namespace

Node::Node(PeerConfig config)
    : config_(std::move(config)),
      reporter_(config_.json),
      links_(loop_, *this),
      membership_(loop_, *this),
      membership_streams_(links_, membership_),
      dial_back_(loop_, links_, [this](const std::string& line) { reporter_.note(line); }),
      http_(loop_.context(), [this](const HttpRequest& request) { return serve(request); }),
      bootstrap_(loop_, links_, *this),
      addresses_(
          loop_,
          [this] { return known_addresses(); },
          [this](const std::string& line) { note_once(line); }
      ),
      lonely_timer_(loop_, [this] { look_around(); }),
      wrong_swarm_timer_(loop_, [this] { end_in_wrong_swarm(); }),
      stop_timer_(loop_, [this] { loop_.stop(); }),
      run_timer_(loop_, [this] { leave("time is up"); }) {
    membership_streams_.on_forged([this](const PeerId& from, std::uint32_t /*forged*/) {
        links_.strike(from);
    });
}

Node::~Node() {
    // Nobody answers there any more. Only a peer that was killed leaves the file behind.
    if (http_address_.port != 0 && !config_.state.empty()) remove_serving_place(config_.state);
}

void Node::on_sent(FrameType type, Bytes payload) {
    owner_.check();
    if (session_) session_->recycle(type, std::move(payload));
}

void Node::on_broken(const PeerId& partner, const Fault& why) {
    owner_.check();
    if (started_) {
        auto& swim = membership_.swim();
        if (why.code == FaultCode::Unreachable) swim.handle_stream_refused(real_now(), partner);
        swim.handle_stream_lost(real_now(), partner);
        // Later, for what it sends may use the streams that have just called us.
        loop_.post([this] { membership_.pump(); });
    }
    if (session_) session_->handle_broken(partner);
}

void Node::on_lane_broken(const PeerId& partner, Lanes lanes, const Fault& /*why*/) {
    owner_.check();
    if (session_) session_->handle_lane_broken(partner, lanes);
}

void Node::on_small_segments(const Endpoint& partner) {
    note_once(small_segments_note(partner));
}

std::optional<Endpoint> Node::address_of(const PeerId& partner) {
    owner_.check();
    if (const auto member = membership_.swim().find(partner)) return member->address;
    return bootstrap_.hint_of(partner);
}

void Node::on_stream_request(const membership::StreamRequest& request) {
    owner_.check();
    bootstrap_.hint(request.peer, request.to);
    membership_streams_.send(request);
}

const membership::Swim& Node::table() const {
    return membership_.swim();
}

void Node::on_greeted(const PeerId& peer) {
    membership_streams_.send_table(peer);
    if (peer != self_) dial_back_.on_greeted(peer);
}

void Node::on_unreachable(const std::string& line) {
    note_once(line);
}

/// A peer that resumes keeps its swarm, whatever --join says. If it then found nobody, it would
/// train alone while the user believes that it has joined the other swarm.
void Node::on_other_swarm(const Endpoint& seed, const std::string& line) {
    note_once("--join " + seed.to_string() + ": " + line);
    if (!resumed_ || !wrong_swarm_.empty()) return;
    wrong_swarm_ =
        "--join " + seed.to_string() + ": " + line + ", which " + config_.state.string() +
        " resumes and of which nobody answers: leave --join out, or give another --state";
    wrong_swarm_timer_.arm_after(kOwnSwarmTime);
}

void Node::end_in_wrong_swarm() {
    if (table().alive_count() == 1) end(fail(FaultCode::Usage, wrong_swarm_));
}

/// A seed's trouble may show when the descriptor is fetched and again afterwards.
void Node::note_once(const std::string& line) {
    if (noted_.insert(line).second) reporter_.note(line);
}

/// What a handler or a vital coroutine of the network thread throws, mostly for want of memory, ends
/// this peer. A peer that went on half deaf would be worse for the others than one that is gone.
Result<void> Node::run() {
    owner_.check();
    try {
        return live();
    } catch (const std::exception& error) {
        return fail(FaultCode::Io, error.what());
    }
}

Result<void> Node::live() {
    note_few_descriptors();
    if (auto ok = open_state(); ok.has_error()) return ok;
    // A name server that does not answer must not hold up a signal, and whoever reads the line below
    // may send one at once.
    loop_.on_signal([this](int) { on_signal(); });
    if (auto ok = bind_sockets(); ok.has_error()) return ok;
    reporter_.listening(advertised_.to_string(), http_address_.to_string());
    if (auto ok = read_founding(); ok.has_error()) return ok;
    if (ending_) return *fault_;
    auto plan = make_plan();
    if (ending_) return *fault_;
    if (plan.has_error()) return plan.error();
    if (auto ok = read_own(*plan); ok.has_error()) return ok;
    if (auto ok = become_member(std::move(*plan)); ok.has_error()) return ok;
    if (config_.run_for > Duration::zero()) run_timer_.arm_after(config_.run_for);
    loop_.run();
    if (fault_) return *fault_;
    return {};
}

void Node::note_few_descriptors() {
    const auto limit = raise_descriptor_limit();
    if (limit >= kDescriptorsFew) return;
    note_once(
        "only " + std::to_string(limit) +
        " open files are allowed here (ulimit -n): when they are used up, streams of other peers "
        "wait, and averaging with them"
    );
}

void Node::on_signal() {
    owner_.check();
    if (started_ && !ending_) return leave("asked to stop");
    loop_.stop();
    if (!fault_ && !ending_) fault_ = fail(FaultCode::Cancelled, "interrupted");
}

Result<void> Node::open_state() {
    if (auto seeds = seeds_of_last_life(config_); !seeds.empty()) config_.join = std::move(seeds);
    auto ours = open_local_state(config_);
    if (ours.has_error()) return ours.error();
    local_ = std::move(*ours);
    for (const auto& line : local_.notes) note_once(line);
    self_ = local_.identity.id;
    notary_ = make_notary(local_.identity);
    reporter_.set_self(self_);
    return check_founding();
}

Result<SwarmPlan> Node::make_plan() {
    const auto note = [this](const std::string& line) { note_once(line); };
    auto& checkpoint = local_.checkpoint;
    auto plan =
        checkpoint ? plan_resuming(std::move(*checkpoint), note)
        : !config_.join.empty()
            ? plan_joining(loop_, config_, introduction({}), local_.key, note)
            : plan_founding(config_, local_.key.has_value(), founding_ ? &*founding_ : nullptr);
    if (plan.has_error()) return plan;
    if (plan->via) {
        if (auto ok = move_towards(*plan->via); ok.has_error()) return ok.error();
    }
    if (config_.membership_only) return plan;
    if (auto ok = lay_out(*plan); ok.has_error()) return ok.error();
    if (auto ok = check_device_memory(*plan, config_); ok.has_error()) return ok.error();
    return plan;
}

/// Starts membership and the session. From here on we are a member of the swarm.
Result<void> Node::become_member(SwarmPlan plan) {
    if (plan.start != Start::Found && !config_.founder_flags.empty()) {
        reporter_.note(
            config_.founder_flags + " ignored: the swarm that this peer belongs to has decided that"
        );
    }
    swarm_ = swarm_id_of(plan.blob);
    auto key = choose_key(config_, local_.key, plan.descriptor, swarm_);
    if (key.has_error()) return key.error();
    key_ = *key;
    blob_ = plan.blob;
    keep_data_set(plan);
    auto addresses = std::move(plan.known_addresses);
    if (plan.via) addresses.push_back(*plan.via);
    if (plan.small_segments) links_.use_small_segments(*plan.via);
    for (const auto& text : config_.join) {
        if (const auto literal = Endpoint::parse(text)) addresses.push_back(*literal);
    }
    if (local_.book && local_.book->swarm == swarm_) {
        const auto& before = local_.book->members;
        addresses.insert(addresses.end(), before.begin(), before.end());
    }
    resumed_ = plan.start == Start::Resume;
    started_ = true;
    start_membership(
        plan.start, plan.descriptor.keyed ? keyed_channel(key_) : open_channel(swarm_)
    );
    if (!config_.membership_only) start_session(std::move(plan));
    bootstrap_.begin(advertised_, config_.join, addresses);
    if (!config_.state.empty()) {
        addresses_.begin(config_.state, {swarm_, advertised_, std::move(addresses)});
    }
    look_around();
    return {};
}

/// While we are alone, the directories beside ours may say where other peers of our swarm are. While
/// others cannot dial us, we dial them.
void Node::look_around() {
    if (ending_) return;
    const bool alone = table().alive_count() == 1;
    if (alone && !config_.state.empty()) bootstrap_.add(neighbours(config_.state, swarm_));
    dial_back_.keep_streams(table().members());
    if (config_.membership_only && dial_back_.reach() != told_reach_) {
        told_reach_ = dial_back_.reach();
        publish_watching();
    }
    lonely_timer_.arm_after(kLookAroundEvery);
}

AddressBook Node::known_addresses() const {
    AddressBook book{swarm_, advertised_, {}};
    for (const auto& member : table().members()) {
        const bool up = member.state <= membership::MemberState::Suspect;
        if (up && member.id != self_) book.members.push_back(member.address);
    }
    return book;
}

void Node::start_session(SwarmPlan plan) {
    const auto start = plan.start;
    const std::string model = plan.descriptor.model;
    const std::string via = plan.via ? plan.via->to_string() : "";
    const auto parameters = plan.layout.elements();
    const auto steps = plan.checkpoint ? plan.checkpoint->steps : 0;
    session_ = std::make_unique<SessionDriver>(
        SessionDriver::Around{loop_, config_, reporter_, links_, membership_, dial_back_},
        self_,
        process_,
        std::move(plan),
        [this](std::optional<Fault> fault) { end(std::move(fault)); }
    );
    if (founding_) {
        auto& data = founding_->data;
        for (std::size_t i = 0; i < data.shards.size(); ++i) {
            const auto& id = data.manifest.shards[i].id;
            const auto put = session_->shards().put_known(id, std::move(data.shards[i]));
            STARLING_CHECK(put.has_value());
        }
        founding_.reset();
    }
    if (start == Start::Found) {
        reporter_.founded(swarm_, model, parameters);
        const auto key = local_.key ? key_path(config_).string() : std::string();
        reporter_.invite(advertised_.to_string(), key, advertised_.is_loopback());
    }
    if (start == Start::Join) reporter_.joined(swarm_, model, via);
    if (start == Start::Resume) reporter_.resumed(swarm_, steps);
    session_->begin();
}

Introduction Node::introduction(ChannelKeys keys) const {
    Hello ours;
    ours.id = self_;
    ours.swarm = swarm_;
    ours.address = advertised_;
    ours.process = process_;
    return {ours, notary_, std::move(keys)};
}

void Node::start_membership(Start start, ChannelKeys keys) {
    const auto& identity = local_.identity;
    auto swim = *membership::SwimConfig::profile(config_.profile);
    swim.swarm = swarm_;
    // Others may know later lives of this state directory than its files do.
    const bool lived = start != Start::Found && !config_.state.empty();
    const membership::Swim::Self self{
        .id = self_,
        .address = advertised_,
        .epoch = identity.epoch,
        .notary = notary_,
        .pool = nullptr,
        .founder = start == Start::Found,
        .mark = 1 + process_ % kMarks,
        .lived = lived,
        .salt = random_boot_salt(),
    };
    const auto pairs = std::make_shared<PairKeys>(key_, identity);
    membership_.start(
        membership::Swim(swim, self, Rng(std::random_device{}() ^ self_.prefix64()), real_now()),
        Sealer(key_, swarm_, pairs, self.salt, identity.epoch),
        Opener(key_, swarm_, pairs, self.notary),
        lived ? kHoldTime : Duration::zero()
    );
    dial_back_.begin(self_, advertised_);
    links_.open(introduction(std::move(keys)));
    if (config_.membership_only) publish_watching();
}

/// The record of a peer that trains nothing.
void Node::publish_watching() {
    Record record;
    record.state = PeerState::Watching;
    record.name = config_.name;
    record.reachable = reachable(dial_back_.reach());
    membership_.swim().set_record(real_now(), encode_record(record));
    membership_.pump();
}

void Node::on_member_event(const membership::Event& event) {
    owner_.check();
    using membership::EventKind;
    if (event.kind == EventKind::Contested) on_contested();
    if (event.kind == EventKind::Displaced) loop_.post([this] { end_displaced(); });
    if (event.kind == EventKind::Record || event.id == self_) return;
    const bool silent = event.kind == EventKind::Suspected || event.kind == EventKind::Failed;
    if (silent) links_.note_silence(event.id);
    const auto record = decode_record(table().record(event.id));
    reporter_.member(
        event_name(event.kind), event.id, record.has_value() ? record->name : std::string()
    );
    if (!session_) return;
    if (event.kind == EventKind::Failed || event.kind == EventKind::Left) {
        session_->member_down(event.id);
    } else if (event.kind == EventKind::Up) {
        session_->member_up();
    }
}

void Node::leave(const std::string& why) {
    owner_.check();
    if (ending_) return;
    if (!started_) return give_up(why);
    reporter_.note(why + ": leaving the swarm");
    stop_session([this] {
        if (session_ && !fault_) fault_ = session_->lost_checkpoint();
        reporter_.left();
        say_goodbye();
    });
}

/// Ends before anybody knows us. Whoever asked for it over HTTP gets the answer first.
void Node::give_up(const std::string& why) {
    ending_ = true;
    fault_ = fail(FaultCode::Cancelled, why + " before it belonged to a swarm");
    stop_timer_.arm_after(kAnswerTime);
}

void Node::end(std::optional<Fault> fault) {
    owner_.check();
    if (ending_) return;
    fault_ = std::move(fault);
    stop_session([this] { say_goodbye(); });
}

void Node::stop_session(std::function<void()> stopped) {
    ending_ = true;
    bootstrap_.stop();
    if (session_) return session_->stop(std::move(stopped));
    stopped();
}

void Node::say_goodbye() {
    membership_.swim().leave(real_now());
    membership_.pump();
    stop_timer_.arm_after(kGoodbyeTime);
    loop_.post([this] { links_.close_all("leaving"); });
}

HttpReply Node::serve(const HttpRequest& request) {
    owner_.check();
    if (!request.life.empty() && request.life != life_) {
        return {kOtherLife, "text/plain", "this is another peer, or another life of it\n"};
    }
    if (request.target == "/leave") {
        if (request.method != "POST") return {405, "text/plain", "POST, please\n"};
        loop_.post([this] { leave("asked by a command"); });
        return {200, "application/json", "{\"leaving\":true}\n"};
    }
    if (request.method != "GET") return {405, "text/plain", "GET, please\n"};
    if (!started_) {
        const auto how_far = reading_.empty() ? std::string() : ": " + reading_;
        return {503, "text/plain", "still starting" + how_far + "\n"};
    }
    if (request.target == "/") return {200, "text/html; charset=utf-8", kLivePage};
    if (request.target == "/healthz") return {200, "text/plain", "ok\n"};
    if (request.target == "/status")
        return {200, "application/json", render_status(status_inputs()) + "\n"};
    if (request.target == "/metrics") {
        return {200, "text/plain; version=0.0.4", render_metrics(status_inputs())};
    }
    return {404, "text/plain", "try /, /status, /metrics or /healthz\n"};
}

StatusInputs Node::status_inputs() const {
    StatusInputs inputs;
    inputs.id = self_;
    inputs.name = config_.name;
    inputs.swarm = swarm_;
    inputs.listen = advertised_;
    inputs.http = http_address_;
    inputs.incarnation = membership_.swim().incarnation();
    inputs.view = look(membership_.swim());
    inputs.now = real_now();
    inputs.membership = membership_.swim().counters();
    inputs.seal = membership_.seal_counters();
    inputs.links = links_.counters();
    inputs.lag = loop_.lag();
    inputs.reach = dial_back_.reach();
    inputs.connections = links_.connection_count();
    inputs.membership_streams = membership_streams_.counters();
    inputs.lines_dropped = reporter_.lines_dropped();
    if (session_) inputs.session = session_->status();
    return inputs;
}

}  // namespace starling::peer
