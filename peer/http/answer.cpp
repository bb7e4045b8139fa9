#include "peer/http/answer.hpp"

#include <boost/asio/buffer.hpp>
#include <utility>

#include "peer/http/wire.hpp"

namespace starling::peer {

namespace http = boost::beast::http;

std::optional<HttpReply> answer(
    ByteView bytes,
    HttpClient client,
    const HttpGate& gate,
    const HttpLimits& limits,
    const HttpServer::Handler& handler
) {
    WireParser parser;
    set_limits(parser, limits);
    parser.eager(false);
    boost::system::error_code error;
    auto rest = boost::asio::const_buffer(bytes.data(), bytes.size());
    bool admitted = false;
    while (!parser.is_done()) {
        const auto used = parser.put(rest, error);
        rest += used;
        if (!error && parser.is_header_done() && !std::exchange(admitted, true)) {
            if (auto refusal = turn_away(parser.get().base(), client, gate)) return refusal;
            continue;
        }
        if (!error && used == 0) error = http::error::need_more;
        if (error) return reply_to_bad_request(error);
    }
    return call_handler(handler, parser.release());
}

}  // namespace starling::peer
