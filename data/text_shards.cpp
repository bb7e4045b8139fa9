#include <algorithm>

#include "base/check.hpp"
#include "data/dataset.hpp"
#include "data/shard_format.hpp"

namespace starling::data {

namespace {

/// The test split of almost every text is one shard. A run has fewer than twice so many tokens.
constexpr std::size_t kTokensMax = std::size_t{2} << 20U;
constexpr std::size_t kWindowsMin = 4;

Bytes write_run(std::span<const std::uint16_t> tokens, Split split, std::uint32_t ordinal) {
    Bytes bytes;
    bytes.reserve(kShardHeaderBytes + tokens.size_bytes());
    ByteWriter writer(bytes);
    writer.put(kShardMagic);
    writer.put(kShardVersionText);
    writer.put(static_cast<std::uint16_t>(split));
    writer.put(ordinal);
    writer.put(static_cast<std::uint32_t>(tokens.size()));
    writer.put(static_cast<std::uint32_t>(kTokenBytes));
    writer.put_bytes(std::as_bytes(tokens));
    return bytes;
}

/// Cuts one split into `runs` runs and hands them over. Their lengths differ by at most one
/// character.
Result<void> cut(
    Manifest& manifest,
    std::span<const std::uint16_t> tokens,
    Split split,
    std::size_t runs,
    HashFunction sha256,
    const ShardSink& sink
) {
    const auto partitions = split == Split::Train ? manifest.partitions : 0;
    const auto context = manifest.sample_elements();
    for (std::size_t i = 0; i < runs; ++i) {
        const std::size_t begin = i * tokens.size() / runs;
        const std::size_t end = (i + 1) * tokens.size() / runs;
        const auto ordinal = static_cast<std::uint32_t>(manifest.shards.size());
        auto bytes = write_run(tokens.subspan(begin, end - begin), split, ordinal);
        ShardInfo info;
        info.id.bytes = sha256(bytes);
        info.split = split;
        info.samples = static_cast<std::uint32_t>(windows_in(end - begin, context));
        info.bytes = static_cast<std::uint32_t>(bytes.size());
        info.partition = partitions == 0 ? 0 : static_cast<std::uint32_t>(i % partitions);
        manifest.shards.push_back(info);
        if (auto taken = sink(info.id, std::move(bytes)); !taken) return taken;
    }
    return {};
}

}  // namespace

ShardSink collect_in(std::vector<Bytes>& shards) {
    return [&shards](const ShardId&, Bytes shard) -> Result<void> {
        shards.push_back(std::move(shard));
        return {};
    };
}

Result<Sharded> shard_text(
    const Dataset& dataset,
    std::size_t tokens_per_shard,
    const Partition& partition,
    HashFunction sha256
) {
    Sharded out;
    auto manifest =
        shard_text(dataset, tokens_per_shard, partition, sha256, collect_in(out.shards));
    if (!manifest) return manifest.error();
    out.manifest = std::move(*manifest);
    return out;
}

Result<Manifest> shard_text(
    const Dataset& dataset,
    std::size_t tokens_per_shard,
    const Partition& partition,
    HashFunction sha256,
    const ShardSink& sink
) {
    STARLING_CHECK(dataset.is_text() && tokens_per_shard > 0);
    if (partition.kind != PartitionKind::Iid) {
        return fail(
            FaultCode::Usage, "--partition: a text has no labels to divide by; give iid?owners=N"
        );
    }
    Manifest manifest;
    manifest.name = printable_name(dataset.name);
    describe_characters(manifest, dataset.vocabulary, dataset.classes, dataset.shape[0]);
    manifest.partition = partition.to_string();
    manifest.partitions = partition.owners;
    const std::size_t context = dataset.shape[0];
    const std::size_t least = kWindowsMin * context + 1;
    const auto runs = [](std::size_t tokens, std::size_t each) {
        return std::max<std::size_t>(1, tokens / std::min(each, kTokensMax));
    };
    const auto train = runs(dataset.train_tokens.size(), std::max(tokens_per_shard, least));
    if (partition.owners > train) {
        return fail(
            FaultCode::Usage,
            "--partition: the text makes " + std::to_string(train) +
                " shards, fewer than owners=" + std::to_string(partition.owners)
        );
    }
    const auto split = [&](std::span<const std::uint16_t> tokens, Split which, std::size_t count) {
        return cut(manifest, tokens, which, count, sha256, sink);
    };
    if (auto ok = split(dataset.train_tokens, Split::Train, train); !ok) return ok.error();
    const auto test = runs(dataset.test_tokens.size(), kTokensMax);
    if (auto ok = split(dataset.test_tokens, Split::Test, test); !ok) return ok.error();
    STARLING_CHECK(check_manifest(manifest).has_value());
    return manifest;
}

}  // namespace starling::data
