#include "data/manifest.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <unordered_set>

#include "base/printable.hpp"
#include "data/shard_format.hpp"
#include "data/utf8.hpp"

namespace starling::data {

namespace {

Fault bad(const std::string& what) {
    return fail(FaultCode::BadValue, "manifest: " + what);
}

bool has_control(const std::string& text) {
    return std::any_of(text.begin(), text.end(), is_control);
}

Result<void> check_text(const Manifest& manifest) {
    if (!manifest.is_text()) return {};
    if (manifest.shape.size() != 1 || manifest.shape[0] > kContextMax) {
        return bad("windows of a text have 1 to 8192 characters");
    }
    if (manifest.vocabulary.size() > 4 * std::size_t{kClassesMax}) {
        return fail(FaultCode::Oversized, "manifest: the vocabulary is over 256 KiB");
    }
    const auto points = utf8_points(manifest.vocabulary);
    if (!points || points->size() != manifest.classes) {
        return bad("its vocabulary does not fit the number of classes");
    }
    const auto unsorted = std::adjacent_find(points->begin(), points->end(), std::greater_equal());
    if (unsorted != points->end()) return bad("its vocabulary is not in ascending order");
    return {};
}

Result<void> check_partition(const Manifest& manifest) {
    if (manifest.partitions > kPartitionsMax) {
        return fail(FaultCode::Oversized, "manifest: more than 1024 partitions");
    }
    if (manifest.partition.size() > kPartitionTextMax || has_control(manifest.partition)) {
        return bad("the description of its partitions is too long or not printable");
    }
    if (manifest.partition.empty() != (manifest.partitions == 0)) {
        return bad("partitions without a description, or the other way round");
    }
    return {};
}

/// Checks that a shard's counts fit its bytes. A sample has a fixed size; of a text, `samples` is
/// the number of windows that the bytes hold.
Result<void> check_counts(const Manifest& manifest, const ShardInfo& shard, std::size_t elements) {
    if (shard.samples == 0) return bad("a shard without samples");
    if (shard.bytes > kShardBytesMax) {
        return fail(FaultCode::Oversized, "manifest: a shard is larger than 16 MiB");
    }
    const bool fits = manifest.is_text()
                          ? shard.bytes > kShardHeaderBytes && shard.bytes % kTokenBytes == 0 &&
                                shard.samples == windows_in(shard_tokens(shard.bytes), elements)
                          : shard.bytes == shard_bytes(shard.samples, elements);
    if (!fits) return bad("a shard's bytes do not fit its samples and their shape");
    const auto partitions = shard.split == Split::Train ? manifest.partitions : 0;
    if (shard.partition >= std::max(1U, partitions)) {
        return bad("a shard of a partition that does not exist");
    }
    return {};
}

Result<void> check_sample(const Manifest& manifest) {
    if (manifest.name.size() > kManifestNameMax) return bad("name is longer than 4096 bytes");
    // The name is shown on terminals, so it must not contain escape sequences.
    if (has_control(manifest.name)) return bad("its name is not printable");
    if (manifest.shape.empty() || manifest.shape.size() > kShapeRankMax) {
        return bad(
            "shape has " + std::to_string(manifest.shape.size()) + " dimensions, not 1 to 8"
        );
    }
    // We check each factor before we multiply by it, so the product cannot wrap around.
    std::size_t elements = 1;
    for (const auto side : manifest.shape) {
        if (side == 0 || side > kSampleBytesMax) return bad("shape has a side out of range");
        elements *= side;
        if (elements > kSampleBytesMax) return bad("one sample is larger than 4 MiB");
    }
    if (manifest.classes < 2 || manifest.classes > kClassesMax) {
        return bad(std::to_string(manifest.classes) + " classes, not 2 to 65536");
    }
    if (!std::isfinite(manifest.mean) || !std::isfinite(manifest.stddev) ||
        manifest.stddev <= 0.0F) {
        return bad("mean and deviation must be finite and the deviation positive");
    }
    return {};
}

}  // namespace

std::uint64_t Manifest::samples(Split split) const {
    std::uint64_t sum = 0;
    for (const auto& shard : shards) {
        if (shard.split == split) sum += shard.samples;
    }
    return sum;
}

std::size_t Manifest::sample_elements() const {
    std::size_t elements = 1;
    for (const auto side : shape) elements *= side;
    return elements;
}

Result<void> check_manifest(const Manifest& manifest) {
    if (auto sample = check_sample(manifest); !sample) return sample.error();
    if (auto text = check_text(manifest); !text) return text.error();
    if (auto partition = check_partition(manifest); !partition) return partition.error();
    if (manifest.shards.size() > kShardsMax) {
        return fail(FaultCode::Oversized, "manifest: more than 65536 shards");
    }
    const std::size_t elements = manifest.sample_elements();
    std::unordered_set<ShardId> seen;
    for (const auto& shard : manifest.shards) {
        if (shard.split != Split::Train && shard.split != Split::Test) {
            return bad("a shard is neither for training nor for testing");
        }
        if (auto counts = check_counts(manifest, shard, elements); !counts) return counts.error();
        if (!seen.insert(shard.id).second) return bad("a shard is listed twice");
    }
    if (manifest.samples(Split::Train) == 0) return bad("no samples to train on");
    return {};
}

}  // namespace starling::data
