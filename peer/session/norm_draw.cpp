#include "peer/session/norm_draw.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.hpp"

namespace starling::peer {

namespace {

constexpr std::uint8_t kKind = 9;
constexpr std::uint8_t kVersion = 0x14;  // 1.4
constexpr std::uint16_t kHeader = 16;
constexpr std::size_t kBefore = 4;  // kind, version, length of the header
constexpr std::size_t kChannelBytes = 8;
/// Larger numbers than these are none that a norm has seen.
constexpr float kLargest = 1e30F;
/// Parts that are kept of peers that are not asked yet.
constexpr std::size_t kPartsMax = 4 * kNormDrawersMax;

/// As it arrives at the others, so that all join the same numbers.
compute::NormMoments as_sent(compute::NormMoments moments) {
    for (auto* numbers : {&moments.means, &moments.variances}) {
        for (auto& number : *numbers) {
            number = static_cast<double>(static_cast<float>(number));
        }
    }
    return moments;
}

bool sound(const compute::NormMoments& moments) {
    const auto fits = [](double value) {
        return std::abs(value) <= static_cast<double>(kLargest);  // false for a NaN
    };
    return std::all_of(moments.means.begin(), moments.means.end(), fits) &&
           std::all_of(moments.variances.begin(), moments.variances.end(), [&](double value) {
               return fits(value) && value >= 0.0;
           });
}

}  // namespace

std::size_t norm_channels(const compute::ParameterLayout& layout) {
    std::size_t channels = 0;
    for (const auto& info : layout.parameters()) channels += info.variance ? info.elements : 0;
    return channels;
}

bool is_norm_part(ByteView payload) {
    return payload.size() >= kBefore && payload[0] == std::byte{kKind} &&
           payload[1] == std::byte{kVersion};
}

Bytes encode_norm_part(const NormPart& part) {
    const auto& moments = part.moments;
    STARLING_CHECK(moments.means.size() == moments.variances.size());
    Bytes bytes;
    bytes.reserve(kBefore + kHeader + kChannelBytes * moments.means.size());
    ByteWriter writer(bytes);
    writer.put(kKind);
    writer.put(kVersion);
    writer.put(kHeader);
    writer.put(part.round);
    writer.put(static_cast<std::uint32_t>(moments.samples));
    writer.put(static_cast<std::uint32_t>(moments.means.size()));
    writer.put(std::uint32_t{0});
    for (std::size_t i = 0; i < moments.means.size(); ++i) {
        writer.put(static_cast<float>(moments.means[i]));
        writer.put(static_cast<float>(moments.variances[i]));
    }
    return bytes;
}

Result<NormPart> decode_norm_part(ByteView payload) {
    ByteReader reader(payload);
    const auto kind = reader.take<std::uint8_t>();
    const auto version = reader.take<std::uint8_t>();
    const auto header = reader.take<std::uint16_t>();
    NormPart part;
    part.round = reader.take<std::uint32_t>();
    part.moments.samples = reader.take<std::uint32_t>();
    const auto channels = reader.take<std::uint32_t>();
    (void)reader.take<std::uint32_t>();
    if (!reader.ok()) return fail(FaultCode::Truncated, "a part of moments ends too early");
    const bool known = kind == kKind && version == kVersion && header == kHeader;
    if (!known || channels > kNormChannelsMax || reader.remaining() != channels * kChannelBytes) {
        return fail(FaultCode::BadFormat, "these are no moments, or not of so many channels");
    }
    for (std::uint32_t i = 0; i < channels; ++i) {
        part.moments.means.push_back(static_cast<double>(reader.take<float>()));
        part.moments.variances.push_back(static_cast<double>(reader.take<float>()));
    }
    const bool empty = part.moments.samples == 0.0;
    if (empty != (channels == 0) || !sound(part.moments)) {
        return fail(FaultCode::BadValue, "moments that no norm has seen");
    }
    return part;
}

NormDraw::NormDraw(const PeerId& self, std::size_t channels, std::uint32_t batch, Outbox& out)
    : self_(self),
      channels_(channels <= kNormChannelsMax ? channels : 0),
      samples_max_(static_cast<double>(kNormBatches) * batch),
      out_(out) {}

void NormDraw::begin(std::uint32_t round, std::span<const PeerId> partners) {
    if (!wanted() || stage_ != Stage::Idle) return;
    round_ = round;
    ++number_;
    stage_ = draws(self_, partners) ? Stage::Drawing : Stage::Gathering;
    if (stage_ == Stage::Gathering) gathers_since_ = {};
}

void NormDraw::handle_drawn(Instant now, const compute::NormMoments& own) {
    if (stage_ != Stage::Drawing) return;
    NormPart part{round_, as_sent(own)};
    part.moments.samples = std::min(part.moments.samples, samples_max_);
    // What is not finite, or has nothing in it, is as if we had no data.
    if (part.moments.means.size() != channels_ || !sound(part.moments)) part.moments = {};
    own_ = encode_norm_part(part);
    parts_[self_] = std::move(part);
    stage_ = Stage::Gathering;
    gathers_since_ = now;
}

bool NormDraw::handle_frame(const PeerId& from, ByteView payload) {
    if (!wanted()) return false;
    auto part = decode_norm_part(payload);
    if (part.has_error() || from == self_) return false;
    auto& moments = part->moments;
    if (moments.samples > 0.0 && moments.means.size() != channels_) return false;
    const auto known = parts_.find(from);
    if (known == parts_.end() && parts_.size() >= kPartsMax) return false;
    // Rounds only rise.
    if (known != parts_.end() && known->second.round > part->round) return false;
    moments.samples = std::min(moments.samples, samples_max_);
    parts_[from] = std::move(*part);
    return true;
}

void NormDraw::update(Instant now, std::span<const PeerId> partners) {
    if (stage_ == Stage::Idle || stage_ == Stage::Drawing) return;
    send(partners);
    if (stage_ != Stage::Gathering) return;
    if (gathers_since_ == Instant{}) gathers_since_ = now;
    if (!complete(partners) && now - gathers_since_ < kGatherMax) return;
    merge(partners);
}

/// The drawers are the peers with the least ids of all that we know, so that all know the same ones.
bool NormDraw::draws(const PeerId& peer, std::span<const PeerId> partners) const {
    std::size_t before = self_ < peer ? 1 : 0;
    for (const auto& other : partners) before += other < peer ? 1U : 0U;
    return before < kNormDrawersMax;
}

bool NormDraw::complete(std::span<const PeerId> partners) const {
    return std::all_of(partners.begin(), partners.end(), [&](const PeerId& partner) {
        if (!draws(partner, partners)) return true;
        const auto part = parts_.find(partner);
        return part != parts_.end() && part->second.round == round_;
    });
}

void NormDraw::send(std::span<const PeerId> partners) {
    if (!own_) return;
    for (const auto& partner : partners) {
        if (!sent_.insert(partner).second) continue;
        out_.push_back({partner, FrameType::Exchange, *own_});
    }
}

/// In order of ids: sums of floats depend on it. What has come of somebody who is gone by now counts.
void NormDraw::merge(std::span<const PeerId> partners) {
    compute::NormMoments whole;
    for (const auto& [peer, part] : parts_) {
        if (part.round != round_ || !draws(peer, partners)) continue;
        STARLING_CHECK(compute::add_moments(whole, part.moments).has_value());
    }
    const bool any = whole.samples > 0.0;
    stage_ = any ? Stage::Setting : Stage::Done;
    if (any) merged_ = std::make_shared<const compute::NormMoments>(std::move(whole));
}

bool NormDraw::give_up() {
    if (stage_ == Stage::Idle || stage_ == Stage::Done) return false;
    stage_ = Stage::Done;
    merged_.reset();
    return true;
}

void NormDraw::reset() {
    stage_ = Stage::Idle;
    own_.reset();
    sent_.clear();
    merged_.reset();
    std::erase_if(parts_, [this](const auto& entry) {
        return entry.first == self_ || entry.second.round <= round_;
    });
}

}  // namespace starling::peer
