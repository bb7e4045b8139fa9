#include "peer/connection.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <charconv>
#include <deque>
#include <linux/sockios.h>
#include <map>
#include <netinet/tcp.h>
#include <new>
#include <random>
#include <sys/ioctl.h>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "peer/asio_endpoint.hpp"
#include "peer/clock.hpp"
#include "peer/loop.hpp"

namespace starling::peer {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kFramesPerWrite = 16;
constexpr Duration kGoodbyeTime = std::chrono::seconds(1);
constexpr std::size_t kStrangersMax = 64;
constexpr std::size_t kStrangersPerSource = 8;

/// While a payload comes in, we read again when about so many bytes must be there. On a slow link
/// each packet would otherwise wake us, 8,000 times a second at 100 Mbit/s, and take the core from
/// the trainer each time.
constexpr std::size_t kGatherBytes = std::size_t{128} * 1024;
/// What a stream faster than any timer waits for in the kernel.
constexpr std::size_t kWakeBytes = std::size_t{64} * 1024;
constexpr double kGatherSecondsMin = 400e-6;
constexpr double kGatherSecondsMax = 10e-3;

/// How fast payloads come in on one stream, and hence how to wait for the rest of one. Not by
/// SO_RCVLOWAT on slow streams: as long as it alone holds the reader back the receive window does
/// not grow, and a window below it is one wake-up a round trip. On a link of 1 Gbit/s and 100 ms
/// that left 28 Mbit/s.
class Gathering {
public:
    /// A payload of `bytes` took so long. The mean is one of times, so that a payload which waited
    /// for us in the kernel does not pass for a fast stream.
    void measured(std::size_t bytes, Duration elapsed) {
        if (bytes < kGatherBytes || elapsed <= Duration::zero()) return;
        const double each = to_seconds(elapsed) / static_cast<double>(bytes);
        seconds_ += seconds_ > 0.0 ? kDecay * (each - seconds_) : each;
    }

    /// Returns for how long to leave the stream alone while `missing` bytes of a payload are; zero:
    /// read on.
    [[nodiscard]] Duration wait(std::size_t missing) const {
        if (seconds_ <= 0.0 || fast()) return Duration::zero();
        const double seconds = static_cast<double>(std::min(missing, kGatherBytes)) * seconds_;
        return from_seconds(std::clamp(seconds, kGatherSecondsMin, kGatherSecondsMax));
    }

    [[nodiscard]] bool fast() const {
        return seconds_ > 0.0 && seconds_ * static_cast<double>(kGatherBytes) < kGatherSecondsMin;
    }

private:
    static constexpr double kDecay = 0.25;
    double seconds_ = 0.0;  ///< of one byte; 0: not known yet
};

/// Room for one frame's payload. A chunk's elements stand 24 bytes behind its start
/// (docs/protocol/averaging.md); they are the ones that lie on a cache line, because loops over
/// 64-byte vectors that each cross a line run at half speed.
class FrameRoom {
public:
    std::span<std::byte> take(std::size_t size) {
        if (!memory_ || size > capacity_) {
            memory_.reset(static_cast<std::byte*>(::operator new(kFront + size, kLine)));
            capacity_ = size;
        }
        return {memory_.get() + kFront, size};
    }

private:
    static constexpr std::align_val_t kLine{64};
    static constexpr std::size_t kFront = 64 - 24;

    struct Free {
        void operator()(std::byte* memory) const { ::operator delete(memory, kLine); }
    };

    std::unique_ptr<std::byte, Free> memory_;
    std::size_t capacity_ = 0;
};

Fault network_fault(const error_code& error, const std::string& what) {
    if (error == asio::error::eof || error == asio::error::connection_reset ||
        error == asio::error::broken_pipe) {
        return fail(FaultCode::Closed, what + ": closed by the other side");
    }
    if (error == asio::error::operation_aborted || error == asio::error::bad_descriptor) {
        return fail(FaultCode::Closed, what + ": closed");
    }
    return fail(FaultCode::Unreachable, what + ": " + error.message());
}

/// Small frames leave at once; a vanished partner is noticed within 20 s even when nothing is asked
/// of it and the kernel alone is talking.
void tune(tcp::socket& socket) {
    error_code ignored;  // a socket without these options works too, only less promptly
    socket.set_option(tcp::no_delay(true), ignored);
    socket.set_option(asio::socket_base::keep_alive(true), ignored);
    const int idle_s = 10;
    const int interval_s = 5;
    const unsigned timeout_ms = 20000;
    ::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
    ::setsockopt(
        socket.native_handle(), IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s)
    );
    ::setsockopt(
        socket.native_handle(), IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms)
    );
}

