#include "peer/commands/ask.hpp"

#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace starling::peer {
namespace {

constexpr Duration kAskMax = std::chrono::seconds(5);

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
    if (!address.http.empty()) {
        const auto endpoint = Endpoint::parse(address.http);
        if (!endpoint) return fail(FaultCode::Usage, "--http: " + endpoint.error().message);
        return ServingPlace{*endpoint, {}};
    }
    auto place = read_serving_place(address.state);
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
    if (reply->status == kOtherLife && !peer.life.empty()) {
        return fail(
            FaultCode::NotFound, gone + where + " is another peer now, which was not asked"
        );
    }
    if (reply->status != 200) {
        return fail(
            FaultCode::BadFormat,
            where + " answered " + request.method + " " + request.target + " with status " +
                std::to_string(reply->status) + "; is it a starling peer?"
        );
    }
    return std::move(reply->body);
}

}  // namespace starling::peer
