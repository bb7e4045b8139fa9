// Goal: no bytes crash the codec of membership or the machine behind it, and what parses means the
// same after another round trip. Method: the input is a datagram and a page as it is, and then a
// sequence of datagrams, pages and steps of time for one machine.

#include <cstdint>
#include <cstdlib>
#include <memory>

#include "base/rng.hpp"
#include "membership/codec.hpp"
#include "membership/swim.hpp"

namespace {

using namespace starling;
using namespace starling::membership;

/// Accepts every signature, so that the fuzzer gets behind it.
class Credulous final : public Notary {
public:
    explicit Credulous(const PublicKey& key) : key_(key) {}

    [[nodiscard]] const PublicKey& key() const override { return key_; }

    [[nodiscard]] Signature sign(ByteView /*text*/) const override { return {}; }

    [[nodiscard]] bool verify(
        const PublicKey& /*key*/, ByteView /*text*/, const Signature& /*signature*/
    ) const override {
        return true;
    }

    [[nodiscard]] PeerId id_of(const PublicKey& key) const override { return PeerId{key}; }

private:
    PublicKey key_;
};

void require(bool holds) {
    if (!holds) std::abort();
}

void round_trip(ByteView bytes, const Notary& notary) {
    Packet packet;
    if (decode_datagram(bytes, 0, notary, packet).has_value()) {
        const Bytes again = encode(packet, 0, kPacketMax);
        Packet back;
        require(decode_datagram(again, 0, notary, back).has_value() && back == packet);
    }
    if (decode_page(bytes, 0, notary, packet).has_value()) {
        require(packet.messages.size() <= bytes.size() / 3);
    }
}

void drain(Swim& swim) {
    while (auto datagram = swim.poll_transmit()) {
        require(datagram->bytes.size() <= kPacketMax);
        swim.recycle(std::move(datagram->bytes));
    }
    while (const auto request = swim.poll_stream()) {
        if (request->kind == StreamRequest::Kind::Ping) continue;
        for (const auto& page : swim.pages_for(*request)) require(page.size() <= kPageMax);
    }
    while (swim.poll_event()) continue;
}

void merge(Swim& swim, Instant now, ByteView bytes) {
    const auto answer = swim.handle_push_pull(now, bytes);
    if (!answer) return;
    for (const auto& page : swim.pages_for(*answer)) require(page.size() <= kPageMax);
}

/// Each step: what to do (1 byte), its length or its milliseconds (2 bytes), its bytes.
void drive(ByteView bytes) {
    PublicKey key{};
    key[0] = 1;
    Instant now{};
    Swim swim(
        {},
        {PeerId{key}, Endpoint::v4(1, 1), 1, std::make_shared<Credulous>(key), nullptr},
        Rng(1),
        now
    );
    ByteReader in(bytes);
    while (in.remaining() >= 3) {
        const auto what = in.take<std::uint8_t>();
        const auto amount = in.take<std::uint16_t>();
        if (what % 4 == 0) {
            now += std::chrono::milliseconds(amount);
            swim.handle_timeout(now);
        } else {
            const auto piece = in.take_bytes(std::min<std::size_t>(amount, in.remaining()));
            if (what % 4 == 1) merge(swim, now, piece);
            if (what % 4 != 1) swim.handle_datagram(now, Endpoint::v4(what, 1), piece);
        }
        drain(swim);
    }
    for (const auto& page : swim.push_pull_pages()) require(page.size() <= kPageMax);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto bytes = std::as_bytes(std::span(data, size));
    round_trip(bytes, Credulous({}));
    drive(bytes);
    return 0;
}