class TcpConnection final : public Connection, public std::enable_shared_from_this<TcpConnection> {
public:
    TcpConnection(
        tcp::socket socket, const Endpoint& remote, bool dialled, ConnectionHandler& handler
    )
        : socket_(std::move(socket)),
          wake_(socket_.get_executor()),
          deadline_(socket_.get_executor()),
          gather_(socket_.get_executor()),
          remote_(remote),
          dialled_(dialled),
          handler_(handler) {
        tune(socket_);
    }

    void start(const Hello& ours, const ProveKey& prove, Duration timeout) override {
        ours_ = ours;
        prove_ = prove;
        std::random_device device;
        for (auto& byte : ours_.nonce) byte = static_cast<std::uint8_t>(device());
        // Whoever dials greets first: a stranger that does not greet never gets a byte from us.
        if (dialled_) send(FrameType::Hello, encode_hello(ours_));
        arm_deadline(timeout, fail(FaultCode::Timeout, "no greeting from " + remote_.to_string()));
        asio::co_spawn(socket_.get_executor(), read_frames(shared_from_this()), asio::detached);
        asio::co_spawn(socket_.get_executor(), write_frames(shared_from_this()), asio::detached);
    }

    void send(FrameType type, Bytes payload) override {
        if (closing_) return;
        STARLING_CHECK(payload.size() <= frame_limit(type));
        queued_ += payload.size() + kFrameHeaderSize;
        if (queued_ > kSendQueueMax) {
            abandon(fail(FaultCode::Closed, remote_.to_string() + " reads too slowly"));
            return;
        }
        enqueue(type, std::move(payload));
    }

    void close(const Fault& why) override {
        if (closing_) return;
        closing_ = true;
        why_ = why;
        const auto reason = as_byte_view(std::string_view(why.message).substr(0, 1000));
        enqueue(FrameType::Goodbye, Bytes(reason.begin(), reason.end()));
        arm_deadline(kGoodbyeTime, why);
    }

    [[nodiscard]] const Hello* hello() const override { return hello_ ? &*hello_ : nullptr; }

    [[nodiscard]] const Hello& ours() const override { return ours_; }

    [[nodiscard]] Endpoint remote() const override { return remote_; }

    [[nodiscard]] bool dialled() const override { return dialled_; }

    [[nodiscard]] std::size_t queued_bytes() const override { return queued_; }

    [[nodiscard]] std::size_t backlog() override {
        int unanswered = 0;  // in the kernel, sent or not
        if (::ioctl(socket_.native_handle(), SIOCOUTQ, &unanswered) != 0) unanswered = 0;
        return queued_ + static_cast<std::size_t>(unanswered);
    }

    [[nodiscard]] TcpFacts facts() override { return tcp_facts(socket_.native_handle()); }

    [[nodiscard]] std::uint64_t bytes_sent() const override { return sent_; }

    [[nodiscard]] std::uint64_t bytes_received() const override { return received_; }

private:
    struct Outgoing {
        FrameType type;
        std::array<std::byte, kFrameHeaderSize> header;
        Bytes payload;
    };

    void enqueue(FrameType type, Bytes payload) {
        const FrameHeader header{static_cast<std::uint32_t>(payload.size()), type, kFrameVersion};
        queue_.push_back(Outgoing{type, encode_frame_header(header), std::move(payload)});
        wake_.cancel();
    }

    /// A peer of another release deserves a sentence; whatever is no peer at all gets silence.
    void refuse(const Fault& why) {
        if (why.code == FaultCode::BadVersion) {
            close(why);
        } else {
            abandon(why);
        }
    }

    /// Drops everything at once; the reader notices and reports `why`.
    void abandon(const Fault& why) {
        if (!closing_) why_ = why;
        closing_ = true;
        queue_.clear();
        error_code ignored;  // closing is all we can do with a socket that will not close
        socket_.close(ignored);
        wake_.cancel();
    }

    void arm_deadline(Duration delay, Fault why) {
        deadline_.expires_after(
            std::chrono::duration_cast<std::chrono::steady_clock::duration>(delay)
        );
        deadline_.async_wait([self = shared_from_this(),
                              why = std::move(why)](const error_code& error) {
            if (!error) self->abandon(why);
        });
    }

