#include "peer/http/wire.hpp"

#include <algorithm>
#include <boost/beast/core/error.hpp>
#include <boost/beast/core/string.hpp>
#include <string_view>
#include <utility>

#include "base/secret.hpp"

namespace starling::peer {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;

HttpReply plain_reply(http::status status, std::string_view text) {
    return {static_cast<unsigned>(status), "text/plain", std::string(text) + "\n"};
}

bool only_reads(const WireHeader& header) {
    return header.method() == http::verb::get || header.method() == http::verb::head;
}

bool is_foreign_write(const WireHeader& header) {
    if (only_reads(header)) return false;
    const auto origin = header.find(http::field::origin);
    if (origin == header.end()) return false;
    const std::string host(header[http::field::host]);
    // With https somebody has put a proxy before us.
    return origin->value() != "http://" + host && origin->value() != "https://" + host;
}

/// Returns whether the request asks for us by a name that a foreign page cannot have. A request
/// without a Host comes from no browser.
bool is_for_us(const WireHeader& header, const std::vector<std::string>& names) {
    if (header.count(http::field::host) != 1) return header.count(http::field::host) == 0;
    const std::string host(header[http::field::host]);
    if (Endpoint::parse(host) || Endpoint::parse(host + ":80")) return true;
    const auto name = host.substr(0, host.find(':'));
    return beast::iequals(name, "localhost") ||
           std::any_of(names.begin(), names.end(), [&name](const std::string& ours) {
               return beast::iequals(name, ours);
           });
}

bool has_token(const WireHeader& header, const std::string& token) {
    const auto given = header[http::field::authorization];
    if (token.empty() || given.size() < kBearer.size()) return false;
    if (!beast::iequals(given.substr(0, kBearer.size()), kBearer)) return false;
    return equal_secrets(given.substr(kBearer.size()), token);
}

}  // namespace

void set_limits(WireParser& parser, const HttpLimits& limits) {
    parser.header_limit(static_cast<std::uint32_t>(limits.header_bytes));
    parser.body_limit(limits.body_bytes);
}

std::optional<HttpReply> reply_to_bad_request(const error_code& error) {
    if (error == http::error::header_limit || error == http::error::buffer_overflow) {
        return plain_reply(
            http::status::request_header_fields_too_large, "the header is too large"
        );
    }
    if (error == http::error::body_limit) {
        return plain_reply(http::status::payload_too_large, "the body is too large");
    }
    if (error == beast::error::timeout || error == http::error::end_of_stream ||
        error == http::error::partial_message || error == http::error::need_more) {
        return {};
    }
    if (error.category() == http::make_error_code(http::error::bad_method).category()) {
        return plain_reply(http::status::bad_request, "this is not an HTTP/1.1 request");
    }
    return {};
}

std::optional<HttpReply> turn_away(
    const WireHeader& header, HttpClient client, const HttpGate& gate
) {
    if (!is_for_us(header, gate.names)) {
        return plain_reply(
            http::status::misdirected_request,
            "this peer is asked by its address, by localhost, or by a name of its --http-name"
        );
    }
    if (is_foreign_write(header)) {
        return plain_reply(http::status::forbidden, "requests of other sites are refused");
    }
    const bool free = client == HttpClient::Local && only_reads(header);
    if (free || has_token(header, gate.token)) return {};
    return plain_reply(
        http::status::unauthorized,
        std::string(client == HttpClient::Local ? "this" : "from another machine every request") +
            " needs the header 'Authorization: Bearer TOKEN', with the token in the last line of "
            "the file http in the peer's state directory"
    );
}

HttpReply call_handler(const HttpServer::Handler& handler, const WireRequest& request) {
    HttpRequest plain;
    plain.method = request.method() == http::verb::head ? "GET" : request.method_string();
    plain.target = std::string(request.target());
    plain.body = request.body();
    plain.life = std::string(request[kLifeHeader]);
    try {
        return handler(plain);
    } catch (const std::exception& error) {
        return plain_reply(http::status::internal_server_error, error.what());
    }
}

WireReply wire_reply(HttpReply reply, bool head) {
    WireReply wire;
    wire.version(11);
    wire.result(reply.status);
    wire.set(http::field::server, "starling");
    wire.set(http::field::content_type, reply.content_type);
    wire.set(http::field::cache_control, "no-store");
    // A page of another site may frame ours and let its reader click, or guess what a reply is.
    wire.set(http::field::x_frame_options, "DENY");
    wire.set("X-Content-Type-Options", "nosniff");
    if (reply.status == kNoToken) wire.set(http::field::www_authenticate, "Bearer");
    wire.content_length(reply.body.size());
    wire.keep_alive(false);
    if (!head) wire.body() = std::move(reply.body);
    return wire;
}

}  // namespace starling::peer
