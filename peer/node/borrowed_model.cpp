#include "peer/node/borrowed_model.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <utility>

#include "base/rng.hpp"
#include "compute/models/models.hpp"
#include "peer/crypto/identity.hpp"
#include "peer/crypto/notary.hpp"
#include "peer/crypto/swarm_key.hpp"
#include "peer/machine/clock.hpp"
#include "peer/machine/loop.hpp"
#include "peer/machine/resolve.hpp"
#include "peer/start/swarm_plan.hpp"
#include "peer/streams/dial.hpp"
#include "peer/terms/task.hpp"
#include "peer/transfer/state_fetch.hpp"
#include "peer/transfer/store_chunks.hpp"

namespace starling::peer {

namespace {

/// Nothing has come for so long: a donor that is busy, or a line that is cut, takes less.
constexpr Duration kPatience = std::chrono::seconds(30);
constexpr Duration kDialTimeout = std::chrono::seconds(3);
constexpr Duration kGreetingTimeout = std::chrono::seconds(10);
constexpr Duration kLookUpMax = std::chrono::seconds(10);
constexpr Duration kLookEvery = std::chrono::milliseconds(100);

std::uint64_t random_salt() {
    std::random_device device;
    return (std::uint64_t{device()} << 32U) | device();
}

/// Carries out what a StateFetch asks for, over streams to the seeds.
class Borrower final : public ConnectionHandler {
public:
    Borrower(
        Loop& loop,
        Introduction ours,
        const LayoutHash& layout,
        compute::ParameterStore& store,
        std::uint64_t seed
    )
        : loop_(loop),
          ours_(std::move(ours)),
          chunks_(store, seed),
          fetch_(chunks_, layout, random_salt(), outbox_),
          timer_(loop, [this] { look(); }),
          news_at_(real_now()) {}

    Result<void> run(const std::vector<Endpoint>& seeds) {
        for (const auto& seed : seeds) open(seed);
        look();
        loop_.run_until([this] { return fetch_.complete() || over_; });
        const bool whole = fetch_.complete();
        for (const auto& [connection, stream] : streams_) {
            connection->close(fail(FaultCode::Closed, "thank you"));
        }
        // This must outlive its streams, whose coroutines call back here.
        loop_.run_until([this] { return streams_.empty() && dialling_ == 0; });
        if (whole) return {};
        if (fault_) return *fault_;
        return fail(FaultCode::Cancelled, "interrupted");
    }

    void on_greeted(Connection& connection) override {
        const auto id = connection.greeting().partner()->id;
        // The same peer may have two addresses.
        donors_.emplace(id, &connection);
        streams_.at(&connection).donor = id;
        look();
    }

    void on_frame(Connection& connection, FrameType type, ByteView payload) override {
        const auto& donor = streams_.at(&connection).donor;
        if (!donor || over_) return;
        const auto before = fetch_.progress();
        if (type == FrameType::StateInfo) fetch_.handle_info(real_now(), *donor, payload);
        if (type == FrameType::StateChunk) fetch_.handle_chunk(real_now(), *donor, payload);
        if (fetch_.progress() != before) news_at_ = real_now();
        pump();
    }

    void on_sent(Connection& /*connection*/, FrameType /*type*/, Bytes /*payload*/) override {}

    void on_closed(Connection& connection, const Fault& why) override {
        const auto at = streams_.find(&connection);
        const auto donor = at->second.donor;
        streams_.erase(at);
        why_ = why;
        if (donor) {
            const auto found = donors_.find(*donor);
            if (found != donors_.end() && found->second == &connection) donors_.erase(found);
            if (!over_) fetch_.handle_broken(real_now(), *donor);
        }
        if (!over_ && !fetch_.complete()) pump();
    }

    /// Returns a line for people about a donor that is not believed.
    std::optional<std::string> poll_note() { return fetch_.poll_note(); }

private:
    struct Stream {
        ConnectionPtr connection;
        std::optional<PeerId> donor;  ///< once it has greeted
    };

    void open(const Endpoint& to) {
        ++dialling_;
        (void)dial(loop_, to, kDialTimeout, *this, [this](Result<ConnectionPtr> dialled) {
            --dialling_;
            if (dialled.has_error()) {
                why_ = dialled.error();
                return;
            }
            auto connection = *dialled;
            streams_.emplace(connection.get(), Stream{connection, std::nullopt});
            connection->start(ours_, kGreetingTimeout);
            if (over_ || fetch_.complete()) connection->close(fail(FaultCode::Closed, "too late"));
        });
    }

