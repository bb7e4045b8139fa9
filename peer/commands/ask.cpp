#include "peer/commands/ask.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>

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

Result<Endpoint> find_peer(const PeerAddress& address) {
    if (address.http.empty() == address.state.empty()) {
        return fail(FaultCode::Usage, "say which peer: --http HOST:PORT or --state DIR");
    }
    if (!address.http.empty()) {
        auto endpoint = Endpoint::parse(address.http);
        if (!endpoint) return fail(FaultCode::Usage, "--http: " + endpoint.error().message);
        return endpoint;
    }
    const std::string path = address.state + "/http";
    std::ifstream file(path);
    std::string line;
    if (!std::getline(file, line)) {
        std::error_code error;
        const bool before = std::filesystem::exists(address.state + "/identity.key", error);
        return fail(
            FaultCode::NotFound,
            "no peer runs with --state " + address.state +
                (before ? ": the last one has left; starling peer --state " + address.state +
                              " starts it again"
                        : ": no file " + path)
        );
    }
    auto endpoint = Endpoint::parse(line);
    if (!endpoint) return fail(FaultCode::BadFormat, path + ": " + endpoint.error().message);
    return endpoint;
}

Result<std::string> ask_peer(const Endpoint& peer, const HttpRequest& request) {
    auto reply = http_request(peer, request, kAskMax);
    if (!reply) return reply.error();
    if (reply->status != 200) {
        return fail(
            FaultCode::BadFormat,
            peer.to_string() + " answered " + request.method + " " + request.target +
                " with status " + std::to_string(reply->status) + "; is it a starling peer?"
        );
    }
    return std::move(reply->body);
}

}  // namespace starling::peer
