#include "peer/node.hpp"

#include <algorithm>
#include <random>
#include <utility>

#include "base/check.hpp"
#include "compute/engine.hpp"
#include "peer/clock.hpp"
#include "peer/descriptor_transfer.hpp"
#include "peer/files.hpp"
#include "peer/notary.hpp"
#include "peer/page.hpp"
#include "peer/sha256.hpp"
#include "peer/status.hpp"
#include "peer/task.hpp"

namespace starling::peer {

namespace {

constexpr Duration kJoinPatience = std::chrono::seconds(10);
constexpr Duration kResolveEvery = std::chrono::seconds(60);
/// Answers taken of one look-up of a name: a name may stand for thousands.
constexpr std::size_t kAnswersMax = 8;
/// Time for the goodbye to spread: a few gossip ticks.
constexpr Duration kGoodbyeTime = std::chrono::milliseconds(900);
constexpr std::size_t kHintsMax = 1024;
constexpr int kBindAttempts = 16;
constexpr std::byte kWantsReply{1};
constexpr const char* kKeyFile = "swarm.key";

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
    }
    return "unknown";
}

std::array<std::uint8_t, 16> random_nonce() {
    std::random_device device;
    std::array<std::uint8_t, 16> nonce{};
    for (auto& byte : nonce) byte = static_cast<std::uint8_t>(device());
    return nonce;
}

}  // namespace

Node::Node(PeerConfig config)
    : config_(std::move(config)),
      reporter_(config_.json),
      links_(
          loop_,
          Links::Callbacks{
              [this](const PeerId& from, FrameType type, ByteView payload) {
                  on_frame(from, type, payload);
              },
              [this](FrameType type, Bytes payload) {
                  if (session_) session_->recycle(type, std::move(payload));
              },
              [this](const PeerId& partner, const Fault&) {
                  if (session_) session_->handle_broken(partner);
              },
              [this](const PeerId& partner) -> std::optional<Endpoint> {
                  if (const auto member = membership_.swim().find(partner)) return member->address;
                  const auto hint = hints_.find(partner);
                  if (hint != hints_.end()) return hint->second;
                  return std::nullopt;
              },
              [this](Connection& asker) { send_descriptor(asker, blob_); }}
      ),
      membership_(
          loop_,
          MembershipDriver::Callbacks{
              [this](const membership::Event& event) { on_member_event(event); },
              [this](const membership::StreamRequest& request) {
                  if (hints_.size() < kHintsMax) hints_[request.peer] = request.to;
                  if (request.kind == membership::StreamRequest::Kind::Ping) {
                      links_.send(request.peer, FrameType::Ping, {});
                  } else {
                      const auto pages = membership_.swim().pages_for(request);
                      send_pages(request.peer, pages, request.wants_answer());
                  }
              }}
      ),
      http_(loop_.context(), [this](const HttpRequest& request) { return serve(request); }),
      introduce_timer_(loop_, [this] { introduce_all(); }),
      resolve_timer_(loop_, [this] { resolve_seeds(); }),
      stop_timer_(loop_, [this] { loop_.stop(); }),
      run_timer_(loop_, [this] { leave("time is up"); }),
      introductions_(Rng(std::random_device{}())) {}

Node::~Node() {
    if (session_) session_->stop();
}

/// Founds a swarm of mere members.
bool Node::founds_members_only() const {
    return config_.join.empty() && !checkpoint_ && config_.membership_only;
}

bool Node::founds() const {
    return config_.join.empty() && !checkpoint_ && !config_.membership_only;
}

