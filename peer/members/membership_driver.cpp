#include "peer/members/membership_driver.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <optional>
#include <utility>

#include "base/check.hpp"
#include "peer/machine/asio_endpoint.hpp"
#include "peer/machine/clock.hpp"
#include "peer/machine/coroutine.hpp"
#include "peer/machine/loop.hpp"

namespace starling::peer {

namespace asio = boost::asio;
using asio::ip::udp;
using boost::system::error_code;

namespace {

/// Datagrams that one turn may send before other work gets its turn.
constexpr int kTransmitsPerTurn = 256;
constexpr int kReceiveBuffer = 2 << 20;

}  // namespace

struct MembershipDriver::State : std::enable_shared_from_this<MembershipDriver::State> {
    State(Loop& owner_loop, MembershipHandler& owner_handler)
        : loop(owner_loop),
          handler(owner_handler),
          socket(loop.context()),
          timer(loop, [this] {
              swim->handle_timeout(real_now());
              pump();
          }) {}

    ThreadOwner owner;
    Loop& loop;
    MembershipHandler& handler;
    udp::socket socket;
    Timer timer;
    std::optional<membership::Swim> swim;
    std::optional<Sealer> sealer;
    std::optional<Opener> opener;
    /// The lives that the table knows, for the opener.
    Opener::Table table = [this](const membership::ShortId& id) { return life_of(id); };
    Bytes sealed;
    Instant held_until{};
    bool mute = false;  ///< the handler has refused our epoch
    bool stopped = false;
    bool pumping = false;
    bool again = false;

    static asio::awaitable<void> receive_all(std::shared_ptr<State> self) {
        // One byte more than we accept, so that an oversized datagram can be told from the largest.
        std::array<std::byte, membership::kDatagramMax + 1> buffer{};
        udp::endpoint from;
        while (!self->stopped) {
            auto [error, size] = co_await self->socket.async_receive_from(
                asio::buffer(buffer), from, asio::as_tuple(asio::use_awaitable)
            );
            if (self->stopped) co_return;
            // An ICMP error of an earlier send is reported here. The probe that was sent times out.
            if (error) continue;
            const auto now = real_now();
            const auto packet = self->opener->open(now, ByteView(buffer).first(size), self->table);
            if (!packet) continue;
            self->swim->handle_datagram(now, from_asio(from), *packet);
            self->pump();
        }
    }

    [[nodiscard]] std::optional<Life> life_of(const membership::ShortId& id) const {
        const auto* claim = swim->claim_of(id);
        if (claim == nullptr) return std::nullopt;
        const auto salt = membership::salt_of(claim->tail);
        if (!salt) return std::nullopt;
        return Life{claim->key, claim->incarnation.epoch, *salt};
    }

    [[nodiscard]] bool seal(const membership::Datagram& datagram) {
        if (datagram.receiver) return sealer->seal(datagram.bytes, *datagram.receiver, sealed);
        return sealer->introduce(datagram.bytes, swim->introduction(), sealed);
    }

    void pump() {
        owner.check();
        // The handler may call into the machine and pump again; the outer call then drains once more.
        again = true;
        if (pumping || stopped) return;
        pumping = true;
        bool more = false;
        while (again && !more) {
            again = false;
            begin_epoch();
            more = transmit();
            while (auto request = swim->poll_stream()) handler.on_stream_request(*request);
            while (auto event = swim->poll_event()) handler.on_member_event(*event);
        }
        pumping = false;
        if (more) {
            loop.post([self = shared_from_this()] { self->pump(); });
        } else if (const auto next = swim->poll_timeout(); next && !stopped) {
            timer.arm(*next);
        }
    }

    /// Seals with the machine's epoch from now on, if it has changed.
    void begin_epoch() {
        const auto epoch = swim->incarnation().epoch;
        if (mute || epoch == sealer->life()) return;
        mute = !handler.on_epoch(epoch);
        if (!mute) sealer->begin_life(epoch);
    }

    /// Sends datagrams until none is due or the turn is over. Returns whether some may be left.
    bool transmit() {
        for (int i = 0; i < kTransmitsPerTurn; ++i) {
            auto datagram = swim->poll_transmit();
            if (!datagram) return false;
            if (mute || real_now() < held_until) {
                swim->recycle(std::move(datagram->bytes));
                continue;
            }
            error_code error = asio::error::no_buffer_space;
            if (seal(*datagram)) {
                socket.send_to(asio::buffer(sealed), to_asio<udp>(datagram->to), 0, error);
            }
            if (error) swim->handle_send_error(real_now(), datagram->to);
            swim->recycle(std::move(datagram->bytes));
        }
        return true;
    }
};

MembershipDriver::MembershipDriver(Loop& loop, MembershipHandler& handler)
    : state_(std::make_shared<State>(loop, handler)) {}

MembershipDriver::~MembershipDriver() {
    stop();
}

Result<void> MembershipDriver::bind(const Endpoint& at) {
    const auto where = to_asio<udp>(at);
    error_code error;
    auto& socket = state_->socket;
    if (socket.is_open()) socket.close(error);
    socket.open(where.protocol(), error);
    if (!error) socket.bind(where, error);
    if (!error) socket.non_blocking(true, error);
    if (error) {
        error_code ignored;
        socket.close(ignored);
        const bool used = error == asio::error::address_in_use;
        return fail(
            used ? FaultCode::AddressInUse : FaultCode::Io,
            "cannot receive datagrams on " + at.to_string() + ": " + error.message() +
                (used ? "; choose another port with --listen, or port 0 for any" : "")
        );
    }
    error_code ignored;  // a smaller buffer works, too, with more loss under bursts
    socket.set_option(asio::socket_base::receive_buffer_size(kReceiveBuffer), ignored);
    return {};
}

void MembershipDriver::start(membership::Swim swim, Sealer sealer, Opener opener, Duration hold) {
    if (hold > Duration::zero()) state_->held_until = real_now() + hold;
    state_->swim.emplace(std::move(swim));
    state_->sealer.emplace(std::move(sealer));
    state_->opener.emplace(std::move(opener));
    spawn_vital(
        state_->socket.get_executor(), State::receive_all(state_), "receiving datagrams of members"
    );
    pump();
}

void MembershipDriver::release() {
    state_->owner.check();
    state_->held_until = {};
}

membership::Swim& MembershipDriver::swim() {
    state_->owner.check();
    STARLING_CHECK(state_->swim.has_value());
    return *state_->swim;
}

const membership::Swim& MembershipDriver::swim() const {
    state_->owner.check();
    STARLING_CHECK(state_->swim.has_value());
    return *state_->swim;
}

const SealCounters& MembershipDriver::seal_counters() const {
    state_->owner.check();
    STARLING_CHECK(state_->opener.has_value());
    return state_->opener->counters();
}

void MembershipDriver::pump() {
    state_->pump();
}

void MembershipDriver::stop() {
    state_->stopped = true;
    state_->timer.cancel();
    error_code ignored;
    state_->socket.close(ignored);
}

}  // namespace starling::peer
