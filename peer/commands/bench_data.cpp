#include "peer/commands/bench_data.hpp"

#include <utility>
#include <vector>

#include "base/check.hpp"
#include "peer/crypto/sha256.hpp"

namespace starling::peer {

Result<std::unique_ptr<BenchData>> BenchData::load(
    const std::string& dataset, const std::string& model, std::int64_t batch
) {
    auto cut = cut_for_swarm(dataset, model);
    if (cut.has_error()) return cut.error();
    auto data = std::make_unique<BenchData>(std::move(cut->sharded), batch);
    if (data->batches_.samples() == 0) {
        return fail(
            FaultCode::BadValue, "--dataset " + dataset + ": no training sample; give one that has"
        );
    }
    return data;
}

BenchData::BenchData(CutShards sharded, std::int64_t batch)
    : shards_(sharded.manifest, &sha256),
      batches_(shards_, /*seed=*/1, static_cast<std::size_t>(batch)) {
    std::vector<ShardId> train;
    for (const auto& shard : manifest().shards) {
        if (shard.split == data::Split::Train) train.push_back(shard.id);
    }
    // They were cut here, so the store takes them.
    for (std::size_t i = 0; i < sharded.shards.size(); ++i) {
        const auto& id = sharded.manifest.shards[i].id;
        STARLING_CHECK(shards_.put_known(id, std::move(sharded.shards[i])).has_value());
    }
    batches_.set_shards(train);
}

const data::PreparedBatch& BenchData::next() {
    const auto* batch = batches_.next();
    STARLING_CHECK(batch != nullptr);
    return *batch;
}

}  // namespace starling::peer
