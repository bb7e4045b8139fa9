#include "peer/terms/data_set.hpp"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <unistd.h>
#include <utility>

#include "base/spec.hpp"
#include "peer/crypto/sha256.hpp"
#include "peer/terms/shard_folder.hpp"

namespace starling::peer {

namespace {

constexpr std::size_t kSamplesPerShardMin = 50;
constexpr std::size_t kSamplesPerShardMax = 1000;
constexpr std::size_t kShardsWanted = 32;
constexpr std::size_t kShardsOfFew = 16;
/// A text is cut into more shards: the more shards there are, the less the shares of peers differ.
/// A shard's last characters start no window, but that costs little.
constexpr std::size_t kTextShardsWanted = 128;
constexpr std::size_t kTokensPerShardMin = 1024;

/// Returns how many samples a shard of a new swarm gets. Very few samples are cut finer, so that each
/// of a few peers has some to train on.
std::size_t samples_per_shard(std::size_t count) {
    if (count < kShardsOfFew * kSamplesPerShardMin) {
        return std::max<std::size_t>(1, count / kShardsOfFew);
    }
    return std::clamp(count / kShardsWanted, kSamplesPerShardMin, kSamplesPerShardMax);
}

/// Cuts samples of bytes into as many shards as the manifest has.
Result<data::Sharded> cut_into(
    const data::Dataset& dataset, const data::Manifest& manifest, const data::Partition& partition
) {
    const auto shards = data::shard_counts(manifest).train;
    const auto count = dataset.count(data::Split::Train);
    if (dataset.is_text() || shards.size() != 1 || shards[0] == 0 || count == 0) {
        return cut_dataset(dataset, partition);
    }
    // The least number that makes no more shards makes as many, if any does.
    const auto each = (count + shards[0] - 1) / shards[0];
    return data::shard_dataset(dataset, each, partition, &sha256);
}

bool is_source(const Result<Spec>& spec) {
    return spec.has_value() && data::is_source_kind(spec->name);
}

Result<CutData> cut_any(
    const data::Source& source,
    const data::Partition& partition,
    const std::optional<data::ShardCounts>& counts
) {
    CutData cut;
    auto manifest =
        data::cut_source(source, partition, counts, &sha256, [&cut](Bytes shard) -> Result<void> {
            cut.sharded.shards.push_back(std::move(shard));
            return {};
        });
    if (manifest.has_error()) return manifest.error();
    cut.sharded.manifest = std::move(*manifest);
    cut.notes = notes_of(source);
    return cut;
}

bool is_shard_folder(const Result<Spec>& spec) {
    return spec.has_value() && spec->name == "shards";
}

/// Reads shards that were cut before; they stay as they are.
Result<CutData> read_cut(const Spec& spec, const data::Partition& partition) {
    if (auto known = spec.only(""); !known) return known.error();
    auto sharded = read_shard_folder(spec.path);
    if (sharded.has_error()) return sharded.error();
    const auto wanted = partition.to_string();
    if (partition.owners > 0 && wanted != sharded->manifest.partition) {
        return fail(
            FaultCode::Usage,
            "--partition " + wanted + ": " + spec.to_string() + " was cut " +
                (sharded->manifest.partition.empty() ? "without one"
                                                     : "as " + sharded->manifest.partition) +
                "; give it to `starling data shard`"
        );
    }
    return CutData{std::move(*sharded), {}};
}

/// Reads shards to evaluate a model whose swarm stores and labels samples alike.
Result<CutData> read_cut_for_eval(const Spec& spec, const data::Manifest& swarm) {
    auto cut = read_cut(spec, {});
    if (cut.has_error()) return cut.error();
    auto& manifest = cut->sharded.manifest;
    if (manifest.schema != swarm.schema) {
        return fail(
            FaultCode::Usage,
            spec.to_string() +
                ": its samples or labels are not those of the model's swarm; give "
                "the files that it was cut from"
        );
    }
    manifest.recipe = swarm.recipe;
    return cut;
}

/// Cuts a text, or samples of bytes, to evaluate a model that was trained on such data.
Result<CutData> cut_old_for_eval(const std::string& spec, const data::Manifest& swarm) {
    auto dataset = data::load_dataset(spec);
    if (dataset.has_error()) return dataset.error();
    if (dataset->is_text() != swarm.is_text()) {
        return fail(
            FaultCode::Usage,
            spec + (swarm.is_text() ? ": the model wants a text" : ": the model wants no text")
        );
    }
    if (swarm.is_text()) {
        const auto& tokens = std::get<data::TokenRecipe>(swarm.recipe);
        dataset->shape = swarm.shape();
        if (auto ok = data::adopt_vocabulary(*dataset, tokens.vocabulary); !ok) return ok.error();
        if (dataset->count(data::Split::Test) <= tokens.context) {
            return fail(
                FaultCode::Usage,
                spec + ": its test part is shorter than the model's context, " +
                    std::to_string(tokens.context)
            );
        }
    }
    if (dataset->classes > swarm.classes()) {
        return fail(
            FaultCode::Usage,
            spec + ": has " + std::to_string(dataset->classes) + " classes, the model " +
                std::to_string(swarm.classes())
        );
    }
    dataset->classes = swarm.classes();
    auto sharded = cut_dataset(*dataset);
    if (sharded.has_error()) return sharded.error();
    if (sharded->manifest.schema.inputs != swarm.schema.inputs) {
        return fail(FaultCode::Usage, spec + ": samples have another shape than the model's");
    }
    sharded->manifest.recipe = swarm.recipe;
    return CutData{std::move(*sharded), std::move(dataset->notes)};
}

}  // namespace

Result<void> check_data_set(const std::string& dataset) {
    const auto spec = Spec::parse(dataset);
    if (spec.has_error()) return spec.error();
    const bool own = spec->name == "idx" || spec->name == "text" || spec->name == "shards";
    // These functions name what is wrong without opening anything.
    if (!own && !data::is_source_kind(spec->name)) return data::load_dataset(dataset).error();
    const auto wrong = [&](const std::string& what) {
        return fail(FaultCode::Usage, "--dataset " + dataset + ": '" + spec->path + "' " + what);
    };
    std::error_code error;
    const auto status = std::filesystem::status(spec->path, error);
    if (!std::filesystem::exists(status)) {
        const bool question = dataset.find('?') != std::string::npos;
        return wrong(
            std::string("does not exist") + (question ? "; a ? in a path is written %3F" : "")
        );
    }
    const bool directory = std::filesystem::is_directory(status);
    const bool folder = spec->name == "idx" || spec->name == "shards" || spec->name == "npy";
    if (folder && !directory) return wrong("is no directory");
    const bool file =
        spec->name == "text" || spec->name == "csv" || spec->name == "npz" || spec->name == "coco";
    if (file && directory) return wrong("is a directory, and a file is wanted");
    if (!directory && !std::filesystem::is_regular_file(status)) {
        return wrong("is neither a regular file nor a directory");
    }
    if (::access(spec->path.c_str(), R_OK) != 0) return wrong("cannot be read");
    return {};
}

std::vector<std::string> notes_of(const data::Source& source) {
    auto lines = source.notes().lines;
    for (auto& line : data::notes_on_classes(source)) lines.push_back(std::move(line));
    const auto& notes = source.notes();
    if (notes.skipped > 0) {
        lines.push_back(
            source.name() + ": " + std::to_string(notes.skipped) +
            " records cannot be used and are left out"
        );
        for (const auto& one : notes.first) lines.push_back("  " + one.where + ": " + one.what);
    }
    return lines;
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
    return data::shard_dataset(dataset, samples_per_shard(count), partition, &sha256);
}

Result<CutData> cut_for_swarm(
    const std::string& dataset,
    const std::string& model,
    const data::Partition& partition,
    const DataProgress& progress
) {
    const auto spec = Spec::parse(dataset);
    if (is_shard_folder(spec)) return read_cut(*spec, partition);
    if (is_source(spec)) {
        const auto source = data::open_source(*spec, {progress, false});
        if (source.has_error()) return source.error();
        return cut_any(**source, partition, std::nullopt);
    }
    auto loaded = load_for_model(dataset, model);
    if (loaded.has_error()) return loaded.error();
    auto sharded = cut_dataset(*loaded, partition);
    if (sharded.has_error()) return sharded.error();
    return CutData{std::move(*sharded), std::move(loaded->notes)};
}

Result<data::Manifest> cut_into_folder(
    const std::string& dataset,
    const std::filesystem::path& directory,
    const data::Partition& partition,
    const DataProgress& progress,
    std::vector<std::string>& notes
) {
    if (auto empty = check_empty(directory); !empty) return empty.error();
    Result<data::Manifest> manifest = data::Manifest{};
    const auto spec = Spec::parse(dataset);
    if (spec && data::is_source_kind(spec->name)) {
        const auto source = data::open_source(*spec, {progress, false});
        if (!source) return source.error();
        notes = notes_of(**source);
        manifest = data::cut_source(
            **source,
            partition,
            std::nullopt,
            &sha256,
            [&directory](const Bytes& shard) { return write_shard(directory, shard); }
        );
        if (!manifest) return manifest.error();
    } else {
        auto cut = cut_for_swarm(dataset, "", partition, progress);
        if (!cut) return cut.error();
        notes = std::move(cut->notes);
        for (const auto& shard : cut->sharded.shards) {
            if (auto done = write_shard(directory, shard); !done) return done.error();
        }
        manifest = std::move(cut->sharded.manifest);
    }
    if (auto done = write_manifest(directory, *manifest); !done) return done.error();
    return manifest;
}

Result<data::Sharded> cut_like(const std::string& dataset, const data::Manifest& manifest) {
    data::Partition partition;
    if (manifest.partitions > 0) {
        // If we do not understand the partition, we cannot cut alike; then all shards are fetched.
        const auto parsed = data::Partition::parse(manifest.partition);
        if (parsed.has_value()) partition = *parsed;
    }
    const auto spec = Spec::parse(dataset);
    if (is_shard_folder(spec)) {
        auto cut = read_cut(*spec, {});
        if (cut.has_error()) return cut.error();
        return std::move(cut->sharded);
    }
    if (is_source(spec)) {
        const auto source = data::open_source(*spec, {});
        if (source.has_error()) return source.error();
        auto cut = cut_any(**source, partition, data::shard_counts(manifest));
        if (cut.has_error()) return cut.error();
        return std::move(cut->sharded);
    }
    auto loaded = data::load_dataset(dataset);
    if (loaded.has_error()) return loaded.error();
    if (loaded->is_text() && manifest.is_text()) loaded->shape = manifest.shape();
    return cut_into(*loaded, manifest, partition);
}

Result<CutData> cut_for_eval(const std::string& dataset, const data::Manifest& swarm) {
    const auto spec = Spec::parse(dataset);
    if (is_shard_folder(spec)) return read_cut_for_eval(*spec, swarm);
    if (!is_source(spec)) return cut_old_for_eval(dataset, swarm);
    const auto source = data::open_source(*spec, {});
    if (source.has_error()) return source.error();
    if (auto ok = (*source)->adopt_recipe(swarm.recipe); !ok) return ok.error();
    if (auto ok = (*source)->adopt_label(swarm.schema.label); !ok) return ok.error();
    auto cut = cut_any(**source, {}, std::nullopt);
    if (cut.has_error()) return cut.error();
    if (cut->sharded.manifest.shape() != swarm.shape()) {
        return fail(FaultCode::Usage, dataset + ": samples have another shape than the model's");
    }
    return cut;
}

}  // namespace starling::peer
