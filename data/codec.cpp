// Encodes and decodes a manifest. Counts are read as plain numbers and compared with the bytes that
// are left before any container is resized. cereal's own loading of containers would allocate as
// much as the sender asks for.

#include <cereal/archives/portable_binary.hpp>
#include <istream>
#include <ostream>

#include "base/check.hpp"
#include "base/checked.hpp"
#include "data/manifest.hpp"

namespace starling::data {

namespace {

constexpr std::uint32_t kManifestMagic = 0x4e414d53;  // "SMAN" in little-endian order
constexpr std::byte kLittleEndian{1};                 // the first byte of cereal's portable archive
constexpr std::size_t kShardInfoBytes = 32 + 1 + 4 + 4;
constexpr std::size_t kPartitionBytes = 4;
constexpr std::size_t kVocabularyBytesMax = 4 * std::size_t{kClassesMax};

using Writer = cereal::PortableBinaryOutputArchive;

/// An archive that knows how many bytes are left.
class Reader {
public:
    explicit Reader(ByteView bytes) : source_(bytes), stream_(&source_), archive_(stream_) {}

    template <class T>
    T take() {
        T value{};
        archive_(value);
        return value;
    }

    void take_raw(void* to, std::size_t bytes) { archive_(cereal::binary_data(to, bytes)); }

    Result<std::string> take_text(std::size_t limit) {
        const auto bytes = take_count(1, limit);
        if (!bytes) return bytes.error();
        std::string text(*bytes, '\0');
        take_raw(text.data(), text.size());
        return text;
    }

    /// Reads a count of items. Refuses it if the bytes that are left cannot hold so many.
    Result<std::size_t> take_count(std::size_t item_bytes, std::size_t limit) {
        const auto count = take<std::uint32_t>();
        if (count > limit) {
            return fail(
                FaultCode::Oversized,
                "manifest: a count of " + std::to_string(count) +
                    " is over "
                    "the limit of " +
                    std::to_string(limit)
            );
        }
        if (!holds_items(remaining(), count, item_bytes)) {
            return fail(FaultCode::Truncated, "manifest: it ends before its last item");
        }
        return count;
    }

