#include "peer/terms/model_file.hpp"

#include <filesystem>

#include "base/spec.hpp"
#include "compute/models/models.hpp"
#include "peer/machine/files.hpp"
#include "peer/terms/descriptor.hpp"

namespace starling::peer {

namespace {

/// What a backbone's file may have, of which most is often left out.
constexpr std::size_t kBackboneFileMax = std::size_t{1} << 30U;

Fault too_large(const std::filesystem::path& path, const std::string& what) {
    return fail(
        FaultCode::Usage,
        path.string() + ": " + what +
            " travels in the swarm's descriptor and may have 16 MiB at most"
    );
}

Result<Bytes> read_model(const std::filesystem::path& path, std::size_t bytes_max) {
    auto bytes = read_file(path, bytes_max);
    if (bytes.has_value()) return bytes;
    if (bytes.error().code == FaultCode::Oversized) return too_large(path, "a model file");
    return fail(FaultCode::Usage, bytes.error().message);
}

std::string name_of(const std::filesystem::path& path) {
    return path.filename().string();
}

Result<ModelChoice> choose_detector(Spec spec, const std::filesystem::path& path) {
    const auto whole = read_model(path, kBackboneFileMax);
    if (whole.has_error()) return whole.error();
    auto cut = compute::cut_backbone(*whole);
    if (cut.has_error()) {
        return fail(FaultCode::Usage, path.string() + ": " + cut.error().message);
    }
    if (cut->size() > kDescriptorMax) {
        return too_large(
            path, "what a detector needs of it (" + std::to_string(cut->size() >> 20U) + " MiB)"
        );
    }
    spec.options["backbone"] = "onnx:" + name_of(path);
    return ModelChoice{spec.to_string(), std::make_shared<const Bytes>(std::move(*cut))};
}

}  // namespace

Result<ModelChoice> choose_model(const std::string& spec) {
    auto parsed = Spec::parse(spec);
    if (parsed.has_error()) return parsed.error();
    const auto backbone = compute::backbone_file(*parsed);
    if (backbone.has_error()) return backbone.error();
    if (!backbone->empty()) return choose_detector(std::move(*parsed), *backbone);
    if (parsed->name != "onnx") return ModelChoice{spec, nullptr};
    if (parsed->path.empty()) {
        return fail(FaultCode::Usage, "--model " + spec + ": give a file, as in onnx:net.onnx");
    }
    const std::filesystem::path path = parsed->path;
    auto bytes = read_model(path, kDescriptorMax);
    if (bytes.has_error()) return bytes.error();
    parsed->path = name_of(path);
    return ModelChoice{parsed->to_string(), std::make_shared<const Bytes>(std::move(*bytes))};
}

}  // namespace starling::peer