Result<void> Node::run() {
    if (auto ok = load_state(); ok.has_error()) return ok;
    if (auto ok = load_key(); ok.has_error()) return ok;
    if (founds()) {
        if (auto ok = load_founder_data(); ok.has_error()) return ok;
    }
    if (auto ok = bind_sockets(); ok.has_error()) return ok;
    loop_.on_signal([this](int) {
        if (!started_ || ending_) {
            loop_.stop();
            if (!fault_ && !ending_) fault_ = fail(FaultCode::Cancelled, "interrupted");
            return;
        }
        leave("asked to stop");
    });
    auto plan = make_plan();
    if (plan.has_error()) return plan.error();
    if (plan->start != Start::Found && !config_.founder_flags.empty()) {
        reporter_.note(
            config_.founder_flags + " ignored: the swarm that this peer belongs to has decided that"
        );
    }
    swarm_ = swarm_id_of(plan->blob);
    if (auto ok = settle_key(plan->descriptor, swarm_); ok.has_error()) return ok;
    blob_ = plan->blob;
    for (const auto& address : plan->introductions) introductions_.add(real_now(), address);
    started_ = true;
    start_membership(swarm_);
    if (!config_.membership_only) start_session(std::move(*plan));
    introduce_all();
    resolve_timer_.arm_after(kResolveEvery);
    if (config_.run_for > Duration::zero()) run_timer_.arm_after(config_.run_for);
    loop_.run();
    if (fault_) return *fault_;
    return {};
}

Result<void> Node::load_state() {
    if (!config_.state.empty()) {
        auto lock = lock_state_directory(config_.state);
        if (lock.has_error()) return lock.error();
        lock_.emplace(std::move(*lock));
        auto checkpoint = read_checkpoint(config_.state);
        if (checkpoint.has_value()) {
            checkpoint_ = std::move(*checkpoint);
        } else if (checkpoint.error().code != FaultCode::NotFound) {
            return checkpoint.error();
        }
    }
    if (config_.state.empty()) {
        identity_ = ephemeral_identity();
    } else {
        auto identity = load_identity(config_.state);
        if (identity.has_error()) return identity.error();
        identity_ = std::move(*identity);
        if (identity_.epoch >= kLivesMax) {
            return fail(
                FaultCode::Usage,
                (config_.state / "epoch").string() +
                    ": this identity has started too often; "
                    "remove identity.key and epoch there to become a new peer"
            );
        }
    }
    reporter_.set_self(identity_.id);
    if (founds() && config_.dataset.empty()) {
        return fail(
            FaultCode::Usage,
            "nothing to train on: " + config_.state.string() +
                " holds no checkpoint; give --dataset SPEC to found a swarm, or --join HOST:PORT"
        );
    }
    return {};
}

Result<void> Node::load_key() {
    auto path = config_.key;
    if (path.empty()) {
        if (config_.state.empty()) return {};
        path = config_.state / kKeyFile;
        std::error_code ignored;  // what cannot be looked at cannot be read either, and that tells
        if (!std::filesystem::exists(path, ignored)) {
            // A founder that keeps a state means to run a swarm; others learn whether it has a key.
            if (!founds() && !founds_members_only()) return {};
            given_key_ = random_swarm_key();
            return write_swarm_key(path, *given_key_);
        }
    }
    auto key = read_swarm_key(path);
    if (key.has_error()) return fail(FaultCode::Usage, key.error().message);
    given_key_ = *key;
    return {};
}

/// Decides by which key our swarm is sealed, and keeps it for the next life.
Result<void> Node::settle_key(const Descriptor& descriptor, const SwarmId& swarm) {
    if (!descriptor.keyed) {
        if (!config_.key.empty()) {
            return fail(
                FaultCode::Usage,
                "--key: swarm " + swarm.short_string() +
                    " is open, nothing in it is secret; leave --key out to join it all the same"
            );
        }
        key_ = open_swarm_key(swarm);
        return {};
    }
    if (!given_key_) {
        return fail(
            FaultCode::Usage,
            "swarm " + swarm.short_string() +
                " needs a key: copy swarm.key from the founder's state directory and give --key "
                "FILE"
        );
    }
    key_ = *given_key_;
    if (config_.state.empty()) return {};
    return write_swarm_key(config_.state / kKeyFile, key_);
}

