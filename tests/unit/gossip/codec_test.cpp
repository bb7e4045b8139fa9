// Goal: frames survive the round trip, and no bytes from a stranger do harm. Method: one sample of
// every kind, golden bytes, every truncation, 200,000 seeded mutations, versions.

#include "gossip/codec.hpp"

#include <gtest/gtest.h>

#include "base/rng.hpp"

namespace starling::gossip {
namespace {

constexpr ExchangeId kId{0x1122334455667788ULL};

Bytes chunk_frame() {
    Bytes frame(kPayloadOffset + 8, std::byte{0xab});
    write_payload_header(Chunk{kId, 3, 2, 1, {}}, std::span(frame).first<kPayloadOffset>());
    return frame;
}

Bytes reply_frame() {
    Bytes frame(kPayloadOffset + 8, std::byte{0xcd});
    write_payload_header(ChunkReply{kId, 4, 2, {}}, std::span(frame).first<kPayloadOffset>());
    return frame;
}

/// An Accept as a responder on a lattice sends it.
Accept accept_with_samples() {
    Accept accept{kId, Encoding::Lattice4, 0.125, kVersionMinor, 0.375, 4, 6, -6, Samples{}};
    for (std::size_t i = 0; i < kSamples; ++i) (*accept.samples)[i] = static_cast<float>(i) - 1.0F;
    return accept;
}

std::vector<Bytes> samples() {
    LayoutHash layout;
    layout.bytes.fill(7);
    return {
        encode(Open{
            kId, layout, 12, 0.25, Encoding::Exact64, Rule::Noloco, 20, 7, 0x1234, -3, 7, 0.75}),
        encode(Accept{kId, Encoding::Lattice4, 0.125, 2, 0.375, 4, 6, -6}),
        encode(Busy{kId, true}),
        encode(Refuse{kId, RefuseReason::Round, 77}),
        chunk_frame(),
        reply_frame(),
        encode(Commit{kId}),
        encode(Abort{kId, AbortReason::Violated, 9}),
        encode(accept_with_samples()),
    };
}

template <class T>
T decoded(const Bytes& frame) {
    const auto message = decode(frame);
    EXPECT_TRUE(message.has_value());
    EXPECT_TRUE(std::holds_alternative<T>(*message));
    return std::get<T>(*message);
}

TEST(AveragingCodec, EveryKindSurvivesTheRoundTrip) {
    const auto frames = samples();
    const auto open = decoded<Open>(frames[0]);
    EXPECT_EQ(open.id, kId);
    EXPECT_EQ(open.layout.bytes[31], 7);
    EXPECT_EQ(open.chunk_count, 12U);
    EXPECT_EQ(open.coefficient, 0.25);
    EXPECT_EQ(open.encoding, Encoding::Exact64);
    EXPECT_EQ(open.rule, Rule::Noloco);
    EXPECT_EQ(open.parts, 20U);
    EXPECT_EQ(open.part, 7U);
    EXPECT_EQ(open.round, 0x1234U);
    EXPECT_EQ(open.weight, -3);
    EXPECT_EQ(open.weight_max, 7U);
    EXPECT_EQ(open.left, 0.75);
    EXPECT_EQ(decoded<Accept>(frames[1]).spread, 0.125);
    EXPECT_EQ(decoded<Accept>(frames[1]).coefficient, 0.375);
    EXPECT_EQ(decoded<Accept>(frames[1]).weight, 4);
    EXPECT_EQ(decoded<Accept>(frames[1]).weight_max, 6U);
    EXPECT_EQ(decoded<Accept>(frames[1]).tilt, -6);
    EXPECT_EQ(decoded<Accept>(frames[1]).id, kId);
    EXPECT_EQ(decoded<Accept>(frames[1]).encoding, Encoding::Lattice4);
    EXPECT_TRUE(decoded<Busy>(frames[2]).collapsed);
    EXPECT_EQ(decoded<Refuse>(frames[3]).reason, RefuseReason::Round);
    EXPECT_EQ(decoded<Refuse>(frames[3]).round, 77U);
    const auto chunk = decoded<Chunk>(frames[4]);
    EXPECT_EQ(chunk.index, 3U);
    EXPECT_EQ(chunk.elements, 2U);
    EXPECT_EQ(chunk.acked, 1U);
    EXPECT_EQ(chunk.payload.data(), frames[4].data() + kPayloadOffset) << "viewed, not copied";
    EXPECT_EQ(chunk.payload.size(), 8U);
    const auto reply = decoded<ChunkReply>(frames[5]);
    EXPECT_EQ(reply.index, 4U);
    EXPECT_EQ(reply.payload.size(), 8U);
    EXPECT_EQ(decoded<Commit>(frames[6]).id, kId);
    const auto abort = decoded<Abort>(frames[7]);
    EXPECT_EQ(abort.reason, AbortReason::Violated);
    EXPECT_EQ(abort.acked, 9U);
    const auto accept = decoded<Accept>(frames[8]);
    EXPECT_EQ(accept.tilt, -6);
    EXPECT_EQ(accept.samples, accept_with_samples().samples);
    EXPECT_FALSE(decoded<Accept>(frames[1]).samples.has_value());
}

TEST(AveragingCodec, GoldenBytesOfAnAbort) {
    const std::vector<unsigned> golden{
        8, 0x12, 13, 0, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 1, 9, 0, 0, 0};
    const auto frame = samples()[7];
    ASSERT_EQ(frame.size(), golden.size());
    for (std::size_t i = 0; i < golden.size(); ++i) {
        EXPECT_EQ(std::to_integer<unsigned>(frame[i]), golden[i]) << "byte " << i;
    }
}

TEST(AveragingCodec, GoldenBytesOfARefusal) {
    const std::vector<unsigned> golden{4,    0x12, 17, 0, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22,
                                       0x11, 5,    77, 0, 0,    0,    0,    0,    0,    0};
    const auto frame = samples()[3];
    ASSERT_EQ(frame.size(), golden.size());
    for (std::size_t i = 0; i < golden.size(); ++i) {
        EXPECT_EQ(std::to_integer<unsigned>(frame[i]), golden[i]) << "byte " << i;
    }
}

/// Takes from a frame what later minor versions appended to its header.
Bytes of_minor(Bytes frame, unsigned minor, std::size_t fewer) {
    frame[1] = static_cast<std::byte>(0x10U | minor);
    EXPECT_EQ(decode(frame).error().code, FaultCode::BadFormat) << "too long for its version";
    frame.resize(frame.size() - fewer);
    frame[2] = static_cast<std::byte>(frame.size() - 4);
    return frame;
}

TEST(AveragingCodec, FramesOfMinorVersionZeroHaveNoRounds) {
    for (const std::size_t kind : {0U, 3U}) {
        auto frame = of_minor(samples()[kind], 0, kind == 0 ? 18 : 8);
        const auto message = decode(frame);
        ASSERT_TRUE(message.has_value()) << message.error().message;
        if (const auto* open = std::get_if<Open>(&*message)) {
            EXPECT_EQ(open->part, 7U);
            EXPECT_EQ(open->round, 0U);
        } else {
            EXPECT_EQ(std::get<Refuse>(*message).reason, RefuseReason::Round);
            EXPECT_EQ(std::get<Refuse>(*message).round, 0U);
        }
        frame[1] = std::byte{0x11};
        EXPECT_EQ(decode(frame).error().code, FaultCode::Truncated);
    }
}

TEST(AveragingCodec, FramesOfMinorVersionOneHaveNoWeights) {
    const auto open = decoded<Open>(of_minor(samples()[0], 1, 10));
    EXPECT_EQ(open.round, 0x1234U);
    EXPECT_EQ(open.weight_max, 0U) << "the pair is even";
    EXPECT_EQ(open.minor, 1U);
    const auto accept = decoded<Accept>(of_minor(samples()[1], 1, 11));
    EXPECT_EQ(accept.spread, 0.125);
    EXPECT_EQ(accept.weight_max, 0U);
    EXPECT_EQ(accept.tilt, 0);
    EXPECT_EQ(accept.minor, 1U);
}

TEST(AveragingCodec, GoldenBytesOfWeights) {
    const auto frames = samples();
    const auto last = [&](std::size_t kind, std::size_t count) {
        std::vector<unsigned> bytes;
        for (const auto byte : ByteView(frames[kind]).last(count)) {
            bytes.push_back(std::to_integer<unsigned>(byte));
        }
        return bytes;
    };
    EXPECT_EQ(last(0, 10), (std::vector<unsigned>{0xfd, 7, 0, 0, 0, 0, 0, 0, 0xe8, 0x3f}));
    EXPECT_EQ(last(1, 11), (std::vector<unsigned>{0, 0, 0, 0, 0, 0, 0xd8, 0x3f, 4, 6, 0xfa}));
}

TEST(AveragingCodec, SamplesAreAppendedInAVersionOfTheirOwn) {
    const auto frames = samples();
    const auto& plain = frames[1];
    const auto& longer = frames[8];
    EXPECT_EQ(std::to_integer<unsigned>(plain[1]), 0x12U) << "as before there were samples";
    EXPECT_EQ(std::to_integer<unsigned>(longer[1]), 0x13U);
    ASSERT_EQ(longer.size(), plain.size() + 4 * kSamples);
    EXPECT_EQ(std::to_integer<unsigned>(longer[2]), 28 + 4 * kSamples);
    EXPECT_TRUE(std::equal(plain.begin() + 4, plain.end(), longer.begin() + 4));
    // -1, 0, 1 and 2 in IEEE 754.
    const std::vector<unsigned> golden{
        0, 0, 0x80, 0xbf, 0, 0, 0, 0, 0, 0, 0x80, 0x3f, 0, 0, 0, 0x40};
    for (std::size_t i = 0; i < golden.size(); ++i) {
        EXPECT_EQ(std::to_integer<unsigned>(longer[plain.size() + i]), golden[i]) << "byte " << i;
    }
    auto shorter = longer;
    shorter[1] = std::byte{0x12};
    EXPECT_EQ(decode(shorter).error().code, FaultCode::BadFormat);
    for (const std::size_t kind : {0U, 2U, 3U, 4U, 5U, 6U, 7U}) {
        EXPECT_EQ(std::to_integer<unsigned>(frames[kind][1]), 0x12U) << "kind " << kind + 1;
    }
}

TEST(AveragingCodec, EveryTruncatedHeaderIsNoticed) {
    for (const auto& frame : samples()) {
        const auto header = std::min(frame.size(), kPayloadOffset);
        const auto end = frame.size() > 50 ? frame.size() : header;
        for (std::size_t length = 0; length < end; ++length) {
            const auto message = decode(ByteView(frame).first(length));
            ASSERT_FALSE(message.has_value()) << "cut at " << length;
            EXPECT_EQ(message.error().code, FaultCode::Truncated);
        }
    }
}

TEST(AveragingCodec, BytesBehindAHeaderAreRefused) {
    for (auto frame : {samples()[0], samples()[1], samples()[6]}) {
        frame.push_back(std::byte{0});
        EXPECT_EQ(decode(frame).error().code, FaultCode::BadFormat);
    }
}

TEST(AveragingCodec, LaterMinorVersionsAreReadAsFarAsKnown) {
    auto longer = samples()[8];
    EXPECT_EQ(decoded<Accept>(samples()[1]).minor, 2);
    EXPECT_EQ(decoded<Accept>(longer).minor, 3);
    longer[1] = std::byte{0x14};
    longer[2] = std::byte{28 + 4 * kSamples + 2};  // two bytes of header that we do not know
    longer.insert(longer.end(), 2, std::byte{0xff});
    EXPECT_EQ(decoded<Accept>(longer).id, kId);
    EXPECT_EQ(decoded<Accept>(longer).samples, accept_with_samples().samples);
    EXPECT_EQ(decoded<Accept>(longer).minor, 4);
    longer[0] = std::byte{99};
    EXPECT_EQ(decoded<Unknown>(longer).kind, 99);
    longer[1] = std::byte{0x12};
    EXPECT_EQ(decode(longer).error().code, FaultCode::BadFormat);
}

TEST(AveragingCodec, OtherMajorVersionsAreRefusedWithASentence) {
    auto frame = samples()[1];
    frame[1] = std::byte{0x20};
    const auto message = decode(frame);
    ASSERT_FALSE(message.has_value());
    EXPECT_EQ(message.error().code, FaultCode::BadVersion);
    EXPECT_NE(message.error().message.find("protocol 2"), std::string::npos);
}

TEST(AveragingCodec, HugeLengthsAreRefused) {
    auto frame = samples()[1];
    frame[3] = std::byte{0xff};
    EXPECT_EQ(decode(frame).error().code, FaultCode::Oversized);
    EXPECT_EQ(decode(Bytes(std::size_t{2} << 20U)).error().code, FaultCode::Oversized);
    auto chunk = samples()[4];
    chunk[kPayloadOffset - 5] = std::byte{0xff};  // the highest byte of `elements`
    EXPECT_EQ(decode(chunk).error().code, FaultCode::Oversized);
}

TEST(AveragingCodec, MutatedFramesAreReadOrRefusedButDoNoHarm) {
    Rng rng(11);
    const auto frames = samples();
    std::size_t refused = 0;
    for (int i = 0; i < 200000; ++i) {
        Bytes frame = rng.pick(std::span<const Bytes>(frames));
        for (std::uint64_t n = 1 + rng.below(4); n > 0; --n) {
            frame[static_cast<std::size_t>(rng.below(frame.size()))] =
                static_cast<std::byte>(rng.below(256));
        }
        if (rng.chance(0.3)) frame.resize(static_cast<std::size_t>(rng.below(frame.size() + 8)));
        if (!decode(frame)) ++refused;
    }
    EXPECT_GT(refused, 50000U);
    EXPECT_LT(refused, 200000U);
}

}  // namespace
}  // namespace starling::gossip
