#include "data/manifest.hpp"

#include <cmath>
#include <unordered_set>

#include "data/shard_format.hpp"

namespace starling::data {

namespace {

Fault bad(const std::string& what) {
    return fail(FaultCode::BadValue, "manifest: " + what);
}

Result<void> check_sample(const Manifest& manifest) {
    if (manifest.name.size() > kManifestNameMax) return bad("name is longer than 4096 bytes");
    // The name is shown on terminals: escape sequences from a stranger stay out.
    for (const char c : manifest.name) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
            return bad("its name is not printable");
    }
    if (manifest.shape.empty() || manifest.shape.size() > kShapeRankMax) {
        return bad(
            "shape has " + std::to_string(manifest.shape.size()) + " dimensions, not 1 to 8"
        );
    }
    // Each factor is bounded before it is multiplied in, so the product cannot wrap around.
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
    if (manifest.shards.size() > kShardsMax) {
        return fail(FaultCode::Oversized, "manifest: more than 65536 shards");
    }
    const std::size_t elements = manifest.sample_elements();
    std::unordered_set<ShardId> seen;
    for (const auto& shard : manifest.shards) {
        if (shard.split != Split::Train && shard.split != Split::Test) {
            return bad("a shard is neither for training nor for testing");
        }
        if (shard.samples == 0) return bad("a shard without samples");
        if (shard.bytes > kShardBytesMax) {
            return fail(FaultCode::Oversized, "manifest: a shard is larger than 16 MiB");
        }
        if (shard.bytes != shard_bytes(shard.samples, elements)) {
            return bad("a shard's bytes do not fit its samples and their shape");
        }
        if (!seen.insert(shard.id).second) return bad("a shard is listed twice");
    }
    if (manifest.samples(Split::Train) == 0) return bad("no samples to train on");
    return {};
}

}  // namespace starling::data
