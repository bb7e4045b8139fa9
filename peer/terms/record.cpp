#include "peer/terms/record.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace starling::peer {

namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::int16_t kNoSpeed = std::numeric_limits<std::int16_t>::min();
constexpr std::uint8_t kOldWeightMax = 16;

// Flags.
constexpr unsigned kReached = 1;
constexpr unsigned kEnding = 2;
constexpr unsigned kTried = 4;
constexpr unsigned kReachable = 8;
constexpr unsigned kGhost = 16;
constexpr unsigned kNoDuty = 32;  ///< the duty below says nothing; another field follows it

constexpr auto kNoQuality = static_cast<compute::QualityKind>(255);

unsigned flags_of(const Record& record) {
    unsigned flags = 0;
    if (record.reached) flags |= kReached;
    if (record.ending) flags |= kEnding;
    if (record.reachable) flags |= *record.reachable ? kTried | kReachable : kTried;
    if (record.ghost) flags |= kGhost;
    if (record.learned > 0 && !record.duty) flags |= kNoDuty;
    return flags;
}

/// A kind that this release does not know, or a value that is no number, counts as none.
std::optional<compute::Quality> take_quality(ByteReader& reader) {
    const auto kind = reader.take<compute::QualityKind>();
    const auto value = static_cast<double>(reader.take<float>());
    if (kind > compute::kQualityKindLast || !std::isfinite(value)) return std::nullopt;
    return compute::Quality{kind, value};
}

}  // namespace

std::string_view to_string(PeerState state) {
    switch (state) {
        case PeerState::Joining:
            return "joining";
        case PeerState::Training:
            return "training";
        case PeerState::Settling:
            return "settling";
        case PeerState::Evaluating:
            return "evaluating";
        case PeerState::Lingering:
            return "lingering";
        case PeerState::Done:
            return "done";
        case PeerState::Watching:
            return "watching";
    }
    return "unknown";
}

bool is_peer_name(std::string_view name) {
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_' || c == '.';
    };
    return !name.empty() && name.size() <= kNameBytesMax &&
           std::all_of(name.begin(), name.end(), allowed);
}

Bytes encode_record(const Record& record) {
    Bytes bytes;
    ByteWriter writer(bytes);
    writer.put(kVersion);
    writer.put(record.state);
    writer.put(std::uint8_t{0});  // once the log2 of a weight, which nobody has ever set
    writer.put(static_cast<std::uint8_t>(flags_of(record)));
    writer.put(record.round);
    writer.put(record.steps);
    writer.put(record.samples);
    writer.put(record.exchanges);
    writer.put(record.bytes);
    writer.put(record.samples_per_s);
    writer.put(record.loss);
    writer.put(record.accuracy);
    writer.put(record.spread);
    writer.put(record.shards);
    writer.put(record.held);
    // Each release reads as far as it knows. What has nothing to say has the bytes of an older one.
    const bool learned = record.learned > 0;
    const bool owes = record.duty.has_value() || learned;
    const bool fast = record.speed.has_value() || owes;
    const bool own = record.own_train > 0 || record.own_judged > 0 || fast;
    const bool watched = record.quality.has_value() || own;
    const bool more = record.test_loss >= 0 || record.claim.turn > 0 || watched;
    if (!record.name.empty() || more) {
        writer.put(static_cast<std::uint8_t>(record.name.size()));
        writer.put_bytes(as_byte_view(record.name));
    }
    if (more) {
        writer.put(record.test_loss);
        writer.put(record.claim.samples);
        writer.put(record.claim.turn);
        writer.put(record.claim.sharers);
    }
    if (watched) {
        const auto quality = record.quality.value_or(compute::Quality{kNoQuality, 0.0});
        writer.put(quality.kind);
        writer.put(static_cast<float>(quality.value));
    }
    if (own) {
        writer.put(record.own_train);
        writer.put(record.own_judged);
    }
    if (fast) writer.put(record.speed.value_or(kNoSpeed));
    if (owes) write_duty(writer, record.duty.value_or(DutyProgress{}));
    if (learned) writer.put(record.learned);
    return bytes;
}

Result<Record> decode_record(ByteView bytes) {
    ByteReader reader(bytes);
    if (reader.take<std::uint8_t>() != kVersion) {
        return fail(FaultCode::BadVersion, "progress record of an unknown version");
    }
    Record record;
    record.state = reader.take<PeerState>();
    const auto old_weight = reader.take<std::uint8_t>();
    const auto flags = reader.take<std::uint8_t>();
    record.reached = (flags & kReached) != 0;
    record.ending = (flags & kEnding) != 0;
    if ((flags & kTried) != 0) record.reachable = (flags & kReachable) != 0;
    record.ghost = (flags & kGhost) != 0;
    record.round = reader.take<std::uint32_t>();
    record.steps = reader.take<std::uint64_t>();
    record.samples = reader.take<std::uint64_t>();
    record.exchanges = reader.take<std::uint64_t>();
    record.bytes = reader.take<std::uint64_t>();
    record.samples_per_s = reader.take<float>();
    record.loss = reader.take<float>();
    record.accuracy = reader.take<float>();
    record.spread = reader.take<float>();
    record.shards = reader.take<std::uint16_t>();
    record.held = reader.take<std::uint16_t>();
    if (reader.ok() && reader.remaining() > 0) {
        record.name = as_text(reader.take_bytes(reader.take<std::uint8_t>()));
    }
    if (reader.ok() && reader.remaining() > 0) {
        record.test_loss = reader.take<float>();
        record.claim.samples = reader.take<std::uint64_t>();
        record.claim.turn = reader.take<std::uint32_t>();
        record.claim.sharers = reader.take<std::uint32_t>();
    }
    if (reader.ok() && reader.remaining() > 0) record.quality = take_quality(reader);
    if (reader.ok() && reader.remaining() > 0) {
        record.own_train = reader.take<std::uint32_t>();
        record.own_judged = reader.take<std::uint32_t>();
    }
    if (reader.ok() && reader.remaining() > 0) {
        const auto speed = reader.take<std::int16_t>();
        if (speed != kNoSpeed) record.speed = speed;
    }
    bool sound = true;
    if (reader.ok() && reader.remaining() > 0) {
        sound = read_duty(reader, record.duty.emplace());
    }
    if (sound && reader.ok() && reader.remaining() > 0) {
        record.learned = reader.take<std::uint64_t>();
        sound = record.learned <= kLearnedMax;
    }
    if ((flags & kNoDuty) != 0) record.duty.reset();
    if (!reader.ok()) return fail(FaultCode::Truncated, "progress record is cut short");
    // A diverged model may have no loss that is a number.
    if (!(record.test_loss >= 0)) record.test_loss = -1;
    const bool finite = std::isfinite(record.samples_per_s) && std::isfinite(record.accuracy);
    if (record.state > PeerState::Watching || old_weight > kOldWeightMax || !finite || !sound ||
        (!record.name.empty() && !is_peer_name(record.name))) {
        return fail(FaultCode::BadValue, "progress record holds a value out of range");
    }
    return record;
}

}  // namespace starling::peer
