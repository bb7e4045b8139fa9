// Goal: the HTTP server answers well-formed requests and bounds every other one in bytes, time and
// places. Method: a server runs on an ephemeral port in its own thread, and a raw socket sends what
// a broken, greedy, slow or hostile client would send. Limits are small, so that deadlines pass in
// milliseconds; every test waits for an event, never for a time.

#include "peer/http/http.hpp"

#include <atomic>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <gtest/gtest.h>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "base/bytes.hpp"
#include "peer/http/answer.hpp"
#include "peer/machine/asio_endpoint.hpp"

namespace starling::peer {
namespace {

using boost::asio::ip::tcp;
using namespace std::chrono_literals;

const Endpoint kAnyPort = Endpoint::v4(0x7f000001, 0);
constexpr const char* kToken = "00112233445566778899aabbccddeeff";
const std::string kProof = std::string("Authorization: Bearer ") + kToken + "\r\n";

HttpRequest post(const std::string& target, const std::string& body) {
    return {"POST", target, body, "", kToken};
}

/// A server that echoes what its handler saw, on a thread of its own.
class RunningServer {
public:
    explicit RunningServer(HttpLimits limits = {})
        : server_(
              io_, [this](const HttpRequest& request) { return answer(request); }, limits
          ) {
        server_.set_gate({kToken, {"kitchen.lan"}});
        const auto bound = server_.listen(kAnyPort);
        EXPECT_TRUE(bound.has_value());
        if (bound) endpoint_ = *bound;
        thread_ = std::thread([this] { io_.run(); });
    }

    ~RunningServer() {
        boost::asio::post(io_, [this] { server_.stop(); });
        thread_.join();
    }

    RunningServer(const RunningServer&) = delete;
    RunningServer& operator=(const RunningServer&) = delete;

    [[nodiscard]] Endpoint endpoint() const { return endpoint_; }

    [[nodiscard]] int calls() const { return calls_; }

private:
    HttpReply answer(const HttpRequest& request) {
        ++calls_;
        if (request.target == "/throw") throw std::runtime_error("the handler failed");
        if (request.target == "/stop") server_.stop();
        if (request.target == "/large")
            return {200, "text/plain", std::string(std::size_t{16} << 20U, 'x')};
        if (request.target == "/life") return {200, "text/plain", "life '" + request.life + "'"};
        return {200, "text/plain", request.method + " " + request.target + " " + request.body};
    }

    boost::asio::io_context io_{1};
    HttpServer server_;
    Endpoint endpoint_;
    std::atomic<int> calls_ = 0;
    std::thread thread_;
};

/// A client that sends whatever bytes the test gives it.
class RawClient {
public:
    explicit RawClient(const Endpoint& server) : socket_(io_) {
        socket_.connect(to_asio<tcp>(server));
    }

    void send(std::string_view text) {
        boost::system::error_code ignored;  // the server may have closed already
        boost::asio::write(socket_, boost::asio::buffer(text), ignored);
    }

    void finish_sending() {
        boost::system::error_code ignored;
        socket_.shutdown(tcp::socket::shutdown_send, ignored);
    }

