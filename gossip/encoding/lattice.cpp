#include "gossip/encoding/lattice.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/check.hpp"
#include "gossip/encoding/lattice_kernel.hpp"

namespace starling::gossip {
namespace {

/// First byte of a payload. The head is eight bytes, so that what follows stays aligned.
enum class Form : std::uint8_t { Bf16 = 0, Codes = 1, Again = 2, F32 = 3 };

constexpr std::size_t kHead = 8;

/// Outside, products with a coefficient or an inverse could leave the normal floats.
constexpr float kScaleMin = 1e-30F;
constexpr float kScaleMax = 1e30F;

/// Before the codes of an offer, for each block.
struct BlockHead {
    std::uint64_t hash = 0;
    float scale = 0.0F;
    std::uint32_t reserved = 0;
};

static_assert(sizeof(BlockHead) == 16);

void write_head(std::span<std::byte> wire, Form form) {
    std::fill_n(wire.begin(), kHead, std::byte{0});
    wire[0] = static_cast<std::byte>(form);
}

bool is_form(ByteView payload, Form form) {
    return payload.size() >= kHead && payload[0] == static_cast<std::byte>(form);
}

BlockHead head_of(ByteView offer, std::size_t block) {
    BlockHead head;
    std::memcpy(&head, offer.data() + kHead + block * sizeof(BlockHead), sizeof(BlockHead));
    return head;
}

bool sound(float scale) {
    return scale >= kScaleMin && scale <= kScaleMax;
}

std::size_t elements_of(ByteView raw) {
    return raw.size() / sizeof(float);
}

std::size_t block_size(std::size_t elements, std::size_t block) {
    return std::min(kBlockElements, elements - block * kBlockElements);
}

/// Two values that bf16 rounds to one may be 2^-7 of their size apart. Without this a block that
/// looks equal would get a scale that its true gap exceeds, wrap, travel as bf16 again, and so on
/// for ever.
void allow_for_rounding(ByteView one, ByteView other, std::span<BlockGap> gaps) {
    const std::size_t elements = one.size() / sizeof(std::uint16_t);
    for (std::size_t block = 0; block < gaps.size(); ++block) {
        const std::size_t end = std::min(elements, (block + 1) * kBlockElements);
        std::uint16_t largest = 0;
        for (std::size_t i = block * kBlockElements; i < end; ++i) {
            std::uint16_t a = 0;
            std::uint16_t b = 0;
            std::memcpy(&a, one.data() + i * sizeof(a), sizeof(a));
            std::memcpy(&b, other.data() + i * sizeof(b), sizeof(b));
            // Without their sign bits, floats are ordered as the integers of their bits.
            const auto size = static_cast<std::uint16_t>(std::max(a & 0x7fff, b & 0x7fff));
            largest = std::max(largest, size);
        }
        // The larger of the two, not their sum: the margin covers twice the measured gap.
        const float bound = std::bit_cast<float>(std::uint32_t{largest} << 16U) / 128.0F;
        gaps[block].largest = std::max(gaps[block].largest, bound);
    }
}

/// What a block's integers say of its gap. Rounding may hide one unit of it.
BlockGap gap_of(const lattice::Distance& distance, std::size_t elements, float scale) {
    const float mean = static_cast<float>(distance.squares) / static_cast<float>(elements);
    return {static_cast<float>(distance.gap + 1) * scale, std::sqrt(mean) * scale};
}

constexpr std::size_t kBlockRaw = kBlockElements * sizeof(float);

}  // namespace

LatticeEncoding::LatticeEncoding(int bits, Isa isa) : bits_(bits), isa_(isa) {
    STARLING_CHECK(bits == 4 || bits == 8);
}

std::size_t LatticeEncoding::code_bytes(std::size_t elements) const {
    return lattice::code_bytes(elements, bits_);
}

std::size_t LatticeEncoding::offer_bytes(std::size_t elements) const {
    return kHead + block_count(elements) * sizeof(BlockHead) + code_bytes(elements);
}

std::size_t LatticeEncoding::wire_bytes(std::size_t elements) const {
    return std::max(offer_bytes(elements), kHead + bf16_.wire_bytes(elements));
}

bool LatticeEncoding::fits_offer(ByteView offer, std::size_t elements) const {
    if (is_form(offer, Form::Bf16)) return offer.size() == kHead + bf16_.wire_bytes(elements);
    if (is_form(offer, Form::F32)) return offer.size() == exact_bytes(elements);
    if (!is_form(offer, Form::Codes) || offer.size() != offer_bytes(elements)) return false;
    for (std::size_t block = 0; block < block_count(elements); ++block) {
        if (!sound(head_of(offer, block).scale)) return false;
    }
    return true;
}

bool LatticeEncoding::fits_reply(ByteView reply, ByteView offered, std::size_t elements) const {
    if (is_form(reply, Form::Again)) return reply.size() == kHead;
    for (const auto form : {Form::Bf16, Form::F32}) {
        if (!is_form(offered, form)) continue;
        return is_form(reply, form) && reply.size() == offered.size();
    }
    return is_form(reply, Form::Codes) && reply.size() == kHead + code_bytes(elements);
}

bool LatticeEncoding::always_decodes(ByteView offer) const {
    return is_form(offer, Form::Bf16) || is_form(offer, Form::F32);
}

bool LatticeEncoding::asks_again(ByteView reply) const {
    return is_form(reply, Form::Again);
}

Offer LatticeEncoding::offer(ByteView raw, std::span<const float> gaps, std::span<std::byte> wire)
    const {
    const std::size_t elements = elements_of(raw);
    STARLING_CHECK(wire.size() == wire_bytes(elements));
    Offer offer;
    if (!gaps.empty() && offer_codes(raw, gaps, wire, offer.squared_norm)) {
        offer.bytes = offer_bytes(elements);
        return offer;
    }
    write_head(wire, Form::Bf16);
    offer.bytes = kHead + bf16_.wire_bytes(elements);
    bf16_.encode(raw, wire.first(offer.bytes).subspan(kHead));
    // Taking a bf16 reply measures the norm itself.
    offer.squared_norm = 0.0;
    return offer;
}

std::size_t LatticeEncoding::exact_bytes(std::size_t elements) const {
    return kHead + f32_.wire_bytes(elements);
}

Offer LatticeEncoding::offer_exact(ByteView raw, std::span<std::byte> wire) const {
    STARLING_CHECK(wire.size() == exact_bytes(elements_of(raw)));
    write_head(wire, Form::F32);
    const auto body = wire.subspan(kHead);
    f32_.encode(raw, body);
    Offer offer = f32_.offer(body, {}, body);
    offer.bytes = wire.size();
    return offer;
}

/// Returns false when a block has no sound scale; sending it as bf16 then shows what is wrong.
bool LatticeEncoding::offer_codes(
    ByteView raw, std::span<const float> gaps, std::span<std::byte> wire, double& squared_norm
) const {
    const std::size_t elements = elements_of(raw);
    const std::size_t blocks = block_count(elements);
    STARLING_CHECK(gaps.size() == blocks);
    write_head(wire, Form::Codes);
    std::byte* codes = wire.data() + kHead + blocks * sizeof(BlockHead);
    for (std::size_t i = 0; i < blocks; ++i) {
        lattice::Block block;
        block.bits = bits_;
        block.elements = block_size(elements, i);
        block.raw = raw.data() + i * kBlockRaw;
        const auto measured = lattice::measure(block, isa_);
        const float wanted = margin() * gaps[i] / static_cast<float>(gap_max());
        block.scale = std::max({wanted, measured.largest / lattice::kReach, kScaleMin});
        // Negated, so that a NaN is no sound gap either.
        if (!measured.finite || !(gaps[i] >= 0.0F) || !sound(block.scale)) return false;
        squared_norm += static_cast<double>(measured.squares);
        block.codes = codes;
        const BlockHead head{lattice::quantize(block, isa_), block.scale, 0};
        std::memcpy(wire.data() + kHead + i * sizeof(BlockHead), &head, sizeof(BlockHead));
        codes += code_bytes(block.elements);
    }
    return true;
}

Difference LatticeEncoding::answer(ByteView offer, ByteView raw, Reply& reply, const Share& share)
    const {
    if (is_form(offer, Form::Bf16)) {
        write_head(reply.wire, Form::Bf16);
        reply.bytes = kHead + bf16_.wire_bytes(elements_of(raw));
        Reply body{reply.wire.first(reply.bytes).subspan(kHead)};
        const auto theirs = offer.subspan(kHead);
        const auto result = bf16_.answer(theirs, raw, body, share);
        if (result.finite) allow_for_rounding(theirs, body.wire, share.gaps);
        return result;
    }
    if (is_form(offer, Form::F32)) {
        write_head(reply.wire, Form::F32);
        reply.bytes = kHead + raw.size();
        STARLING_CHECK(reply.wire.size() >= reply.bytes);
        Reply body{reply.wire.subspan(kHead, raw.size())};
        return f32_.answer(offer.subspan(kHead), raw, body, share);
    }
    write_head(reply.wire, Form::Codes);
    reply.bytes = kHead + code_bytes(elements_of(raw));
    const auto difference = answer_codes(offer, raw, reply.wire, share);
    if (difference.wrapped) {
        write_head(reply.wire, Form::Again);
        reply.bytes = kHead;
    }
    return difference;
}

Difference LatticeEncoding::answer_codes(
    ByteView offer, ByteView raw, std::span<std::byte> reply, const Share& share
) const {
    const std::size_t elements = elements_of(raw);
    const std::size_t blocks = block_count(elements);
    const std::byte* theirs = offer.data() + kHead + blocks * sizeof(BlockHead);
    std::byte* codes = reply.data() + kHead;
    Difference sum;
    for (std::size_t i = 0; i < blocks; ++i) {
        const auto head = head_of(offer, i);
        lattice::Block block;
        block.bits = bits_;
        block.elements = block_size(elements, i);
        block.raw = raw.data() + i * kBlockRaw;
        block.scale = head.scale;
        const auto measured = lattice::measure(block, isa_);
        sum.finite = sum.finite && measured.finite;
        // Within twice the reach our own rounding is exact; beyond it the partner is far away.
        if (!(measured.largest <= 2.0F * lattice::kReach * head.scale)) sum.wrapped = true;
        if (sum.wrapped || !sum.finite) return sum;
        block.theirs = theirs;
        block.codes = codes;
        block.delta = share.delta.data() + i * kBlockRaw;
        block.step = static_cast<float>(share.mine() * static_cast<double>(head.scale));
        const auto distance = lattice::answer(block, isa_);
        if (distance.hash != head.hash || distance.gap > gap_max()) {
            sum.wrapped = true;
            return sum;
        }
        const double scale = static_cast<double>(head.scale);
        sum.squared_distance += scale * scale * static_cast<double>(distance.squares);
        sum.squared_norm += static_cast<double>(measured.squares);
        if (!share.gaps.empty()) share.gaps[i] = gap_of(distance, block.elements, head.scale);
        theirs += code_bytes(block.elements);
        codes += code_bytes(block.elements);
    }
    return sum;
}

Difference LatticeEncoding::take_reply(ByteView reply, ByteView offered, const Share& share) const {
    if (is_form(offered, Form::Bf16)) {
        const auto theirs = reply.subspan(kHead);
        const auto mine = offered.subspan(kHead);
        const auto result = bf16_.take_reply(theirs, mine, share);
        if (result.finite) allow_for_rounding(theirs, mine, share.gaps);
        return result;
    }
    if (is_form(offered, Form::F32)) return f32_.take_reply(reply.subspan(kHead), {}, share);
    const std::size_t elements = elements_of(share.delta);
    const std::size_t blocks = block_count(elements);
    const std::byte* theirs = reply.data() + kHead;
    const std::byte* mine = offered.data() + kHead + blocks * sizeof(BlockHead);
    Difference sum;
    for (std::size_t i = 0; i < blocks; ++i) {
        const float scale = head_of(offered, i).scale;
        lattice::Block block;
        block.bits = bits_;
        block.elements = block_size(elements, i);
        block.theirs = theirs;
        block.mine = mine;
        block.delta = share.delta.data() + i * kBlockRaw;
        block.step = static_cast<float>(share.mine() * static_cast<double>(scale));
        const auto distance = lattice::take_reply(block, isa_);
        // An honest responder answers gaps within the range only.
        if (distance.gap > gap_max()) sum.finite = false;
        const double wide = static_cast<double>(scale);
        sum.squared_distance += wide * wide * static_cast<double>(distance.squares);
        if (!share.gaps.empty()) share.gaps[i] = gap_of(distance, block.elements, scale);
        theirs += code_bytes(block.elements);
        mine += code_bytes(block.elements);
    }
    return sum;
}

}  // namespace starling::gossip