    [[nodiscard]] std::size_t remaining() const { return source_.remaining(); }

private:
    SpanSource source_;
    std::istream stream_;
    cereal::PortableBinaryInputArchive archive_;
};

Result<std::uint16_t> read_version(Reader& reader) {
    if (reader.take<std::uint32_t>() != kManifestMagic) {
        return fail(FaultCode::BadFormat, "manifest: it does not start like one");
    }
    const auto version = reader.take<std::uint16_t>();
    if (version < kManifestVersionPlain || version > kManifestVersionSchema) {
        return fail(
            FaultCode::BadVersion,
            "manifest: version " + std::to_string(version) + "; this program reads versions 1 to 3"
        );
    }
    return version;
}

/// What versions 1 and 2 say of a sample.
struct OldSample {
    std::vector<std::uint32_t> shape;
    std::uint32_t classes = 0;
    Scale scale;
};

Result<OldSample> read_old_sample(Reader& reader) {
    OldSample sample;
    const auto rank = reader.take_count(sizeof(std::uint32_t), kShapeRankMax);
    if (!rank) return rank.error();
    for (std::size_t i = 0; i < *rank; ++i) sample.shape.push_back(reader.take<std::uint32_t>());
    sample.classes = reader.take<std::uint32_t>();
    sample.scale.mean = reader.take<float>();
    sample.scale.stddev = reader.take<float>();
    return sample;
}

Result<void> describe_text(Manifest& manifest, std::string vocabulary, const OldSample& sample) {
    // A text has one way to be written, and nothing scales tokens.
    if (sample.shape.size() != 1 || sample.scale != Scale{}) {
        return fail(FaultCode::BadValue, "manifest: windows of a text have one side and no scale");
    }
    describe_characters(manifest, std::move(vocabulary), sample.classes, sample.shape[0]);
    return {};
}

Result<void> read_partition(Reader& reader, Manifest& manifest) {
    auto partition = reader.take_text(kPartitionTextMax);
    if (!partition) return partition.error();
    manifest.partition = std::move(*partition);
    manifest.partitions = reader.take<std::uint32_t>();
    return {};
}

/// Reads what versions 1 and 2 say between the name and the shards.
Result<void> read_old(Reader& reader, Manifest& manifest, bool extended) {
    const auto sample = read_old_sample(reader);
    if (!sample) return sample.error();
    describe_bytes(manifest, sample->shape, sample->classes, sample->scale);
    if (!extended) return {};
    auto vocabulary = reader.take_text(kVocabularyBytesMax);
    if (!vocabulary) return vocabulary.error();
    if (auto partition = read_partition(reader, manifest); !partition) return partition.error();
    if (vocabulary->empty()) return {};
    return describe_text(manifest, std::move(*vocabulary), *sample);
}

/// Reads what version 3 says between the name and the shards.
Result<void> read_described(Reader& reader, Manifest& manifest) {
    const auto schema_bytes = reader.take_text(kSchemaBytesMax);
    if (!schema_bytes) return schema_bytes.error();
    auto schema = decode_schema(as_byte_view(*schema_bytes));
    if (!schema) return schema.error();
    manifest.schema = std::move(*schema);
    const auto recipe_bytes = reader.take_text(kRecipeBytesMax);
    if (!recipe_bytes) return recipe_bytes.error();
    auto recipe = decode_recipe(as_byte_view(*recipe_bytes), manifest.schema);
    if (!recipe) return recipe.error();
    manifest.recipe = std::move(*recipe);
    manifest.mode = static_cast<DataMode>(reader.take<std::uint8_t>());
    return read_partition(reader, manifest);
}

Result<void> read_shards(Reader& reader, Manifest& manifest, bool extended) {
    const std::size_t each = kShardInfoBytes + (extended ? kPartitionBytes : 0);
    const auto count = reader.take_count(each, kShardsMax);
    if (!count) return count.error();
    manifest.shards.resize(*count);
    for (auto& shard : manifest.shards) {
        reader.take_raw(shard.id.bytes.data(), shard.id.bytes.size());
        shard.split = static_cast<Split>(reader.take<std::uint8_t>());
        shard.samples = reader.take<std::uint32_t>();
        shard.bytes = reader.take<std::uint32_t>();
        if (extended) shard.partition = reader.take<std::uint32_t>();
    }
    if (reader.remaining() != 0) {
        return fail(FaultCode::BadFormat, "manifest: bytes follow its end");
    }
    return {};
}

Result<Manifest> read_manifest(ByteView bytes) {
    Reader reader(bytes);
    Manifest manifest;
    const auto version = read_version(reader);
    if (!version) return version.error();
    const bool extended = *version >= kManifestVersionText;
    auto name = reader.take_text(kManifestNameMax);
    if (!name) return name.error();
    manifest.name = std::move(*name);
    const auto described = *version == kManifestVersionSchema
                               ? read_described(reader, manifest)
                               : read_old(reader, manifest, extended);
    if (!described) return described.error();
    if (auto shards = read_shards(reader, manifest, extended); !shards) return shards.error();
    if (auto valid = check_manifest(manifest); !valid) return valid.error();
    if (*version != manifest_version(manifest)) {
        return fail(
            FaultCode::BadFormat, "manifest: of a version without anything that is new in it"
        );
    }
    return manifest;
}

/// Writes what versions 1 and 2 say between the name and the shards, but for the partitions.
void write_old(Writer& writer, const Manifest& manifest) {
    const auto shape = manifest.shape();
    writer(static_cast<std::uint32_t>(shape.size()));
    for (const auto side : shape) writer(side);
    const auto* image = std::get_if<ImageRecipe>(&manifest.recipe);
    const Scale scale = image == nullptr ? Scale{} : image->scales[0];
    writer(manifest.classes(), scale.mean, scale.stddev);
}

}  // namespace

Bytes encode_manifest(const Manifest& manifest) {
    STARLING_CHECK(check_manifest(manifest).has_value());
    Bytes out;
    BytesSink sink(out);
    std::ostream stream(&sink);
    Writer writer(stream, Writer::Options::LittleEndian());
    const auto put_text = [&writer](const std::string& text) {
        writer(static_cast<std::uint32_t>(text.size()));
        writer(cereal::binary_data(text.data(), text.size()));
    };
    const auto put_bytes = [&put_text](const Bytes& bytes) {
        put_text(std::string(as_text(bytes)));
    };
    const auto version = manifest_version(manifest);
    const bool extended = version >= kManifestVersionText;
    writer(kManifestMagic, version);
    put_text(manifest.name);
    if (version == kManifestVersionSchema) {
        put_bytes(encode_schema(manifest.schema));
        put_bytes(encode_recipe(manifest.recipe));
        writer(static_cast<std::uint8_t>(manifest.mode));
    } else {
        write_old(writer, manifest);
    }
    if (version == kManifestVersionText) {
        const auto* tokens = std::get_if<TokenRecipe>(&manifest.recipe);
        put_text(tokens == nullptr ? std::string() : tokens->vocabulary);
    }
    if (extended) {
        put_text(manifest.partition);
        writer(manifest.partitions);
    }
    writer(static_cast<std::uint32_t>(manifest.shards.size()));
    for (const auto& shard : manifest.shards) {
        writer(cereal::binary_data(shard.id.bytes.data(), shard.id.bytes.size()));
        writer(static_cast<std::uint8_t>(shard.split), shard.samples, shard.bytes);
        if (extended) writer(shard.partition);
    }
    return out;
}

Result<Manifest> decode_manifest(ByteView bytes) {
    if (bytes.empty()) return fail(FaultCode::Truncated, "manifest: it is empty");
    // A manifest has only one valid encoding, because the swarm id is a hash of these bytes.
    if (bytes.front() != kLittleEndian) {
        return fail(FaultCode::BadFormat, "manifest: it is not in little-endian order");
    }
    try {
        return read_manifest(bytes);
    } catch (const cereal::Exception&) {
        return fail(FaultCode::Truncated, "manifest: it ends too early");
    }
}

}  // namespace starling::data
