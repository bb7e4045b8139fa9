#include "data/manifest.hpp"

#include <algorithm>
#include <unordered_set>

#include "base/printable.hpp"
#include "data/shard_format.hpp"

namespace starling::data {

namespace {

Fault bad(const std::string& what) {
    return fail(FaultCode::BadValue, "manifest: " + what);
}

bool has_control(const std::string& text) {
    return std::any_of(text.begin(), text.end(), is_control);
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

/// What a manifest's shards have in common.
struct ShardRule {
    std::uint16_t version = 0;
    std::size_t elements = 0;  ///< of what a model is fed
    std::size_t stored = 0;    ///< bytes of one sample; 0 where it varies
};

/// Returns whether a shard of version 3 can have so many bytes: exactly known for raw samples, and at
/// least a byte for each encoded one.
bool fits_records(const Label& label, const ShardInfo& shard, std::size_t stored) {
    const auto begin = records_begin(label, shard.samples);
    const std::uint64_t samples = shard.samples;
    if (label.kind != LabelKind::Boxes && stored > 0)
        return shard.bytes == begin + samples * stored;
    return shard.bytes >= begin + samples * std::max<std::size_t>(stored, 1);
}

/// Checks that a shard's counts fit its bytes. Of a text, `samples` is the number of windows that the
/// bytes hold.
Result<void> check_counts(const Manifest& manifest, const ShardInfo& shard, const ShardRule& rule) {
    if (shard.samples == 0) return bad("a shard without samples");
    if (shard.bytes > kShardBytesMax) {
        return fail(FaultCode::Oversized, "manifest: a shard is larger than 16 MiB");
    }
    bool fits = false;
    if (rule.version == kShardVersionText) {
        fits = shard.bytes > kShardHeaderBytes && shard.bytes % kTokenBytes == 0 &&
               shard.samples == windows_in(shard_tokens(shard.bytes), rule.elements);
    } else if (rule.version == kShardVersionRecords) {
        fits = fits_records(manifest.schema.label, shard, rule.stored);
    } else {
        fits = shard.bytes == shard_bytes(shard.samples, rule.elements);
    }
    if (!fits) return bad("a shard's bytes do not fit its samples and their shape");
    const auto partitions = shard.split == Split::Train ? manifest.partitions : 0;
    if (shard.partition >= std::max(1U, partitions)) {
        return bad("a shard of a partition that does not exist");
    }
    return {};
}

Result<void> check_name(const Manifest& manifest) {
    if (manifest.name.size() > kManifestNameMax) return bad("name is longer than 4096 bytes");
    // The name is shown on terminals, so it must not contain escape sequences.
    if (has_control(manifest.name)) return bad("its name is not printable");
    return {};
}

/// Returns whether samples are raw bytes, with one class each and one scale for all of them.
bool is_plain(const Manifest& manifest) {
    if (manifest.schema.inputs.size() != 1) return false;
    const auto* image = std::get_if<ImageRecipe>(&manifest.recipe);
    if (image == nullptr || image->scales.size() != 1) return false;
    Manifest plain;
    std::vector<std::uint32_t> shape;
    for (const auto& axis : manifest.schema.inputs[0].shape) shape.push_back(axis.size);
    describe_bytes(plain, shape, manifest.classes(), image->scales[0]);
    return plain.schema == manifest.schema && plain.recipe == manifest.recipe;
}

ImageRecipe without_changes(ImageRecipe image) {
    const ImageRecipe still;
    image.flip = still.flip;
    image.pad = still.pad;
    image.zoom = still.zoom;
    image.noise = still.noise;
    image.cutout = still.cutout;
    return image;
}

/// Returns whether it is a text whose tokens are characters, and nothing else is said of it.
bool is_characters(const Manifest& manifest) {
    const auto* tokens = std::get_if<TokenRecipe>(&manifest.recipe);
    if (tokens == nullptr || tokens->tokenizer != Tokenizer::Characters) return false;
    Manifest text;
    describe_characters(text, tokens->vocabulary, manifest.classes(), tokens->context);
    return text.schema == manifest.schema;
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
    for (const auto side : shape()) elements *= side;
    return elements;
}

std::size_t Manifest::labels_per_sample() const {
    const auto* tokens = std::get_if<TokenRecipe>(&recipe);
    return tokens == nullptr ? 1 : tokens->context;
}

std::size_t Manifest::stored_bytes() const {
    const auto& input = schema.inputs.front();
    if (input.storage == Storage::Encoded) return 0;
    return input.elements() * bytes_of(input.element);
}

Split Manifest::target_split() const {
    const bool valid = std::any_of(shards.begin(), shards.end(), [](const ShardInfo& shard) {
        return shard.split == Split::Valid;
    });
    return valid ? Split::Valid : Split::Test;
}

void describe_bytes(
    Manifest& manifest, const std::vector<std::uint32_t>& shape, std::uint32_t classes, Scale scale
) {
    Input input;
    input.name = "values";
    for (const auto side : shape) input.shape.push_back({side, false});
    manifest.schema.inputs = {std::move(input)};
    manifest.schema.label = {LabelKind::Class, classes, {}, {}};
    ImageRecipe recipe;
    recipe.scales = {scale};
    manifest.recipe = std::move(recipe);
}

void describe_characters(
    Manifest& manifest, std::string vocabulary, std::uint32_t characters, std::uint32_t context
) {
    Input input;
    input.name = "tokens";
    input.meaning = Meaning::Tokens;
    input.element = Element::Token;
    manifest.schema.inputs = {std::move(input)};
    manifest.schema.label = {LabelKind::Tokens, characters, {}, {}};
    manifest.recipe = TokenRecipe{Tokenizer::Characters, std::move(vocabulary), context};
}

std::string public_name(std::string_view name) {
    const auto spec = name.substr(0, name.find('?'));
    const auto colon = spec.find(':');
    const auto kind = spec.substr(0, colon);
    if (colon == std::string_view::npos) return std::string(kind.substr(kind.rfind('/') + 1));
    auto path = spec.substr(colon + 1);
    while (path.ends_with('/')) path.remove_suffix(1);
    const auto last = path.substr(path.rfind('/') + 1);
    const bool says_something = !last.empty() && last != "." && last != ".." && last != "~";
    return std::string(kind) + (says_something ? ":" + std::string(last) : "");
}

Manifest agreed_part(const Manifest& own) {
    Manifest agreed;
    agreed.name = "private";
    agreed.schema = own.schema;
    agreed.recipe = own.recipe;
    agreed.mode = DataMode::Private;
    return agreed;
}

std::uint16_t manifest_version(const Manifest& manifest) {
    const bool splits = manifest.target_split() == Split::Test;
    if (!splits || manifest.mode != DataMode::Shared) return kManifestVersionSchema;
    if (is_characters(manifest)) return kManifestVersionText;
    if (!is_plain(manifest)) return kManifestVersionSchema;
    return manifest.partitions > 0 ? kManifestVersionText : kManifestVersionPlain;
}

std::uint16_t shard_version(const Manifest& manifest) {
    if (manifest.is_text()) return kShardVersionText;
    const auto* image = std::get_if<ImageRecipe>(&manifest.recipe);
    if (image == nullptr || image->scales.size() != 1) return kShardVersionRecords;
    // How samples are changed in training has no part in how they are stored.
    Manifest still;
    still.schema = manifest.schema;
    still.recipe = without_changes(*image);
    return is_plain(still) ? kShardVersion : kShardVersionRecords;
}

Result<void> check_manifest(const Manifest& manifest) {
    if (auto name = check_name(manifest); !name) return name.error();
    if (auto schema = check_schema(manifest.schema); !schema) return schema.error();
    if (auto recipe = check_recipe(manifest.recipe, manifest.schema); !recipe) {
        return recipe.error();
    }
    if (auto partition = check_partition(manifest); !partition) return partition.error();
    if (manifest.mode > DataMode::Private) return bad("a data mode that this program lacks");
    if (manifest.shards.size() > kShardsMax) {
        return fail(FaultCode::Oversized, "manifest: more than 65536 shards");
    }
    const ShardRule rule{
        shard_version(manifest), manifest.sample_elements(), manifest.stored_bytes()};
    std::unordered_set<ShardId> seen;
    for (const auto& shard : manifest.shards) {
        if (shard.split > Split::Valid) return bad("a shard of a split that this program lacks");
        if (auto counts = check_counts(manifest, shard, rule); !counts) return counts.error();
        if (!seen.insert(shard.id).second) return bad("a shard is listed twice");
    }
    if (manifest.mode == DataMode::Private) return {};
    if (manifest.samples(Split::Train) == 0) return bad("no samples to train on");
    return {};
}

}  // namespace starling::data
