// Goal: no bytes that a client sends crash the HTTP server or reach its handler without the right to.
// Method: the first byte of the input says where the client is and how much it may send; the rest is
// what it sends. Whatever reaches the handler must read from this machine, or know the token.

#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

#include "peer/http/answer.hpp"

namespace {

using namespace starling;
using namespace starling::peer;

constexpr std::string_view kToken = "00112233445566778899aabbccddeeff";
constexpr std::string_view kName = "kitchen.lan";

void require(bool holds) {
    if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const auto bytes = std::as_bytes(std::span(data, size)).subspan(1);
    const auto client = (data[0] & 1U) != 0 ? HttpClient::Remote : HttpClient::Local;
    HttpLimits limits;
    if ((data[0] & 2U) != 0) {
        limits.header_bytes = 256;
        limits.body_bytes = 16;
    }
    const bool knows = as_text(bytes).find(kToken) != std::string_view::npos;
    int calls = 0;
    const auto handler = [&](const HttpRequest& request) {
        ++calls;
        require(knows || (client == HttpClient::Local && request.method == "GET"));
        require(request.token.empty() && request.body.size() <= limits.body_bytes);
        require(request.target.size() + request.life.size() <= limits.header_bytes);
        return HttpReply{200, "text/plain", "ok\n"};
    };
    const HttpGate gate{std::string(kToken), {std::string(kName)}};
    const auto reply = answer(bytes, client, gate, limits, handler);
    require(calls == (reply && reply->status == 200 ? 1 : 0));
    if (reply) require(reply->body.find('\n') == reply->body.size() - 1);
    return 0;
}
