#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/check.hpp"
#include "base/printable.hpp"
#include "base/rng.hpp"
#include "data/dataset.hpp"
#include "data/groups.hpp"
#include "data/shard_format.hpp"

namespace starling::data {

namespace {

// This seed is part of the format: the same files give the same shard ids on every machine.
constexpr std::uint64_t kDealSeed = 0x5741524c494e47;

/// Returns mean and deviation of the bytes, scaled to [0, 1]. It counts the values first, so the
/// sums are exact integers and the result does not depend on the order of the samples.
Scale scale_of(std::span<const std::uint8_t> values) {
    std::array<std::uint64_t, 256> counts{};
    for (const auto value : values) ++counts[value];
    std::uint64_t sum = 0;
    std::uint64_t squares = 0;
    for (std::uint64_t value = 0; value < counts.size(); ++value) {
        sum += counts[value] * value;
        squares += counts[value] * value * value;
    }
    const auto n = static_cast<double>(values.size());
    const double mean = static_cast<double>(sum) / n;
    const double variance = static_cast<double>(squares) / n - mean * mean;
    Scale scale;
    scale.mean = static_cast<float>(mean / 255.0);
    // If all values are equal there is nothing to scale, and we divide by 1.
    const auto stddev = static_cast<float>(std::sqrt(std::max(0.0, variance)) / 255.0);
    if (stddev > 1e-6F) scale.stddev = stddev;
    return scale;
}

Bytes write_shard(
    const Samples& samples,
    std::span<const std::uint32_t> chosen,
    std::size_t elements,
    Split split,
    std::uint32_t ordinal
) {
    Bytes bytes;
    bytes.reserve(shard_bytes(chosen.size(), elements));
    ByteWriter writer(bytes);
    writer.put(kShardMagic);
    writer.put(kShardVersion);
    writer.put(static_cast<std::uint16_t>(split));
    writer.put(ordinal);
    writer.put(static_cast<std::uint32_t>(chosen.size()));
    writer.put(static_cast<std::uint32_t>(elements));
    const auto values = std::as_bytes(std::span(samples.values));
    for (const auto sample : chosen) {
        writer.put_bytes(values.subspan(std::size_t{sample} * elements, elements));
    }
    for (const auto sample : chosen) writer.put(samples.labels[sample]);
    return bytes;
}

/// What all shards of one call of deal() have in common.
struct Deal {
    Split split = Split::Train;
    std::uint32_t partition = 0;
    std::size_t per_shard = 1;
    HashFunction sha256 = nullptr;
    const ShardSink* sink = nullptr;
};

/// Cuts the samples of `order`, in that order, into shards and hands these over.
Result<void> deal(
    Manifest& manifest,
    const Samples& samples,
    std::span<const std::uint32_t> order,
    const Deal& common
) {
    const std::size_t elements = manifest.sample_elements();
    const std::size_t shards = (order.size() + common.per_shard - 1) / common.per_shard;
    for (std::size_t i = 0; i < shards; ++i) {
        // Sizes differ by at most one: the owner of a tiny last shard would have too little data.
        const std::size_t begin = i * order.size() / shards;
        const std::size_t end = (i + 1) * order.size() / shards;
        const auto chosen = order.subspan(begin, end - begin);
        const auto ordinal = static_cast<std::uint32_t>(manifest.shards.size());
        auto bytes = write_shard(samples, chosen, elements, common.split, ordinal);
        ShardInfo info;
        info.id.bytes = common.sha256(bytes);
        info.split = common.split;
        info.samples = static_cast<std::uint32_t>(chosen.size());
        info.bytes = static_cast<std::uint32_t>(bytes.size());
        info.partition = common.partition;
        manifest.shards.push_back(info);
        if (auto taken = (*common.sink)({info.id, std::move(bytes)}); !taken) return taken;
    }
    return {};
}

/// Returns all samples of a split in a seeded order.
std::vector<std::uint32_t> shuffled(const Samples& samples, Split split) {
    std::vector<std::uint32_t> order(samples.count());
    std::iota(order.begin(), order.end(), 0U);
    Rng(kDealSeed).fork(static_cast<std::uint64_t>(split)).shuffle(std::span(order));
    return order;
}

/// Returns a manifest that is complete except for its shards.
Manifest describe(const Dataset& dataset, const Partition& partition) {
    Manifest manifest;
    manifest.name = printable_name(dataset.name);
    manifest.partition = partition.to_string();
    manifest.partitions = partition.owners;
    describe_bytes(manifest, dataset.shape, dataset.classes, scale_of(dataset.train.values));
    const std::size_t elements = manifest.sample_elements();
    STARLING_CHECK(dataset.train.values.size() == dataset.train.count() * elements);
    STARLING_CHECK(dataset.test.values.size() == dataset.test.count() * elements);
    return manifest;
}

/// Returns how many samples a shard gets: enough that the manifest can list all shards, and so few
/// that a shard fits the wire. Both hold for at most 2 GiB a split: the first bound asks for shards
/// of 64 KiB, the second allows 16 MiB.
std::size_t allowed_per_shard(const Dataset& dataset, std::size_t elements, std::size_t wanted) {
    const std::size_t total = dataset.train.count() + dataset.test.count();
    const std::size_t at_least = total / (kShardsMax / 2) + 1;
    const std::size_t at_most = (kShardBytesMax - kShardHeaderBytes) / (elements + kLabelBytes);
    return std::min(std::max(wanted, at_least), at_most);
}

}  // namespace

/// Names of classes and columns must be the same in all releases, or a peer's own files would no longer
/// fit its swarm. So this stays as it is, whatever printable() thinks of a character.
std::string printable_name(std::string_view name) {
    std::string text(name.substr(0, kManifestNameMax));
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (is_control(text[i])) text[i] = '?';
        if (i == 0 || text[i - 1] != '\xc2') continue;
        const auto byte = static_cast<unsigned char>(text[i]);
        if (byte >= 0x80 && byte < 0xa0) text[i - 1] = text[i] = '?';
    }
    return text;
}