    static asio::awaitable<void> read_frames(std::shared_ptr<TcpConnection> self) {
        std::array<std::byte, kFrameHeaderSize> head{};
        std::size_t ahead = 0;  // bytes of the next header that came with the last payload
        while (true) {
            auto [error, n] =
                co_await asio::async_read(self->socket_, asio::buffer(head) + ahead, kTuple);
            if (error) {
                self->finish(network_fault(error, self->remote_.to_string()));
                co_return;
            }
            const auto header = decode_frame_header(head);
            if (header.has_error()) {
                self->finish(header.error());
                co_return;
            }
            // A stranger gets no more memory than a greeting needs.
            if (!self->hello_ && header->length > frame_limit(FrameType::Hello)) {
                self->finish(fail(FaultCode::BadFormat, "the greeting comes first, and once"));
                co_return;
            }
            const auto body = self->body_.take(header->length);
            const Instant began = real_now();
            std::size_t have = 0;  // of the payload, then of the next header
            while (have < body.size()) {
                const std::array<asio::mutable_buffer, 2> buffers{
                    asio::buffer(body.data(), body.size()) + have, asio::buffer(head)};
                const auto missing = body.size() - have;
                self->wake_at(self->gathering_.fast() ? std::min(missing, kWakeBytes) : 1);
                auto [body_error, m] = co_await self->socket_.async_read_some(buffers, kTuple);
                if (body_error) {
                    self->finish(network_fault(body_error, self->remote_.to_string()));
                    co_return;
                }
                have += m;
                if (have < body.size()) co_await gather(self, body.size() - have);
            }
            ahead = have - body.size();
            if (ahead < head.size()) self->wake_at(1);
            self->gathering_.measured(body.size(), real_now() - began);
            self->received_ += kFrameHeaderSize + body.size();
            self->dispatch(header->type, body);
        }
    }

    /// Leaves the stream alone until more of a payload must be there. Meanwhile no packet wakes us.
    static asio::awaitable<void> gather(std::shared_ptr<TcpConnection> self, std::size_t missing) {
        const auto wait = self->gathering_.wait(missing);
        if (wait == Duration::zero()) co_return;
        self->wake_at(kGatherBytes);
        self->gather_.expires_after(
            std::chrono::duration_cast<std::chrono::steady_clock::duration>(wait)
        );
        co_await self->gather_.async_wait(kTuple);
    }

