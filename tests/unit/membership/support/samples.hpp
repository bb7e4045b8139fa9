#pragma once

// Small values for the tests of membership.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "base/rng.hpp"
#include "membership/codec.hpp"
#include "membership/messages.hpp"
#include "membership/swim.hpp"

namespace starling::membership {

inline PeerId peer(std::uint8_t number) {
    PeerId id;
    id.bytes[0] = number;
    id.bytes[31] = number;
    return id;
}

inline Endpoint address_of(std::uint8_t number) {
    return Endpoint::v4(0x0a000000U + number, 7000);
}

/// The swarm of the tests.
inline SwarmId sample_swarm() {
    SwarmId swarm;
    swarm.bytes.fill(0x77);
    return swarm;
}

/// Signs without any cryptography: whoever has the key can sign, so tests forge by flipping bits.
/// The peer of a key is the key itself.
class SampleNotary final : public Notary {
public:
    explicit SampleNotary(const PeerId& id) : key_(id.bytes) {}

    [[nodiscard]] const PublicKey& key() const override { return key_; }

    [[nodiscard]] Signature sign(ByteView text) const override { return make(key_, text); }

    [[nodiscard]] bool verify(const PublicKey& key, ByteView text, const Signature& signature)
        const override {
        ++verified;
        return make(key, text) == signature;
    }

    [[nodiscard]] PeerId id_of(const PublicKey& key) const override { return PeerId{key}; }

    mutable std::size_t verified = 0;

private:
    static Signature make(const PublicKey& key, ByteView text) {
        std::uint64_t hash = 1;
        for (const auto byte : key) hash = mix64(hash ^ byte);
        for (const auto byte : text) hash = mix64(hash ^ static_cast<std::uint64_t>(byte));
        Signature signature{};
        for (std::size_t i = 0; i < signature.size(); ++i) {
            signature[i] = static_cast<std::uint8_t>(hash >> (8 * (i % 8)));
        }
        return signature;
    }

    PublicKey key_;
};

inline void sign(Statement& statement, const SwarmId& swarm = sample_swarm()) {
    const SampleNotary notary(statement.subject);
    statement.key = notary.key();
    statement.signature = notary.sign(signed_text(statement, swarm));
}

inline Swim::Self self_of(const PeerId& id, const Endpoint& address, std::uint64_t epoch) {
    return {id, address, epoch, std::make_shared<SampleNotary>(id), nullptr};
}

inline Result<Packet> parse_datagram(ByteView bytes, std::uint32_t tag) {
    Packet packet;
    const auto parsed = decode_datagram(bytes, tag, SampleNotary({}), packet);
    if (!parsed) return parsed.error();
    return packet;
}

inline Result<Packet> parse_page(ByteView bytes, std::uint32_t tag) {
    Packet packet;
    const auto parsed = decode_page(bytes, tag, SampleNotary({}), packet);
    if (!parsed) return parsed.error();
    return packet;
}

/// A statement as it is on the wire: signed by its subject, or an accusation by peer 200.
inline Statement claim(std::uint8_t number, Incarnation incarnation, MemberState state) {
    Statement statement;
    statement.subject = peer(number);
    statement.incarnation = incarnation;
    statement.state = state;
    if (is_accusation(state)) {
        statement.accuser = peer(200);
        return statement;
    }
    statement.address = address_of(number);
    statement.tail = make_tail({});
    sign(statement);
    return statement;
}

inline void sign(ProgressRecord& record, const SwarmId& swarm = sample_swarm()) {
    const SampleNotary notary(record.owner);
    record.is_signed = true;
    record.key = notary.key();
    record.signature = notary.sign(signed_text(record, swarm));
}

inline ProgressRecord record_of(
    std::uint8_t number, std::uint64_t epoch, std::uint64_t version, Bytes bytes = {}
) {
    ProgressRecord record;
    record.owner = peer(number);
    record.epoch = epoch;
    record.version = version;
    record.bytes = std::move(bytes);
    sign(record);
    return record;
}

inline Statement random_claim(Rng& rng, std::uint8_t peers) {
    const auto number = static_cast<std::uint8_t>(rng.below(peers));
    Statement statement =
        claim(number, {1 + rng.below(2), rng.below(3)}, static_cast<MemberState>(rng.below(4)));
    // The address is a function of the incarnation, as between honest members.
    if (is_accusation(statement.state)) return statement;
    statement.address.port = static_cast<std::uint16_t>(
        7000 + statement.incarnation.epoch * 10 + statement.incarnation.counter
    );
    sign(statement);
    return statement;
}

}  // namespace starling::membership