Result<void> Node::load_founder_data() {
    const auto dataset = load_for_model(config_.dataset, config_.model);
    if (dataset.has_error()) return dataset.error();
    auto sharded = cut_dataset(*dataset, *data::Partition::parse(config_.partition));
    if (sharded.has_error()) return sharded.error();
    founder_data_ = std::move(*sharded);
    auto model = choose_model(config_.model);
    if (model.has_error()) return model.error();
    founder_model_ = std::move(*model);
    const auto layout = compute::model_layout(
        founder_model_.spec, task_of(founder_data_->manifest), founder_model_.bytes()
    );
    if (layout.has_error()) {
        // A file that cannot be trained is a wrong flag, whatever is wrong with it.
        const bool file = founder_model_.file != nullptr;
        return file ? fail(FaultCode::Usage, layout.error().message) : layout.error();
    }
    return {};
}

Result<void> Node::bind_sockets() {
    const auto listen = resolve(config_.listen);
    if (listen.has_error()) return fail(FaultCode::Usage, "--listen: " + listen.error().message);
    const Endpoint wanted = listen->front();
    if (auto ok = check_exposure(wanted, config_.insecure); ok.has_error()) return ok;
    for (int attempt = 0; attempt < kBindAttempts; ++attempt) {
        const auto bound = links_.bind(wanted);
        if (bound.has_error()) return bound.error();
        listen_ = *bound;
        // TCP and UDP share one port number; with a free choice, another one may suit both.
        const auto datagrams = membership_.bind(listen_);
        if (datagrams.has_value()) break;
        if (wanted.port != 0 || attempt + 1 == kBindAttempts) return datagrams.error();
        links_.unbind();
    }
    advertised_ = listen_;
    if (!config_.advertise.empty()) {
        const auto advertised = resolve(config_.advertise);
        if (advertised.has_error()) {
            return fail(FaultCode::Usage, "--advertise: " + advertised.error().message);
        }
        advertised_ = advertised->front();
    } else if (listen_.is_unspecified()) {
        return fail(
            FaultCode::Usage,
            "--listen " + config_.listen +
                " says not how others reach us: add --advertise HOST:PORT"
        );
    }
    const auto http = resolve(config_.http);
    if (http.has_error()) return fail(FaultCode::Usage, "--http: " + http.error().message);
    if (auto ok = check_exposure(http->front(), config_.insecure); ok.has_error()) return ok;
    const auto served = http_.listen(http->front());
    if (served.has_error()) return served.error();
    http_address_ = *served;
    if (!config_.state.empty()) {
        const std::string text = http_address_.to_string() + "\n";
        auto written = write_file_atomically(config_.state / "http", as_byte_view(text), 0644);
        if (written.has_error()) return written;
    }
    reporter_.listening(advertised_.to_string(), http_address_.to_string());
    return {};
}

Result<Node::Plan> Node::make_plan() {
    std::vector<Endpoint> seeds;
    for (const auto& text : config_.join) {
        const auto found = resolve(text);
        if (found.has_error()) return found.error();
        seeds.insert(seeds.end(), found->begin(), found->end());
    }
    Result<Plan> plan = checkpoint_      ? plan_resuming()
                        : !seeds.empty() ? plan_joining(seeds)
                                         : plan_founding();
    if (plan.has_error()) return plan;
    plan->introductions.insert(plan->introductions.end(), seeds.begin(), seeds.end());
    if (!config_.membership_only) {
        if (auto ok = complete(*plan); ok.has_error()) return ok.error();
    }
    return plan;
}

Result<Node::Plan> Node::plan_founding() {
    Plan plan;
    plan.start = Start::Found;
    auto& d = plan.descriptor;
    d.nonce = random_nonce();
    d.keyed = given_key_.has_value();
    d.model = config_.membership_only ? "none" : config_.model;
    d.optimizer = compute::OptimizerSpec::parse(config_.optimizer)->to_string();
    d.batch = config_.batch;
    d.mix = gossip::Mix::parse(config_.mix)->to_string();
    d.mix_every = config_.mix_every;
    d.encoding = config_.encoding;
    d.parts = *gossip::parse_share(config_.share);
    d.sync = config_.sync;
    d.until = *Until::parse(config_.until);
    d.wait_for = config_.wait_for;
    d.settle = config_.settle;
    d.seed = config_.seed_given ? config_.seed : Rng(std::random_device{}()).next();
    if (founder_data_) {
        d.manifest = founder_data_->manifest;
        d.model = founder_model_.spec;
        if (founder_model_.file != nullptr) d.model_file = *founder_model_.file;
        const auto layout = compute::model_layout(d.model, task_of(d.manifest), d.model_file);
        if (layout.has_error()) return layout.error();
        d.layout = LayoutHash{sha256(layout->canonical_bytes())};
    }
    plan.blob = encode_descriptor(d);
    if (plan.blob.size() > kDescriptorMax) {
        return fail(
            FaultCode::Oversized,
            "the swarm's descriptor has " + std::to_string(plan.blob.size()) +
                " bytes with its model file and manifest, 16 MiB at most: give a smaller model file"
        );
    }
    return plan;
}

