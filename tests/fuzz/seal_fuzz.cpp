// Goal: whatever arrives at the socket, only what was sealed with the key opens, once, and nothing
// crashes. Method: the input as a datagram; then a genuine one, altered as the input says.

#include <cstdint>
#include <cstdlib>

#include "peer/crypto/seal.hpp"

namespace {

using namespace starling;
using namespace starling::peer;

void require(bool holds) {
    if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static Opener opener({}, {});
    const auto bytes = std::as_bytes(std::span(data, size));
    // A forgery would take 2^128 tries.
    require(!opener.open(bytes).has_value());
    static Sealer sealer({}, {}, {}, 1);
    static Bytes sealed;
    const Bytes packet(13 + size % 100);
    require(sealer.seal(packet, sealed));
    auto bent = sealed;
    for (std::size_t i = 0; i + 1 < size; i += 2) {
        bent[data[i] % bent.size()] ^= static_cast<std::byte>(data[i + 1]);
    }
    // The version byte is the only one that the sender's key does not depend on, and it is
    // authenticated as well.
    require(opener.open(bent).has_value() == (bent == sealed));
    require(opener.open(sealed).has_value() == (bent != sealed));
    return 0;
}
