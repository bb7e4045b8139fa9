#include "membership/codec.hpp"

#include <cereal/archives/portable_binary.hpp>
#include <istream>
#include <ostream>
#include <string>

#include "base/check.hpp"

namespace starling::membership {

namespace {

using Output = cereal::PortableBinaryOutputArchive;
using Input = cereal::PortableBinaryInputArchive;

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
};

constexpr std::size_t kFrame = 1 + 2;  // kind, length
constexpr std::size_t kProbeBody = 8 + 32;
constexpr std::size_t kAckBody = 8;
constexpr std::size_t kDigestBody = 8;
constexpr std::size_t kStatementBody = 32 + 16 + 18;
constexpr std::size_t kAccusationBody = kStatementBody + 32;
constexpr std::size_t kForgottenBody = 32 + 16;
constexpr std::size_t kRecordBody = 32 + 16;  // and the record itself
constexpr std::size_t kSmallestMessage = kFrame;

constexpr unsigned kMajorShift = 4;

bool is_accusation(MemberState state) {
    return state == MemberState::Suspect || state == MemberState::Failed;
}

struct BodySize {
    std::size_t operator()(const Ping&) const { return kProbeBody; }

    std::size_t operator()(const PingRequest&) const { return kProbeBody; }

    std::size_t operator()(const Ack&) const { return kAckBody; }

    std::size_t operator()(const Nack&) const { return kAckBody; }

    std::size_t operator()(const TableDigest&) const { return kDigestBody; }

    std::size_t operator()(const Forgotten&) const { return kForgottenBody; }

    std::size_t operator()(const Statement& statement) const {
        return is_accusation(statement.state) ? kAccusationBody : kStatementBody;
    }

    std::size_t operator()(const ProgressRecord& record) const {
        return kRecordBody + record.bytes.size();
    }
};

struct KindOf {
    Kind operator()(const Ping&) const { return Kind::Ping; }

    Kind operator()(const PingRequest&) const { return Kind::PingRequest; }

    Kind operator()(const Ack&) const { return Kind::Ack; }

    Kind operator()(const Nack&) const { return Kind::Nack; }

    Kind operator()(const TableDigest&) const { return Kind::TableDigest; }

    Kind operator()(const Forgotten&) const { return Kind::Forgotten; }

    Kind operator()(const ProgressRecord&) const { return Kind::Record; }

    Kind operator()(const Statement& statement) const {
        return static_cast<Kind>(
            static_cast<std::uint8_t>(Kind::Alive) + static_cast<std::uint8_t>(statement.state)
        );
    }
};

void write(Output& out, const PeerId& id) {
    out(cereal::binary_data(id.bytes.data(), id.bytes.size()));
}

void write(Output& out, const Incarnation& incarnation) {
    out(incarnation.epoch, incarnation.counter);
}

struct WriteBody {
    Output& out;

    void operator()(const Ping& ping) const {
        out(ping.probe);
        write(out, ping.target);
    }

    void operator()(const PingRequest& request) const {
        out(request.probe);
        write(out, request.target);
    }

    void operator()(const Ack& ack) const { out(ack.probe); }

    void operator()(const Nack& nack) const { out(nack.probe); }

    void operator()(const TableDigest& digest) const { out(digest.value); }

    void operator()(const Statement& statement) const {
        write(out, statement.subject);
        write(out, statement.incarnation);
        const auto& address = statement.address;
        out(cereal::binary_data(address.address.data(), address.address.size()), address.port);
        if (is_accusation(statement.state)) write(out, statement.accuser);
    }

    void operator()(const Forgotten& forgotten) const {
        write(out, forgotten.subject);
        write(out, forgotten.incarnation);
    }

