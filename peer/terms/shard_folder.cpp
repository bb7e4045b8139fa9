#include "peer/terms/shard_folder.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <system_error>
#include <utility>
#include <variant>

#include "data/shard_extents.hpp"
#include "data/shard_view.hpp"
#include "data/source.hpp"
#include "peer/crypto/sha256.hpp"
#include "peer/machine/files.hpp"

namespace starling::peer {

namespace {

namespace fs = std::filesystem;

constexpr const char* kManifestFile = "manifest";
constexpr unsigned kFileMode = 0644;
/// More than any manifest has: 65,536 shards with 64 bytes each, schema, recipe and vocabulary.
constexpr std::uint64_t kManifestBytesMax = std::uint64_t{32} << 20U;

Fault named(const fs::path& path, const Fault& fault) {
    return fail(fault.code, path.string() + ": " + fault.message);
}

/// Reads a shard. It stays where it is, for whoever needs no copy.
Result<data::CutShard> read_shard(
    const fs::path& directory, const data::ShardInfo& info, const data::Manifest& manifest
) {
    const auto path = directory / info.id.hex();
    // Before it is read: what changes meanwhile is then noticed.
    const auto state = data::state_of_file(path.string());
    auto bytes = read_file(path, data::kShardBytesMax);
    if (!bytes) {
        if (bytes.error().code != FaultCode::NotFound) return bytes.error();
        return fail(
            FaultCode::NotFound,
            path.string() + ": no such file; a shard of the manifest is missing"
        );
    }
    if (bytes->size() != info.bytes || sha256(*bytes) != info.id.bytes) {
        return fail(
            FaultCode::Corrupt,
            path.string() + ": it is damaged; its hash is not its name. Copy or cut it again"
        );
    }
    if (auto view = data::open_shard(*bytes, info, manifest); !view) {
        return named(path, view.error());
    }
    data::CutShard cut{info.id, std::move(*bytes)};
    cut.head = data::shard_head_bytes(cut.bytes, manifest);
    const auto body = static_cast<std::uint32_t>(cut.bytes.size() - cut.head);
    std::error_code error;
    const auto whole = fs::absolute(path, error).string();
    if (state && cut.head > 0) cut.extents.push_back({whole, *state, cut.head, body});
    return cut;
}

}  // namespace

Result<void> check_empty(const fs::path& directory) {
    std::error_code error;
    if (!fs::exists(directory, error)) return {};
    if (fs::is_directory(directory, error) && fs::is_empty(directory, error)) return {};
    return fail(
        FaultCode::Usage,
        directory.string() + ": something is there already; give a new or an empty directory"
    );
}

Result<void> write_shard(const fs::path& directory, const ShardId& id, ByteView shard) {
    if (auto made = make_directories(real_disk(), directory, 0755); !made) return made.error();
    auto file = real_disk().create(directory / id.hex(), kFileMode);
    if (!file) return file.error();
    // Not flushed: whoever reads the folder verifies every shard.
    return (*file)->append(shard);
}

Result<void> write_manifest(const fs::path& directory, const data::Manifest& manifest) {
    // The folder is made to be given away.
    auto published = manifest;
    published.name = data::public_name(manifest.name);
    return write_file_atomically(
        directory / kManifestFile, data::encode_manifest(published), kFileMode
    );
}

Result<data::Manifest> read_folder_manifest(const fs::path& directory) {
    const auto path = directory / kManifestFile;
    const auto bytes = read_file(path, kManifestBytesMax);
    if (!bytes) {
        if (bytes.error().code != FaultCode::NotFound) return bytes.error();
        return fail(
            FaultCode::NotFound,
            path.string() + ": no such file; `starling data shard SPEC --out " +
                directory.string() + "` writes it last"
        );
    }
    auto manifest = data::decode_manifest(*bytes);
    if (!manifest) return named(path, manifest.error());
    return manifest;
}

Result<void> read_folder_shards(
    const fs::path& directory, const data::Manifest& manifest, const data::ShardSink& sink
) {
    for (const auto& info : manifest.shards) {
        auto shard = read_shard(directory, info, manifest);
        if (!shard) return shard.error();
        if (auto taken = sink(std::move(*shard)); !taken) return taken.error();
    }
    return {};
}

Result<data::Manifest> read_shard_folder(const fs::path& directory, const data::ShardSink& sink) {
    auto manifest = read_folder_manifest(directory);
    if (!manifest) return manifest.error();
    if (auto read = read_folder_shards(directory, *manifest, sink); !read) return read.error();
    return manifest;
}

namespace {

/// Reads what one of the owners of a partition has: its training shards, and every so manieth shard of the
/// other splits.
Result<data::Manifest> read_part(const Spec& spec, const data::ShardSink& sink) {
    auto manifest = read_folder_manifest(spec.path);
    if (manifest.has_error()) return manifest.error();
    const auto parts = manifest->partitions;
    if (parts == 0) {
        return fail(
            FaultCode::Usage,
            spec.to_string() +
                ": it was cut without a partition, so there are no parts; give "
                "`starling data shard` --partition"
        );
    }
    const auto part = spec.integer("part", 0, 0, std::int64_t{parts} - 1);
    if (part.has_error()) return part.error();
    const auto wanted = static_cast<std::uint32_t>(*part);
    std::array<std::uint32_t, data::kSplits> seen{};
    std::erase_if(manifest->shards, [&](const data::ShardInfo& shard) {
        if (shard.split == data::Split::Train) return shard.partition != wanted;
        return seen[static_cast<std::size_t>(shard.split)]++ % parts != wanted;
    });
    if (auto read = read_folder_shards(spec.path, *manifest, sink); !read) return read.error();
    manifest->partition.clear();
    manifest->partitions = 0;
    for (auto& shard : manifest->shards) shard.partition = 0;
    return manifest;
}

/// Returns whether stored words and tokens have the same numbers under both recipes.
bool same_codes(const data::Recipe& a, const data::Recipe& b) {
    if (a.index() != b.index()) return false;
    if (const auto* tokens = std::get_if<data::TokenRecipe>(&a)) {
        const auto& others = std::get<data::TokenRecipe>(b);
        return tokens->tokenizer == others.tokenizer && tokens->vocabulary == others.vocabulary;
    }
    const auto* table = std::get_if<data::TableRecipe>(&a);
    if (table == nullptr) return true;
    const auto& others = std::get<data::TableRecipe>(b).columns;
    const auto alike = [](const data::Column& one, const data::Column& other) {
        return one.name == other.name && one.kind == other.kind &&
               one.categories == other.categories && one.unknown == other.unknown;
    };
    const auto& ours = table->columns;
    return std::equal(ours.begin(), ours.end(), others.begin(), others.end(), alike);
}

}  // namespace

Result<data::Manifest> read_cut(
    const Spec& spec, const data::Partition& partition, const data::ShardSink& sink
) {
    if (auto known = spec.only("part"); !known) return known.error();
    if (spec.options.contains("part")) return read_part(spec, sink);
    auto manifest = read_shard_folder(spec.path, sink);
    if (manifest.has_error()) return manifest.error();
    const auto wanted = partition.to_string();
    if (!wanted.empty() && wanted != manifest->partition) {
        return fail(
            FaultCode::Usage,
            "--partition " + wanted + ": " + spec.to_string() + " was cut " +
                (manifest->partition.empty() ? "without one" : "as " + manifest->partition) +
                "; give it to `starling data shard`"
        );
    }
    return manifest;
}

Result<data::Manifest> read_cut_like(
    const Spec& spec, const data::Manifest& swarm, const data::ShardSink& sink
) {
    auto manifest = read_cut(spec, {}, sink);
    if (manifest.has_error()) return manifest;
    const bool same =
        manifest->schema == swarm.schema && same_codes(manifest->recipe, swarm.recipe);
    if (!same) {
        return fail(
            FaultCode::Usage,
            spec.to_string() +
                ": its samples or labels are not those of the model's swarm; give "
                "the files that it was cut from"
        );
    }
    manifest->recipe = swarm.recipe;
    return manifest;
}

}  // namespace starling::peer