    /// Asks to be woken by no fewer bytes; lowered, it wakes us at once if so many are there.
    void wake_at(std::size_t bytes) {
        const auto wanted = static_cast<int>(bytes);
        if (wanted == wake_bytes_) return;
        const auto set =
            ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_RCVLOWAT, &wanted, sizeof(wanted));
        // Where it is not to be had, each packet wakes us.
        if (set == 0) wake_bytes_ = wanted;
    }

    void dispatch(FrameType type, ByteView body) {
        if (closing_) return;
        if (type == FrameType::Goodbye) {
            const std::string reason(as_text(body));
            abandon(fail(FaultCode::Closed, remote_.to_string() + " says: " + reason));
            return;
        }
        if ((type == FrameType::Hello) == hello_.has_value()) {
            abandon(fail(FaultCode::BadFormat, "the greeting comes first, and once"));
            return;
        }
        if (type != FrameType::Hello) {
            handler_.on_frame(*this, type, body);
            return;
        }
        auto hello = decode_hello(body);
        if (hello.has_error()) {
            refuse(hello.error());
            return;
        }
        if (!dialled_) {
            const auto text = proof_text(StreamRole::Acceptor, ours_.swarm, *hello, ours_);
            if (prove_) ours_.proof = prove_(text);
            send(FrameType::Hello, encode_hello(ours_));
        }
        hello_ = *hello;
        deadline_.cancel();
        handler_.on_hello(*this, *hello_);
    }

    static asio::awaitable<void> write_frames(std::shared_ptr<TcpConnection> self) {
        std::deque<Outgoing> batch;  // apart from the queue, which may be dropped during a write
        std::vector<asio::const_buffer> buffers;
        std::size_t done = 0;  // bytes of the first frame that are out
        while (self->socket_.is_open()) {
            self->fill_batch(batch);
            if (batch.empty()) {
                if (self->closing_) break;
                self->wake_.expires_at(std::chrono::steady_clock::time_point::max());
                co_await self->wake_.async_wait(kTuple);
                continue;
            }
            gather(batch, done, buffers);
            auto [error, written] = co_await self->socket_.async_write_some(buffers, kTuple);
            self->sent_ += written;
            if (error) break;
            done += written;
            self->give_back(batch, done);
        }
        // Either the goodbye is out or the socket is dead. Shutting down our side lets the partner
        // read what we sent; the reader ends when the partner closes, or by the deadline.
        error_code ignored;
        self->socket_.shutdown(tcp::socket::shutdown_send, ignored);
        if (!self->closing_) self->abandon(fail(FaultCode::Closed, "write failed"));
    }

    void fill_batch(std::deque<Outgoing>& batch) {
        while (!queue_.empty() && batch.size() < kFramesPerWrite) {
            batch.push_back(std::move(queue_.front()));
            queue_.pop_front();
        }
    }

    /// Lists what is left of a batch whose first `done` bytes are out.
    static void gather(
        const std::deque<Outgoing>& batch,
        std::size_t done,
        std::vector<asio::const_buffer>& buffers
    ) {
        buffers.clear();
        for (const auto& frame : batch) {
            for (const auto& part : {asio::buffer(frame.header), asio::buffer(frame.payload)}) {
                if (done < part.size()) buffers.push_back(part + done);
                done -= std::min(done, part.size());
            }
        }
    }

    /// Takes whole frames out of the batch as soon as they are written: their memory is used again
    /// while it is still in the cache.
    void give_back(std::deque<Outgoing>& batch, std::size_t& done) {
        while (!batch.empty()) {
            const std::size_t size = batch.front().payload.size() + kFrameHeaderSize;
            if (done < size) return;
            done -= size;
            queued_ -= std::min(queued_, size);
            Outgoing frame = std::move(batch.front());
            batch.pop_front();
            if (!closing_) handler_.on_sent(*this, frame.type, std::move(frame.payload));
        }
    }

    /// The reader's end: nothing is delivered afterwards.
    void finish(const Fault& cause) {
        deadline_.cancel();
        const Fault why = closing_ ? why_ : cause;
        abandon(why);
        handler_.on_closed(*this, why);
    }

    tcp::socket socket_;
    asio::steady_timer wake_;      ///< the writer sleeps on it; cancelled when there is work
    asio::steady_timer deadline_;  ///< greeting, then goodbye
    asio::steady_timer gather_;    ///< the reader sleeps on it while more comes in
    Endpoint remote_;
    bool dialled_;
    ConnectionHandler& handler_;
    Hello ours_;
    ProveKey prove_;
    std::optional<Hello> hello_;
    std::deque<Outgoing> queue_;
    std::size_t queued_ = 0;
    FrameRoom body_;
    Gathering gathering_;
    int wake_bytes_ = 1;
    bool closing_ = false;
    Fault why_;
    std::uint64_t sent_ = 0;
    std::uint64_t received_ = 0;
};

struct Dial {
    tcp::socket socket;
    asio::steady_timer timer;
    Endpoint to;
    ConnectionHandler& handler;
    std::function<void(Result<ConnectionPtr>)> done;
    bool late = false;
};

void finish_dial(const std::shared_ptr<Dial>& dial, const error_code& error) {
    dial->timer.cancel();
    const auto name = "cannot reach " + dial->to.to_string();
    if (dial->late) {
        dial->done(fail(FaultCode::Timeout, name + ": no answer"));
    } else if (error) {
        dial->done(fail(FaultCode::Unreachable, name + ": " + error.message()));
    } else {
        dial->done(ConnectionPtr(
            std::make_shared<TcpConnection>(std::move(dial->socket), dial->to, true, dial->handler)
        ));
    }
}

}  // namespace

void dial(
    Loop& loop,
    const Endpoint& to,
    Duration timeout,
    ConnectionHandler& handler,
    std::function<void(Result<ConnectionPtr>)> done
) {
    auto& context = loop.context();
    auto state = std::make_shared<Dial>(Dial{
        tcp::socket(context), asio::steady_timer(context), to, handler, std::move(done)});
    state->timer.expires_after(
        std::chrono::duration_cast<std::chrono::steady_clock::duration>(timeout)
    );
    state->timer.async_wait([state](const error_code& error) {
        if (error) return;
        state->late = true;
        error_code ignored;
        state->socket.close(ignored);
    });
    state->socket.async_connect(to_asio<tcp>(to), [state](const error_code& error) {
        finish_dial(state, error);
    });
}

