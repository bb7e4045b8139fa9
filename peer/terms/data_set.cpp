#include "peer/terms/data_set.hpp"

#include <algorithm>
#include <filesystem>
#include <initializer_list>
#include <string_view>
#include <system_error>
#include <unistd.h>
#include <utility>

#include "base/spec.hpp"
#include "compute/models/models.hpp"
#include "data/reading.hpp"
#include "data/shard_store.hpp"
#include "data/token_source.hpp"
#include "peer/crypto/sha256.hpp"
#include "peer/machine/files.hpp"
#include "peer/terms/shard_files.hpp"
#include "peer/terms/shard_folder.hpp"

namespace starling::peer {

namespace {

constexpr std::size_t kSamplesPerShardMin = 50;
constexpr std::size_t kSamplesPerShardMax = 1000;
constexpr std::size_t kShardsWanted = 32;
/// In all, and for each peer that is expected.
constexpr std::size_t kShardsOfFew = 16;

/// Returns how many samples a shard of a new swarm gets. Very few samples are cut finer, so that each
/// of `peers` has some to train on.
std::size_t samples_per_shard(std::size_t count, std::size_t peers) {
    const auto few = kShardsOfFew * peers;
    if (count < few * kSamplesPerShardMin) return std::max<std::size_t>(1, count / few);
    return std::clamp(
        count / std::max(kShardsWanted, few), kSamplesPerShardMin, kSamplesPerShardMax
    );
}

/// Cuts samples of bytes for a new swarm.
Result<data::Manifest> cut_bytes(
    const data::Dataset& dataset,
    const data::Partition& partition,
    const data::ShardSink& sink,
    std::uint32_t peers = 1
) {
    const auto each = samples_per_shard(dataset.count(data::Split::Train), peers);
    return data::shard_dataset(dataset, each, partition, &sha256, sink);
}

/// Cuts samples of bytes into as many shards as the manifest has.
Result<data::Manifest> cut_into(
    const data::Dataset& dataset,
    const data::Manifest& manifest,
    const data::Partition& partition,
    const data::ShardSink& sink
) {
    const auto shards = data::shard_counts(manifest).train;
    const auto count = dataset.count(data::Split::Train);
    if (shards.size() != 1 || shards[0] == 0 || count == 0) {
        return cut_bytes(dataset, partition, sink);
    }
    // The least number that makes no more shards makes as many, if any does.
    const auto each = (count + shards[0] - 1) / shards[0];
    return data::shard_dataset(dataset, each, partition, &sha256, sink);
}

bool is_source(const Result<Spec>& spec) {
    return spec.has_value() && data::is_source_spec(*spec);
}

/// Adds how many records a scan has left out, and the first of them.
void add_skipped(
    std::vector<std::string>& lines, const std::string& name, const data::ScanNotes& notes
) {
    if (notes.skipped == 0) return;
    lines.push_back(
        name + ": " + std::to_string(notes.skipped) + " records cannot be used and are left out"
    );
    for (const auto& one : notes.first) lines.push_back("  " + one.where + ": " + one.what);
}

/// Keeps the shards of a data set in files, one after another.
class Keeping {
public:
    explicit Keeping(const std::filesystem::path& directory) : files_(real_disk(), directory) {}

    [[nodiscard]] data::ShardSink sink() {
        return [this](data::CutShard cut) { return keep(std::move(cut)); };
    }

    /// Returns what was kept, with its manifest.
    [[nodiscard]] CutShards with(data::Manifest manifest) {
        return {std::move(manifest), std::move(shards_)};
    }

private:
    Result<void> keep(data::CutShard cut) {
        auto kept = files_.keep(cut);
        if (kept.has_value()) {
            shards_.push_back(std::move(*kept));
            return {};
        }
        // A swarm with few data can be founded on a full disk.
        memory_ += cut.bytes.size();
        if (memory_ > data::kWaitingBytesMax) {
            return fail(
                kept.error().code,
                "no room for the shards of the data set: " + kept.error().message +
                    "; free some, or give another --state (without one: TMPDIR)"
            );
        }
        shards_.push_back(data::whole_shard(share(std::move(cut.bytes))));
        return {};
    }

