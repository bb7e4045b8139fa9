#include "peer/start/kept_data_set.hpp"

#include <string_view>
#include <system_error>

#include "base/bytes.hpp"
#include "base/hex.hpp"
#include "base/spec.hpp"
#include "peer/crypto/sha256.hpp"
#include "peer/machine/files.hpp"

namespace starling::peer {

namespace fs = std::filesystem;

namespace {

/// A path has at most 4 KiB, and a SPEC may have two of them.
constexpr std::size_t kFileBytesMax = std::size_t{64} * 1024;
constexpr std::string_view kSwarm = "swarm ";
constexpr std::string_view kSamples = "samples ";
constexpr std::string_view kDataSet = "dataset ";

std::string absolute(const std::string& path) {
    std::error_code error;
    const auto whole = fs::absolute(path, error);
    return error ? path : whole.lexically_normal().string();
}

/// Takes the rest of a line that begins with `key`, and the line's end.
bool take_line(std::string_view& text, std::string_view key, std::string_view& value) {
    const auto end = text.find('\n');
    if (!text.starts_with(key) || end == std::string_view::npos) return false;
    value = text.substr(key.size(), end - key.size());
    text.remove_prefix(end + 1);
    return true;
}

}  // namespace

fs::path kept_data_set_path(const fs::path& state) {
    return state / "dataset";
}

std::string with_absolute_paths(const std::string& dataset) {
    auto spec = *Spec::parse(dataset);
    if (!spec.path.empty()) spec.path = absolute(spec.path);
    if (const auto images = spec.options.find("images"); images != spec.options.end()) {
        images->second = absolute(images->second);
    }
    constexpr std::string_view kBpe = "bpe:";
    const auto tokens = spec.options.find("tokens");
    if (tokens != spec.options.end() && tokens->second.starts_with(kBpe)) {
        const auto what = tokens->second.substr(kBpe.size());
        // What is only digits is how many tokens to learn, and no folder.
        const bool learned = what.find_first_not_of("0123456789") == std::string::npos;
        if (!learned) tokens->second = std::string(kBpe) + absolute(what);
    }
    return spec.to_string();
}

SamplesHash samples_hash(const data::Manifest& own) {
    Bytes bytes;
    ByteWriter writer(bytes);
    for (const auto& shard : own.shards) {
        writer.put(static_cast<std::uint8_t>(shard.split));
        writer.put_array(shard.id.bytes);
    }
    return SamplesHash{sha256(bytes)};
}

Result<void> write_kept_data_set(const fs::path& state, const KeptDataSet& kept) {
    const auto text = std::string(kSwarm) + kept.swarm.hex() + "\n" + std::string(kSamples) +
                      kept.samples.hex() + "\n" + std::string(kDataSet) + kept.spec + "\n";
    return write_file_atomically(kept_data_set_path(state), as_byte_view(text), kPrivateFile);
}

Result<KeptDataSet> read_kept_data_set(const fs::path& state) {
    const auto path = kept_data_set_path(state);
    const auto bytes = read_file(path, kFileBytesMax);
    if (bytes.has_error()) return bytes.error();
    auto text = as_text(*bytes);
    KeptDataSet kept;
    std::string_view swarm;
    std::string_view samples;
    const bool lines = take_line(text, kSwarm, swarm) && take_line(text, kSamples, samples) &&
                       text.starts_with(kDataSet) && text.ends_with('\n');
    const auto swarm_id = hash_from_hex<SwarmIdTag>(swarm);
    const auto hash = hash_from_hex<SamplesHashTag>(samples);
    if (lines) kept.spec = text.substr(kDataSet.size(), text.size() - kDataSet.size() - 1);
    if (!swarm_id || !hash || Spec::parse(kept.spec).has_error()) {
        return fail(
            FaultCode::BadFormat,
            path.string() + ": it does not say what this peer trained on; give --dataset SPEC"
        );
    }
    kept.swarm = *swarm_id;
    kept.samples = *hash;
    return kept;
}

}  // namespace starling::peer
