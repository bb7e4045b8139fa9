#include "peer/commands/ask.hpp"

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "base/printable.hpp"

namespace starling::peer {
namespace {

constexpr Duration kAskMax = std::chrono::seconds(5);

/// Returns the token of a peer of this user that serves at an address, or nothing. One that listens on
/// all addresses is asked at any of loopback; elsewhere another machine may be meant.
std::string token_of_ours(const Endpoint& at) {
    for (const auto& peer : running_peers()) {
        const auto served = Endpoint::parse(peer.http);
        if (!served) continue;
        const bool anywhere = served->is_unspecified() && served->port == at.port;
        if (*served == at || (anywhere && at.is_loopback())) return peer.token;
    }
    return {};
}

Result<ServingPlace> at_address(const PeerAddress& address) {
    const auto endpoint = Endpoint::parse(address.http);
    if (!endpoint) return fail(FaultCode::Usage, "--http: " + endpoint.error().message);
    if (address.token.empty()) return ServingPlace{*endpoint, {}, token_of_ours(*endpoint)};
    const auto token = read_token(address.token);
    if (!token) return fail(FaultCode::Usage, "--token: " + token.error().message);
    return ServingPlace{*endpoint, {}, *token};
}

/// Returns what to do about a peer that refuses to be asked without its token.
Fault no_token(const ServingPlace& peer) {
    const std::string known = peer.token.empty() ? " does this for those who know its token"
                                                 : " has another token than the one that was given";
    return fail(
        FaultCode::Refused,
        peer.http.to_string() + known +
            ": give --state DIR as the user who runs that peer, or --token FILE with a copy of the "
            "file http in that directory"
    );
}

}  // namespace

PeerAddress with_environment(PeerAddress address) {
    if (!address.http.empty() || !address.state.empty()) return address;
    const char* state = std::getenv("STARLING_STATE");
    const char* http = std::getenv("STARLING_HTTP");
    if (state != nullptr) address.state = state;
    if (address.state.empty() && http != nullptr) address.http = http;
    return address;
}

Result<ServingPlace> find_peer(const PeerAddress& address) {
    if (address.http.empty() == address.state.empty()) {
        return fail(FaultCode::Usage, "say which peer: --http HOST:PORT or --state DIR");
    }
    if (!address.http.empty()) return at_address(address);
    if (!address.token.empty()) {
        return fail(FaultCode::Usage, "--token goes with --http; a --state has its own token");
    }
    auto place = read_serving_place(address.state);
    if (!place && place.error().code == FaultCode::Io) {
        return fail(FaultCode::Io, place.error().message + "; ask as the user who runs that peer");
    }
    if (place || place.error().code != FaultCode::NotFound) return place;
    std::error_code error;
    const bool before = std::filesystem::exists(address.state + "/identity.key", error);
    return fail(
        FaultCode::NotFound,
        "no peer runs with --state " + address.state +
            (before ? ": the last one has left; starling peer --state " + address.state +
                          " starts it again"
                    : ": no file " + address.state + "/http")
    );
}

Result<std::string> ask_peer(const ServingPlace& peer, HttpRequest request) {
    request.life = peer.life;
    request.token = peer.token;
    auto reply = http_request(peer.http, request, kAskMax);
    const auto where = peer.http.to_string();
    // Only a state directory knows a life.
    const std::string gone = "the peer that served there was killed: ";
    if (!reply) {
        auto fault = reply.error();
        const bool nobody = fault.code == FaultCode::Unreachable && !peer.life.empty();
        if (nobody) fault.message = gone + fault.message;
        return fault;
    }
    // The token of a life is known to that life alone, so whoever does not know it is another.
    const bool other =
        reply->status == kOtherLife || (reply->status == kNoToken && !peer.token.empty());
    if (other && !peer.life.empty()) {
        return fail(
            FaultCode::NotFound, gone + where + " is another peer now, which was not asked"
        );
    }
    if (reply->status == kNoToken) return no_token(peer);
    if (reply->status != 200) {
        const auto line = reply->body.substr(0, reply->body.find('\n'));
        return fail(
            FaultCode::BadFormat,
            where + " answered " + request.method + " " + request.target + " with status " +
                std::to_string(reply->status) + ": " + in_quotes(line) + "; is it a starling peer?"
        );
    }
    return std::move(reply->body);
}

}  // namespace starling::peer
