#include "membership/codec.hpp"

#include <cstring>
#include <string>
#include <utility>

#include "base/check.hpp"
#include "membership/config.hpp"

namespace starling::membership {

namespace {

enum class Kind : std::uint8_t {
    Ping = 1,
    PingRequest = 2,
    Ack = 3,
    Alive = 4,
    Suspect = 5,
    Failed = 6,
    Left = 7,
    Record = 8,
    Forgotten = 9,
    Nack = 10,
    TableDigest = 11,
    Stranger = 12,
    SliceDigests = 13,
    SignedRecord = 14,
};

constexpr std::size_t kFrame = 1 + 2;  // kind, length
constexpr std::size_t kProbeBody = 8 + 32;
constexpr std::size_t kAckBody = 8;
constexpr std::size_t kDigestBody = 8;
constexpr std::size_t kClaimBody = 32 + 16 + 18 + 1 + 64;  // and the tail
constexpr std::size_t kAccusationBody = 32 + 16 + 32;
constexpr std::size_t kForgottenBody = 32 + 16;
constexpr std::size_t kStrangerBody = 8;
constexpr std::size_t kSlicesBody = 1 + 8 * kSlices;
constexpr std::size_t kRecordBody = 32 + 16;                  // and the record itself
constexpr std::size_t kSignedRecordBody = 32 + 16 + 16 + 64;  // likewise

constexpr unsigned kMajorShift = 4;
constexpr char kClaimContext[] = "starling membership claim";
constexpr char kRecordContext[] = "starling progress record";

struct BodySize {
    std::size_t operator()(const Ping&) const { return kProbeBody; }

    std::size_t operator()(const PingRequest&) const { return kProbeBody; }

    std::size_t operator()(const Ack&) const { return kAckBody; }

    std::size_t operator()(const Nack&) const { return kAckBody; }

    std::size_t operator()(const TableDigest&) const { return kDigestBody; }

    std::size_t operator()(const Forgotten&) const { return kForgottenBody; }

    std::size_t operator()(const Stranger&) const { return kStrangerBody; }

    std::size_t operator()(const SliceDigests&) const { return kSlicesBody; }

    std::size_t operator()(const Statement& statement) const {
        if (is_accusation(statement.state)) return kAccusationBody;
        return kClaimBody + statement.tail.size();
    }

    std::size_t operator()(const ProgressRecord& record) const {
        return (record.is_signed ? kSignedRecordBody : kRecordBody) + record.bytes.size();
    }
};

struct KindOf {
    Kind operator()(const Ping&) const { return Kind::Ping; }

    Kind operator()(const PingRequest&) const { return Kind::PingRequest; }

    Kind operator()(const Ack&) const { return Kind::Ack; }

    Kind operator()(const Nack&) const { return Kind::Nack; }

    Kind operator()(const TableDigest&) const { return Kind::TableDigest; }

    Kind operator()(const Forgotten&) const { return Kind::Forgotten; }

    Kind operator()(const Stranger&) const { return Kind::Stranger; }

    Kind operator()(const SliceDigests&) const { return Kind::SliceDigests; }

    Kind operator()(const ProgressRecord& record) const {
        return record.is_signed ? Kind::SignedRecord : Kind::Record;
    }

    Kind operator()(const Statement& statement) const {
        return static_cast<Kind>(
            static_cast<std::uint8_t>(Kind::Alive) + static_cast<std::uint8_t>(statement.state)
        );
    }
};

void write(ByteWriter& out, const Incarnation& incarnation) {
    out.put(incarnation.epoch);
    out.put(incarnation.counter);
}

void write(ByteWriter& out, const Endpoint& address) {
    out.put_array(address.address);
    out.put(address.port);
}

void write_tail(ByteWriter& out, ByteView tail) {
    STARLING_CHECK(tail.size() <= kTailMax);
    out.put(static_cast<std::uint8_t>(tail.size()));
    out.put_bytes(tail);
}

/// The leading bytes of the id themselves, whatever the byte order of the machine.
void write(ByteWriter& out, const ShortId& id) {
    for (unsigned shift = 64; shift > 0; shift -= 8) {
        out.put(static_cast<std::uint8_t>(id.value >> (shift - 8)));
    }
}

struct WriteBody {
    ByteWriter& out;

