#include "peer/commands/bench_exchange.hpp"

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

#include "compute/arena/parameter_store.hpp"
#include "peer/averaging/gossip_driver.hpp"
#include "peer/crypto/identity.hpp"
#include "peer/crypto/notary.hpp"
#include "peer/machine/clock.hpp"
#include "peer/machine/loop.hpp"
#include "peer/streams/links.hpp"

namespace starling::peer {

namespace {

struct Flags {
    std::size_t parameters = 100'000'000;
    std::string encoding = "f32";
    double seconds = 5.0;
    std::size_t window = 0;   ///< MiB; 0: it adapts to the link
    std::size_t streams = 0;  ///< TCP connections; 0: as many as the round trip asks for
    bool plain_tcp = false;
    std::string listen;   ///< this process is the half that answers
    std::string connect;  ///< this process is the half that asks
};

compute::ParameterLayout layout_of(std::size_t parameters) {
    compute::ParameterInfo info;
    info.name = "weights";
    info.shape = {static_cast<std::int64_t>(parameters)};
    info.init = compute::Init::UniformFanIn;
    info.fan_in = 256;
    return compute::ParameterLayout({info});
}

/// One of the two peers: a store, an averager, streams, and nothing else.
class BenchPeer final : private LinkHandler, private FrameReceiver {
public:
    BenchPeer(const Flags& flags, std::uint8_t number)
        : identity_(ephemeral_identity()),
          store_(layout_of(flags.parameters)),
          links_(loop_, *this),
          gossip_(
              loop_,
              config_of(flags),
              identity_.id,
              LayoutHash{},
              store_,
              Rng(number),
              {[this](gossip::Outgoing outgoing) { send_exchange(links_, std::move(outgoing)); },
               [this](const gossip::ExchangeEvent& event) { on_exchange(event); }}
          ) {
        store_.initialize(Rng(number));
        links_.route(FrameType::Exchange, *this);
        if (flags.streams > 0) links_.fix_lanes(flags.streams - 1);
        introduction_.ours.id = identity_.id;
        introduction_.ours.swarm.bytes.fill(1);
        introduction_.notary = make_notary(identity_);
        introduction_.keys = open_channel(introduction_.ours.swarm);
        introduction_.plain = flags.plain_tcp;
    }

    Result<Endpoint> listen(const Endpoint& at = Endpoint::v4(0x7f000001, 0)) {
        auto bound = links_.bind(at);
        if (bound) links_.open(introduction_);
        return bound;
    }

    /// Blocks and answers until the partner is gone.
    void serve() {
        loop_.run_until([this] { return gone_; });
    }

    /// Blocks and exchanges without a pause for `seconds`, after a first exchange that warms up.
    /// Returns false if the connection to the partner breaks.
    bool drive(const Endpoint& partner, double seconds) {
        links_.introduce(partner, [this](const Result<PeerId>& greeted) {
            gone_ = greeted.has_error();
            if (gone_) return;
            meet(*greeted);
            gossip_.begin_exchange();
        });
        budget_ = seconds;
        loop_.run_until([this] { return gone_ || done_; });
        return done_;
    }

    [[nodiscard]] double elapsed() const { return elapsed_; }

