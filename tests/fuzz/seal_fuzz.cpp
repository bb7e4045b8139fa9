// Goal: whatever arrives at the socket, only what was sealed with the keys opens, once, and nothing
// crashes. Method: the input as a datagram; then a genuine one of each form, altered as the input
// says.

#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "membership/codec.hpp"
#include "peer/crypto/notary.hpp"
#include "peer/crypto/seal.hpp"

namespace {

using namespace starling;
using namespace starling::peer;

void require(bool holds) {
    if (!holds) std::abort();
}

/// A peer that writes to itself, which is as good as any other.
struct Fixture {
    Identity identity = ephemeral_identity();
    std::shared_ptr<const membership::Notary> notary = make_notary(identity);
    std::shared_ptr<PairKeys> pairs = std::make_shared<PairKeys>(SwarmKey{}, identity);
    membership::BootSalt salt = random_boot_salt();
    Sealer sealer{{}, {}, pairs, salt, 1};
    Opener opener{{}, {}, pairs, notary};
    Bytes claim = written();

    [[nodiscard]] Bytes written() const {
        membership::Statement own;
        own.subject = identity.id;
        own.key = notary->key();
        own.incarnation = {1, 1};
        own.tail = membership::make_tail(salt);
        own.signature = notary->sign(signed_text(own, {}));
        Bytes bytes;
        ByteWriter writer(bytes);
        write_claim(writer, own);
        return bytes;
    }

    bool opens(ByteView datagram) {
        return opener
            .open(
                {},
                datagram,
                [this](const membership::ShortId&) {
                    return Life{notary->key(), 1, salt};
                }
            )
            .has_value();
    }
};

void alter_and_open(
    Fixture& fixture, const Bytes& sealed, const std::uint8_t* data, std::size_t size
) {
    auto bent = sealed;
    for (std::size_t i = 0; i + 1 < size; i += 2) {
        bent[data[i] % bent.size()] ^= static_cast<std::byte>(data[i + 1]);
    }
    require(fixture.opens(bent) == (bent == sealed));
    require(fixture.opens(sealed) == (bent != sealed));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static Fixture fixture;
    const auto bytes = std::as_bytes(std::span(data, size));
    // A forgery would take 2^128 tries.
    require(!fixture.opens(bytes));
    Bytes packet(13 + size % 100);
    std::memcpy(packet.data() + 5, fixture.identity.id.bytes.data(), 8);
    Bytes sealed;
    require(fixture.sealer.seal(packet, fixture.notary->key(), sealed));
    alter_and_open(fixture, sealed, data, size);
    require(fixture.sealer.introduce(packet, fixture.claim, sealed));
    alter_and_open(fixture, sealed, data, size);
    return 0;
}
