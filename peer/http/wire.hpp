#pragma once

// Requests and replies as Beast has them. Only this room includes it.

#include <boost/beast/http.hpp>
#include <optional>
#include <string_view>

#include "peer/http/http.hpp"

namespace starling::peer {

using WireParser = boost::beast::http::request_parser<boost::beast::http::string_body>;
using WireRequest = boost::beast::http::request<boost::beast::http::string_body>;
using WireReply = boost::beast::http::response<boost::beast::http::string_body>;
using WireHeader = boost::beast::http::request_header<>;

inline constexpr const char* kLifeHeader = "Starling-Life";
inline constexpr std::string_view kBearer = "Bearer ";

void set_limits(WireParser& parser, const HttpLimits& limits);

/// Returns the reply for a request that could not be read, or nothing when no client waits for it.
[[nodiscard]] std::optional<HttpReply> reply_to_bad_request(const boost::system::error_code& error);

/// Returns the reply with which a request is turned away, or nothing: it may go on to the handler. The
/// header is all that is looked at, so nobody has to read the body of what is refused.
[[nodiscard]] std::optional<HttpReply> turn_away(
    const WireHeader& header, HttpClient client, const HttpGate& gate
);

/// Lets the handler answer. When it throws, the reply is a 500.
[[nodiscard]] HttpReply call_handler(
    const HttpServer::Handler& handler, const WireRequest& request
);

/// With `head`, the reply has the header of the reply to GET and no body.
[[nodiscard]] WireReply wire_reply(HttpReply reply, bool head);

}  // namespace starling::peer
