// Goal: whatever a peer says of itself, of its swarm and of its data crashes nothing, and what is
// accepted means the same after another round trip. Method: the first byte of the input picks the
// decoder, the rest is what it reads.

#include <cstdint>
#include <cstdlib>

#include "data/manifest.hpp"
#include "peer/streams/frame.hpp"
#include "peer/streams/hello.hpp"
#include "peer/terms/descriptor.hpp"
#include "peer/terms/record.hpp"

namespace {

using namespace starling;
using namespace starling::peer;

void require(bool holds) {
    if (!holds) std::abort();
}

/// Compares encodings, since a NaN that travels is not equal to itself.
template <typename Decode, typename Encode>
void round_trip(ByteView bytes, Decode decode, Encode encode) {
    const auto first = decode(bytes);
    if (!first.has_value()) return;
    const Bytes text = encode(*first);
    const auto second = decode(text);
    require(second.has_value() && encode(*second) == text);
}

/// Takes any signature, so that what stands behind it is reached.
class Trusting final : public membership::Notary {
public:
    explicit Trusting(const membership::PublicKey& key) : key_(key) {}

    [[nodiscard]] const membership::PublicKey& key() const override { return key_; }

    [[nodiscard]] membership::Signature sign(ByteView) const override { return {}; }

    [[nodiscard]] bool verify(const membership::PublicKey&, ByteView, const membership::Signature&)
        const override {
        return true;
    }

    [[nodiscard]] PeerId id_of(const membership::PublicKey& key) const override {
        return PeerId{key};
    }

private:
    membership::PublicKey key_;
};

void round_trip_hello(ByteView bytes) {
    const HelloContext context;
    const auto first = decode_hello(bytes, context, Trusting({}));
    if (!first.has_value()) return;
    const Trusting signer(first->id.bytes);
    const Bytes text = encode_hello(*first, context, signer);
    const auto second = decode_hello(text, context, signer);
    require(second.has_value() && encode_hello(*second, context, signer) == text);
}

void round_trip_header(ByteView bytes) {
    const auto header = decode_frame_header(bytes);
    if (!header.has_value()) return;
    require(header->length <= frame_limit(header->type));
    const auto again = encode_frame_header(*header);
    require(std::equal(again.begin(), again.end(), bytes.begin()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const auto bytes = std::as_bytes(std::span(data, size)).subspan(1);
    switch (data[0] % 5) {
        case 0:
            round_trip_header(bytes);
            break;
        case 1:
            round_trip_hello(bytes);
            break;
        case 2:
            round_trip(bytes, decode_record, encode_record);
            break;
        case 3:
            round_trip(bytes, decode_descriptor, encode_descriptor);
            break;
        default:
            round_trip(bytes, data::decode_manifest, data::encode_manifest);
    }
    return 0;
}
