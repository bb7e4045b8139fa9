// The part of Node that binds its sockets and decides which address others hear of.

#include "peer/machine/resolve.hpp"
#include "peer/machine/surroundings.hpp"
#include "peer/node/node.hpp"
#include "peer/start/listening_place.hpp"

namespace starling::peer {

namespace {

constexpr int kBindAttempts = 16;
constexpr std::uint32_t kLoopback = 0x7f000001;
/// As long as a seed may take.
constexpr Duration kLookUpMax = std::chrono::seconds(10);

/// IPv6 only where there is nothing else: a socket of both kinds is not allowed everywhere.
Endpoint every_address() {
    const auto outward = outward_address(0, {});
    return outward && !outward->is_v4() ? Endpoint{} : Endpoint::v4(0, 0);
}

}  // namespace

Result<void> Node::look_up_names() {
    const auto look_up = [this](const char* flag, const std::string& text, Endpoint& into) {
        if (text.empty()) return Result<void>();
        const auto found = resolve_within(loop_, text, kLookUpMax);
        if (found.has_value()) into = *found;
        if (found.has_value()) return Result<void>();
        if (found.error().code == FaultCode::Cancelled) return Result<void>(found.error());
        return Result<void>(fail(FaultCode::Usage, std::string(flag) + ": " + found.error().message)
        );
    };
    // Strangers cost a swarm with a key nothing, so others reach it without a flag.
    wanted_.listen = local_.key ? every_address() : Endpoint::v4(kLoopback, 0);
    if (auto ok = look_up("--listen", config_.listen, wanted_.listen); ok.has_error()) return ok;
    if (auto ok = look_up("--http", config_.http, wanted_.http); ok.has_error()) return ok;
    return look_up("--advertise", config_.advertise, wanted_.advertise);
}

Result<void> Node::bind_sockets() {
    if (auto ok = look_up_names(); ok.has_error()) return ok;
    if (auto ok = bind_streams_and_datagrams(others_at_start()); ok.has_error()) return ok;
    if (auto ok = choose_advertised(); ok.has_error()) return ok;
    return bind_http();
}

/// Returns the addresses of others that are known without asking anybody.
std::vector<Endpoint> Node::others_at_start() const {
    std::vector<Endpoint> others;
    const auto add = [&others](const std::string& text) {
        if (const auto literal = Endpoint::parse(text)) others.push_back(*literal);
    };
    for (const auto& text : config_.join) add(text);
    if (local_.checkpoint) {
        for (const auto& text : local_.checkpoint->addresses) add(text);
    }
    if (const auto& book = local_.book) {
        others.insert(others.end(), book->members.begin(), book->members.end());
        others.push_back(book->self);
    }
    return others;
}

Result<void> Node::bind_streams_and_datagrams(const std::vector<Endpoint>& others) {
    const Endpoint wanted = wanted_.listen;
    if (!config_.advertise.empty()) return bind_at(wanted);
    const auto place = listening_place(wanted, others);
    const bool as_before = local_.book && place.because == local_.book->self;
    if (place.because && !as_before) {
        note_once(
            place.because->to_string() +
            " is on another machine: listening where it can dial this peer, not on " +
            wanted.to_string()
        );
    }
    return bind_at(place.at);
}

Result<void> Node::bind_at(const Endpoint& wanted) {
    if (wanted.port != 0) return bind_both(wanted);
    // Others know the port of the last life.
    if (local_.book) {
        const Endpoint before{wanted.address, local_.book->self.port};
        if (bind_both(before).has_value()) return {};
    }
    for (int attempt = 1;; ++attempt) {
        auto bound = bind_both(wanted);
        if (bound.has_value() || attempt == kBindAttempts) return bound;
    }
}

/// TCP and UDP use the same port number.
Result<void> Node::bind_both(const Endpoint& at) {
    const auto bound = links_.bind(at);
    if (bound.has_error()) return bound.error();
    listen_ = *bound;
    auto datagrams = membership_.bind(listen_);
    if (datagrams.has_error()) links_.unbind();
    return datagrams;
}

/// A seed that was named by its host turns out to be on another machine: nobody there could dial an
/// address of loopback, so we listen elsewhere before we announce where.
Result<void> Node::move_towards(const Endpoint& seed) {
    if (seed.is_loopback() || !advertised_.is_loopback() || !config_.advertise.empty()) return {};
    if (listen_.is_unspecified()) {
        advertised_ = outward_address(listen_.port, {seed}).value_or(advertised_);
        reporter_.listening(advertised_.to_string(), http_address_.to_string());
        return {};
    }
    links_.unbind();
    if (auto ok = bind_streams_and_datagrams({seed}); ok.has_error()) return ok;
    advertised_ = listen_;
    reporter_.listening(advertised_.to_string(), http_address_.to_string());
    return {};
}

Result<void> Node::choose_advertised() {
    advertised_ = listen_;
    if (!config_.advertise.empty()) {
        advertised_ = wanted_.advertise;
    } else if (listen_.is_unspecified()) {
        // Without a way out of this machine there is nobody else to reach us.
        advertised_ = outward_address(listen_.port, others_at_start())
                          .value_or(Endpoint::v4(kLoopback, listen_.port));
    }
    return {};
}

Result<void> Node::bind_http() {
    if (!wanted_.http.is_loopback() && network_namespace() != NetworkNamespace::Own) {
        note_once(
            "--http " + wanted_.http.to_string() +
            ": other machines may ask with the token, but HTTP is not encrypted, so whoever is on "
            "the path reads it; ssh -L to 127.0.0.1 is safer"
        );
    }
    http_.set_gate({token_, config_.http_names});
    const auto served = http_.listen(wanted_.http);
    if (served.has_error()) return served.error();
    http_address_ = *served;
    std::error_code ignored;  // without an absolute path people see the one that was given
    const auto state =
        config_.state.empty() ? config_.state : std::filesystem::absolute(config_.state, ignored);
    mark_ = RunningMark({http_address_.to_string(), self_.hex(), state.string(), life_, token_});
    if (!config_.state.empty()) {
        write_http_file();
    } else if (!mark_.is_written()) {
        note_once(
            "there is no place for this peer's token, so nobody can ask it to leave over HTTP: "
            "give it a "
            "--state, or end it by a signal"
        );
    }
    return {};
}

/// Without this file people have to give --http to status and leave. That is no reason not to start.
void Node::write_http_file() {
    const auto written = write_serving_place(config_.state, {http_address_, life_, token_});
    if (written) return;
    remove_serving_place(config_.state);  // one of a life before names a peer that is gone
    note_once(
        written.error().message +
        "; `starling status` and `starling leave` find this peer by --http " +
        http_address_.to_string() + " only"
    );
}

}  // namespace starling::peer
