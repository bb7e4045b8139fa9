#include "peer/start/swarm_plan.hpp"

#include <random>
#include <utility>

#include "base/printable.hpp"
#include "compute/models/models.hpp"
#include "compute/training/device_memory.hpp"
#include "compute/training/devices.hpp"
#include "compute/training/least_memory.hpp"
#include "compute/training/schedule.hpp"
#include "data/augmentation.hpp"
#include "peer/averaging/averaging_options.hpp"
#include "peer/crypto/sha256.hpp"
#include "peer/machine/exit_codes.hpp"
#include "peer/machine/memory.hpp"
#include "peer/start/local_state.hpp"
#include "peer/streams/dial.hpp"
#include "peer/terms/qualities.hpp"
#include "peer/terms/schema_file.hpp"
#include "peer/terms/task.hpp"
#include "peer/training/engine_options.hpp"
#include "peer/training/trainer_options.hpp"
#include "peer/transfer/descriptor_transfer.hpp"

namespace starling::peer {

namespace {

constexpr Duration kJoinPatience = std::chrono::seconds(10);

std::array<std::uint8_t, 16> random_nonce() {
    std::random_device device;
    std::array<std::uint8_t, 16> nonce{};
    for (auto& byte : nonce) byte = static_cast<std::uint8_t>(device());
    return nonce;
}

Result<compute::ParameterLayout> layout_of(const Descriptor& d) {
    return compute::model_layout(d.model, task_of(d.manifest), d.model_file);
}

LayoutHash hash_of(const compute::ParameterLayout& layout) {
    return LayoutHash{sha256(layout.canonical_bytes())};
}

/// Checks that this machine can hold what the descriptor asks for: the model and a step of it. Shards
/// lie in files that are mapped, whose pages the system drops when it needs room.
/// Errors    Oversized; those of least_memory
Result<void> check_memory(const Descriptor& d, const compute::OptimizerSpec& optimizer) {
    auto options = engine_options(d, 1);
    options.optimizer = optimizer;
    const auto least = compute::least_memory(options);
    if (least.has_error()) return least.error();
    const std::size_t need = *least;
    const auto have = memory_limit();
    if (need <= have) return {};
    constexpr std::size_t kMega = 1000000;
    return fail(
        FaultCode::Oversized,
        excerpt(d.model) + " with batches of " + std::to_string(d.batch) + " needs at least " +
            std::to_string(need / kMega) + " MB of memory, this machine has " +
            std::to_string(have / kMega) + " MB"
    );
}

/// Returns what the founder's flags decide for the whole swarm.
/// Requires  a validated configuration
Descriptor describe(const PeerConfig& config, bool keyed) {
    Descriptor d;
    d.nonce = random_nonce();
    d.keyed = keyed;
    d.model = config.membership_only ? "none" : config.model;
    d.optimizer = compute::OptimizerSpec::parse(config.optimizer)->to_string();
    d.batch = config.batch;
    const auto mix = *gossip::Mix::parse(config.mix);
    d.mix = mix.to_string();
    d.mix_every = *MixEvery::parse(config.mix_every);
    // Rounds and outer steps are counted in steps, and without a rule nothing is due.
    const bool counts =
        config.sync || mix.rule == gossip::Rule::Noloco || mix.rule == gossip::Rule::None;
    if (counts) d.mix_every.by = MixBy::Steps, d.mix_every.time = {};
    d.encoding = config.encoding;
    d.parts = *gossip::parse_share(config.share);
    d.sync = config.sync;
    d.until = *Until::parse(config.until);
    d.wait_for = config.wait_for;
    d.class_weighting = *parse_class_weighting(config.class_weights);
    d.settle = config.settle;
    d.seed = config.seed_given ? config.seed : Rng(std::random_device{}()).next();
    return d;
}

/// Peers never pass a target in samples, so a swarm with less than a batch to make would end at once.
Result<void> check_target(const PeerConfig& config, const data::Manifest& manifest) {
    const auto until = *Until::parse(config.until);
    if (auto ok = check_quality(manifest, until); ok.has_error()) return ok;
    if (until.kind != UntilKind::Samples && until.kind != UntilKind::Epochs) return {};
    auto samples = until.value;
    if (until.kind == UntilKind::Epochs) {
        samples *= static_cast<double>(manifest.samples(data::Split::Train));
    }
    if (samples >= static_cast<double>(config.batch)) return {};
    return fail(
        FaultCode::Usage,
        "--until " + config.until + ": less than the " + std::to_string(config.batch) +
            " samples of one step; give more, or a smaller --batch"
    );
}

/// Reads and cuts the founder's data; with a schema that was agreed on, as any other peer of a private swarm.
Result<CutData> cut_founding(
    const PeerConfig& config, const std::optional<data::Manifest>& agreed
) {
    const auto directory = shard_directory(config);
    if (agreed) {
        auto cut = cut_private(config.dataset, *agreed, directory);
        if (cut.has_error()) return cut;
        if (cut->sharded.manifest.samples(data::Split::Train) > 0) return cut;
        return fail(FaultCode::Usage, config.dataset + ": nothing in it is for training");
    }
    const auto partition = *data::Partition::parse(config.partition);
    // Of private samples others get none, so those for whom we wait need no finer shards. The same files
    // then give the same shards in the founder's next life.
    const auto peers = config.private_data ? 1 : config.wait_for;
    return cut_for_swarm(config.dataset, config.model, partition, directory, peers);
}

}  // namespace

Result<Founding> load_founding(const PeerConfig& config) {
    std::optional<data::Manifest> agreed;
    if (!config.schema.empty()) {
        auto read = read_schema_file(config.schema);
        if (read.has_error()) {
            return as_usage(fail(read.error().code, "--schema " + read.error().message));
        }
        agreed = std::move(*read);
    }
    auto cut = cut_founding(config, agreed);
    if (cut.has_error()) return as_usage(cut.error());
    auto& manifest = cut->sharded.manifest;
    if (auto ok = data::augment(config.augment, manifest); ok.has_error()) return ok.error();
    if (auto ok = check_learnable(manifest); ok.has_error()) return ok.error();
    if (auto ok = check_target(config, manifest); ok.has_error()) return ok.error();
    auto model = choose_model(config.model);
    if (model.has_error()) return model.error();
    const auto facts =
        compute::inspect_model(model->spec, task_of(manifest), config.batch, model->bytes());
    if (facts.has_error()) {
        // Whatever is wrong with the model, also with its file, was chosen by the flag.
        return fail(FaultCode::Usage, "--model " + config.model + ": " + facts.error().message);
    }
    auto notes = std::move(cut->notes);
    const auto weighting = *parse_class_weighting(config.class_weights);
    auto weights = weigh_classes(weighting, cut->sharded, notes);
    if (weights.has_error()) return weights.error();
    for (const auto& note : facts->notes) notes.push_back("model: " + note);
    Founding founding{
        std::move(cut->sharded), std::move(*model), std::move(notes), {}, std::move(*weights)};
    if (agreed) founding.schema = std::move(agreed->schema);
    return founding;
}

Result<Founding> load_own(
    const PeerConfig& config, const data::Manifest& agreed, ClassWeighting weighting
) {
    auto cut = cut_private(config.dataset, agreed, shard_directory(config));
    if (cut.has_error()) return as_usage(cut.error());
    auto weights = weigh_classes(weighting, cut->sharded, cut->notes);
    if (weights.has_error()) return weights.error();
    return Founding{std::move(cut->sharded), {}, std::move(cut->notes), {}, std::move(*weights)};
}

Result<SwarmPlan> plan_founding(const PeerConfig& config, bool keyed, const Founding* founding) {
    SwarmPlan plan;
    plan.start = Start::Found;
    auto& d = plan.descriptor;
    d = describe(config, keyed);
    if (founding != nullptr) {
        d.manifest = founding->data.manifest;
        d.class_weights = founding->class_weights;
        if (config.private_data) {
            plan.own = founding->data.manifest;
            plan.own->mode = data::DataMode::Private;
            d.manifest = data::agreed_part(*plan.own);
            // Ours may hold less than others will: the largest of our pictures is not the largest of all.
            if (founding->schema) d.manifest.schema = *founding->schema;
        }
        // Whoever reaches a member gets the descriptor.
        d.manifest.name = data::public_name(d.manifest.name);
        d.model = founding->model.spec;
        if (founding->model.file != nullptr) d.model_file = *founding->model.file;
        const auto layout = layout_of(d);
        if (layout.has_error()) return layout.error();
        d.layout = hash_of(*layout);
    }
    plan.blob = encode_descriptor(d);
    if (plan.blob.size() > kDescriptorMax) {
        return fail(
            FaultCode::Oversized,
            "the swarm's descriptor has " + std::to_string(plan.blob.size()) +
                " bytes with its model file and manifest, 16 MiB at most: give a smaller model file"
        );
    }
    return plan;
}

Result<SwarmPlan> plan_joining(
    Loop& loop,
    const PeerConfig& config,
    Introduction ours,
    const std::optional<SwarmKey>& key,
    const Note& note
) {
    ours.keys = key ? keyed_channel(*key) : guest_channel();
    const auto file = key_path(config).string();
    auto fetched = fetch_descriptor(loop, config.join, std::move(ours), file, kJoinPatience, note);
    if (fetched.has_error()) return fetched.error();
    SwarmPlan plan;
    plan.start = Start::Join;
    plan.blob = std::move(fetched->blob);
    plan.via = fetched->seed;
    plan.small_segments = fetched->small;
    if (fetched->small) note(small_segments_note(fetched->seed));
    auto descriptor = decode_descriptor(plan.blob);
    if (descriptor.has_error()) return descriptor.error();
    plan.descriptor = std::move(*descriptor);
    if (plan.descriptor.keyed && key && fetched->as_guest) return wrong_key(*plan.via, file);
    return plan;
}

Result<SwarmPlan> plan_resuming(Checkpoint checkpoint, const Note& note) {
    SwarmPlan plan;
    plan.start = Start::Resume;
    plan.blob = checkpoint.descriptor;
    auto descriptor = decode_descriptor(plan.blob);
    if (descriptor.has_error()) return descriptor.error();
    plan.descriptor = std::move(*descriptor);
    for (const auto& text : checkpoint.addresses) {
        if (const auto address = Endpoint::parse(text)) plan.known_addresses.push_back(*address);
    }
    if (checkpoint.damage) {
        note(
            "the newest checkpoint is damaged; going on from the one before it (" +
            checkpoint.damage->message + ")"
        );
    }
    plan.checkpoint = std::move(checkpoint);
    return plan;
}

Result<void> lay_out(SwarmPlan& plan) {
    const auto& d = plan.descriptor;
    if (plan.is_private() && !d.manifest.shards.empty()) {
        return fail(FaultCode::BadValue, "this swarm's data are private, and yet it lists shards");
    }
    if (d.manifest.shards.empty() && !plan.is_private()) {
        return fail(
            FaultCode::Unsupported, "this swarm trains nothing; join it with --membership-only"
        );
    }
    if (auto ok = check_learnable(d.manifest); ok.has_error()) return ok.error();
    auto layout = layout_of(d);
    if (layout.has_error()) return layout.error();
    const auto hash = hash_of(*layout);
    if (hash != d.layout) {
        return fail(
            FaultCode::LayoutMismatch,
            "this release builds " + in_quotes(d.model) + " with layout " + hash.short_string() +
                ", the swarm has " + d.layout.short_string() + ": run the same release as the swarm"
        );
    }
    const auto optimizer = compute::OptimizerSpec::parse(d.optimizer);
    if (optimizer.has_error()) return optimizer.error();
    if (auto fits = check_memory(d, *optimizer); fits.has_error()) return fits.error();
    if (auto known = averager_config(d); known.has_error()) return known.error();
    if (plan.checkpoint && plan.checkpoint->parameters.size() != layout->elements()) {
        return fail(FaultCode::Corrupt, "the checkpoint's parameters do not fit its model");
    }
    plan.layout = std::move(*layout);
    return {};
}

Result<void> check_device_memory(const SwarmPlan& plan, const PeerConfig& config) {
    if (config.device == "auto") return {};
    const auto device = compute::find_device(config.device);
    if (device.has_error()) return device.error();
    if ((*device)->on_host()) return {};
    auto options = engine_options(plan.descriptor, 1);
    options.optimizer = *compute::OptimizerSpec::parse(plan.descriptor.optimizer);
    options.precision = *compute::parse_precision(config.precision);
    const auto fits = compute::check_fit(options, (*device)->info());
    if (fits) return {};
    return fail(FaultCode::Usage, "--device " + config.device + ": " + fits.error().message);
}

}  // namespace starling::peer