    /// Returns all bytes until the server closes.
    std::string read_all() {
        std::string reply;
        boost::system::error_code error;
        boost::asio::read(socket_, boost::asio::dynamic_buffer(reply), error);
        return reply;
    }

private:
    boost::asio::io_context io_;
    tcp::socket socket_;
};

std::string ask(const RunningServer& server, std::string_view text) {
    RawClient client(server.endpoint());
    client.send(text);
    client.finish_sending();
    return client.read_all();
}

bool has_status(const std::string& reply, int status) {
    return reply.starts_with("HTTP/1.1 " + std::to_string(status) + " ");
}

TEST(HttpServer, HandlerSeesMethodTargetAndBody) {
    const RunningServer server;
    const auto reply = http_request(server.endpoint(), post("/leave?now=1", "please"), 10s);
    ASSERT_TRUE(reply.has_value()) << reply.error().message;
    EXPECT_EQ(reply->status, 200U);
    EXPECT_EQ(reply->content_type, "text/plain");
    EXPECT_EQ(reply->body, "POST /leave?now=1 please");
}

TEST(HttpServer, HeadGetsTheHeaderOfGetWithoutItsBody) {
    const RunningServer server;
    const auto reply = ask(server, "HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_TRUE(has_status(reply, 200)) << reply;
    EXPECT_NE(reply.find("Content-Length: 6\r\n"), std::string::npos) << reply;
    EXPECT_TRUE(reply.ends_with("\r\n\r\n")) << reply;
}

TEST(HttpServer, MalformedRequestsGet400WithoutReachingTheHandler) {
    const RunningServer server;
    for (const char* text :
         {"hello\r\n\r\n",
          "GET / HTTP/9.9\r\n\r\n",
          "GET  HTTP/1.1\r\n\r\n",
          "\x16\x03\x01\x02\x01\x01\r\n\r\n",
          "POST / HTTP/1.1\r\nContent-Length: minus one\r\n\r\n",
          "GET / HTTP/1.1\r\nbroken header\r\n\r\n"}) {
        EXPECT_TRUE(has_status(ask(server, text), 400)) << text;
    }
    EXPECT_EQ(server.calls(), 0);
}

TEST(HttpServer, RequestCutShortIsClosedWithoutReachingTheHandler) {
    const RunningServer server;
    ask(server, "");
    ask(server, "GET / HT");
    ask(server, "POST / HTTP/1.1\r\n" + kProof + "Content-Length: 10\r\n\r\nfive!");
    EXPECT_EQ(server.calls(), 0);
}

TEST(HttpServer, OversizedHeaderGets431) {
    const RunningServer server;
    const std::string header = "GET / HTTP/1.1\r\nX-Long: " + std::string(9000, 'x') + "\r\n\r\n";
    EXPECT_TRUE(has_status(ask(server, header), 431));
    const std::string target = "GET /" + std::string(9000, 'x') + " HTTP/1.1\r\n\r\n";
    EXPECT_TRUE(has_status(ask(server, target), 431));
    EXPECT_EQ(server.calls(), 0);
}

TEST(HttpServer, OversizedBodyIsRefusedByItsLengthAndByItsBytes) {
    HttpLimits limits;
    limits.body_bytes = 1000;
    const RunningServer server(limits);
    EXPECT_TRUE(has_status(
        ask(server, "POST / HTTP/1.1\r\n" + kProof + "Content-Length: 1001\r\n\r\n"), 413
    ));
    const std::string chunk = "1f4\r\n" + std::string(500, 'x') + "\r\n";
    const std::string chunked = "POST / HTTP/1.1\r\n" + kProof +
                                "Transfer-Encoding: chunked\r\n\r\n" + chunk + chunk + chunk +
                                "0\r\n\r\n";
    EXPECT_TRUE(has_status(ask(server, chunked), 413));
    EXPECT_EQ(server.calls(), 0);
    const auto fits = http_request(server.endpoint(), post("/", std::string(1000, 'x')), 10s);
    ASSERT_TRUE(fits.has_value());
    EXPECT_EQ(fits->status, 200U);
}

TEST(HttpServer, SlowClientIsClosedAtTheDeadline) {
    HttpLimits limits;
    limits.header_timeout = 50ms;
    const RunningServer server(limits);
    RawClient client(server.endpoint());
    client.send("GET / HTTP/1.1\r\nX-Slow: ");
    EXPECT_EQ(client.read_all(), "");  // returns because the server closed
    EXPECT_EQ(server.calls(), 0);
}

TEST(HttpServer, SlowBodyIsClosedAtTheDeadline) {
    HttpLimits limits;
    limits.timeout = 50ms;
    const RunningServer server(limits);
    RawClient client(server.endpoint());
    client.send("POST / HTTP/1.1\r\n" + kProof + "Content-Length: 10\r\n\r\nslow");
    EXPECT_EQ(client.read_all(), "");
    EXPECT_EQ(server.calls(), 0);
}

TEST(HttpServer, TheOldestHalfRequestGivesWay) {
    HttpLimits limits;
    limits.connections = 2;
    limits.header_timeout = 1h;
    const RunningServer server(limits);
    RawClient first(server.endpoint());
    RawClient second(server.endpoint());
    first.send("GET / HT");
    second.send("GET / HT");
    EXPECT_TRUE(http_request(server.endpoint(), {"GET", "/", ""}, 10s).has_value());
    EXPECT_EQ(first.read_all(), "");  // returns because the server closed it
    second.send("TP/1.1\r\n\r\n");
    EXPECT_TRUE(has_status(second.read_all(), 200)) << "the younger one has kept its place";
}

TEST(HttpServer, ClientsThatHoldAllPlacesDoNotLockOutTheOwner) {
    HttpLimits limits;
    limits.header_timeout = 1h;
    limits.timeout = 1h;
    const RunningServer server(limits);
    std::vector<std::unique_ptr<RawClient>> crowd;
    for (std::size_t i = 0; i < 2 * limits.connections; ++i) {
        crowd.push_back(std::make_unique<RawClient>(server.endpoint()));
        crowd.back()->send(i % 2 == 0 ? "GET / HTTP/1.1\r\nX-" : "GET /large HTTP/1.1\r\n\r\n");
        if (i % 32 != 31) continue;
        const auto reply = http_request(server.endpoint(), {"GET", "/", ""}, 10s);
        EXPECT_TRUE(reply.has_value() && reply->status == 200) << i;
    }
}

TEST(HttpServer, WhatChangesSomethingNeedsTheToken) {
    const RunningServer server;
    const std::string begin = "POST /leave HTTP/1.1\r\nHost: localhost\r\n";
    for (const auto& header :
         {std::string(),
          std::string("Authorization: Bearer \r\n"),
          std::string("Authorization: ") + kToken + "\r\n",
          std::string("Authorization: Basic ") + kToken + "\r\n",
          "Authorization: Bearer " + std::string(kToken).substr(1) + "\r\n",
          std::string("Authorization: Bearer ") + kToken + "0\r\n",
          std::string("Authorization: Bearer 10112233445566778899aabbccddeeff\r\n")}) {
        const auto reply = ask(server, begin + header + "\r\n");
        EXPECT_TRUE(has_status(reply, 401)) << header << reply;
        EXPECT_NE(reply.find("WWW-Authenticate: Bearer"), std::string::npos) << reply;
    }
    for (const auto* method : {"PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"}) {
        const auto reply = ask(server, std::string(method) + " / HTTP/1.1\r\n\r\n");
        EXPECT_TRUE(has_status(reply, 401)) << method;
    }
    EXPECT_EQ(server.calls(), 0);
    EXPECT_TRUE(has_status(ask(server, begin + kProof + "\r\n"), 200));
    EXPECT_TRUE(has_status(ask(server, "GET / HTTP/1.1\r\n\r\n"), 200)) << "on this machine";
}

/// What is refused is refused by its header: nobody waits for its body.
TEST(HttpServer, WithoutTheTokenTheBodyIsNotRead) {
    const RunningServer server;
    RawClient client(server.endpoint());
    client.send("POST / HTTP/1.1\r\nContent-Length: 1000\r\n\r\n");
    EXPECT_TRUE(has_status(client.read_all(), 401));
}

std::optional<HttpReply> answer_from(
    HttpClient client, const std::string& text, const HttpGate& gate
) {
    return answer(as_byte_view(text), client, gate, {}, [](const HttpRequest& request) {
        return HttpReply{200, "text/plain", request.target};
    });
}

TEST(HttpGate, FromAnotherMachineEverythingNeedsTheToken) {
    const HttpGate gate{kToken, {}};
    for (const auto* method : {"GET", "HEAD", "POST"}) {
        const std::string begin = std::string(method) + " /status HTTP/1.1\r\nHost: 10.0.0.1\r\n";
        const auto refused = answer_from(HttpClient::Remote, begin + "\r\n", gate);
        ASSERT_TRUE(refused);
        EXPECT_EQ(refused->status, kNoToken);
        EXPECT_EQ(refused->body.find('\n'), refused->body.size() - 1) << "one line";
        const auto served = answer_from(HttpClient::Remote, begin + kProof + "\r\n", gate);
        ASSERT_TRUE(served);
        EXPECT_EQ(served->status, 200U);
    }
}

TEST(HttpGate, WithoutATokenNobodyMayDoWhatNeedsOne) {
    const auto reply = answer_from(
        HttpClient::Local, "POST / HTTP/1.1\r\nAuthorization: Bearer \r\n\r\n", HttpGate{}
    );
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, kNoToken);
}

TEST(HttpGate, ARequestThatIsCutShortHasNoReply) {
    const std::string whole = "POST /x HTTP/1.1\r\n" + kProof + "Content-Length: 4\r\n\r\nbody";
    for (std::size_t size = 0; size < whole.size(); ++size) {
        EXPECT_FALSE(answer_from(HttpClient::Local, whole.substr(0, size), {kToken, {}})) << size;
    }
    const auto reply = answer_from(HttpClient::Local, whole, {kToken, {}});
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->body, "/x");
}

TEST(HttpServer, WriteFromAnotherSiteIsRefused) {
    const RunningServer server;
    const auto foreign =
        ask(server,
            "POST /leave HTTP/1.1\r\nHost: 127.0.0.1:1\r\n" + kProof +
                "Origin: http://evil.example\r\n\r\n");
    EXPECT_TRUE(has_status(foreign, 403)) << foreign;
    EXPECT_EQ(server.calls(), 0);
    const auto own =
        ask(server,
            "POST /leave HTTP/1.1\r\nHost: 127.0.0.1:1\r\n" + kProof +
                "Origin: http://127.0.0.1:1\r\n\r\n");
    EXPECT_TRUE(has_status(own, 200)) << own;
}

TEST(HttpServer, OnlyAddressesLocalhostAndItsOwnNamesAreAnsweredAsHost) {
    const RunningServer server;
    const auto status_of = [&server](const std::string& host) {
        const auto from = "Origin: http://" + host + "\r\n\r\n";
        return ask(server, "POST /leave HTTP/1.1\r\nHost: " + host + "\r\n" + kProof + from);
    };
    for (const auto* host :
         {"127.0.0.1",
          "127.0.0.1:9",
          "10.1.2.3:80",
          "[::1]",
          "[fe80::1]:8301",
          "localhost",
          "LocalHost:8301",
          "kitchen.lan:8301",
          "Kitchen.LAN"}) {
        EXPECT_TRUE(has_status(status_of(host), 200)) << host;
    }
    const int served = server.calls();
    for (const auto* host :
         {"evil.example",
          "evil.example:8301",
          "localhost.evil.example",
          "127.0.0.1.evil.example:8301",
          "kitchen.lan.evil.example",
          "",
          ":8301"}) {
        EXPECT_TRUE(has_status(status_of(host), 421)) << host;
        const auto read = "GET /status HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n";
        EXPECT_TRUE(has_status(ask(server, read), 421)) << host;
    }
    const auto two = ask(server, "GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n");
    EXPECT_FALSE(has_status(two, 200)) << two;
    EXPECT_EQ(server.calls(), served);
    EXPECT_TRUE(has_status(ask(server, "GET / HTTP/1.0\r\n\r\n"), 200));
}

TEST(HttpServer, ThrowingHandlerGivesA500) {
    const RunningServer server;
    const auto reply = http_request(server.endpoint(), {"GET", "/throw", ""}, 10s);
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->status, 500U);
}