Result<Node::Plan> Node::plan_joining(const std::vector<Endpoint>& seeds) {
    Hello ours;
    ours.id = identity_.id;
    ours.address = advertised_;
    auto fetched = fetch_descriptor(
        loop_, seeds, ours, kJoinPatience, [this](const std::string& line) { reporter_.note(line); }
    );
    if (fetched.has_error()) return fetched.error();
    Plan plan;
    plan.start = Start::Join;
    plan.blob = std::move(fetched->blob);
    plan.via = fetched->seed.to_string();
    auto descriptor = decode_descriptor(plan.blob);
    if (descriptor.has_error()) return descriptor.error();
    plan.descriptor = std::move(*descriptor);
    const auto holds_ours = [&] {
        return mac_of(*given_key_, fetched->proof_text) == fetched->proof;
    };
    if (plan.descriptor.keyed && given_key_ && !holds_ours()) {
        return fail(
            FaultCode::Refused,
            plan.via + " holds another key than " +
                (config_.key.empty() ? config_.state / kKeyFile : config_.key).string() +
                ": give --key with the swarm.key of this swarm's founder"
        );
    }
    return plan;
}

Result<Node::Plan> Node::plan_resuming() {
    Plan plan;
    plan.start = Start::Resume;
    plan.blob = checkpoint_->descriptor;
    auto descriptor = decode_descriptor(plan.blob);
    if (descriptor.has_error()) return descriptor.error();
    plan.descriptor = std::move(*descriptor);
    for (const auto& text : checkpoint_->addresses) {
        if (const auto address = Endpoint::parse(text)) plan.introductions.push_back(*address);
    }
    if (checkpoint_->from_previous) {
        reporter_.note("the newest checkpoint is damaged; going on from the one before it");
    }
    plan.checkpoint = std::move(checkpoint_);
    return plan;
}

/// Checks that this machine and release build the very model that the descriptor means.
Result<void> Node::complete(Plan& plan) const {
    const auto& d = plan.descriptor;
    if (d.manifest.shards.empty()) {
        return fail(
            FaultCode::Unsupported, "this swarm trains nothing; join it with --membership-only"
        );
    }
    auto layout = compute::model_layout(d.model, task_of(d.manifest), d.model_file);
    if (layout.has_error()) return layout.error();
    const LayoutHash hash{sha256(layout->canonical_bytes())};
    if (hash != d.layout) {
        return fail(
            FaultCode::LayoutMismatch,
            "this release builds " + d.model + " with layout " + hash.short_string() +
                ", the swarm has " + d.layout.short_string() + ": run the same release as the swarm"
        );
    }
    if (auto optimizer = compute::OptimizerSpec::parse(d.optimizer); optimizer.has_error()) {
        return optimizer.error();
    }
    if (auto known = averager_config(d); known.has_error()) return known.error();
    if (plan.checkpoint && plan.checkpoint->parameters.size() != layout->elements()) {
        return fail(FaultCode::Corrupt, "the checkpoint's parameters do not fit its model");
    }
    plan.layout = std::move(*layout);
    return {};
}

