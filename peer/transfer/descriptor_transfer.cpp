#include "peer/transfer/descriptor_transfer.hpp"

#include <algorithm>
#include <utility>

#include "peer/machine/clock.hpp"
#include "peer/machine/loop.hpp"
#include "peer/streams/dial.hpp"
#include "peer/terms/descriptor.hpp"

namespace starling::peer {

namespace {

std::array<std::uint8_t, 32> hash_of(ByteView blob) {
    return swarm_id_of(blob).bytes;
}

/// Carries out what a DescriptorFetch asks for, over real streams.
class FetchDriver final : public ConnectionHandler {
public:
    FetchDriver(
        Loop& loop,
        const std::vector<Endpoint>& seeds,
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
          fetch_(real_now(), seeds, ours.id, patience, hash_of) {}

    Result<ProvenDescriptor> run() {
        pump();
        // This must outlive its stream, whose coroutines call back here.
        loop_.run_until([this] { return fetch_.outcome().has_value() && !open_; });
        if (!fetch_.outcome()) return fail(FaultCode::Cancelled, "interrupted");
        if (fetch_.outcome()->has_error()) return fetch_.outcome()->error();
        return ProvenDescriptor{**fetch_.outcome(), std::move(proof_text_), proof_};
    }

    void on_greeted(Connection& connection) override {
        const Greeting& greeting = connection.greeting();
        proof_ = greeting.partner()->proof;
        proof_text_ = greeting.text_of(StreamRole::Acceptor);
        fetch_.handle_greeted(real_now(), greeting.partner()->id, greeting.partner()->swarm);
        pump();
    }

    void on_frame(Connection& /*connection*/, FrameType type, ByteView payload) override {
        if (type != FrameType::DescriptorPiece) return;
        fetch_.handle_piece(real_now(), payload);
        pump();
    }

    void on_sent(Connection& /*connection*/, FrameType /*type*/, Bytes /*payload*/) override {}

    void on_closed(Connection& /*connection*/, const Fault& why) override { closed(why); }

private:
    using Command = DescriptorFetch::Command;

    void pump() {
        while (const auto line = fetch_.poll_note()) note_(*line);
        while (const auto command = fetch_.poll_command()) carry_out(*command);
        timer_.cancel();
        if (const auto when = fetch_.poll_timeout()) timer_.arm(*when);
    }

    void carry_out(const Command& command) {
        switch (command.kind) {
            case Command::Kind::Dial:
                open_ = true;
                unwanted_ = false;
                dial(
                    loop_,
                    command.to,
                    DescriptorFetch::kStreamTimeout,
                    *this,
                    [this](Result<ConnectionPtr> connection) { dialled(std::move(connection)); }
                );
                return;
            case Command::Kind::Ask:
                connection_->send(FrameType::DescriptorRequest, {});
                return;
            case Command::Kind::Close:
                unwanted_ = true;
                if (connection_) connection_->close(fail(FaultCode::Closed, "thank you"));
                return;
        }
    }

    void dialled(Result<ConnectionPtr> connection) {
        if (connection.has_error()) return closed(connection.error());
        if (unwanted_) return closed(fail(FaultCode::Closed, "too late"));
        connection_ = std::move(*connection);
        connection_->start({ours_, {}}, DescriptorFetch::kStreamTimeout);
    }

    void closed(const Fault& why) {
        open_ = false;
        connection_.reset();
        fetch_.handle_closed(real_now(), why);
        pump();
    }

    Loop& loop_;
    Hello ours_;
    const std::function<void(const std::string&)>& note_;
    Timer timer_;
    DescriptorFetch fetch_;
    ConnectionPtr connection_;  ///< to the seed that we ask now, once it is dialled
    bool open_ = false;         ///< a dial or a stream has not ended
    bool unwanted_ = false;     ///< the machine has closed the stream
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

Result<ProvenDescriptor> fetch_descriptor(
    Loop& loop,
    const std::vector<Endpoint>& seeds,
    const Hello& ours,
    Duration patience,
    const std::function<void(const std::string&)>& note
) {
    return FetchDriver(loop, seeds, ours, patience, note).run();
}

}  // namespace starling::peer
