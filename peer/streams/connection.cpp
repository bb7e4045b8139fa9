#include "peer/streams/connection.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "base/printable.hpp"
#include "peer/crypto/channel.hpp"
#include "peer/machine/clock.hpp"
#include "peer/machine/coroutine.hpp"
#include "peer/streams/byte_stream.hpp"
#include "peer/streams/frame_reader.hpp"
#include "peer/streams/frame_writer.hpp"
#include "peer/streams/read_batching.hpp"
#include "peer/streams/tcp_connection.hpp"

namespace starling::peer {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr Duration kGoodbyeTime = std::chrono::seconds(1);
/// A reader whose stream is faster than any timer wakes up when the kernel has this many bytes.
constexpr std::size_t kWakeBytes = std::size_t{64} * 1024;
/// What the session may hold of a record that is not whole. Ciphertext is never shorter than what it
/// seals, so at least the rest of the missing bytes still has to come.
constexpr std::size_t kHalfRecord = Channel::kRecordMax + 256;
/// So much is sealed at once: whole records, few enough to stay in the cache until they leave.
constexpr std::size_t kSealMost = 8 * Channel::kRecordMax;

class TcpConnection final : public Connection, public std::enable_shared_from_this<TcpConnection> {
public:
    TcpConnection(
        tcp::socket socket, const Endpoint& remote, bool dialled, ConnectionHandler& handler
    )
        : stream_(std::move(socket)),
          wake_(stream_.executor()),
          deadline_(stream_.executor()),
          more_(stream_.executor()),
          remote_(remote),
          dialled_(dialled),
          handler_(handler) {}

    void start(Introduction introduction, Duration timeout) override {
        introduction_ = std::move(introduction);
        const auto role = dialled_ ? ChannelRole::Dialler : ChannelRole::Acceptor;
        if (introduction_.plain) {
            greet(Admission::Member, {});
        } else {
            channel_.emplace(role, introduction_.keys);
        }
        arm_deadline(timeout, fail(FaultCode::Timeout, "no greeting from " + remote_.to_string()));
        const auto self = shared_from_this();
        spawn(
            stream_.executor(),
            read_frames(self),
            "reading a stream",
            [self](const std::string& line) { self->finish(fail(FaultCode::Closed, line)); }
        );
        spawn(
            stream_.executor(),
            write_frames(self),
            "writing a stream",
            [self](const std::string& line) { self->abandon(fail(FaultCode::Closed, line)); }
        );
    }

    void send(FrameType type, Bytes payload) override {
        if (closing_) return;
        STARLING_CHECK(payload.size() <= frame_limit(type));
        if (writer_.queued_bytes() + payload.size() + kFrameHeaderSize > kSendQueueMax) {
            abandon(fail(FaultCode::Closed, remote_.to_string() + " reads too slowly"));
            return;
        }
        put(type, std::move(payload));
    }

    void close(const Fault& why) override {
        if (closing_) return;
        // What has no session can be told nothing.
        if (channel_ && !channel_->open()) return abandon(why);
        closing_ = true;
        why_ = why;
        const auto reason = as_byte_view(std::string_view(why.message).substr(0, 1000));
        put(FrameType::Goodbye, Bytes(reason.begin(), reason.end()));
        arm_deadline(kGoodbyeTime, why);
    }

    [[nodiscard]] const Greeting& greeting() const override { return *greeting_; }

    [[nodiscard]] const Hello* partner() const override {
        return greeting_ ? greeting_->partner() : nullptr;
    }

    [[nodiscard]] bool refused() const override {
        return refused_ || (greeting_ && greeting_->refused());
    }

    [[nodiscard]] bool overdue(Instant now) const override {
        const double size = static_cast<double>(reader_.payload_size());
        return reader_.missing() > 0 &&
               now - began_ > kFramePatience + from_seconds(size / kFrameRateMin);
    }

    [[nodiscard]] Endpoint remote() const override { return remote_; }

    [[nodiscard]] bool dialled() const override { return dialled_; }

    [[nodiscard]] std::size_t queued_bytes() const override { return writer_.queued_bytes(); }

    [[nodiscard]] std::size_t backlog() override {
        const std::size_t sealed = channel_ ? channel_->waiting() : 0;
        return writer_.queued_bytes() + sealed + stream_.unacknowledged();
    }

    [[nodiscard]] TcpFacts facts() override { return stream_.facts(); }

    [[nodiscard]] std::uint64_t bytes_sent() const override { return sent_; }

    [[nodiscard]] std::uint64_t bytes_received() const override { return received_; }

private:
    void put(FrameType type, Bytes payload) {
        writer_.put(type, std::move(payload));
        wake_.cancel();
    }

    void send_greeting() {
        while (auto frame = greeting_->poll_transmit())
            send(frame->type, std::move(frame->payload));
    }

