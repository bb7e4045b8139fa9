#include "peer/streams/hello.hpp"

#include <string>

namespace starling::peer {

namespace {

constexpr std::uint32_t kHelloMagic = 0x4c525453;  // "STRL"
constexpr std::size_t kSignatureSize = std::tuple_size_v<membership::Signature>;

/// What is signed: what it is for, both roles, the session, and the greeting itself. So it is good for
/// no other purpose, no other direction and no other stream.
Bytes signed_text(ByteView greeting, const HelloContext& context) {
    const bool dialler = context.signer == ChannelRole::Dialler;
    Bytes text;
    ByteWriter writer(text);
    writer.put_bytes(as_byte_view(
        dialler ? "starling hello 2, dialler to acceptor" : "starling hello 2, acceptor to dialler"
    ));
    writer.put_array(context.binding);
    writer.put_bytes(greeting);
    return text;
}

}  // namespace

Bytes encode_hello(
    const Hello& hello, const HelloContext& context, const membership::Notary& notary
) {
    Bytes bytes;
    ByteWriter writer(bytes);
    writer.put(kHelloMagic);
    writer.put(hello.major);
    writer.put(hello.minor);
    writer.put_array(notary.key());
    writer.put_array(hello.swarm.bytes);
    writer.put_array(hello.address.address);
    writer.put(hello.address.port);
    writer.put(hello.kind);
    writer.put(hello.process);
    writer.put_array(notary.sign(signed_text(bytes, context)));
    return bytes;
}

Result<Hello> decode_hello(
    ByteView bytes, const HelloContext& context, const membership::Notary& notary
) {
    ByteReader reader(bytes);
    const auto magic = reader.take<std::uint32_t>();
    Hello hello;
    hello.major = reader.take<std::uint16_t>();
    hello.minor = reader.take<std::uint16_t>();
    if (!reader.ok()) return fail(FaultCode::Truncated, "greeting is cut short");
    if (magic != kHelloMagic)
        return fail(FaultCode::BadFormat, "the other side is no starling peer");
    if (hello.major != kProtocolMajor) {
        return fail(
            FaultCode::BadVersion,
            "the other peer speaks protocol version " + std::to_string(hello.major) +
                "; this one " + std::to_string(kProtocolMajor) + ": run the same release on both"
        );
    }
    const auto key = reader.take_array<32>();
    hello.swarm.bytes = reader.take_array<32>();
    hello.address.address = reader.take_array<16>();
    hello.address.port = reader.take<std::uint16_t>();
    hello.kind = reader.take<StreamKind>();
    hello.process = reader.take<std::uint64_t>();
    // What stands between this and the signature belongs to later minor versions.
    if (!reader.ok() || reader.remaining() < kSignatureSize) {
        return fail(FaultCode::Truncated, "greeting is cut short");
    }
    if (hello.kind != StreamKind::Main && hello.kind != StreamKind::Lane) {
        return fail(FaultCode::BadFormat, "a greeting for a stream of an unknown kind");
    }
    membership::Signature signature{};
    ByteReader tail(bytes.last(kSignatureSize));
    signature = tail.take_array<kSignatureSize>();
    const auto text = signed_text(bytes.first(bytes.size() - kSignatureSize), context);
    if (!notary.verify(key, text, signature)) {
        return fail(
            FaultCode::BadFormat, "a greeting that its peer has not signed for this stream"
        );
    }
    hello.id = notary.id_of(key);
    return hello;
}

}  // namespace starling::peer