void Node::start_session(Plan plan) {
    Session::Wiring wiring;
    wiring.send = [this](const PeerId& to, FrameType type, Bytes payload) {
        links_.send(to, type, std::move(payload));
    };
    wiring.queued_bytes = [this](const PeerId& to) { return links_.queued_bytes(to); };
    wiring.view = [this] { return look(membership_.swim()); };
    wiring.publish = [this](const Record& record) {
        membership_.swim().set_record(real_now(), encode_record(record));
        membership_.pump();
    };
    wiring.bytes_sent = [this] { return links_.counters().bytes_sent; };
    wiring.addresses = [this] { return known_addresses(); };
    wiring.ended = [this](std::optional<Fault> fault) { end(std::move(fault)); };
    const std::string model = plan.descriptor.model;
    const auto parameters = plan.layout.elements();
    session_ = std::make_unique<Session>(
        loop_,
        config_,
        identity_.id,
        plan.descriptor,
        plan.blob,
        std::move(plan.layout),
        reporter_,
        std::move(wiring)
    );
    if (founder_data_) {
        for (auto& shard : founder_data_->shards) {
            const auto put = session_->shards().put(std::move(shard));
            STARLING_CHECK(put.has_value());
        }
        founder_data_.reset();
    }
    if (plan.start == Start::Found) reporter_.founded(swarm_, model, parameters);
    if (plan.start == Start::Join) reporter_.joined(swarm_, model, plan.via);
    if (plan.start == Start::Resume) reporter_.resumed(swarm_, plan.checkpoint->steps);
    session_->begin(plan.start, std::move(plan.checkpoint));
}

void Node::start_membership(const SwarmId& swarm) {
    auto swim = *membership::SwimConfig::profile(config_.profile);
    swim.swarm = swarm;
    const membership::Swim::Self self{
        identity_.id, advertised_, identity_.epoch, make_notary(identity_), nullptr};
    membership_.start(
        membership::Swim(
            swim, self, Rng(std::random_device{}() ^ identity_.id.prefix64()), real_now()
        ),
        Sealer(key_, swarm, identity_.id, identity_.epoch),
        Opener(key_, swarm)
    );
    Hello ours;
    ours.id = identity_.id;
    ours.swarm = swarm;
    ours.address = advertised_;
    links_.open(ours, [this](ByteView text) { return mac_of(key_, text); });
    if (config_.membership_only) {
        Record record;
        record.state = PeerState::Watching;
        membership_.swim().set_record(real_now(), encode_record(record));
        membership_.pump();
    }
}

/// Dials the addresses that we were given, for ever, unless their peers are known to be alive.
void Node::introduce_all() {
    if (ending_ || introductions_.empty()) return;
    const auto due = introductions_.take_due(real_now(), [this](const Endpoint& address) {
        return address == advertised_ || lives_at(address);
    });
    for (const auto& address : due) introduce(address);
    introduce_timer_.arm(introductions_.next());
}

void Node::introduce(const Endpoint& address) {
    links_.introduce(address, [this, address](Result<PeerId> greeted) {
        if (ending_) return;
        if (greeted.has_error()) {
            // Once is enough for people to read; the dialling goes on.
            if (membership_.swim().alive_count() == 1 && unreachable_.insert(address).second) {
                reporter_.note(greeted.error().message);
            }
            return;
        }
        greeters_[address] = *greeted;
        if (hints_.size() < kHintsMax) hints_[*greeted] = address;
        send_pages(*greeted, membership_.swim().push_pull_pages(real_now()), true);
    });
}

/// A seed may be known by another address than the one that it advertises.
bool Node::lives_at(const Endpoint& address) const {
    const auto up = [](const membership::Member& member) {
        return member.state <= membership::MemberState::Suspect;
    };
    const auto& swim = membership_.swim();
    const auto greeter = greeters_.find(address);
    if (greeter != greeters_.end()) {
        const auto member = swim.find(greeter->second);
        if (member && up(*member)) return true;
    }
    const auto members = swim.members();
    return std::any_of(members.begin(), members.end(), [&](const auto& member) {
        return member.address == address && up(member);
    });
}

/// Names are looked up again now and then: the machine behind one may have been replaced.
void Node::resolve_seeds() {
    if (ending_) return;
    for (const auto& text : config_.join) {
        if (Endpoint::parse(text)) continue;
        resolve_later(loop_, text, [this](Result<std::vector<Endpoint>> found) {
            if (found.has_error() || ending_) return;
            found->resize(std::min(found->size(), kAnswersMax));
            for (const auto& address : *found) introductions_.add(real_now(), address);
            introduce_all();
        });
    }
    resolve_timer_.arm_after(kResolveEvery);
}