    /// Names the donors anew, as a newcomer does with each view, and ends when nothing comes any more.
    void look() {
        if (over_ || fetch_.complete()) return;
        const Instant now = real_now();
        std::vector<PeerId> ids;
        for (const auto& [id, connection] : donors_) ids.push_back(id);
        fetch_.set_candidates(now, ids);
        fetch_.handle_timeout(now);
        const bool nobody = streams_.empty() && dialling_ == 0;
        if (nobody || now - news_at_ > kPatience) {
            over_ = true;
            fault_ = nobody && why_
                         ? *why_
                         : fail(
                               FaultCode::Unreachable,
                               "no peer at --from gives its parameters: they are joining "
                               "themselves, or busy; try again, or name other members"
                           );
            return;
        }
        pump();
    }

    void pump() {
        while (!outbox_.empty()) {
            auto frame = std::move(outbox_.front());
            outbox_.pop_front();
            const auto donor = donors_.find(frame.to);
            if (donor != donors_.end()) donor->second->send(frame.type, std::move(frame.payload));
        }
        if (over_ || fetch_.complete()) return;
        auto next = real_now() + kLookEvery;
        if (const auto at = fetch_.timeout()) next = std::min(next, *at);
        timer_.arm(next);
    }

    Loop& loop_;
    Introduction ours_;
    Outbox outbox_;
    StoreChunks chunks_;
    StateFetch fetch_;
    Timer timer_;
    Instant news_at_;
    std::map<Connection*, Stream> streams_;
    std::map<PeerId, Connection*> donors_;
    std::size_t dialling_ = 0;
    bool over_ = false;
    std::optional<Fault> why_;  ///< the last stream ended
    std::optional<Fault> fault_;
};

Result<std::optional<SwarmKey>> key_of(const BorrowedFrom& from) {
    if (from.key.empty()) return std::optional<SwarmKey>();
    auto key = read_swarm_key(from.key);
    if (key.has_error()) return fail(FaultCode::Usage, "--key: " + key.error().message);
    return std::optional(*key);
}

/// Returns the layout of another model that is asked for, or that of the swarm.
Result<compute::ParameterLayout> layout_of(SwarmPlan& plan, const ModelChoice* other) {
    if (other == nullptr) return std::move(plan.layout);
    plan.descriptor.model = other->spec;
    plan.descriptor.model_file = other->file ? *other->file : Bytes{};
    const auto elements = plan.layout.elements();
    auto layout = compute::model_layout(
        plan.descriptor.model, task_of(plan.descriptor.manifest), plan.descriptor.model_file
    );
    if (layout.has_value() && layout->elements() != elements) {
        return fail(
            FaultCode::LayoutMismatch,
            "the swarm's model has " + std::to_string(elements) + " parameters, " + other->spec +
                " has " + std::to_string(layout->elements())
        );
    }
    return layout;
}

}  // namespace

Result<TrainedModel> borrow_model(
    const BorrowedFrom& from,
    const ModelChoice* other,
    const std::function<void(const std::string&)>& note
) {
    const auto key = key_of(from);
    if (key.has_error()) return key.error();
    Loop loop;
    loop.on_signal([&loop](int) { loop.stop(); });
    const auto identity = ephemeral_identity();
    Hello hello;
    hello.id = identity.id;
    Introduction ours{hello, make_notary(identity)};
    PeerConfig config;
    config.join = from.seeds;
    config.key = from.key;
    auto plan = plan_joining(loop, config, ours, *key, note);
    if (plan.has_error()) return plan.error();
    if (auto fits = lay_out(*plan); fits.has_error()) return fits.error();
    if (plan->descriptor.keyed && !*key) {
        return fail(FaultCode::Usage, "this swarm needs a key: give --key with its swarm.key");
    }
    const auto swarm = swarm_id_of(plan->blob);
    ours.ours.swarm = swarm;
    ours.keys = plan->descriptor.keyed ? keyed_channel(**key) : open_channel(swarm);
    std::vector<Endpoint> seeds{*plan->via};
    for (const auto& text : from.seeds) {
        const auto found = resolve_within(loop, text, kLookUpMax);
        // One that is not known has been named already, while the descriptor was fetched.
        if (found.has_value() && *found != *plan->via) seeds.push_back(*found);
    }
    const auto hash = plan->descriptor.layout;
    auto layout = layout_of(*plan, other);
    if (layout.has_error()) return layout.error();
    TrainedModel model{std::move(plan->descriptor), nullptr};
    model.parameters = std::make_unique<compute::ParameterStore>(std::move(*layout));
    Borrower borrower(loop, std::move(ours), hash, *model.parameters, model.descriptor.seed);
    const auto fetched = borrower.run(seeds);
    while (const auto line = borrower.poll_note()) note(*line);
    if (fetched.has_error()) return fetched.error();
    return model;
}

}  // namespace starling::peer