    void operator()(const ProgressRecord& record) const {
        write(out, record.owner);
        out(record.epoch, record.version);
        out(cereal::binary_data(record.bytes.data(), record.bytes.size()));
    }
};

/// Thrown inside this file only, caught in decode(): a cereal load has no other way out.
struct Malformed : cereal::Exception {
    using cereal::Exception::Exception;
};

void read(Input& in, PeerId& id) {
    in(cereal::binary_data(id.bytes.data(), id.bytes.size()));
}

void read_counters(Input& in, std::uint64_t& epoch, std::uint64_t& counter) {
    in(epoch, counter);
    if (epoch >= kCounterMax || counter >= kCounterMax) throw Malformed("counter out of range");
}

std::uint64_t read_number(Input& in) {
    std::uint64_t number = 0;
    in(number);
    return number;
}

template <class Probe>
Probe read_probe(Input& in) {
    Probe probe;
    in(probe.probe);
    read(in, probe.target);
    return probe;
}

Statement read_statement(Input& in, Kind kind) {
    Statement statement;
    statement.state = static_cast<MemberState>(
        static_cast<std::uint8_t>(kind) - static_cast<std::uint8_t>(Kind::Alive)
    );
    read(in, statement.subject);
    read_counters(in, statement.incarnation.epoch, statement.incarnation.counter);
    auto& address = statement.address;
    in(cereal::binary_data(address.address.data(), address.address.size()), address.port);
    if (is_accusation(statement.state)) read(in, statement.accuser);
    return statement;
}

Forgotten read_forgotten(Input& in) {
    Forgotten forgotten;
    read(in, forgotten.subject);
    read_counters(in, forgotten.incarnation.epoch, forgotten.incarnation.counter);
    return forgotten;
}

ProgressRecord read_record(Input& in, std::size_t length) {
    if (length < kRecordBody) throw Malformed("record shorter than its header");
    if (length - kRecordBody > kRecordMax) throw Malformed("record above its limit");
    ProgressRecord record;
    read(in, record.owner);
    read_counters(in, record.epoch, record.version);
    record.bytes.resize(length - kRecordBody);
    in(cereal::binary_data(record.bytes.data(), record.bytes.size()));
    return record;
}

Message read_body(Input& in, Kind kind, std::size_t length) {
    switch (kind) {
        case Kind::Ping:
            return read_probe<Ping>(in);
        case Kind::PingRequest:
            return read_probe<PingRequest>(in);
        case Kind::Ack:
            return Ack{read_number(in)};
        case Kind::Nack:
            return Nack{read_number(in)};
        case Kind::TableDigest:
            return TableDigest{read_number(in)};
        case Kind::Alive:
        case Kind::Suspect:
        case Kind::Failed:
        case Kind::Left:
            return read_statement(in, kind);
        case Kind::Record:
            return read_record(in, length);
        case Kind::Forgotten:
            return read_forgotten(in);
    }
    throw Malformed("unknown kind");
}

bool is_known(Kind kind) {
    return kind >= Kind::Ping && kind <= Kind::TableDigest;
}

bool is_probe(Kind kind) {
    return kind == Kind::Ping || kind == Kind::PingRequest || kind == Kind::Ack ||
           kind == Kind::Nack || kind == Kind::TableDigest;
}

/// What the caller of decode() expects.
struct Frame {
    std::uint64_t swarm_tag = 0;
    std::size_t size_max = 0;
    bool probes_allowed = false;
};

void skip(std::istream& stream, std::size_t count) {
    stream.ignore(static_cast<std::streamsize>(count));
}

/// Reads one message; a newer minor version may add kinds and lengthen the ones we know.
void read_message(
    Input& in,
    std::istream& stream,
    const SpanSource& source,
    const Frame& frame,
    bool newer,
    std::vector<Message>& out
) {
    std::uint8_t raw_kind = 0;
    std::uint16_t length = 0;
    in(raw_kind, length);
    const auto before = source.remaining();
    if (length > before) throw Malformed("message longer than its packet");
    const auto kind = static_cast<Kind>(raw_kind);
    if (!is_known(kind)) {
        if (!newer) throw Malformed("unknown kind of message");
        skip(stream, length);
        return;
    }
    if (is_probe(kind) && !frame.probes_allowed) throw Malformed("a probe in a page");
    Message message = read_body(in, kind, length);
    const auto used = before - source.remaining();
    if (used > length || (used < length && !newer)) throw Malformed("message of a wrong length");
    skip(stream, length - used);
    out.push_back(std::move(message));
}

Result<Packet> read_packet(ByteView bytes, const Frame& frame) {
    const auto version = std::to_integer<unsigned>(bytes[0]);
    const bool newer = (version & 15U) > (kWireVersion & 15U);
    // The byte order mark is checked here because cereal would take any value.
    if (bytes[1] != std::byte{1}) return fail(FaultCode::BadFormat, "packet is not little-endian");
    SpanSource source(bytes.subspan(1));
    std::istream stream(&source);
    Input in(stream);
    std::uint64_t tag = 0;
    in(tag);
    if (tag != frame.swarm_tag) return fail(FaultCode::SwarmMismatch, "packet of another swarm");
    Packet packet;
    read(in, packet.sender);
    std::uint16_t count = 0;
    in(count);
    if (count > source.remaining() / kSmallestMessage) {
        return fail(FaultCode::Truncated, "packet announces more messages than it can hold");
    }
    packet.messages.reserve(count);
    for (std::uint16_t i = 0; i < count; ++i) {
        read_message(in, stream, source, frame, newer, packet.messages);
    }
    if (source.remaining() != 0) return fail(FaultCode::BadFormat, "bytes after the last message");
    return packet;
}

Result<Packet> decode(ByteView bytes, const Frame& frame) {
    if (bytes.size() > frame.size_max) {
        return fail(
            FaultCode::Oversized,
            "packet of " + std::to_string(bytes.size()) + " bytes; at most " +
                std::to_string(frame.size_max) + " are taken"
        );
    }
    if (bytes.size() < kPacketOverhead) return fail(FaultCode::Truncated, "packet ends too early");
    const auto version = std::to_integer<unsigned>(bytes[0]);
    if (version >> kMajorShift != kWireVersion >> kMajorShift) {
        return fail(
            FaultCode::BadVersion,
            "peer speaks membership version " + std::to_string(version >> kMajorShift) +
                "; this build speaks " + std::to_string(kWireVersion >> kMajorShift) +
                ", so run the same release everywhere"
        );
    }
    try {
        return read_packet(bytes, frame);
    } catch (const Malformed& error) {
        return fail(FaultCode::BadFormat, error.what());
    } catch (const cereal::Exception&) {
        return fail(FaultCode::Truncated, "packet ends inside a message");
    }
}

}  // namespace