struct Listener::State : std::enable_shared_from_this<Listener::State> {
    State(asio::io_context& context, ConnectionHandler& owner)
        : acceptor(context),
          pause(context),
          handler(owner) {}

    tcp::acceptor acceptor;
    asio::steady_timer pause;
    ConnectionHandler& handler;
    std::function<void(ConnectionPtr)> accepted;
    std::map<std::array<std::uint8_t, 16>, std::size_t> strangers;
    std::size_t stranger_count = 0;
    bool stopped = false;

    static asio::awaitable<void> accept_all(std::shared_ptr<State> self) {
        auto back_off = std::chrono::milliseconds(5);
        while (!self->stopped) {
            if (self->stranger_count >= kStrangersMax) {
                self->pause.expires_at(std::chrono::steady_clock::time_point::max());
                co_await self->pause.async_wait(kTuple);
                continue;
            }
            auto [error, socket] = co_await self->acceptor.async_accept(kTuple);
            if (self->stopped) co_return;
            if (error) {
                // Out of descriptors, most likely: wait for some to come free instead of spinning.
                self->pause.expires_after(back_off);
                co_await self->pause.async_wait(kTuple);
                back_off = std::min(2 * back_off, std::chrono::milliseconds(1000));
                continue;
            }
            back_off = std::chrono::milliseconds(5);
            self->admit(std::move(socket));
        }
    }

    void admit(tcp::socket socket) {
        error_code error;
        const auto remote = socket.remote_endpoint(error);
        if (error) return;
        const Endpoint source = from_asio(remote);
        auto& count = strangers[source.address];
        if (count >= kStrangersPerSource && !source.is_loopback()) return;
        ++count;
        ++stranger_count;
        accepted(std::make_shared<TcpConnection>(std::move(socket), source, false, handler));
    }
};

Listener::Listener(Loop& loop, ConnectionHandler& handler)
    : state_(std::make_shared<State>(loop.context(), handler)) {}

Listener::~Listener() {
    stop();
}

Result<Endpoint> Listener::bind(const Endpoint& at) {
    const auto where = to_asio<tcp>(at);
    error_code error;
    auto& acceptor = state_->acceptor;
    state_->stopped = false;
    acceptor.open(where.protocol(), error);
    if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor.bind(where, error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error) {
        const bool used = error == asio::error::address_in_use;
        error_code ignored;
        acceptor.close(ignored);
        return fail(
            used ? FaultCode::AddressInUse : FaultCode::Io,
            "cannot listen on " + at.to_string() + ": " + error.message() +
                (used ? "; choose another port with --listen, or port 0 for any" : "")
        );
    }
    return from_asio(acceptor.local_endpoint());
}

void Listener::accept(std::function<void(ConnectionPtr)> accepted) {
    state_->accepted = std::move(accepted);
    asio::co_spawn(state_->acceptor.get_executor(), State::accept_all(state_), asio::detached);
}

void Listener::settled(const Endpoint& source) {
    const auto found = state_->strangers.find(source.address);
    if (found == state_->strangers.end()) return;
    if (--found->second == 0) state_->strangers.erase(found);
    --state_->stranger_count;
    state_->pause.cancel();
}

void Listener::stop() {
    state_->stopped = true;
    error_code ignored;
    state_->acceptor.close(ignored);
    state_->pause.cancel();
}

namespace {

struct HostPort {
    std::string host;
    std::string port;
};

Result<HostPort> split_host_port(const std::string& text) {
    const auto colon = text.rfind(':');
    std::uint16_t port = 0;
    if (colon != std::string::npos) {
        const char* begin = text.data() + colon + 1;
        const char* end = text.data() + text.size();
        const auto [rest, error] = std::from_chars(begin, end, port);
        if (error != std::errc{} || rest != end) port = 0;
    }
    if (colon == std::string::npos || colon == 0 || port == 0) {
        return fail(FaultCode::BadFormat, "'" + text + "' is not an address; write HOST:PORT");
    }
    return HostPort{text.substr(0, colon), text.substr(colon + 1)};
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
    const auto parts = split_host_port(host_port);
    if (parts.has_error()) {
        loop.post([done, fault = parts.error()] { done(fault); });
        return;
    }
    auto resolver = std::make_shared<tcp::resolver>(loop.context());
    resolver->async_resolve(
        parts->host,
        parts->port,
        [resolver, host_port, done](const error_code& error, const auto& found) {
            done(resolved(host_port, error, found));
        }
    );
}

}  // namespace starling::peer
