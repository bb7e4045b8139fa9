#include "peer/transfer/descriptor_transfer.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "peer/machine/clock.hpp"
#include "peer/machine/loop.hpp"
#include "peer/terms/descriptor.hpp"

namespace starling::peer {

namespace {

constexpr Duration kAttemptTimeout = std::chrono::seconds(3);
constexpr Duration kPause = std::chrono::milliseconds(300);

/// One attempt with one seed.
class Attempt final : public ConnectionHandler {
public:
    Attempt(Loop& loop, const Endpoint& seed, const Hello& ours)
        : loop_(loop),
          seed_(seed),
          ours_(ours),
          timer_(loop, [this] {
              end(fail(FaultCode::Timeout, "no descriptor from " + seed_.to_string()));
          }) {}

    Result<FetchedDescriptor> run() {
        timer_.arm_after(2 * kAttemptTimeout);
        dial(loop_, seed_, kAttemptTimeout, *this, [this](Result<ConnectionPtr> connection) {
            if (connection.has_error()) {
                closed_ = true;
                end(connection.error());
                return;
            }
            connection_ = *connection;
            connection_->start(ours_, {}, kAttemptTimeout);
        });
        // The attempt must outlive its connection, whose coroutines call back here.
        loop_.run_until([this] { return outcome_.has_value() && closed_; });
        if (!outcome_) return fail(FaultCode::Cancelled, "interrupted");
        return std::move(*outcome_);
    }

    void on_hello(Connection& connection, const Hello& hello) override {
        if (hello.id == ours_.id) {
            end(fail(FaultCode::Refused, seed_.to_string() + " is this very peer"));
            return;
        }
        swarm_ = hello.swarm;
        proof_ = hello.proof;
        proof_text_ = proof_text(StreamRole::Acceptor, hello.swarm, connection.ours(), hello);
        connection.send(FrameType::DescriptorRequest, {});
    }

    void on_frame(Connection& /*connection*/, FrameType type, ByteView payload) override {
        if (type != FrameType::DescriptorPiece || outcome_) return;
        ByteReader reader(payload);
        const auto total = reader.take<std::uint32_t>();
        const auto offset = reader.take<std::uint32_t>();
        const auto data = reader.take_bytes(reader.remaining());
        const bool fits = reader.ok() && total <= kDescriptorMax && offset == blob_.size() &&
                          !data.empty() && data.size() <= total - offset;
        if (!fits) {
            end(fail(FaultCode::BadFormat, seed_.to_string() + " sent a broken descriptor"));
            return;
        }
        blob_.insert(blob_.end(), data.begin(), data.end());
        if (blob_.size() == total) check_and_end();
    }

    void on_sent(Connection& /*connection*/, FrameType /*type*/, Bytes /*payload*/) override {}

    void on_closed(Connection& /*connection*/, const Fault& why) override {
        closed_ = true;
        if (!outcome_) end(why);
    }

private:
    void check_and_end() {
        const SwarmId id = swarm_id_of(blob_);
        if (id != swarm_) {
            end(fail(
                FaultCode::Corrupt,
                seed_.to_string() + " sent a descriptor of another swarm than its own"
            ));
            return;
        }
        end(FetchedDescriptor{std::move(blob_), id, seed_, std::move(proof_text_), proof_});
    }

    void end(Result<FetchedDescriptor> outcome) {
        if (outcome_) return;
        outcome_ = std::move(outcome);
        timer_.cancel();
        if (connection_ && !closed_) connection_->close(fail(FaultCode::Closed, "thank you"));
    }

    Loop& loop_;
    Endpoint seed_;
    Hello ours_;
    Timer timer_;
    ConnectionPtr connection_;
    SwarmId swarm_;
    Bytes proof_text_;
    std::array<std::uint8_t, 32> proof_{};
    Bytes blob_;
    bool closed_ = false;
    std::optional<Result<FetchedDescriptor>> outcome_;
};

void pause(Loop& loop) {
    bool over = false;
    Timer timer(loop, [&over] { over = true; });
    timer.arm_after(kPause);
    loop.run_until([&over] { return over; });
}

/// Trying again helps while a seed is still starting, but not when it has another version.
bool is_final(FaultCode code) {
    return code == FaultCode::BadVersion || code == FaultCode::Cancelled;
}

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

Result<FetchedDescriptor> fetch_descriptor(
    Loop& loop,
    const std::vector<Endpoint>& seeds,
    const Hello& ours,
    Duration patience,
    const std::function<void(const std::string&)>& note
) {
    const Instant until = real_now() + patience;
    Fault last = fail(FaultCode::Unreachable, "no seed address was given");
    for (bool first = true; first || real_now() < until; first = false) {
        for (const auto& seed : seeds) {
            auto outcome = Attempt(loop, seed, ours).run();
            if (outcome.has_value()) return outcome;
            last = outcome.error();
            if (is_final(last.code)) return last;
            if (first) note(last.message + "; trying again");
        }
        pause(loop);
    }
    return fail(
        last.code, last.message + "; is the seed's address right, and does a peer run there?"
    );
}

}  // namespace starling::peer
