#include "peer/transfer/descriptor_transfer.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "peer/machine/clock.hpp"
#include "peer/machine/loop.hpp"
#include "peer/machine/resolve.hpp"
#include "peer/streams/dial.hpp"
#include "peer/terms/descriptor.hpp"

namespace starling::peer {

namespace {

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
        Introduction ours,
        const std::string& key_file,
        Duration patience,
        const std::function<void(const std::string&)>& note
    )
        : loop_(loop),
          ours_(std::move(ours)),
          key_file_(key_file),
          note_(note),
          timer_(
              loop,
              [this] {
                  fetch_.handle_timeout(real_now());
                  pump();
              }
          ),
          fetch_(real_now(), {}, ours_.ours.id, patience, hash_of, seeds.size()) {
        for (const auto& seed : seeds) {
            // A look-up may last longer than this object.
            resolve_later(loop, seed, [this, alive = std::weak_ptr(alive_)](const auto& found) {
                if (alive.expired()) return;
                fetch_.handle_name(real_now(), found);
                pump();
            });
        }
    }

    Result<AdmittedDescriptor> run() {
        pump();
        // This must outlive its streams, whose coroutines call back here.
        loop_.run_until([this] { return fetch_.outcome().has_value() && streams_.empty(); });
        if (!fetch_.outcome()) return fail(FaultCode::Cancelled, "interrupted");
        if (fetch_.outcome()->has_error()) return fetch_.outcome()->error();
        return AdmittedDescriptor{**fetch_.outcome(), guests_.contains((*fetch_.outcome())->seed)};
    }

    void on_greeted(Connection& connection) override {
        const auto& partner = *connection.greeting().partner();
        fetch_.handle_greeted(real_now(), connection.remote(), partner.id, partner.swarm);
        pump();
    }

    void on_frame(Connection& connection, FrameType type, ByteView payload) override {
        if (type == FrameType::NotYet && !fetch_.outcome()) {
            fetch_.handle_not_yet(real_now(), connection.remote(), std::string(as_text(payload)));
            return pump();
        }
        if (type != FrameType::DescriptorPiece || fetch_.outcome()) return;
        fetch_.handle_piece(real_now(), connection.remote(), payload);
        pump();
    }

    void on_sent(Connection& /*connection*/, FrameType /*type*/, Bytes /*payload*/) override {}

    void on_closed(Connection& connection, const Fault& why) override {
        const auto at = connection.remote();
        const bool locked_out = why.code == FaultCode::Refused && connection.partner() == nullptr;
        if (!locked_out) return closed(at, why);
        // An open swarm knows no key. It shows its descriptor to guests, which says that it is open.
        if (ours_.keys.member && guests_.insert(at).second) return redial(at);
        closed(at, no_key(at));
    }

private:
    using Command = DescriptorFetch::Command;

    struct Stream {
        EndDial give_up;  ///< ends the dial
        bool small = false;
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
                stream.small = command.small;
                return redial(command.to);
            case Command::Kind::Ask:
                stream.connection->send(FrameType::DescriptorRequest, {});
                return;
            case Command::Kind::Close:
                if (!stream.connection) return stream.give_up();
                stream.connection->close(fail(FaultCode::Closed, "thank you"));
                return;
        }
    }

    void redial(const Endpoint& to) {
        auto& stream = streams_.at(to);
        stream.connection.reset();
        stream.give_up = dial(
            loop_,
            to,
            DescriptorFetch::kStreamTimeout,
            *this,
            [this, to](Result<ConnectionPtr> connection) { dialled(to, std::move(connection)); },
            stream.small ? Segments::Small : Segments::Usual
        );
    }

    [[nodiscard]] Fault no_key(const Endpoint& at) const {
        if (ours_.keys.member) return wrong_key(at, key_file_);
        return fail(
            FaultCode::Refused,
            at.to_string() +
                " needs a key: copy swarm.key from the founder's state directory and give --key "
                "FILE"
        );
    }

    void dialled(const Endpoint& to, Result<ConnectionPtr> connection) {
        if (connection.has_error()) return closed(to, connection.error());
        auto& stream = streams_.at(to);
        stream.connection = std::move(*connection);
        Introduction introduction = ours_;
        if (guests_.contains(to)) introduction.keys = guest_channel();
        stream.connection->start(std::move(introduction), DescriptorFetch::kStreamTimeout);
    }

    void closed(const Endpoint& at, const Fault& why) {
        streams_.erase(at);
        fetch_.handle_closed(real_now(), at, why);
        pump();
    }

    Loop& loop_;
    Introduction ours_;
    std::string key_file_;
    const std::function<void(const std::string&)>& note_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
    Timer timer_;
    DescriptorFetch fetch_;
    std::map<Endpoint, Stream> streams_;  ///< each until its dial has failed or it has ended
    std::set<Endpoint> guests_;           ///< where our key did not open a stream
};

}  // namespace

Fault wrong_key(const Endpoint& seed, const std::string& key_file) {
    return fail(
        FaultCode::Refused,
        seed.to_string() + " holds another key than " + key_file +
            ": give --key with the swarm.key of this swarm's founder"
    );
}

void send_descriptor_piece(Connection& asker, ByteView blob, std::size_t index) {
    const std::size_t offset = index * kPayloadMax;
    if (offset >= blob.size()) return;
    const auto piece = blob.subspan(offset, std::min(kPayloadMax, blob.size() - offset));
    Bytes payload;
    payload.reserve(piece.size() + 8);
    ByteWriter writer(payload);
    writer.put(static_cast<std::uint32_t>(blob.size()));
    writer.put(static_cast<std::uint32_t>(offset));
    writer.put_bytes(piece);
    asker.send(FrameType::DescriptorPiece, std::move(payload));
}

void send_not_yet(Connection& asker, const std::string& progress) {
    const auto text = "it founds a swarm: " + progress;
    const auto line = as_byte_view(std::string_view(progress).substr(0, kLineMax));
    asker.send(FrameType::NotYet, Bytes(line.begin(), line.end()));
    asker.close(fail(FaultCode::Closed, text));
}

Result<AdmittedDescriptor> fetch_descriptor(
    Loop& loop,
    const std::vector<std::string>& seeds,
    Introduction ours,
    const std::string& key_file,
    Duration patience,
    const std::function<void(const std::string&)>& note
) {
    return FetchDriver(loop, seeds, std::move(ours), key_file, patience, note).run();
}

}  // namespace starling::peer