    void operator()(const Ping& ping) const {
        out.put(ping.probe);
        out.put_array(ping.target.bytes);
    }

    void operator()(const PingRequest& request) const {
        out.put(request.probe);
        out.put_array(request.target.bytes);
    }

    void operator()(const Ack& ack) const { out.put(ack.probe); }

    void operator()(const Nack& nack) const { out.put(nack.probe); }

    void operator()(const TableDigest& digest) const { out.put(digest.value); }

    void operator()(const Statement& statement) const {
        if (is_accusation(statement.state)) {
            out.put_array(statement.subject.bytes);
            write(out, statement.incarnation);
            out.put_array(statement.accuser.bytes);
            return;
        }
        out.put_array(statement.key);
        write(out, statement.incarnation);
        write(out, statement.address);
        write_tail(out, statement.tail);
        out.put_array(statement.signature);
    }

    void operator()(const Forgotten& forgotten) const {
        out.put_array(forgotten.subject.bytes);
        write(out, forgotten.incarnation);
    }

    void operator()(const Stranger& stranger) const { write(out, stranger.subject); }

    void operator()(const SliceDigests& digests) const {
        STARLING_CHECK(digests.values.size() == kSlices);
        out.put(std::uint8_t{digests.answer});
        for (const auto value : digests.values) out.put(value);
    }

