#pragma once

// What the tests of a session need around it: ids, parameters and shards that are real and small,
// and the frames and events that others cause.

#include <algorithm>
#include <cstring>
#include <span>
#include <vector>

#include "base/bytes.hpp"
#include "base/finite.hpp"
#include "base/ids.hpp"
#include "data/dataset.hpp"
#include "gossip/outcome.hpp"
#include "gossip/parameter_vector.hpp"
#include "peer/crypto/sha256.hpp"
#include "peer/transfer/parameter_chunks.hpp"
#include "tests/support/peer_id.hpp"

namespace starling::peer {

inline const PeerId kSelf = peer_id(5);
inline const PeerId kPartner = peer_id(3);
inline const PeerId kNewcomer = peer_id(8);

/// Three chunks of four numbers, as averaging and as the transfers see them.
class FewFloats final : public gossip::ParameterVector, public ParameterChunks {
public:
    [[nodiscard]] gossip::Element element() const override { return gossip::Element::F32; }

    [[nodiscard]] std::size_t chunk_count() const override { return 3; }

    [[nodiscard]] std::size_t chunk_elements(std::size_t) const override { return 4; }

    [[nodiscard]] bool is_buffer(std::size_t) const override { return false; }

    [[nodiscard]] std::size_t chunk_bytes(std::size_t) const override { return 4 * sizeof(float); }

    [[nodiscard]] bool try_read(std::size_t chunk, std::span<std::byte> out) override {
        std::memcpy(out.data(), &values.at(chunk * 4), out.size());
        return true;
    }

    [[nodiscard]] bool try_add(std::size_t chunk, ByteView delta) override {
        for (std::size_t i = 0; i < 4; ++i) {
            float added = 0;
            std::memcpy(&added, delta.data() + i * sizeof(float), sizeof(float));
            values.at(chunk * 4 + i) += added;
        }
        return true;
    }

    [[nodiscard]] bool write(std::size_t chunk, ByteView bytes) override {
        std::vector<float> news(bytes.size() / sizeof(float));
        std::memcpy(news.data(), bytes.data(), bytes.size());
        if (!all_finite(news)) return false;
        std::copy(news.begin(), news.end(), &values.at(chunk * 4));
        return true;
    }

    void initialize() override { values.assign(values.size(), kInitial); }

    static constexpr float kInitial = 0.5F;
    std::vector<float> values = std::vector<float>(12, 1.0F);
};

inline data::Samples tiny_samples(std::size_t count) {
    data::Samples samples;
    for (std::size_t i = 0; i < count; ++i) {
        samples.values.push_back(static_cast<std::uint8_t>(i));
        samples.labels.push_back(static_cast<std::uint16_t>(i % 2));
    }
    return samples;
}

inline data::Sharded tiny_shards(std::size_t train_shards, std::size_t test_shards = 2) {
    constexpr std::size_t kSamples = 4;
    data::Dataset dataset;
    dataset.name = "tiny";
    dataset.shape = {1, 1, 1};
    dataset.classes = 2;
    dataset.train = tiny_samples(train_shards * kSamples);
    dataset.test = tiny_samples(test_shards * kSamples);
    return data::shard_dataset(dataset, kSamples, &sha256);
}

/// Returns an event that ends an exchange with the partner.
inline gossip::ExchangeEvent ended(
    gossip::Outcome outcome, gossip::Misdeed misdeed = gossip::Misdeed::None
) {
    gossip::ExchangeEvent event;
    event.partner = kPartner;
    event.outcome = outcome;
    event.misdeed = misdeed;
    return event;
}

inline gossip::ExchangeEvent committed(double distance, const PeerId& partner = kPartner) {
    auto event = ended(gossip::Outcome::Committed);
    event.partner = partner;
    event.relative_distance = distance;
    return event;
}

inline Bytes info(std::uint64_t schedule_step = 0) {
    Bytes payload(32);
    ByteWriter writer(payload);
    writer.put(schedule_step);
    writer.put(std::uint8_t{1});
    return payload;
}

inline Bytes chunk_request(std::uint32_t chunk) {
    Bytes payload;
    ByteWriter(payload).put(chunk);
    return payload;
}

inline Bytes chunk(std::uint32_t chunk, std::size_t values = 4) {
    Bytes payload;
    ByteWriter writer(payload);
    writer.put(chunk);
    writer.put(std::uint8_t{0});
    for (std::size_t i = 0; i < values; ++i) writer.put(2.0F);
    return payload;
}

inline Bytes shard_request(const ShardId& shard) {
    Bytes payload;
    ByteWriter writer(payload);
    writer.put_array(shard.bytes);
    writer.put(std::uint32_t{0});
    return payload;
}

inline Bytes shard_piece(const ShardId& shard, const Bytes& bytes) {
    Bytes payload = shard_request(shard);
    ByteWriter writer(payload);
    writer.put(static_cast<std::uint32_t>(bytes.size()));
    writer.put_bytes(bytes);
    return payload;
}

}  // namespace starling::peer