    ShardFiles files_;
    std::vector<data::StoredShard> shards_;
    std::size_t memory_ = 0;  ///< bytes of the shards that found no room
};

/// Adds what the primitives that read the files have noted.
void add_notes(data::Reading& reading, std::vector<std::string>& notes) {
    for (auto& note : reading.take_notes()) notes.push_back(std::move(note));
}

/// What was cut: its shards went into a sink.
struct Cut {
    data::Manifest manifest;
    std::vector<std::string> notes;
};

Result<Cut> cut_records(
    const data::Source& source,
    const data::Partition& partition,
    const std::optional<data::ShardCounts>& counts,
    const data::ShardSink& sink,
    std::uint32_t peers = 1
) {
    auto manifest = data::cut_source(source, partition, counts, &sha256, sink, peers);
    if (manifest.has_error()) return manifest.error();
    return Cut{std::move(*manifest), notes_of(source)};
}

Result<Cut> cut_tokens(
    const data::TokenSource& source,
    const data::Partition& partition,
    const std::optional<data::ShardCounts>& counts,
    const data::ShardSink& sink
) {
    auto manifest = data::cut_tokens(source, partition, counts, &sha256, sink);
    if (manifest.has_error()) return manifest.error();
    Cut cut{std::move(*manifest), source.notes().lines};
    add_skipped(cut.notes, source.name(), source.notes());
    return cut;
}

bool is_shard_folder(const Result<Spec>& spec) {
    return spec.has_value() && spec->name == "shards";
}

/// Shards that were cut before stay as they are, and there is nothing to say of them.
Result<Cut> as_cut(Result<data::Manifest> manifest) {
    if (manifest.has_error()) return manifest.error();
    return Cut{std::move(*manifest), {}};
}

/// Returns how the texts of a swarm are encoded, if it has texts.
std::optional<data::KnownTokens> tokens_of(const data::Manifest& swarm) {
    const auto* tokens = std::get_if<data::TokenRecipe>(&swarm.recipe);
    if (tokens == nullptr) return std::nullopt;
    return data::KnownTokens{*tokens, swarm.classes()};
}

bool is_tokens(const Result<Spec>& spec) {
    return spec.has_value() && data::is_token_spec(*spec);
}

/// Reads a text and cuts it with the tokens of a swarm that is there.
Result<Cut> cut_known_tokens(
    const Spec& spec,
    const std::optional<data::KnownTokens>& known,
    const data::Partition& partition,
    const std::optional<data::ShardCounts>& counts,
    const data::ShardSink& sink
) {
    if (!known) return fail(FaultCode::Usage, spec.to_string() + ": the model wants no text");
    const auto source = data::open_tokens(spec, {}, &*known);
    if (source.has_error()) return source.error();
    return cut_tokens(**source, partition, counts, sink);
}

/// If a text's spec does not set the windows, the model does.
Spec with_context(Spec data, const std::string& model) {
    const auto net = Spec::parse(model);
    // A mistake in the model's spec is reported later, and better, by the function that uses it.
    if (!net) return data;
    const auto context = net->options.find("context");
    if (context != net->options.end()) data.options.emplace("context", context->second);
    return data;
}

/// If the spec of pictures with boxes does not set their size, the detector does.
Spec with_size(Spec data, const std::string& model) {
    const bool boxes = data.name == "voc" || data.name == "coco" || data.name == "yolo";
    const auto net = Spec::parse(model);
    if (!boxes || !net || net->name != "detector") return data;
    const auto sides = compute::detector_size(*net);
    if (sides && *sides) {
        data.options.emplace(
            "size", std::to_string((*sides)->height) + "x" + std::to_string((*sides)->width)
        );
    }
    return data;
}

/// If the spec of sounds does not set their spectrograms, the model `audio` does.
Spec with_spectra(Spec data, const std::string& model) {
    const auto net = Spec::parse(model);
    if (data.name != "audio" || !net || net->name != "audio") return data;
    for (const auto* key : {"mels", "window", "hop"}) {
        const auto given = net->options.find(key);
        if (given != net->options.end()) data.options.emplace(key, given->second);
    }
    return data;
}

/// Cuts samples of bytes to evaluate a model that was trained on such data.
Result<Cut> cut_old_for_eval(
    const std::string& spec, const data::Manifest& swarm, const data::ShardSink& sink
) {
    auto dataset = data::load_dataset(spec);
    if (dataset.has_error()) return dataset.error();
    if (swarm.is_text()) return fail(FaultCode::Usage, spec + ": the model wants a text");
    if (dataset->classes > swarm.classes()) {
        return fail(
            FaultCode::Usage,
            spec + ": has " + std::to_string(dataset->classes) + " classes, the model " +
                std::to_string(swarm.classes())
        );
    }
    dataset->classes = swarm.classes();
    auto manifest = cut_bytes(*dataset, {}, sink);
    if (manifest.has_error()) return manifest.error();
    if (manifest->schema.inputs != swarm.schema.inputs) {
        return fail(FaultCode::Usage, spec + ": samples have another shape than the model's");
    }
    manifest->recipe = swarm.recipe;
    return Cut{std::move(*manifest), std::move(dataset->notes)};
}

/// Returns what a manifest will say of each sample.
data::Manifest described(const data::Source& source) {
    data::Manifest manifest;
    manifest.schema = source.schema();
    manifest.recipe = source.recipe();
    return manifest;
}

/// Reads a data set of any kind and cuts it for a new swarm. The tally, if there is one, hears how the shards
/// are laid out before they come.
Result<Cut> cut_new(
    const std::string& dataset,
    const std::string& model,
    const data::Partition& partition,
    const data::ShardSink& sink,
    std::uint32_t peers = 1,
    ShardTally* tally = nullptr
) {
    const auto spec = Spec::parse(dataset);
    if (is_shard_folder(spec)) {
        auto manifest = tally != nullptr ? read_folder_manifest(spec->path) : data::Manifest{};
        if (tally != nullptr && manifest) tally->expect(std::move(*manifest));
        return as_cut(read_cut(*spec, partition, sink));
    }
    if (is_tokens(spec)) {
        const auto source = data::open_tokens(with_context(*spec, model), {});
        if (source.has_error()) return source.error();
        return cut_tokens(**source, partition, std::nullopt, sink);
    }
    if (is_source(spec)) {
        const auto source = data::open_source(with_spectra(with_size(*spec, model), model), {});
        if (source.has_error()) return source.error();
        if (tally != nullptr) tally->expect(described(**source));
        return cut_records(**source, partition, std::nullopt, sink, peers);
    }
    auto loaded = data::load_dataset(dataset);
    if (loaded.has_error()) return loaded.error();
    auto manifest = cut_bytes(*loaded, partition, sink, peers);
    if (manifest.has_error()) return manifest.error();
    return Cut{std::move(*manifest), std::move(loaded->notes)};
}

/// Reads a data set of any kind and cuts it to evaluate a model of this swarm.
Result<Cut> cut_known(
    const std::string& dataset, const data::Manifest& swarm, const data::ShardSink& sink
) {
    const auto spec = Spec::parse(dataset);
    if (is_shard_folder(spec)) return as_cut(read_cut_like(*spec, swarm, sink));
    const auto known = tokens_of(swarm);
    if (is_tokens(spec)) return cut_known_tokens(*spec, known, {}, std::nullopt, sink);
    if (!is_source(spec)) return cut_old_for_eval(dataset, swarm, sink);
    const auto source = data::open_source(*spec, {.strict = false, .like = &swarm});
    if (source.has_error()) return source.error();
    if (auto ok = (*source)->adopt_recipe(swarm.recipe); !ok) return ok.error();
    if (auto ok = (*source)->adopt_label(swarm.schema.label); !ok) return ok.error();
    auto cut = cut_records(**source, {}, std::nullopt, sink);
    if (cut.has_error()) return cut.error();
    if (cut->manifest.shape() != swarm.shape()) {
        return fail(FaultCode::Usage, dataset + ": samples have another shape than the model's");
    }
    return cut;
}

}  // namespace

Result<void> check_data_set(const std::string& dataset) {
    const auto spec = Spec::parse(dataset);
    if (spec.has_error()) return spec.error();
    const bool own = spec->name == "idx" || spec->name == "text" || spec->name == "shards" ||
                     spec->name == "bin";
    // These functions name what is wrong without opening anything.
    if (!own && !data::is_source_spec(*spec)) return data::load_dataset(dataset).error();
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
    const bool folder =
        spec->name == "idx" || spec->name == "shards" || spec->name == "npy" || spec->name == "bin";
    if (folder && !directory) return wrong("is no directory");
    const auto is_one_of = [&](std::initializer_list<std::string_view> names) {
        return std::find(names.begin(), names.end(), spec->name) != names.end();
    };
    const bool file = is_one_of({"csv", "npz", "coco", "jsonl", "parquet", "sqlite"});
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
    add_skipped(lines, source.name(), source.notes());
    return lines;
}

Result<CutData> cut_for_swarm(
    const std::string& dataset,
    const std::string& model,
    const data::Partition& partition,
    const std::filesystem::path& directory,
    std::uint32_t peers
) {
    data::Reading reading;
    Keeping keeping(directory);
    auto cut = cut_new(dataset, model, partition, keeping.sink(), peers);
    if (cut.has_error()) return cut.error();
    add_notes(reading, cut->notes);
    return CutData{keeping.with(std::move(cut->manifest)), std::move(cut->notes)};
}

Result<LookedAt> look_at(const std::string& dataset) {
    data::Reading reading;
    Keeping keeping{std::filesystem::path()};
    const auto keep = keeping.sink();
    LookedAt looked;
    std::size_t seen = 0;
    const auto count = [&](data::CutShard cut) -> Result<void> {
        looked.tally.add(cut.bytes);
        if (seen++ < kShardsLookedAt) return keep(std::move(cut));
        return {};
    };
    auto cut = cut_new(dataset, "", {}, count, 1, &looked.tally);
    if (cut.has_error()) return cut.error();
    add_notes(reading, cut->notes);
    auto kept = keeping.with(std::move(cut->manifest));
    looked.manifest = std::move(kept.manifest);
    looked.first = std::move(kept.shards);
    looked.notes = std::move(cut->notes);
    return looked;
}

Result<data::Manifest> schema_of(const std::string& dataset, std::vector<std::string>& notes) {
    data::Reading reading;
    const auto drop = [](const data::CutShard&) -> Result<void> { return {}; };
    auto cut = cut_new(dataset, "", {}, drop);
    if (cut.has_error()) return cut.error();
    add_notes(reading, cut->notes);
    notes = std::move(cut->notes);
    return data::agreed_part(cut->manifest);
}

Result<data::Manifest> cut_into_folder(
    const std::string& dataset,
    const std::filesystem::path& directory,
    const data::Partition& partition,
    std::vector<std::string>& notes
) {
    if (auto empty = check_empty(directory); !empty) return empty.error();
    data::Reading reading;
    const auto write = [&directory](const data::CutShard& cut) {
        return write_shard(directory, cut.id, cut.bytes);
    };
    auto cut = cut_new(dataset, "", partition, write);
    if (cut.has_error()) return cut.error();
    add_notes(reading, cut->notes);
    notes = std::move(cut->notes);
    if (auto done = write_manifest(directory, cut->manifest); !done) return done.error();
    return std::move(cut->manifest);
}

Result<data::Manifest> cut_like(
    const std::string& dataset, const data::Manifest& manifest, const data::ShardSink& sink
) {
    data::Partition partition;
    if (manifest.partitions > 0) {
        // If we do not understand the partition, we cannot cut alike; then all shards are fetched.
        const auto parsed = data::Partition::parse(manifest.partition);
        if (parsed.has_value()) partition = *parsed;
    }
    const auto spec = Spec::parse(dataset);
    const auto known = tokens_of(manifest);
    Result<Cut> cut = Cut{};
    if (is_shard_folder(spec)) {
        cut = as_cut(read_cut(*spec, {}, sink));
    } else if (is_tokens(spec)) {
        cut = cut_known_tokens(*spec, known, partition, data::shard_counts(manifest), sink);
    } else if (is_source(spec)) {
        const auto source = data::open_source(*spec, {});
        if (source.has_error()) return source.error();
        cut = cut_records(**source, partition, data::shard_counts(manifest), sink);
    } else {
        auto loaded = data::load_dataset(dataset);
        if (loaded.has_error()) return loaded.error();
        return cut_into(*loaded, manifest, partition, sink);
    }
    if (cut.has_error()) return cut.error();
    return std::move(cut->manifest);
}

Result<CutData> cut_private(
    const std::string& dataset, const data::Manifest& agreed, const std::filesystem::path& directory
) {
    data::Reading reading;
    Keeping keeping(directory);
    auto cut = cut_known(dataset, agreed, keeping.sink());
    if (cut.has_error()) return cut.error();
    add_notes(reading, cut->notes);
    cut->manifest.mode = data::DataMode::Private;
    return CutData{keeping.with(std::move(cut->manifest)), std::move(cut->notes)};
}

Result<CutData> cut_for_eval(const std::string& dataset, const data::Manifest& swarm) {
    data::Reading reading;
    Keeping keeping{std::filesystem::path()};
    auto cut = cut_known(dataset, swarm, keeping.sink());
    if (cut.has_error()) return cut.error();
    add_notes(reading, cut->notes);
    return CutData{keeping.with(std::move(cut->manifest)), std::move(cut->notes)};
}

}  // namespace starling::peer
