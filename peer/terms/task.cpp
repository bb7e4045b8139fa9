#include "peer/terms/task.hpp"

#include <algorithm>

#include "base/spec.hpp"
#include "peer/crypto/sha256.hpp"

namespace starling::peer {

namespace {

constexpr std::size_t kSamplesPerShardMin = 50;
constexpr std::size_t kSamplesPerShardMax = 1000;
constexpr std::size_t kShardsWanted = 32;
/// A text is cut into more shards: the more shards there are, the less the shares of peers differ.
/// A shard's last characters start no window, but that costs little.
constexpr std::size_t kTextShardsWanted = 128;
constexpr std::size_t kTokensPerShardMin = 1024;

constexpr std::size_t kEvaluationSamples = 256;
constexpr std::size_t kEvaluationTokens = 4096;

std::size_t samples_within(
    const data::Manifest& manifest, std::size_t samples, std::size_t tokens
) {
    return manifest.is_text() ? std::max<std::size_t>(1, tokens / manifest.sample_elements())
                              : samples;
}

}  // namespace

compute::Task task_of(const data::Manifest& manifest) {
    compute::Task task;
    const auto shape = manifest.shape();
    task.sample_shape.assign(shape.begin(), shape.end());
    task.classes = manifest.classes();
    task.labels = static_cast<std::int64_t>(manifest.labels_per_sample());
    return task;
}

std::int64_t evaluation_batch(const data::Manifest& manifest) {
    return static_cast<std::int64_t>(samples_within(manifest, kEvaluationSamples, kEvaluationTokens)
    );
}

Result<data::Dataset> load_for_model(const std::string& dataset, const std::string& model) {
    auto data = Spec::parse(dataset);
    const auto net = Spec::parse(model);
    // A mistake in either spec is reported later, and better, by the function that uses the spec.
    if (!data || !net || data->name != "text") return data::load_dataset(dataset);
    const auto context = net->options.find("context");
    if (context != net->options.end()) data->options.emplace("context", context->second);
    return data::load_dataset(data->to_string());
}

Result<data::Sharded> cut_dataset(const data::Dataset& dataset, const data::Partition& partition) {
    const auto count = dataset.count(data::Split::Train);
    if (dataset.is_text()) {
        const auto tokens = std::max(count / kTextShardsWanted, kTokensPerShardMin);
        return data::shard_text(dataset, tokens, partition, &sha256);
    }
    const auto samples =
        std::clamp(count / kShardsWanted, kSamplesPerShardMin, kSamplesPerShardMax);
    return data::shard_dataset(dataset, samples, partition, &sha256);
}

Result<data::Sharded> cut_like(const std::string& dataset, const data::Manifest& manifest) {
    auto loaded = data::load_dataset(dataset);
    if (loaded.has_error()) return loaded.error();
    if (loaded->is_text() && manifest.is_text()) loaded->shape = manifest.shape();
    data::Partition partition;
    if (manifest.partitions > 0) {
        // If we do not understand the partition, we cannot cut alike; then all shards are fetched.
        const auto parsed = data::Partition::parse(manifest.partition);
        if (parsed.has_value()) partition = *parsed;
    }
    return cut_dataset(*loaded, partition);
}

}  // namespace starling::peer
