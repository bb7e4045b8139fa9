#include "peer/streams/hello.hpp"

#include <string>

namespace starling::peer {

namespace {

constexpr std::uint32_t kHelloMagic = 0x4c525453;  // "STRL"

}  // namespace

Bytes encode_hello(const Hello& hello) {
    Bytes bytes;
    ByteWriter writer(bytes);
    writer.put(kHelloMagic);
    writer.put(hello.major);
    writer.put(hello.minor);
    writer.put_array(hello.id.bytes);
    writer.put_array(hello.swarm.bytes);
    writer.put_array(hello.address.address);
    writer.put(hello.address.port);
    writer.put_array(hello.nonce);
    writer.put_array(hello.proof);
    writer.put(hello.kind);
    writer.put(hello.process);
    return bytes;
}

Result<Hello> decode_hello(ByteView bytes) {
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
    hello.id.bytes = reader.take_array<32>();
    hello.swarm.bytes = reader.take_array<32>();
    hello.address.address = reader.take_array<16>();
    hello.address.port = reader.take<std::uint16_t>();
    if (hello.minor >= 1) {
        hello.nonce = reader.take_array<16>();
        hello.proof = reader.take_array<32>();
    }
    if (hello.minor >= 2) hello.kind = reader.take<StreamKind>();
    if (hello.minor >= 4) hello.process = reader.take<std::uint64_t>();
    // Bytes after these belong to later minor versions and are ignored.
    if (!reader.ok()) return fail(FaultCode::Truncated, "greeting is cut short");
    if (hello.kind != StreamKind::Main && hello.kind != StreamKind::Lane) {
        return fail(FaultCode::BadFormat, "a greeting for a stream of an unknown kind");
    }
    return hello;
}

Bytes proof_text(
    StreamRole role, const SwarmId& swarm, const Hello& dialler, const Hello& acceptor
) {
    Bytes text;
    ByteWriter writer(text);
    writer.put_bytes(as_byte_view("starling stream"));
    writer.put(role);
    writer.put_array(swarm.bytes);
    writer.put_array(dialler.id.bytes);
    writer.put_array(dialler.nonce);
    writer.put_array(acceptor.id.bytes);
    writer.put_array(acceptor.nonce);
    return text;
}

}  // namespace starling::peer