    /// Drops all frames and closes the socket at once. The reader notices this and reports `why`.
    void abandon(const Fault& why) {
        if (!closing_) why_ = why;
        closing_ = true;
        writer_.drop();
        stream_.close();
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

    /// The session is open, or there is none: says who we are.
    void greet(Admission admission, const ChannelBinding& binding) {
        const auto role = dialled_ ? ChannelRole::Dialler : ChannelRole::Acceptor;
        greeting_.emplace(role, std::move(introduction_), admission, binding);
        send_greeting();
    }

    static asio::awaitable<void> read_frames(std::shared_ptr<TcpConnection> self) {
        auto& reader = self->reader_;
        while (!self->finished_) {
            const auto frame = reader.next();
            if (frame.has_error()) {
                self->finish(frame.error());
                co_return;
            }
            if (frame->has_value()) {
                self->batching_.measured((*frame)->payload.size(), real_now() - self->began_);
                self->dispatch(**frame);
                continue;
            }
            if (reader.missing() == reader.payload_size()) self->began_ = real_now();
            if (self->channel_) {
                co_await read_sealed(self);
            } else {
                co_await read_plain(self);
            }
        }
    }

    static asio::awaitable<void> read_plain(std::shared_ptr<TcpConnection> self) {
        auto& reader = self->reader_;
        const auto missing = reader.missing();
        const bool fast = missing > 0 && self->batching_.fast();
        self->stream_.wake_at(fast ? std::min(missing, kWakeBytes) : 1);
        auto [error, bytes] = co_await self->stream_.read_some(reader.room());
        if (error) co_return self->finish(network_fault(error, self->remote_.to_string()));
        reader.filled(bytes);
        if (reader.missing() > 0) co_await wait_for_more(self, reader.missing());
    }

    /// Opens what is here; if that is nothing, reads on and goes on with the handshake.
    static asio::awaitable<void> read_sealed(std::shared_ptr<TcpConnection> self) {
        auto& channel = *self->channel_;
        if (channel.open()) {
            const auto opened = self->unseal();
            if (opened.has_error()) co_return self->finish(self->named(opened.error()));
            if (*opened > 0) co_return;
            const auto missing = self->reader_.missing();
            // A read that filled its room has left something in the kernel.
            if (missing > 0 && self->drained_) co_await wait_for_more(self, missing);
            const bool fast = missing > kHalfRecord && self->batching_.fast();
            self->stream_.wake_at(fast ? std::min(missing - kHalfRecord, kWakeBytes) : 1);
        }
        const auto room = channel.room();
        auto [error, bytes] = co_await self->stream_.read_some({room, {}});
        if (error) co_return self->finish(network_fault(error, self->remote_.to_string()));
        self->drained_ = bytes < room.size();
        const bool shaking = !channel.open();
        if (const auto ok = channel.filled(bytes); ok.has_error()) {
            self->refused_ = ok.error().code == FaultCode::Refused;
            // Who has no key is told so. What speaks no such protocol hears nothing.
            if (self->refused_) self->stream_.write_last(channel.outgoing());
            co_return self->finish(self->named(ok.error()));
        }
        if (!shaking) co_return;
        if (channel.open()) self->greet(channel.admission(), channel.binding());
        self->wake_.cancel();
    }

    /// Returns how many bytes of frames were here.
    Result<std::size_t> unseal() {
        const auto room = reader_.room();
        auto opened = channel_->read(room[0]);
        if (opened.has_error()) return opened;
        if (*opened == room[0].size() && !room[1].empty()) {
            // A fault shows again at the next call.
            if (const auto more = channel_->read(room[1])) *opened += *more;
        }
        reader_.filled(*opened);
        return opened;
    }

    [[nodiscard]] Fault named(const Fault& fault) const {
        return fail(fault.code, remote_.to_string() + ": " + fault.message);
    }

    /// Sleeps until more of a payload must have come. Meanwhile no packet wakes us.
    static asio::awaitable<void> wait_for_more(
        std::shared_ptr<TcpConnection> self, std::size_t missing
    ) {
        const auto wait = self->batching_.wait(missing);
        if (wait == Duration::zero()) co_return;
        self->stream_.wake_at(ReadBatching::kBytes);
        self->more_.expires_after(
            std::chrono::duration_cast<std::chrono::steady_clock::duration>(wait)
        );
        co_await self->more_.async_wait(kTuple);
    }

    void dispatch(const Frame& frame) {
        received_ += kFrameHeaderSize + frame.payload.size();
        if (closing_) return;
        if (frame.type == FrameType::Goodbye) {
            const std::string reason(as_text(frame.payload));
            abandon(fail(FaultCode::Closed, remote_.to_string() + " says: " + in_quotes(reason)));
            return;
        }
        const bool stranger = greeting_->partner() == nullptr;
        const auto step = greeting_->handle_frame(frame.type, frame.payload);
        send_greeting();
        if (stranger && greeting_->partner() != nullptr) {
            deadline_.cancel();
            if (greeting_->over()) reader_.admit();
            handler_.on_hello(*this);
        }
        if (closing_) return;
        if (step.has_error()) return refuse(step.error());
        if (*step == Greeting::Step::Over) handler_.on_greeted(*this);
        if (*step == Greeting::Step::Pass) handler_.on_frame(*this, frame.type, frame.payload);
    }

    /// Tells a peer why we close. Anything that is not a peer gets no answer.
    void refuse(const Fault& why) {
        if (why.code == FaultCode::BadFormat || why.code == FaultCode::Truncated) {
            abandon(why);
        } else {
            close(why);
        }
    }

    static asio::awaitable<void> write_frames(std::shared_ptr<TcpConnection> self) {
        auto& writer = self->writer_;
        while (self->stream_.is_open()) {
            const auto& bytes = self->channel_ ? self->sealed() : writer.next();
            if (bytes.empty()) {
                if (self->closing_) break;
                self->wake_.expires_at(std::chrono::steady_clock::time_point::max());
                co_await self->wake_.async_wait(kTuple);
                continue;
            }
            auto [error, written] = co_await self->stream_.write_some(bytes, writer.paced());
            self->sent_ += written;
            if (error) {
                const auto why = network_fault(error, self->remote_.to_string());
                if (!self->closing_) self->abandon(why);
                break;
            }
            if (self->channel_) {
                self->channel_->sent(written);
            } else {
                writer.written(written);
                self->release_written();
            }
            self->keep_pace();
        }
        // Either the goodbye is written or the socket is dead. Shutting down our side lets the
        // partner read what we sent; the reader ends when the partner closes, or at the deadline.
        self->stream_.end_writing();
    }

    /// Returns ciphertext to write, of frames that wait if none is left over. A payload is done with
    /// when it is sealed.
    const std::vector<ByteView>& sealed() {
        auto& channel = *channel_;
        if (channel.outgoing().empty() && channel.open()) {
            constexpr std::size_t kPaced = StreamPace::kPacket - Channel::kRecordOverhead;
            const auto& plain = writer_.next(writer_.paced() ? kPaced : kSealMost);
            std::size_t size = 0;
            for (const auto view : plain) size += view.size();
            if (size > 0) channel.seal(plain);
            writer_.written(size);
            release_written();
        }
        ciphertext_.clear();
        if (!channel.outgoing().empty()) ciphertext_.push_back(channel.outgoing());
        return ciphertext_;
    }

    void release_written() {
        while (auto frame = writer_.poll_written()) {
            if (!closing_) handler_.on_sent(*this, frame->type, std::move(frame->payload));
        }
    }

    /// Holds a slow stream to little more than what arrives (peer/streams/stream_pace.hpp).
    void keep_pace() {
        const Instant now = real_now();
        if (!writer_.pace_due(now)) return;
        if (const auto limit = writer_.heard(now, facts())) stream_.limit_rate(*limit);
    }

    /// Ends the reader and reports why, once. Nothing is delivered afterwards.
    void finish(const Fault& cause) {
        if (std::exchange(finished_, true)) return;
        deadline_.cancel();
        const Fault why = closing_ ? why_ : cause;
        abandon(why);
        handler_.on_closed(*this, why);
    }

    ByteStream stream_;
    FrameReader reader_;
    FrameWriter writer_;
    Introduction introduction_;         ///< until the session is open
    std::optional<Channel> channel_;    ///< none: frames travel unsealed
    std::vector<ByteView> ciphertext_;  ///< of the write in flight
    std::optional<Greeting> greeting_;  ///< once the session is open
    ReadBatching batching_;
    bool drained_ = false;         ///< the last read took all that was here
    Instant began_{};              ///< when the payload that comes in began to
    asio::steady_timer wake_;      ///< the writer sleeps on it until there is work
    asio::steady_timer deadline_;  ///< for the greeting, later for the goodbye
    asio::steady_timer more_;      ///< the reader sleeps on it while more of a payload comes
    Endpoint remote_;
    bool dialled_;
    ConnectionHandler& handler_;
    bool closing_ = false;
    bool refused_ = false;   ///< the partner holds another key
    bool finished_ = false;  ///< the handler knows that this stream is closed
    Fault why_;
    std::uint64_t sent_ = 0;
    std::uint64_t received_ = 0;
};

}  // namespace

ConnectionPtr tcp_connection(
    tcp::socket socket, const Endpoint& remote, bool dialled, ConnectionHandler& handler
) {
    return std::make_shared<TcpConnection>(std::move(socket), remote, dialled, handler);
}

}  // namespace starling::peer