std::size_t wire_size(const Message& message) {
    return kFrame + std::visit(BodySize{}, message);
}

Bytes encode(const Packet& packet, std::uint64_t swarm_tag, std::size_t size_max) {
    STARLING_CHECK(packet.messages.size() <= 65535);
    Bytes bytes;
    bytes.reserve(size_max < kPageMax ? size_max : std::size_t{0});
    bytes.push_back(std::byte{kWireVersion});
    {
        BytesSink sink(bytes);
        std::ostream stream(&sink);
        Output out(stream, Output::Options::LittleEndian());
        out(swarm_tag);
        write(out, packet.sender);
        out(static_cast<std::uint16_t>(packet.messages.size()));
        for (const auto& message : packet.messages) {
            out(static_cast<std::uint8_t>(std::visit(KindOf{}, message)));
            out(static_cast<std::uint16_t>(std::visit(BodySize{}, message)));
            std::visit(WriteBody{out}, message);
        }
    }
    STARLING_CHECK(bytes.size() <= size_max);
    return bytes;
}

Result<Packet> decode_datagram(ByteView bytes, std::uint64_t swarm_tag) {
    return decode(bytes, {swarm_tag, kDatagramMax, true});
}

Result<Packet> decode_page(ByteView bytes, std::uint64_t swarm_tag) {
    return decode(bytes, {swarm_tag, kPageMax, false});
}

}  // namespace starling::membership