TEST(HttpServer, HandlerThatStopsTheServerStillAnswers) {
    const RunningServer server;
    const auto reply = http_request(server.endpoint(), post("/stop", ""), 10s);
    ASSERT_TRUE(reply.has_value()) << reply.error().message;
    EXPECT_EQ(reply->status, 200U);
}

TEST(HttpServer, PortInUseIsNamedAsSuch) {
    const RunningServer server;
    boost::asio::io_context io;
    HttpServer second(io, [](const HttpRequest&) { return HttpReply{}; });
    const auto bound = second.listen(server.endpoint());
    ASSERT_FALSE(bound.has_value());
    EXPECT_EQ(bound.error().code, FaultCode::AddressInUse);
    EXPECT_NE(bound.error().message.find(server.endpoint().to_string()), std::string::npos);
}

TEST(HttpServer, MayDieWithItsContextInTheMiddleOfARequest) {
    boost::asio::io_context io;
    HttpServer server(io, [](const HttpRequest&) { return HttpReply{}; });
    const auto bound = server.listen(kAnyPort);
    ASSERT_TRUE(bound.has_value());
    RawClient client(*bound);
    client.send("GET / HTT");
    io.run_one();
    io.run_one();
}

TEST(HttpRequest, NobodyListeningIsUnreachable) {
    Endpoint gone;
    {
        boost::asio::io_context io;
        HttpServer server(io, [](const HttpRequest&) { return HttpReply{}; });
        gone = *server.listen(kAnyPort);
    }
    const auto reply = http_request(gone, {"GET", "/status", ""}, 10s);
    ASSERT_FALSE(reply.has_value());
    EXPECT_EQ(reply.error().code, FaultCode::Unreachable);
}

TEST(HttpRequest, SilentServerIsATimeout) {
    boost::asio::io_context io;
    tcp::acceptor silent(io, to_asio<tcp>(kAnyPort));
    const auto reply = http_request(from_asio(silent.local_endpoint()), {"GET", "/", ""}, 30ms);
    ASSERT_FALSE(reply.has_value());
    EXPECT_EQ(reply.error().code, FaultCode::Timeout);
}

TEST(Http, ARequestSaysWhichLifeItMeans) {
    const RunningServer server;
    const auto meant = http_request(server.endpoint(), {"GET", "/life", "", "0123abcd"}, 10s);
    ASSERT_TRUE(meant.has_value()) << meant.error().message;
    EXPECT_EQ(meant->body, "life '0123abcd'");
    const auto any = http_request(server.endpoint(), {"GET", "/life", ""}, 10s);
    ASSERT_TRUE(any.has_value()) << any.error().message;
    EXPECT_EQ(any->body, "life ''");
}

}  // namespace
}  // namespace starling::peer
