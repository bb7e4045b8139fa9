#include "peer/machine/resolve.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <charconv>
#include <cstring>
#include <exception>
#include <ifaddrs.h>
#include <memory>
#include <net/if.h>
#include <netinet/in.h>
#include <optional>
#include <system_error>
#include <thread>

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

using Found = Result<std::vector<Endpoint>>;

/// A question whose answer is not known yet.
struct Wait {
    asio::steady_timer timer;
    std::optional<Found> answer;
};

}  // namespace

Result<std::vector<Endpoint>> resolve(const std::string& host_port) {
    if (auto numeric = Endpoint::parse(host_port)) return std::vector<Endpoint>{*numeric};
    const auto parts = split_host_port(host_port);
    if (parts.has_error()) return parts.error();
    // Asio throws where it gets no descriptor. This may run on a thread of its own, where nobody
    // would catch that.
    try {
        asio::io_context context;
        tcp::resolver resolver(context);
        error_code error;
        const auto found = resolver.resolve(parts->host, parts->port, error);
        return resolved(host_port, error, found);
    } catch (const std::exception& thrown) {
        return fail(FaultCode::Unreachable, "cannot resolve '" + host_port + "': " + thrown.what());
    }
}

Result<Endpoint> resolve_within(Loop& loop, const std::string& host_port, Duration patience) {
    // A late answer comes when we have returned.
    const auto answer = std::make_shared<std::optional<Found>>();
    resolve_later(loop, host_port, [answer](Found found) { *answer = std::move(found); });
    bool late = false;
    Timer timer(loop, [&late] { late = true; });
    timer.arm_after(patience);
    loop.run_until([&] { return answer->has_value() || late; });
    if (answer->has_value() && (*answer)->has_error()) return (*answer)->error();
    if (answer->has_value()) return (*answer)->value().front();
    if (!late) return fail(FaultCode::Cancelled, "interrupted");
    return fail(
        FaultCode::Unreachable,
        "cannot resolve '" + host_port + "': no name server has answered for " +
            std::to_string(static_cast<long>(to_seconds(patience))) + " s; give an address"
    );
}

std::optional<Endpoint> local_address_towards(const Endpoint& to) {
    try {
        asio::io_context context;
        asio::ip::udp::socket socket(context);
        error_code error;
        socket.connect(to_asio<asio::ip::udp>(to), error);
        if (error) return std::nullopt;
        const auto local = socket.local_endpoint(error);
        if (error) return std::nullopt;
        Endpoint here = from_asio(local);
        here.port = 0;
        return here;
    } catch (const std::exception&) {  // there is no descriptor left
        return std::nullopt;
    }
}

std::optional<Endpoint> network_address() {
    ifaddrs* list = nullptr;
    if (::getifaddrs(&list) != 0) return std::nullopt;
    const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(list, ::freeifaddrs);
    std::optional<Endpoint> v6;
    for (const auto* at = list; at != nullptr; at = at->ifa_next) {
        const bool up = (at->ifa_flags & IFF_UP) != 0 && (at->ifa_flags & IFF_LOOPBACK) == 0;
        if (!up || at->ifa_addr == nullptr) continue;
        if (at->ifa_addr->sa_family == AF_INET) {
            sockaddr_in address{};
            std::memcpy(&address, at->ifa_addr, sizeof(address));
            return Endpoint::v4(ntohl(address.sin_addr.s_addr), 0);
        }
        if (at->ifa_addr->sa_family != AF_INET6 || v6) continue;
        sockaddr_in6 address{};
        std::memcpy(&address, at->ifa_addr, sizeof(address));
        if (IN6_IS_ADDR_LINKLOCAL(&address.sin6_addr)) continue;
        v6.emplace();
        std::memcpy(v6->address.data(), &address.sin6_addr, v6->address.size());
    }
    return v6;
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
    // A name server that does not answer holds its question up for many seconds. Asio's resolver
    // would hold up the end of the loop as long, so the question has a thread of its own, which
    // nobody waits for. The waiting answer belongs to the loop.
    auto wait = std::make_shared<Wait>(Wait{asio::steady_timer(loop.context()), {}});
    wait->timer.expires_at(asio::steady_timer::time_point::max());
    wait->timer.async_wait([wait, done = std::move(done)](const error_code& /*cancelled*/) {
        done(std::move(*wait->answer));
    });
    const auto answer = [weak = std::weak_ptr(wait)](const Found& found) {
        const auto waiting = weak.lock();
        waiting->answer = found;
        waiting->timer.cancel();
    };
    try {
        std::thread([text = host_port, post = loop.poster(), answer] {
            post([answer, found = resolve(text)] { answer(found); });
        }).detach();
    } catch (const std::system_error& error) {
        loop.post([answer, what = std::string(error.what())] {
            answer(fail(FaultCode::Unreachable, "cannot start a look-up: " + what));
        });
    }
}

}  // namespace starling::peer
