// Goal: no pair of a model and a manifest ends a process: it is refused, or it trains.
// Method: the bytes of the input choose a model's spec, the samples that a manifest describes, and
// the batch. What is accepted and small trains for one step and evaluates one batch.

#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "compute/models/models.hpp"
#include "compute/training/engine.hpp"
#include "compute/training/least_memory.hpp"
#include "data/shard_format.hpp"
#include "peer/terms/task.hpp"

namespace {

using namespace starling;  // NOLINT(google-build-using-namespace)

constexpr std::size_t kTrainedBytesMax = std::size_t{4} << 20U;

class Choice {
public:
    explicit Choice(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

    std::size_t below(std::size_t limit) {
        if (bytes_.empty()) return 0;
        const auto byte = bytes_.front();
        bytes_ = bytes_.subspan(1);
        return byte % limit;
    }

    /// Mostly small numbers, now and then one at a limit.
    std::int64_t number() {
        constexpr std::array<std::int64_t, 16> kNumbers{
            1, 2, 3, 4, 5, 7, 8, 12, 16, 28, 64, 100, 1024, 8192, 65535, 65536};
        return kNumbers[below(kNumbers.size())];
    }

private:
    std::span<const std::uint8_t> bytes_;
};

data::Manifest choose_manifest(Choice& choice) {
    data::Manifest manifest;
    manifest.name = "fuzz";
    std::vector<std::uint32_t> shape;
    for (auto rank = 1 + choice.below(4); rank > 0; --rank) {
        shape.push_back(static_cast<std::uint32_t>(choice.number()));
    }
    const auto classes = static_cast<std::uint32_t>(choice.number());
    data::describe_bytes(manifest, shape, classes, {});
    if (choice.below(2) == 0) {
        std::string vocabulary;
        for (std::uint32_t i = 0; i < std::min(classes, 90U); ++i) {
            vocabulary += static_cast<char>('!' + i);
        }
        data::describe_characters(manifest, std::move(vocabulary), classes, shape[0]);
    }
    data::ShardInfo shard;
    shard.samples = static_cast<std::uint32_t>(choice.number());
    const auto elements = manifest.sample_elements();
    shard.bytes = static_cast<std::uint32_t>(
        manifest.is_text() ? data::kShardHeaderBytes + 2 * (shard.samples * elements + 1)
                           : data::shard_bytes(shard.samples, elements)
    );
    manifest.shards.push_back(shard);
    return manifest;
}

std::string choose_model(Choice& choice) {
    constexpr std::array<const char*, 8> kNames{
        "mlp", "cnn", "resnet20", "resnet18", "gpt", "audio", "tabular", "detector"};
    constexpr std::array<const char*, 14> kKeys{
        "hidden",
        "channels",
        "kernel",
        "pad",
        "width",
        "layers",
        "heads",
        "dim",
        "dropout",
        "tied",
        "context",
        "embed",
        "categories",
        "stride"};
    std::string spec = kNames[choice.below(kNames.size())];
    for (auto left = choice.below(4); left > 0; --left) {
        spec += spec.find('?') == std::string::npos ? '?' : '&';
        spec += std::string(kKeys[choice.below(kKeys.size())]) + "=";
        spec += std::to_string(choice.number());
        if (choice.below(3) == 0) spec += "," + std::to_string(choice.number());
    }
    return spec;
}

struct Made {
    std::vector<float> values;
    std::vector<std::int32_t> labels;
    std::vector<float> targets;

    [[nodiscard]] compute::Batch batch() const { return {values, labels, targets}; }
};

void train(const compute::EngineOptions& options) {
    auto facts = compute::inspect_model(options.model, options.task, options.batch);
    if (facts.has_error()) std::abort();  // least_memory() has built this model
    const auto& rows = facts->table_rows;
    compute::ParameterStore store(facts->layout);
    store.initialize(Rng(1));
    auto engine = compute::Engine::create(options, store);
    if (engine.has_error()) return;
    std::size_t elements = 1;
    for (const auto side : options.task.sample_shape) elements *= static_cast<std::size_t>(side);
    const auto labels_of = static_cast<std::size_t>(options.task.labels);
    const auto batch = [&](std::int64_t samples) {
        const auto count = static_cast<std::size_t>(samples);
        std::vector<float> values(count * elements);
        for (std::size_t i = 0; i < values.size(); ++i) {
            const auto named = rows.empty() ? 0 : rows[i % rows.size()];
            values[i] = static_cast<float>(i % static_cast<std::size_t>(named > 0 ? named : 7));
        }
        const auto last = static_cast<std::int32_t>(options.task.classes) - 1;
        std::vector<float> boxes(
            count * static_cast<std::size_t>(options.task.boxes * compute::kBoxNumbers), 1.0F
        );
        for (std::size_t i = 0; i < boxes.size(); i += compute::kBoxNumbers) {
            boxes[i] = static_cast<float>(i % 2 == 0 ? last : -1);
        }
        return Made{values, std::vector<std::int32_t>(count * labels_of, last), boxes};
    };
    const auto some = batch(options.batch);
    if ((*engine)->step(some.batch(), 0.01).has_error()) std::abort();
    const auto test = batch(options.eval_batch);
    if ((*engine)->evaluate(test.batch()).has_error()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Choice choice(std::span(data, size));
    compute::EngineOptions options;
    options.model = choose_model(choice);
    const auto manifest = choose_manifest(choice);
    if (data::check_manifest(manifest).has_error()) return 0;
    options.task = peer::task_of(manifest);
    options.batch = choice.number();
    if (options.task.kind == compute::LabelKind::Class && choice.below(4) == 1) {
        options.task.kind = compute::LabelKind::Boxes;
        options.task.boxes = 4;
        options.task.labels = 0;
    }
    options.eval_batch = peer::evaluation_batch(manifest);
    const auto least = compute::least_memory(options);
    if (least.has_error() || *least > kTrainedBytesMax) return 0;
    train(options);
    return 0;
}
