#include "peer/streams/connection.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <deque>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <random>
#include <sys/ioctl.h>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "peer/machine/asio_endpoint.hpp"
#include "peer/machine/clock.hpp"
#include "peer/machine/loop.hpp"
#include "peer/streams/frame_room.hpp"
#include "peer/streams/read_batching.hpp"
#include "peer/streams/stream_pace.hpp"
#include "peer/streams/tcp_connection.hpp"

namespace starling::peer {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kFramesPerWrite = 16;
constexpr std::size_t kWriteMax = kSendQueueMax;  ///< bytes; the frames of one write hold fewer
constexpr Duration kGoodbyeTime = std::chrono::seconds(1);
/// A reader whose stream is faster than any timer wakes up when the kernel has this many bytes.
constexpr std::size_t kWakeBytes = std::size_t{64} * 1024;

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

/// Sets socket options so that small frames leave at once and a vanished partner is noticed within
/// 20 s, even when nothing is asked of it and only the kernel sends keep-alives.
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
          more_(socket_.get_executor()),
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
        // The dialler greets first: a stranger that does not greet never gets a byte from us.
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
        int unanswered = 0;  // bytes in the kernel, sent or not
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

    /// Tells a peer of another release why we close. Anything that is not a peer gets no answer.
    void refuse(const Fault& why) {
        if (why.code == FaultCode::BadVersion) {
            close(why);
        } else {
            abandon(why);
        }
    }

    /// Drops all frames and closes the socket at once. The reader notices this and reports `why`.
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
            std::size_t have = 0;  // bytes of the payload, then of the next header
            while (have < body.size()) {
                const std::array<asio::mutable_buffer, 2> buffers{
                    asio::buffer(body.data(), body.size()) + have, asio::buffer(head)};
                const auto missing = body.size() - have;
                self->wake_at(self->batching_.fast() ? std::min(missing, kWakeBytes) : 1);
                auto [body_error, m] = co_await self->socket_.async_read_some(buffers, kTuple);
                if (body_error) {
                    self->finish(network_fault(body_error, self->remote_.to_string()));
                    co_return;
                }
                have += m;
                if (have < body.size()) co_await wait_for_more(self, body.size() - have);
            }
            ahead = have - body.size();
            if (ahead < head.size()) self->wake_at(1);
            self->batching_.measured(body.size(), real_now() - began);
            self->received_ += kFrameHeaderSize + body.size();
            self->dispatch(header->type, body);
        }
    }

    /// Sleeps until more of a payload must have come. Meanwhile no packet wakes us.
    static asio::awaitable<void> wait_for_more(
        std::shared_ptr<TcpConnection> self, std::size_t missing
    ) {
        const auto wait = self->batching_.wait(missing);
        if (wait == Duration::zero()) co_return;
        self->wake_at(ReadBatching::kBytes);
        self->more_.expires_after(
            std::chrono::duration_cast<std::chrono::steady_clock::duration>(wait)
        );
        co_await self->more_.async_wait(kTuple);
    }

    /// Asks the kernel to wake us only for at least this many bytes. When the number is lowered, we
    /// wake up at once if that many are there.
    void wake_at(std::size_t bytes) {
        const auto wanted = static_cast<int>(bytes);
        if (wanted == wake_bytes_) return;
        const auto set =
            ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_RCVLOWAT, &wanted, sizeof(wanted));
        // If the kernel refuses, each packet wakes us.
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
        std::deque<Outgoing> batch;  // not in the queue, which may be cleared during a write
        std::vector<asio::const_buffer> buffers;
        std::size_t done = 0;  // bytes of the first frame that are written
        while (self->socket_.is_open()) {
            self->fill_batch(batch);
            if (batch.empty()) {
                if (self->closing_) break;
                self->wake_.expires_at(std::chrono::steady_clock::time_point::max());
                co_await self->wake_.async_wait(kTuple);
                continue;
            }
            const bool paced = self->pace_.limit() > 0.0;
            list_buffers(batch, done, paced ? StreamPace::kPacket : kWriteMax, buffers);
            auto [error, written] =
                co_await self->socket_.async_send(buffers, paced ? MSG_EOR : 0, kTuple);
            self->sent_ += written;
            if (error) break;
            done += written;
            self->release_written(batch, done);
            self->keep_pace();
        }
        // Either the goodbye is written or the socket is dead. Shutting down our side lets the
        // partner read what we sent; the reader ends when the partner closes, or at the deadline.
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

    /// Lists at most `most` of the bytes to write next; `done` bytes of the batch are already
    /// written.
    static void list_buffers(
        const std::deque<Outgoing>& batch,
        std::size_t done,
        std::size_t most,
        std::vector<asio::const_buffer>& buffers
    ) {
        buffers.clear();
        for (const auto& frame : batch) {
            for (const auto& part : {asio::buffer(frame.header), asio::buffer(frame.payload)}) {
                const auto rest = asio::buffer(part + done, most);
                if (rest.size() > 0) buffers.push_back(rest);
                most -= rest.size();
                done -= std::min(done, part.size());
            }
        }
    }

    /// Holds a slow stream to little more than what arrives (peer/streams/stream_pace.hpp).
    void keep_pace() {
        const Instant now = real_now();
        if (!pace_.due(now)) return;
        const double before = pace_.limit();
        pace_.heard(now, facts());
        const double limit = pace_.limit();
        if (limit == before) return;
        const std::uint64_t rate =
            limit > 0.0 ? static_cast<std::uint64_t>(limit) : ~std::uint64_t{0};
        // A kernel without this option leaves the rate to its congestion control.
        const int socket = socket_.native_handle();
        ::setsockopt(socket, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof(rate));
    }

    /// Takes whole frames out of the batch as soon as they are written, so that their memory is
    /// used again while it is still in the cache.
    void release_written(std::deque<Outgoing>& batch, std::size_t& done) {
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

    /// Ends the reader and reports why. Nothing is delivered afterwards.
    void finish(const Fault& cause) {
        deadline_.cancel();
        const Fault why = closing_ ? why_ : cause;
        abandon(why);
        handler_.on_closed(*this, why);
    }

    tcp::socket socket_;
    asio::steady_timer wake_;      ///< the writer sleeps on it until there is work
    asio::steady_timer deadline_;  ///< for the greeting, later for the goodbye
    asio::steady_timer more_;      ///< the reader sleeps on it while more of a payload comes
    Endpoint remote_;
    bool dialled_;
    ConnectionHandler& handler_;
    Hello ours_;
    ProveKey prove_;
    std::optional<Hello> hello_;
    std::deque<Outgoing> queue_;
    std::size_t queued_ = 0;
    FrameRoom body_;
    ReadBatching batching_;
    StreamPace pace_;
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
        dial->done(tcp_connection(std::move(dial->socket), dial->to, true, dial->handler));
    }
}

}  // namespace

ConnectionPtr tcp_connection(
    tcp::socket socket, const Endpoint& remote, bool dialled, ConnectionHandler& handler
) {
    return std::make_shared<TcpConnection>(std::move(socket), remote, dialled, handler);
}

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

}  // namespace starling::peer
