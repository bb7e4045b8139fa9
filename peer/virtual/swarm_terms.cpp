#include "peer/virtual/swarm_terms.hpp"

#include <utility>

#include "base/rng.hpp"
#include "data/dataset.hpp"
#include "peer/crypto/sha256.hpp"

namespace starling::peer_virtual {

namespace {

constexpr std::uint64_t kNoncePurpose = 0x6e6f6e;
constexpr std::uint32_t kClasses = 2;

/// Returns a data set of a few bytes a sample, which are its number, lowest first.
data::Samples make_samples(std::size_t count, std::size_t bytes) {
    data::Samples samples;
    for (std::size_t i = 0; i < count; ++i) {
        for (std::size_t k = 0; k < bytes; ++k) {
            samples.values.push_back(static_cast<std::uint8_t>(i >> (8 * k)));
        }
        samples.labels.push_back(static_cast<std::uint16_t>(i % kClasses));
    }
    return samples;
}

}  // namespace

SwarmTerms SwarmTerms::make(
    const TrainingOptions& training,
    const gossip::AveragerConfig& averaging,
    bool sync,
    std::uint64_t seed
) {
    data::Dataset dataset;
    dataset.name = "virtual";
    // Where nobody looks at the numbers one byte is enough; shards travel.
    const std::uint32_t bytes = training.trained ? 4 : 1;
    dataset.shape = {1, 1, bytes};
    dataset.classes = kClasses;
    dataset.train = make_samples(training.shards * training.samples_per_shard, bytes);
    dataset.test = make_samples(training.test_shards * training.samples_per_shard, bytes);
    auto sharded = data::shard_dataset(dataset, training.samples_per_shard, &peer::sha256);

    SwarmTerms terms;
    terms.shards = std::move(sharded.shards);
    auto& d = terms.descriptor;
    Rng rng(mix64(seed ^ kNoncePurpose));
    for (auto& byte : d.nonce) byte = static_cast<std::uint8_t>(rng.below(256));
    d.model = "virtual";
    d.optimizer = "virtual";
    d.batch = training.batch;
    d.mix = averaging.mix.to_string();
    d.mix_every = training.mix_every;
    d.encoding = gossip::to_string(averaging.encoding);
    d.parts = averaging.parts;
    d.sync = sync;
    d.until = training.until;
    d.settle = training.settle;
    d.seed = seed;
    d.wait_for = training.wait_for;
    d.manifest = std::move(sharded.manifest);
    terms.blob = peer::encode_descriptor(d);
    terms.id = peer::swarm_id_of(terms.blob);
    return terms;
}

}  // namespace starling::peer_virtual