Sharded shard_dataset(const Dataset& dataset, std::size_t samples_per_shard, HashFunction sha256) {
    return *shard_dataset(dataset, samples_per_shard, Partition{}, sha256);
}

ShardSink collect_in(std::vector<Bytes>& shards) {
    return [&shards](CutShard shard) -> Result<void> {
        shards.push_back(std::move(shard.bytes));
        return {};
    };
}

Result<Sharded> shard_dataset(
    const Dataset& dataset,
    std::size_t samples_per_shard,
    const Partition& partition,
    HashFunction sha256
) {
    Sharded out;
    auto manifest =
        shard_dataset(dataset, samples_per_shard, partition, sha256, collect_in(out.shards));
    if (!manifest) return manifest.error();
    out.manifest = std::move(*manifest);
    return out;
}

Result<Manifest> shard_dataset(
    const Dataset& dataset,
    std::size_t samples_per_shard,
    const Partition& partition,
    HashFunction sha256,
    const ShardSink& sink
) {
    STARLING_CHECK(samples_per_shard > 0 && dataset.train.count() > 0);
    if (partition.kind == PartitionKind::Column) {
        return no_such_field(dataset.name, partition.column, {});
    }
    Manifest manifest = describe(dataset, partition);
    Deal common;
    common.per_shard = allowed_per_shard(dataset, manifest.sample_elements(), samples_per_shard);
    common.sha256 = sha256;
    common.sink = &sink;
    const auto order = shuffled(dataset.train, Split::Train);
    if (partition.owners == 0) {
        if (auto ok = deal(manifest, dataset.train, order, common); !ok) return ok.error();
    } else {
        const auto chosen = draw_partitions(partition, dataset.train.labels, dataset.classes);
        if (!chosen) return chosen.error();
        std::vector<std::vector<std::uint32_t>> parts(partition.owners);
        for (const auto sample : order) parts[(*chosen)[sample]].push_back(sample);
        for (const auto& part : parts) {
            if (auto ok = deal(manifest, dataset.train, part, common); !ok) return ok.error();
            ++common.partition;
        }
    }
    common.split = Split::Test;
    common.partition = 0;
    const auto tests = shuffled(dataset.test, Split::Test);
    if (auto ok = deal(manifest, dataset.test, tests, common); !ok) return ok.error();
    // Each partition has shards of its own, so many small partitions can make too many shards.
    if (manifest.shards.size() > kShardsMax) {
        return fail(FaultCode::Usage, "--partition: more than 65536 shards; give fewer owners");
    }
    STARLING_CHECK(check_manifest(manifest).has_value());
    return manifest;
}

}  // namespace starling::data
