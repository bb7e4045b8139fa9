#include "peer/machine/resolve.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <charconv>
#include <memory>

#include "peer/machine/asio_endpoint.hpp"
#include "peer/machine/loop.hpp"

namespace starling::peer {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

struct HostPort {
    std::string host;
    std::string port;
};

/// Takes port 0 as Endpoint::parse does: a listener asks for any port with it.
Result<HostPort> split_host_port(const std::string& text) {
    const auto colon = text.rfind(':');
    const std::string host = text.substr(0, colon);
    // A colon inside the host is an IPv6 address whose brackets or port are missing.
    bool sound = colon != std::string::npos && !host.empty() &&
                 host.find_first_of(":[]") == std::string::npos;
    if (sound) {
        std::uint16_t port = 0;
        const char* end = text.data() + text.size();
        const auto [rest, error] = std::from_chars(text.data() + colon + 1, end, port);
        sound = error == std::errc{} && rest == end;
    }
    if (!sound) {
        return fail(
            FaultCode::BadFormat, "'" + text + "' is not an address; write HOST:PORT or [::1]:PORT"
        );
    }
    return HostPort{host, text.substr(colon + 1)};
}

Result<std::vector<Endpoint>> resolved(
    const std::string& text, const error_code& error, const tcp::resolver::results_type& found
) {
    if (error) {
        return fail(FaultCode::Unreachable, "cannot resolve '" + text + "': " + error.message());
    }
    std::vector<Endpoint> endpoints;
    for (const auto& entry : found) endpoints.push_back(from_asio(entry.endpoint()));
    return endpoints;
}

}  // namespace

Result<std::vector<Endpoint>> resolve(const std::string& host_port) {
    if (auto numeric = Endpoint::parse(host_port)) return std::vector<Endpoint>{*numeric};
    const auto parts = split_host_port(host_port);
    if (parts.has_error()) return parts.error();
    asio::io_context context;
    tcp::resolver resolver(context);
    error_code error;
    const auto found = resolver.resolve(parts->host, parts->port, error);
    return resolved(host_port, error, found);
}

void resolve_later(
    Loop& loop,
    const std::string& host_port,
    std::function<void(Result<std::vector<Endpoint>>)> done
) {
    if (auto numeric = Endpoint::parse(host_port)) {
        loop.post([done = std::move(done), numeric = *numeric] {
            done(std::vector<Endpoint>{numeric});
        });
        return;
    }
    const auto parts = split_host_port(host_port);
    if (parts.has_error()) {
        loop.post([done = std::move(done), fault = parts.error()] { done(fault); });
        return;
    }
    auto resolver = std::make_shared<tcp::resolver>(loop.context());
    resolver->async_resolve(
        parts->host,
        parts->port,
        [resolver, host_port, done = std::move(done)](const error_code& error, const auto& found) {
            done(resolved(host_port, error, found));
        }
    );
}

}  // namespace starling::peer
