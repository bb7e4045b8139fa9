#include "peer/transfer/descriptor_transfer.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "base/printable.hpp"
#include "peer/machine/clock.hpp"
#include "peer/machine/loop.hpp"
#include "peer/machine/resolve.hpp"
#include "peer/streams/dial.hpp"
#include "peer/terms/descriptor.hpp"

namespace starling::peer {

namespace {

/// The first minor version that knows NotYet. An older peer would close the stream.
constexpr std::uint16_t kNotYetMinor = 5;
constexpr std::size_t kLineMax = 500;

std::array<std::uint8_t, 32> hash_of(ByteView blob) {
    return swarm_id_of(blob).bytes;
}

/// Carries out what a DescriptorFetch asks for, over real streams.
class FetchDriver final : public ConnectionHandler {
public:
    FetchDriver(
        Loop& loop,
        const std::vector<std::string>& seeds,
        const Hello& ours,
        Duration patience,
        const std::function<void(const std::string&)>& note
    )
        : loop_(loop),
          ours_(ours),
          note_(note),
          timer_(
              loop,
              [this] {
                  fetch_.handle_timeout(real_now());
                  pump();
              }
          ),
          fetch_(real_now(), {}, ours.id, patience, hash_of, seeds.size()) {
        for (const auto& seed : seeds) {
            // A look-up may last longer than this object.
            resolve_later(loop, seed, [this, alive = std::weak_ptr(alive_)](const auto& found) {
                if (alive.expired()) return;
                fetch_.handle_name(real_now(), found);
                pump();
            });
        }
    }

    Result<ProvenDescriptor> run() {
        pump();
        // This must outlive its streams, whose coroutines call back here.
        loop_.run_until([this] { return fetch_.outcome().has_value() && streams_.empty(); });
        if (!fetch_.outcome()) return fail(FaultCode::Cancelled, "interrupted");
        if (fetch_.outcome()->has_error()) return fetch_.outcome()->error();
        return ProvenDescriptor{**fetch_.outcome(), std::move(proof_text_), proof_};
    }

    void on_greeted(Connection& connection) override {
        const auto& partner = *connection.greeting().partner();
        fetch_.handle_greeted(real_now(), connection.remote(), partner.id, partner.swarm);
        pump();
    }

    void on_frame(Connection& connection, FrameType type, ByteView payload) override {
        if (type == FrameType::NotYet && !fetch_.outcome()) {
            const auto line = printable(std::string(as_text(payload)));
            fetch_.handle_not_yet(real_now(), connection.remote(), line);
            return pump();
        }
        if (type != FrameType::DescriptorPiece || fetch_.outcome()) return;
        fetch_.handle_piece(real_now(), connection.remote(), payload);
        if (fetch_.outcome()) {
            proof_ = connection.greeting().partner()->proof;
            proof_text_ = connection.greeting().text_of(StreamRole::Acceptor);
        }
        pump();
    }

    void on_sent(Connection& /*connection*/, FrameType /*type*/, Bytes /*payload*/) override {}

    void on_closed(Connection& connection, const Fault& why) override {
        closed(connection.remote(), why);
    }

private:
    using Command = DescriptorFetch::Command;

    struct Stream {
        EndDial give_up;           ///< ends the dial
        ConnectionPtr connection;  ///< once the seed is dialled
    };

    void pump() {
        while (const auto line = fetch_.poll_note()) note_(*line);
        while (const auto command = fetch_.poll_command()) carry_out(*command);
        timer_.cancel();
        if (const auto when = fetch_.poll_timeout()) timer_.arm(*when);
    }

    void carry_out(const Command& command) {
        auto& stream = streams_[command.to];
        switch (command.kind) {
            case Command::Kind::Dial:
                stream.give_up = dial(
                    loop_,
                    command.to,
                    DescriptorFetch::kStreamTimeout,
                    *this,
                    [this, to = command.to](Result<ConnectionPtr> connection) {
                        dialled(to, std::move(connection));
                    },
                    command.small ? Segments::Small : Segments::Usual
                );
                return;
            case Command::Kind::Ask:
                stream.connection->send(FrameType::DescriptorRequest, {});
                return;
            case Command::Kind::Close:
                if (!stream.connection) return stream.give_up();
                stream.connection->close(fail(FaultCode::Closed, "thank you"));
                return;
        }
    }

    void dialled(const Endpoint& to, Result<ConnectionPtr> connection) {
        if (connection.has_error()) return closed(to, connection.error());
        auto& stream = streams_.at(to);
        stream.connection = std::move(*connection);
        stream.connection->start({ours_, {}}, DescriptorFetch::kStreamTimeout);
    }

    void closed(const Endpoint& at, const Fault& why) {
        streams_.erase(at);
        fetch_.handle_closed(real_now(), at, why);
        pump();
    }

    Loop& loop_;
    Hello ours_;
    const std::function<void(const std::string&)>& note_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
    Timer timer_;
    DescriptorFetch fetch_;
    std::map<Endpoint, Stream> streams_;  ///< each until its dial has failed or it has ended
    Bytes proof_text_;
    std::array<std::uint8_t, 32> proof_{};
};

}  // namespace

void send_descriptor(Connection& asker, ByteView blob) {
    for (std::size_t offset = 0; offset < blob.size(); offset += kPayloadMax) {
        const auto piece = blob.subspan(offset, std::min(kPayloadMax, blob.size() - offset));
        Bytes payload;
        payload.reserve(piece.size() + 8);
        ByteWriter writer(payload);
        writer.put(static_cast<std::uint32_t>(blob.size()));
        writer.put(static_cast<std::uint32_t>(offset));
        writer.put_bytes(piece);
        asker.send(FrameType::DescriptorPiece, std::move(payload));
    }
}

void send_not_yet(Connection& asker, const std::string& progress) {
    const auto text = "it founds a swarm: " + progress;
    if (asker.greeting().partner()->minor >= kNotYetMinor) {
        const auto line = as_byte_view(std::string_view(progress).substr(0, kLineMax));
        asker.send(FrameType::NotYet, Bytes(line.begin(), line.end()));
    }
    asker.close(fail(FaultCode::Closed, text));
}

Result<ProvenDescriptor> fetch_descriptor(
    Loop& loop,
    const std::vector<std::string>& seeds,
    const Hello& ours,
    Duration patience,
    const std::function<void(const std::string&)>& note
) {
    return FetchDriver(loop, seeds, ours, patience, note).run();
}

}  // namespace starling::peer