    [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

    [[nodiscard]] std::size_t exchanges() const { return exchanges_; }

private:
    static gossip::AveragerConfig config_of(const Flags& flags) {
        gossip::AveragerConfig config;
        config.encoding = *gossip::parse_encoding(flags.encoding);
        config.adapt_window = flags.window == 0;
        if (flags.window > 0) config.window_bytes = flags.window << 20U;
        return config;
    }

    /// Whoever dials us is the partner.
    void meet(const PeerId& partner) {
        if (std::exchange(met_, true)) return;
        gossip_.peer_up(partner);
    }

    void handle_frame(const PeerId& from, FrameType /*type*/, ByteView payload) override {
        meet(from);
        gossip_.handle_frame(from, payload);
    }

    void on_sent(FrameType /*type*/, Bytes payload) override {
        gossip_.recycle(std::move(payload));
    }

    void on_broken(const PeerId& partner, const Fault& /*why*/) override {
        gossip_.handle_broken(partner);
        gone_ = true;
    }

    void on_lane_broken(const PeerId& partner, Lanes lanes, const Fault& /*why*/) override {
        gossip_.handle_lane_broken(partner, lanes);
    }

    void on_descriptor_wanted(Connection& /*asker*/, std::size_t /*piece*/) override {}

    std::optional<Endpoint> address_of(const PeerId& /*partner*/) override { return std::nullopt; }

    void on_exchange(const gossip::ExchangeEvent& event) {
        if (!event.initiator) return;
        if (event.outcome != gossip::Outcome::Committed) {
            gone_ = true;
            return;
        }
        const Instant now = real_now();
        if (warm_) {
            ++exchanges_;
            bytes_ += event.bytes;
            elapsed_ = to_seconds(now - began_);
        } else {
            warm_ = true;
            began_ = now;
        }
        done_ = elapsed_ >= budget_;
        if (!done_) loop_.post([this] { gossip_.begin_exchange(); });
    }

    Identity identity_;
    Loop loop_;
    compute::ParameterStore store_;
    Links links_;
    GossipDriver gossip_;
    Introduction introduction_;
    Instant began_;
    double budget_ = 0.0;
    double elapsed_ = 0.0;
    std::uint64_t bytes_ = 0;
    std::size_t exchanges_ = 0;
    bool met_ = false;
    bool warm_ = false;
    bool done_ = false;
    bool gone_ = false;
};

/// The second process. It writes the port on which it listens to `out`, and then answers.
[[noreturn]] void run_partner(const Flags& flags, int out) {
    BenchPeer peer(flags, 2);
    const auto at = peer.listen();
    const std::uint16_t port = at ? at->port : 0;
    if (::write(out, &port, sizeof(port)) != sizeof(port)) std::_Exit(kExitFailed);
    ::close(out);
    peer.serve();
    std::_Exit(kExitDone);
}

/// Runs the half that asks, and prints the result. `at` is the partner's address; it is empty if
/// the partner does not listen.
int drive(const Flags& flags, const std::optional<Endpoint>& at) {
    BenchPeer peer(flags, 1);
    // listen() tells the streams who we are. Nobody dials us.
    if (!at || !peer.listen() || !peer.drive(*at, flags.seconds)) {
        std::fputs("starling bench: the exchange broke off\n", stderr);
        return kExitFailed;
    }
    const double parameters = static_cast<double>(flags.parameters * peer.exchanges());
    std::printf(
        "{\"bench\":\"exchange\",\"params\":%zu,\"encoding\":\"%s\",\"encrypted\":%s,"
        "\"exchanges\":%zu,\"seconds\":%.3f,\"bytes_per_s\":%.0f,\"gbit_per_s\":%.2f,"
        "\"params_per_s\":%.0f}\n",
        flags.parameters,
        flags.encoding.c_str(),
        flags.plain_tcp ? "false" : "true",
        peer.exchanges(),
        peer.elapsed(),
        static_cast<double>(peer.bytes()) / peer.elapsed(),
        8e-9 * static_cast<double>(peer.bytes()) / peer.elapsed(),
        parameters / peer.elapsed()
    );
    return kExitDone;
}

/// Runs only the half that answers, for two machines or two namespaces.
int serve(const Flags& flags) {
    const auto at = Endpoint::parse(flags.listen);
    if (at.has_error()) return report_fault("bench", as_usage(at.error()));
    BenchPeer peer(flags, 2);
    const auto bound = peer.listen(*at);
    if (bound.has_error()) return report_fault("bench", bound.error());
    std::printf("{\"bench\":\"exchange\",\"listen\":\"%s\"}\n", bound->to_string().c_str());
    std::fflush(stdout);
    peer.serve();
    return kExitDone;
}

int run_both(const Flags& flags) {
    int ends[2] = {-1, -1};
    if (::pipe(ends) != 0) return kExitFailed;
    std::fflush(nullptr);
    // No thread and no loop exists yet, so a plain fork is safe.
    const pid_t child = ::fork();
    if (child < 0) return kExitFailed;
    if (child == 0) {
        ::close(ends[0]);
        run_partner(flags, ends[1]);
    }
    ::close(ends[1]);
    std::uint16_t port = 0;
    const bool told = ::read(ends[0], &port, sizeof(port)) == sizeof(port) && port != 0;
    ::close(ends[0]);
    std::optional<Endpoint> at;
    if (told) at = Endpoint::v4(0x7f000001, port);
    const int code = drive(flags, at);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    return code;
}

int run(const Flags& flags) {
    if (const auto encoding = gossip::parse_encoding(flags.encoding); encoding.has_error()) {
        return report_fault("bench", as_usage(encoding.error()));
    }
    if (!flags.listen.empty()) return serve(flags);
    if (flags.connect.empty()) return run_both(flags);
    const auto at = Endpoint::parse(flags.connect);
    return at ? drive(flags, *at) : report_fault("bench", as_usage(at.error()));
}

}  // namespace

void add_bench_exchange(CLI::App& bench, Command& chosen) {
    auto flags = std::make_shared<Flags>();
    auto* command = bench.add_subcommand("exchange", "Average between two processes on loopback");
    command->add_option("--params", flags->parameters, "Parameters of the model")
        ->check(CLI::Range(std::size_t{1}, std::size_t{2'000'000'000}))
        ->capture_default_str();
    command->add_option("--encoding", flags->encoding, "f32, bf16, lattice8 or lattice4")
        ->capture_default_str();
    command->add_option("--seconds", flags->seconds, "Measure for so long")
        ->check(CLI::Range(0.01, 3600.0))
        ->capture_default_str();
    command->add_option("--window", flags->window, "MiB on their way (0: as the link asks for)")
        ->check(CLI::Range(std::size_t{0}, std::size_t{16}))
        ->capture_default_str();
    command
        ->add_option("--streams", flags->streams, "TCP connections (0: as the round trip asks for)")
        ->check(CLI::Range(std::size_t{0}, kLanesMax + 1))
        ->capture_default_str();
    command->add_flag("--plain-tcp", flags->plain_tcp, "Without encryption");
    auto* listen = command->add_option(
        "--listen", flags->listen, "HOST:PORT: run only the half that answers, until the other ends"
    );
    command
        ->add_option(
            "--connect", flags->connect, "HOST:PORT of a --listen: run only the other half"
        )
        ->excludes(listen);
    command->footer(
        "Examples:\n  starling bench exchange --params 100000000 --encoding lattice8\n"
        "  starling bench exchange --listen 10.0.0.1:7000     # and on another machine:\n"
        "  starling bench exchange --connect 10.0.0.1:7000"
    );
    command->callback([flags, &chosen] { chosen = [flags] { return run(*flags); }; });
}

}  // namespace starling::peer