    void operator()(const ProgressRecord& record) const {
        out.put_array(record.is_signed ? record.key : record.owner.bytes);
        out.put(record.epoch);
        out.put(record.version);
        if (record.is_signed) {
            out.put_array(record.salt);
            out.put_array(record.signature);
        }
        out.put_bytes(record.bytes);
    }
};

PeerId read_id(ByteReader& in) {
    return PeerId{in.take_array<32>()};
}

ShortId read_short_id(ByteReader& in) {
    std::uint64_t value = 0;
    for (const auto byte : in.take_array<8>()) value = (value << 8U) | byte;
    return ShortId(value);
}

/// A counter out of range spoils the input.
std::uint64_t read_counter(ByteReader& in) {
    const auto counter = in.take<std::uint64_t>();
    if (counter >= kCounterMax) in.spoil();
    return counter;
}

Incarnation read_incarnation(ByteReader& in) {
    const auto epoch = read_counter(in);
    return {epoch, read_counter(in)};
}

template <class Probe>
Probe read_probe(ByteReader& in) {
    const auto id = in.take<std::uint64_t>();
    return {id, read_id(in)};
}

Statement read_statement(ByteReader& in, Kind kind, const Notary& notary) {
    Statement statement;
    statement.state = static_cast<MemberState>(
        static_cast<std::uint8_t>(kind) - static_cast<std::uint8_t>(Kind::Alive)
    );
    if (is_accusation(statement.state)) {
        statement.subject = read_id(in);
        statement.incarnation = read_incarnation(in);
        statement.accuser = read_id(in);
        return statement;
    }
    statement.key = in.take_array<32>();
    statement.incarnation = read_incarnation(in);
    statement.address.address = in.take_array<16>();
    statement.address.port = in.take<std::uint16_t>();
    const auto tail = in.take_bytes(in.take<std::uint8_t>());
    if (!is_tail(tail)) in.spoil();
    statement.tail.assign(tail.begin(), tail.end());
    statement.signature = in.take_array<64>();
    if (in.ok()) statement.subject = notary.id_of(statement.key);
    return statement;
}

ProgressRecord read_record(ByteReader& in, Kind kind, const Notary& notary) {
    ProgressRecord record;
    record.is_signed = kind == Kind::SignedRecord;
    record.key = in.take_array<32>();
    record.epoch = read_counter(in);
    record.version = read_counter(in);
    if (record.is_signed) {
        record.salt = in.take_array<16>();
        record.signature = in.take_array<64>();
        if (in.ok()) record.owner = notary.id_of(record.key);
    } else {
        record.owner = PeerId{std::exchange(record.key, {})};
    }
    if (in.remaining() > kRecordMax) in.spoil();
    const auto bytes = in.take_bytes(in.remaining());
    record.bytes.assign(bytes.begin(), bytes.end());
    return record;
}

SliceDigests read_slices(ByteReader& in) {
    SliceDigests digests;
    const auto answer = in.take<std::uint8_t>();
    if (answer > 1 || in.remaining() < 8 * kSlices) {
        in.spoil();
        return digests;
    }
    digests.answer = answer == 1;
    digests.values.resize(kSlices);
    for (auto& value : digests.values) value = in.take<std::uint64_t>();
    return digests;
}

/// Requires  a known kind
Message read_body(ByteReader& in, Kind kind, const Notary& notary) {
    switch (kind) {
        case Kind::Ping:
            return read_probe<Ping>(in);
        case Kind::PingRequest:
            return read_probe<PingRequest>(in);
        case Kind::Ack:
            return Ack{in.take<std::uint64_t>()};
        case Kind::Nack:
            return Nack{in.take<std::uint64_t>()};
        case Kind::TableDigest:
            return TableDigest{in.take<std::uint64_t>()};
        case Kind::Alive:
        case Kind::Suspect:
        case Kind::Failed:
        case Kind::Left:
            return read_statement(in, kind, notary);
        case Kind::Record:
        case Kind::SignedRecord:
            return read_record(in, kind, notary);
        case Kind::Forgotten: {
            const auto subject = read_id(in);
            return Forgotten{subject, read_incarnation(in)};
        }
        case Kind::Stranger:
            return Stranger{read_short_id(in)};
        case Kind::SliceDigests:
            return read_slices(in);
    }
    STARLING_UNREACHABLE("kind of message");
}

bool is_known(Kind kind) {
    return kind >= Kind::Ping && kind <= Kind::SignedRecord;
}

/// What makes sense only between the two ends of a datagram.
bool is_probe(Kind kind) {
    return kind == Kind::Ping || kind == Kind::PingRequest || kind == Kind::Ack ||
           kind == Kind::Nack || kind == Kind::TableDigest || kind == Kind::Stranger;
}

/// What the caller of decode() expects.
struct Frame {
    std::uint32_t swarm_tag = 0;
    std::size_t size_max = 0;
    bool probes_allowed = false;
    const Notary& notary;
};

/// Reads one message; a newer minor version may add kinds and lengthen the ones we know.
Result<void> read_message(ByteReader& in, const Frame& frame, bool newer, Packet& out) {
    const auto kind = in.take<Kind>();
    const auto length = in.take<std::uint16_t>();
    if (!in.ok() || length > in.remaining()) {
        return fail(FaultCode::Truncated, "packet ends inside a message");
    }
    ByteReader body(in.take_bytes(length));
    if (!is_known(kind)) {
        if (newer) return {};
        return fail(FaultCode::BadFormat, "unknown kind of message");
    }
    if (is_probe(kind) && !frame.probes_allowed) {
        return fail(FaultCode::BadFormat, "a probe in a page");
    }
    if (kind == Kind::SliceDigests && frame.probes_allowed) {
        return fail(FaultCode::BadFormat, "digests of slices in a datagram");
    }
    Message message = read_body(body, kind, frame.notary);
    if (!body.ok() || (body.remaining() > 0 && !newer)) {
        return fail(FaultCode::BadFormat, "message of a wrong length or with a wild counter");
    }
    out.messages.push_back(std::move(message));
    return {};
}

Result<void> decode(ByteView bytes, const Frame& frame, Packet& out) {
    if (bytes.size() > frame.size_max) {
        return fail(
            FaultCode::Oversized,
            "packet of " + std::to_string(bytes.size()) + " bytes; at most " +
                std::to_string(frame.size_max) + " are taken"
        );
    }
    if (bytes.size() < kPacketOverhead) return fail(FaultCode::Truncated, "packet ends too early");
    ByteReader in(bytes);
    const unsigned version = in.take<std::uint8_t>();
    if (version >> kMajorShift != kWireVersion >> kMajorShift) {
        return fail(
            FaultCode::BadVersion,
            "peer speaks membership version " + std::to_string(version >> kMajorShift) +
                "; this build speaks " + std::to_string(kWireVersion >> kMajorShift) +
                ", so run the same release everywhere"
        );
    }
    const bool newer = (version & 15U) > (kWireVersion & 15U);
    if (in.take<std::uint32_t>() != frame.swarm_tag) {
        return fail(FaultCode::SwarmMismatch, "packet of another swarm");
    }
    out.sender = read_short_id(in);
    out.messages.clear();
    while (in.remaining() > 0) {
        if (auto read = read_message(in, frame, newer, out); read.has_error()) return read;
    }
    return {};
}

}  // namespace

Bytes signed_text(const Statement& statement, const SwarmId& swarm) {
    Bytes text;
    ByteWriter out(text);
    out.put_bytes(as_byte_view(kClaimContext));
    out.put_array(swarm.bytes);
    out.put_array(statement.key);
    out.put(statement.state);
    write(out, statement.incarnation);
    write(out, statement.address);
    write_tail(out, statement.tail);
    return text;
}

Bytes signed_text(const ProgressRecord& record, const SwarmId& swarm) {
    Bytes text;
    ByteWriter out(text);
    out.put_bytes(as_byte_view(kRecordContext));
    out.put_array(swarm.bytes);
    out.put_array(record.key);
    out.put(record.epoch);
    out.put(record.version);
    out.put_array(record.salt);
    out.put_bytes(record.bytes);
    return text;
}

std::uint32_t swarm_tag(const SwarmId& swarm) {
    std::uint32_t tag = 0;
    std::memcpy(&tag, swarm.bytes.data(), sizeof tag);
    return tag;
}

std::size_t wire_size(const Message& message) {
    return kFrame + std::visit(BodySize{}, message);
}

void write_claim(ByteWriter& out, const Statement& claim) {
    STARLING_CHECK(!is_accusation(claim.state));
    out.put(KindOf{}(claim));
    out.put(static_cast<std::uint16_t>(BodySize{}(claim)));
    WriteBody{out}(claim);
}

std::optional<Statement> take_claim(ByteView& bytes, const Notary& notary) {
    ByteReader in(bytes);
    const auto kind = in.take<Kind>();
    const auto length = in.take<std::uint16_t>();
    if (kind != Kind::Alive && kind != Kind::Left) return std::nullopt;
    ByteReader body(in.take_bytes(length));
    auto claim = read_statement(body, kind, notary);
    if (!in.ok() || !body.finished()) return std::nullopt;
    bytes = bytes.last(in.remaining());
    return claim;
}

void encode_into(
    Bytes& out,
    const ShortId& sender,
    std::span<const Message> messages,
    std::uint32_t swarm_tag,
    std::size_t size_max
) {
    out.clear();
    ByteWriter writer(out);
    writer.put(kWireVersion);
    writer.put(swarm_tag);
    write(writer, sender);
    for (const auto& message : messages) {
        writer.put(std::visit(KindOf{}, message));
        writer.put(static_cast<std::uint16_t>(std::visit(BodySize{}, message)));
        std::visit(WriteBody{writer}, message);
    }
    STARLING_CHECK(out.size() <= size_max);
}

Bytes encode(const Packet& packet, std::uint32_t swarm_tag, std::size_t size_max) {
    Bytes bytes;
    encode_into(bytes, packet.sender, packet.messages, swarm_tag, size_max);
    return bytes;
}

Result<void> decode_datagram(
    ByteView bytes, std::uint32_t swarm_tag, const Notary& notary, Packet& out
) {
    return decode(bytes, {swarm_tag, kPacketMax, true, notary}, out);
}

Result<void> decode_page(
    ByteView bytes, std::uint32_t swarm_tag, const Notary& notary, Packet& out
) {
    return decode(bytes, {swarm_tag, kPageMax, false, notary}, out);
}

}  // namespace starling::membership
