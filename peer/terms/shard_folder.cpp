#include "peer/terms/shard_folder.hpp"

#include <system_error>

#include "data/shard_view.hpp"
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

Result<data::Manifest> read_manifest(const fs::path& directory) {
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

Result<Bytes> read_shard(
    const fs::path& directory, const data::ShardInfo& info, const data::Manifest& manifest
) {
    const auto path = directory / info.id.hex();
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
    return bytes;
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
    return read_manifest(directory);
}

Result<data::Manifest> read_shard_folder(
    const fs::path& directory, const data::ShardSink& sink, const ShardChoice& choice
) {
    auto manifest = read_manifest(directory);
    if (!manifest) return manifest.error();
    if (choice) {
        std::erase_if(manifest->shards, [&](const auto& shard) { return !choice(shard); });
    }
    for (const auto& info : manifest->shards) {
        auto bytes = read_shard(directory, info, *manifest);
        if (!bytes) return bytes.error();
        if (auto taken = sink(info.id, std::move(*bytes)); !taken) return taken.error();
    }
    return manifest;
}

}  // namespace starling::peer
