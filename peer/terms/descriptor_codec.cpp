// The bytes of the swarm descriptor. This is the only file of peer/ that uses cereal.

#include <algorithm>
#include <cereal/archives/portable_binary.hpp>
#include <cmath>
#include <istream>
#include <ostream>
#include <span>

#include "peer/terms/descriptor.hpp"

namespace starling::peer {

namespace {

constexpr std::uint32_t kMagic = 0x44525453;  // "STRD"
constexpr std::size_t kTextMax = 4096;
constexpr float kClassWeightLeast = 1e-6F;
constexpr float kClassWeightMost = 1e6F;
constexpr Duration kMixTimeMax = std::chrono::hours(1'000'000);

using Output = cereal::PortableBinaryOutputArchive;
using Input = cereal::PortableBinaryInputArchive;

cereal::PortableBinaryOutputArchive::Options little_out() {
    return Output::Options::LittleEndian();
}

void save_text(Output& archive, const std::string& text) {
    archive(static_cast<std::uint32_t>(text.size()));
    archive(cereal::binary_data(text.data(), text.size()));
}

/// The classes of private samples are counted for the peer that has them, and for nobody else.
void save_class_weights(Output& archive, const Descriptor& d) {
    const bool shared = d.manifest.mode == data::DataMode::Shared;
    const auto weights = shared ? std::span(d.class_weights) : std::span<const float>();
    archive(static_cast<std::uint8_t>(d.class_weighting));
    archive(static_cast<std::uint32_t>(weights.size()));
    for (const float weight : weights) archive(weight);
}

/// Reads a length, checks it against the bytes that are left, and only then allocates.
template <class Container>
bool load_bytes(Input& archive, const SpanSource& source, Container& out, std::size_t limit) {
    std::uint32_t size = 0;
    archive(size);
    if (size > limit || size > source.remaining()) return false;
    out.resize(size);
    archive(cereal::binary_data(out.data(), size));
    return true;
}

bool load_mix_by(Input& archive, MixEvery& every) {
    std::uint8_t by = 0;
    std::int64_t nanoseconds = 0;
    archive(by, nanoseconds);
    if (by > static_cast<std::uint8_t>(kMixByLast)) return false;
    every.by = static_cast<MixBy>(by);
    every.time = Duration(nanoseconds);
    const bool timed = every.by == MixBy::Time;
    return timed ? every.time > Duration::zero() && every.time <= kMixTimeMax : nanoseconds == 0;
}

bool load_class_weights(Input& archive, const SpanSource& source, Descriptor& d) {
    std::uint8_t weighting = 0;
    std::uint32_t count = 0;
    archive(weighting, count);
    if (weighting > static_cast<std::uint8_t>(kClassWeightingLast)) return false;
    if (count > data::kClassesMax || count > source.remaining() / sizeof(float)) return false;
    d.class_weighting = static_cast<ClassWeighting>(weighting);
    d.class_weights.resize(count);
    for (auto& weight : d.class_weights) archive(weight);
    return true;
}

/// Checks that there is one weight for each class of a swarm that shares its samples, and none in any other.
bool class_weights_fit(const Descriptor& d) {
    const auto& label = d.manifest.schema.label;
    const bool classes =
        label.kind == data::LabelKind::Class || label.kind == data::LabelKind::Classes;
    const bool weighs = d.class_weighting != ClassWeighting::None;
    const bool shared = d.manifest.mode == data::DataMode::Shared;
    const std::size_t wanted = weighs && shared ? label.count : 0;
    return (classes || !weighs) && d.class_weights.size() == wanted &&
           std::all_of(d.class_weights.begin(), d.class_weights.end(), [](float weight) {
               return weight >= kClassWeightLeast && weight <= kClassWeightMost;
           });
}

bool load_body(Input& archive, const SpanSource& source, Descriptor& d, Bytes& manifest) {
    archive(cereal::binary_data(d.nonce.data(), d.nonce.size()));
    if (!load_bytes(archive, source, d.model, kTextMax)) return false;
    if (!load_bytes(archive, source, d.optimizer, kTextMax)) return false;
    archive(d.batch);
    if (!load_bytes(archive, source, d.mix, kTextMax)) return false;
    archive(d.mix_every.steps);
    if (!load_bytes(archive, source, d.encoding, kTextMax)) return false;
    std::uint8_t sync = 0;
    archive(d.parts, sync);
    d.sync = sync != 0;
    std::uint8_t kind = 0;
    archive(kind, d.until.value, d.settle, d.seed, d.replicas);
    if (kind > static_cast<std::uint8_t>(kUntilKindLast)) return false;
    d.until.kind = static_cast<UntilKind>(kind);
    archive(cereal::binary_data(d.layout.bytes.data(), d.layout.bytes.size()));
    if (d.minor >= 1) {
        std::uint8_t keyed = 0;
        archive(keyed);
        if (keyed > 1) return false;
        d.keyed = keyed == 1;
    }
    if (!load_bytes(archive, source, manifest, kDescriptorMax)) return false;
    if (d.minor < kDescriptorMinorModelFile) return true;
    if (!load_bytes(archive, source, d.model_file, kDescriptorMax)) return false;
    if (d.minor >= kDescriptorMinorWait) archive(d.wait_for);
    if (d.minor >= kDescriptorMinorMixBy && !load_mix_by(archive, d.mix_every)) return false;
    return d.minor < kDescriptorMinorClassWeights || load_class_weights(archive, source, d);
}

bool in_range(const Descriptor& d) {
    return d.batch >= 1 && d.batch <= 65536 && d.mix_every.steps >= 1 && d.replicas >= 1 &&
           std::isfinite(d.until.value) && d.until.value >= 0 && std::isfinite(d.settle) &&
           d.settle > 0;
}

Result<Descriptor> decode(ByteView bytes) {
    SpanSource source(bytes);
    std::istream stream(&source);
    Input archive(stream);
    std::uint32_t magic = 0;
    Descriptor descriptor;
    archive(magic, descriptor.major, descriptor.minor);
    if (magic != kMagic) return fail(FaultCode::BadFormat, "this is no swarm descriptor");
    if (descriptor.major != kDescriptorMajor) {
        return fail(
            FaultCode::BadVersion,
            "the swarm's descriptor has version " + std::to_string(descriptor.major) +
                "; this release understands " + std::to_string(kDescriptorMajor) +
                ": run the same release as the swarm"
        );
    }
    Bytes manifest;
    if (!load_body(archive, source, descriptor, manifest)) {
        return fail(FaultCode::BadFormat, "the swarm descriptor is malformed");
    }
    if (!in_range(descriptor)) {
        return fail(FaultCode::BadValue, "the swarm descriptor holds a value out of range");
    }
    // A swarm that only keeps membership trains on nothing and has no manifest.
    if (!manifest.empty()) {
        auto decoded = data::decode_manifest(manifest);
        if (decoded.has_error()) return decoded.error();
        descriptor.manifest = std::move(*decoded);
    }
    if (!class_weights_fit(descriptor)) {
        return fail(
            FaultCode::BadValue, "the swarm descriptor's weights of classes do not fit its data"
        );
    }
    return descriptor;
}

}  // namespace

Bytes encode_descriptor(const Descriptor& d) {
    Bytes bytes;
    BytesSink sink(bytes);
    std::ostream stream(&sink);
    Output archive(stream, little_out());
    // The lowest minor version that the contents allow: older releases understand it, and equal
    // settings always give the same bytes.
    auto minor = d.minor;
    if (!d.model_file.empty()) minor = std::max(minor, kDescriptorMinorModelFile);
    if (d.wait_for > 1) minor = std::max(minor, kDescriptorMinorWait);
    if (d.mix_every.by != MixBy::Steps) minor = std::max(minor, kDescriptorMinorMixBy);
    const bool weighs = d.class_weighting != ClassWeighting::None;
    if (weighs) minor = std::max(minor, kDescriptorMinorClassWeights);
    archive(kMagic, d.major, minor);
    archive(cereal::binary_data(d.nonce.data(), d.nonce.size()));
    save_text(archive, d.model);
    save_text(archive, d.optimizer);
    archive(d.batch);
    save_text(archive, d.mix);
    archive(d.mix_every.steps);
    save_text(archive, d.encoding);
    archive(d.parts, static_cast<std::uint8_t>(d.sync ? 1 : 0));
    archive(static_cast<std::uint8_t>(d.until.kind), d.until.value, d.settle, d.seed, d.replicas);
    archive(cereal::binary_data(d.layout.bytes.data(), d.layout.bytes.size()));
    archive(static_cast<std::uint8_t>(d.keyed ? 1 : 0));
    const Bytes manifest = (d.manifest.shards.empty() && d.manifest.mode == data::DataMode::Shared)
                               ? Bytes{}
                               : data::encode_manifest(d.manifest);
    archive(static_cast<std::uint32_t>(manifest.size()));
    archive(cereal::binary_data(manifest.data(), manifest.size()));
    if (minor < kDescriptorMinorModelFile) return bytes;
    archive(static_cast<std::uint32_t>(d.model_file.size()));
    archive(cereal::binary_data(d.model_file.data(), d.model_file.size()));
    if (minor >= kDescriptorMinorWait) archive(d.wait_for);
    if (minor < kDescriptorMinorMixBy) return bytes;
    archive(static_cast<std::uint8_t>(d.mix_every.by));
    archive(static_cast<std::int64_t>(d.mix_every.time.count()));
    if (minor >= kDescriptorMinorClassWeights) save_class_weights(archive, d);
    return bytes;
}

Result<Descriptor> decode_descriptor(ByteView bytes) {
    if (bytes.size() > kDescriptorMax) {
        return fail(FaultCode::Oversized, "the swarm descriptor exceeds 16 MiB");
    }
    try {
        return decode(bytes);
    } catch (const cereal::Exception&) {
        return fail(FaultCode::Truncated, "the swarm descriptor is cut short");
    }
}

}  // namespace starling::peer