void Node::send_pages(const PeerId& to, const std::vector<Bytes>& pages, bool wants_answer) {
    for (std::size_t i = 0; i < pages.size(); ++i) {
        Bytes payload;
        payload.reserve(pages[i].size() + 1);
        const bool asks = wants_answer && i + 1 == pages.size();
        payload.push_back(asks ? kWantsReply : std::byte{0});
        payload.insert(payload.end(), pages[i].begin(), pages[i].end());
        links_.send(to, FrameType::PushPull, std::move(payload));
    }
}

void Node::answer_page(const PeerId& from) {
    const auto waits = [this](const PeerId& peer) { return links_.queued_bytes(peer) > 0; };
    if (!answers_.admit(real_now(), from, waits)) {
        ++unanswered_pages_;
        return;
    }
    send_pages(from, membership_.swim().answer_pages(), false);
}

void Node::on_frame(const PeerId& from, FrameType type, ByteView payload) {
    if (type == FrameType::PushPull) {
        if (payload.empty() ||
            membership_.swim().handle_push_pull(real_now(), payload.subspan(1)).has_error()) {
            ++bad_frames_;
            return;
        }
        if (payload.front() == kWantsReply) answer_page(from);
        membership_.pump();
        return;
    }
    if (type == FrameType::Ping) {
        links_.send(from, FrameType::Pong, {});
        return;
    }
    if (type == FrameType::Pong) {
        membership_.swim().handle_stream_pong(real_now(), from);
        membership_.pump();
        return;
    }
    if (session_ && !ending_) session_->handle_frame(from, type, payload);
}

void Node::on_member_event(const membership::Event& event) {
    using membership::EventKind;
    if (event.kind == EventKind::Record || event.id == identity_.id) return;
    reporter_.member(event_name(event.kind), event.id);
    if (!session_) return;
    if (event.kind == EventKind::Failed || event.kind == EventKind::Left) {
        session_->member_down(event.id);
    } else if (event.kind == EventKind::Up) {
        session_->member_up(event.id);
    }
}

void Node::leave(const std::string& why) {
    if (ending_) return;
    reporter_.note(why + ": leaving the swarm");
    if (session_) session_->stop();
    reporter_.left();
    end(std::nullopt);
}

void Node::end(std::optional<Fault> fault) {
    if (ending_) return;
    ending_ = true;
    fault_ = std::move(fault);
    if (session_) session_->stop();
    membership_.swim().leave(real_now());
    membership_.pump();
    stop_timer_.arm_after(kGoodbyeTime);
    loop_.post([this] { links_.close_all("leaving"); });
}

std::vector<std::string> Node::known_addresses() const {
    std::vector<std::string> addresses;
    for (const auto& member : membership_.swim().members()) {
        if (member.id != identity_.id && addresses.size() < 64) {
            addresses.push_back(member.address.to_string());
        }
    }
    return addresses;
}

HttpReply Node::serve(const HttpRequest& request) {
    if (request.target == "/leave") {
        if (request.method != "POST") return {405, "text/plain", "POST, please\n"};
        loop_.post([this] { leave("asked by a command"); });
        return {200, "application/json", "{\"leaving\":true}\n"};
    }
    if (request.method != "GET") return {405, "text/plain", "GET, please\n"};
    if (!started_) return {503, "text/plain", "still starting\n"};
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
    inputs.id = identity_.id;
    inputs.swarm = swarm_;
    inputs.listen = advertised_;
    inputs.http = http_address_;
    inputs.incarnation = membership_.swim().incarnation();
    inputs.view = look(membership_.swim());
    inputs.membership = membership_.swim().counters();
    inputs.seal = membership_.seal_counters();
    inputs.links = links_.counters();
    inputs.lag = loop_.lag();
    inputs.connections = links_.connection_count();
    inputs.bad_frames = bad_frames_;
    inputs.unanswered_pages = unanswered_pages_;
    if (session_) inputs.session = session_->status();
    return inputs;
}

}  // namespace starling::peer
