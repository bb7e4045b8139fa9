#include "peer/virtual/swarm_terms.hpp"

#include <utility>

#include "base/rng.hpp"
#include "data/dataset.hpp"
#include "peer/crypto/sha256.hpp"

namespace starling::peer_virtual {

namespace {

constexpr std::uint64_t kNoncePurpose = 0x6e6f6e;
constexpr std::uint32_t kClasses = 2;
constexpr std::size_t kTestShards = 2;

/// Returns a data set of one pixel a sample. Nobody looks at its values; its shards travel.
data::Samples make_samples(std::size_t count) {
    data::Samples samples;
    for (std::size_t i = 0; i < count; ++i) {
        samples.values.push_back(static_cast<std::uint8_t>(i));
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
    dataset.shape = {1, 1, 1};
    dataset.classes = kClasses;
    dataset.train = make_samples(training.shards * training.samples_per_shard);
    dataset.test = make_samples(kTestShards * training.samples_per_shard);
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
    d.mix_every = static_cast<std::uint32_t>(training.mix_every);
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
