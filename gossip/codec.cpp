#include "gossip/codec.hpp"

#include <algorithm>
#include <array>
#include <cereal/archives/binary.hpp>
#include <cstring>
#include <istream>
#include <ostream>
#include <string>

#include "base/check.hpp"

namespace starling::gossip {
namespace {

enum class Kind : std::uint8_t {
    Open = 1,
    Accept = 2,
    Busy = 3,
    Refuse = 4,
    Chunk = 5,
    ChunkReply = 6,
    Commit = 7,
    Abort = 8,
};

constexpr std::size_t kPrefix = 4;

/// Minor version 3 is that of an Accept with samples. All other frames are what they were.
constexpr unsigned kMinorUsual = 2;
constexpr unsigned kMinorSamples = 3;

constexpr std::uint8_t version_byte(unsigned minor) {
    return static_cast<std::uint8_t>((kVersionMajor << 4U) | minor);
}

/// Header bytes of minor version 2; a later one may append fields.
constexpr std::size_t header_bytes(Kind kind) {
    switch (kind) {
        case Kind::Open:
            return 8 + 32 + 4 + 8 + 1 + 1 + 4 + 4 + 8 + 1 + 1 + 8;
        case Kind::Accept:
            return 8 + 1 + 8 + 8 + 1 + 1 + 1;
        case Kind::Busy:
            return 8 + 1;
        case Kind::Refuse:
            return 8 + 1 + 8;
        case Kind::Chunk:
            return 8 + 4 + 4 + 4;
        case Kind::ChunkReply:
            return 8 + 4 + 4 + 4;
        case Kind::Commit:
            return 8;
        case Kind::Abort:
            return 8 + 1 + 4;
    }
    return 0;
}

/// Header bytes of a minor version, as far as we know it. Minor 1 appended the rounds, minor 2 the weights,
/// minor 3 the samples.
constexpr std::size_t header_bytes(Kind kind, unsigned minor) {
    if (kind == Kind::Accept && minor >= kMinorSamples) return header_bytes(kind) + sizeof(Samples);
    std::size_t later = 0;
    if (minor < 2 && kind == Kind::Open) later += 1 + 1 + 8;
    if (minor < 2 && kind == Kind::Accept) later += 8 + 1 + 1 + 1;
    const bool has_round = kind == Kind::Open || kind == Kind::Refuse;
    if (minor < 1 && has_round) later += sizeof(std::uint64_t);
    return header_bytes(kind) - later;
}

static_assert(header_bytes(Kind::Accept, kVersionMinor) <= kHeaderMax);
static_assert(kPrefix + header_bytes(Kind::Chunk) == kPayloadOffset);
static_assert(kPrefix + header_bytes(Kind::ChunkReply) == kPayloadOffset);

// One function for both directions: cereal calls it with an archive that reads or one that writes.

template <class Archive>
void fields(Archive& archive, Open& open) {
    archive(open.id.value);
    archive(cereal::binary_data(open.layout.bytes.data(), open.layout.bytes.size()));
    archive(open.chunk_count, open.coefficient, open.encoding);
    archive(open.rule, open.parts, open.part, open.round);
    archive(open.weight, open.weight_max, open.left);
}

template <class Archive>
void fields(Archive& archive, Accept& accept) {
    archive(accept.id.value, accept.encoding, accept.spread, accept.coefficient);
    archive(accept.weight, accept.weight_max, accept.tilt);
    if (!accept.samples) return;
    archive(cereal::binary_data(accept.samples->data(), sizeof(Samples)));
}

template <class Archive>
void fields(Archive& archive, Busy& busy) {
    // A byte and not a bool: loading 7 into a bool would be undefined.
    std::uint8_t collapsed = busy.collapsed ? 1 : 0;
    archive(busy.id.value, collapsed);
    busy.collapsed = collapsed != 0;
}

template <class Archive>
void fields(Archive& archive, Refuse& refuse) {
    archive(refuse.id.value, refuse.reason, refuse.round);
}

template <class Archive>
void fields(Archive& archive, Commit& commit) {
    archive(commit.id.value);
}

template <class Archive>
void fields(Archive& archive, Abort& abort) {
    archive(abort.id.value, abort.reason, abort.acked);
}

template <class T>
Bytes encode_as(Kind kind, T message, unsigned minor = kMinorUsual) {
    const std::size_t length = header_bytes(kind, minor);
    Bytes frame;
    frame.reserve(kPrefix + length);
    ByteWriter writer(frame);
    writer.put(kind);
    writer.put(version_byte(minor));
    writer.put(static_cast<std::uint16_t>(length));
    BytesSink sink(frame);
    std::ostream stream(&sink);
    cereal::BinaryOutputArchive archive(stream);
    fields(archive, message);
    STARLING_CHECK(frame.size() == kPrefix + length);
    return frame;
}

Bytes encode_message(const Open& m) {
    return encode_as(Kind::Open, m);
}

Bytes encode_message(const Accept& m) {
    return encode_as(Kind::Accept, m, m.samples ? kMinorSamples : kMinorUsual);
}

Bytes encode_message(const Busy& m) {
    return encode_as(Kind::Busy, m);
}

Bytes encode_message(const Refuse& m) {
    return encode_as(Kind::Refuse, m);
}

Bytes encode_message(const Commit& m) {
    return encode_as(Kind::Commit, m);
}

Bytes encode_message(const Abort& m) {
    return encode_as(Kind::Abort, m);
}

template <class T>
Bytes encode_message(const T& /*with a payload, or unknown*/) {
    STARLING_UNREACHABLE("a message without a frame of its own");
}

/// Requires  `header` holds what the first minor version sends, and at most kHeaderMax bytes
template <class T>
Result<Message> decode_as(ByteView header, T message = {}) {
    // What an older minor version does not send is zero.
    std::array<std::byte, kHeaderMax> whole{};
    std::copy(header.begin(), header.end(), whole.begin());
    try {
        SpanSource source(whole);
        std::istream stream(&source);
        cereal::BinaryInputArchive archive(stream);
        fields(archive, message);
    } catch (const cereal::Exception& error) {
        // The length was checked before, so this is a net below a net.
        return fail(FaultCode::BadFormat, std::string("averaging header: ") + error.what());
    }
    return Message(message);
}

/// The header of Chunk and ChunkReply. There is one for each chunk of 256 KiB, in both directions,
/// so it is read and written in place: an archive and its stream would cost an allocation each.
struct PayloadHeader {
    ExchangeId id;
    std::uint32_t index = 0;
    std::uint32_t elements = 0;
    std::uint32_t acked = 0;  ///< of Chunk; zero in ChunkReply
};

void write_payload_header(
    Kind kind, const PayloadHeader& header, std::span<std::byte, kPayloadOffset> out
) {
    std::size_t at = 0;
    const auto put = [&out, &at](auto value) {
        std::memcpy(out.data() + at, &value, sizeof(value));
        at += sizeof(value);
    };
    put(kind);
    put(version_byte(kMinorUsual));
    put(static_cast<std::uint16_t>(header_bytes(kind)));
    put(header.id.value);
    put(header.index);
    put(header.elements);
    put(header.acked);
    STARLING_DCHECK(at == kPayloadOffset);
}

/// Requires  `bytes` holds at least the header of a Chunk
Result<PayloadHeader> read_payload_header(ByteView bytes) {
    ByteReader reader(bytes);
    PayloadHeader header;
    header.id.value = reader.take<std::uint64_t>();
    header.index = reader.take<std::uint32_t>();
    header.elements = reader.take<std::uint32_t>();
    header.acked = reader.take<std::uint32_t>();
    STARLING_CHECK(reader.ok());
    if (header.elements == 0) return fail(FaultCode::BadFormat, "averaging chunk without elements");
    if (header.elements > kChunkElementsMax) {
        return fail(FaultCode::Oversized, "averaging chunk of more than 65536 elements");
    }
    return header;
}

Result<Message> decode_chunk(ByteView bytes, ByteView payload) {
    const auto header = read_payload_header(bytes);
    if (!header) return header.error();
    return Message(Chunk{header->id, header->index, header->elements, header->acked, payload});
}

Result<Message> decode_chunk_reply(ByteView bytes, ByteView payload) {
    const auto header = read_payload_header(bytes);
    if (!header) return header.error();
    return Message(ChunkReply{header->id, header->index, header->elements, payload});
}

Result<Message> decode_accept(ByteView header, unsigned minor) {
    Accept accept;
    accept.minor = static_cast<std::uint8_t>(minor);
    if (minor >= kMinorSamples) accept.samples.emplace();
    return decode_as(header, accept);
}

Result<Message> decode_body(Kind kind, unsigned minor, ByteView header, ByteView payload) {
    const bool carries = kind == Kind::Chunk || kind == Kind::ChunkReply;
    if (!carries && !payload.empty()) {
        return fail(FaultCode::BadFormat, "averaging frame with bytes after its header");
    }
    switch (kind) {
        case Kind::Open:
            return decode_as<Open>(header);
        case Kind::Accept:
            return decode_accept(header, minor);
        case Kind::Busy:
            return decode_as<Busy>(header);
        case Kind::Refuse:
            return decode_as<Refuse>(header);
        case Kind::Chunk:
            return decode_chunk(header, payload);
        case Kind::ChunkReply:
            return decode_chunk_reply(header, payload);
        case Kind::Commit:
            return decode_as<Commit>(header);
        case Kind::Abort:
            return decode_as<Abort>(header);
    }
    STARLING_UNREACHABLE("the kind was checked");
}

}  // namespace

Bytes encode(const Message& message) {
    return std::visit([](const auto& m) { return encode_message(m); }, message);
}

void write_payload_header(const Chunk& chunk, std::span<std::byte, kPayloadOffset> out) {
    write_payload_header(Kind::Chunk, {chunk.id, chunk.index, chunk.elements, chunk.acked}, out);
}

void write_payload_header(const ChunkReply& reply, std::span<std::byte, kPayloadOffset> out) {
    write_payload_header(Kind::ChunkReply, {reply.id, reply.index, reply.elements, 0}, out);
}

Result<Message> decode(ByteView frame) {
    if (frame.size() > kPrefix + kHeaderMax + kPayloadMax) {
        return fail(FaultCode::Oversized, "averaging frame larger than a whole chunk");
    }
    ByteReader reader(frame);
    const auto kind = reader.take<std::uint8_t>();
    const auto version = reader.take<std::uint8_t>();
    const auto length = reader.take<std::uint16_t>();
    if (!reader.ok()) return fail(FaultCode::Truncated, "averaging frame shorter than its prefix");
    const unsigned major = version >> 4U;
    const unsigned minor = version & 15U;
    if (major != kVersionMajor) {
        return fail(
            FaultCode::BadVersion,
            "partner speaks averaging protocol " + std::to_string(major) + ", we speak " +
                std::to_string(kVersionMajor) + ": update the older program"
        );
    }
    if (length > kHeaderMax) return fail(FaultCode::Oversized, "averaging header too long");
    if (length > reader.remaining()) {
        return fail(FaultCode::Truncated, "averaging frame shorter than its header");
    }
    const ByteView header = reader.take_bytes(length);
    if (header_bytes(static_cast<Kind>(kind)) == 0) {
        if (minor > kVersionMinor) return Message(Unknown{kind});
        return fail(FaultCode::BadFormat, "averaging frame of unknown kind");
    }
    const std::size_t known = header_bytes(static_cast<Kind>(kind), minor);
    if (length < known) return fail(FaultCode::Truncated, "averaging header too short");
    if (length > known && minor <= kVersionMinor) {
        return fail(FaultCode::BadFormat, "averaging header too long for its version");
    }
    auto body =
        decode_body(static_cast<Kind>(kind), minor, header, reader.take_bytes(reader.remaining()));
    if (!body) return body;
    if (auto* open = std::get_if<Open>(&*body)) open->minor = static_cast<std::uint8_t>(minor);
    return body;
}

}  // namespace starling::gossip
