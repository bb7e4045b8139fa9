#include "peer/model_file.hpp"

#include <filesystem>

#include "base/spec.hpp"
#include "peer/descriptor.hpp"
#include "peer/files.hpp"

namespace starling::peer {

Result<ModelChoice> choose_model(const std::string& spec) {
    auto parsed = Spec::parse(spec);
    if (parsed.has_error()) return parsed.error();
    if (parsed->name != "onnx") return ModelChoice{spec, nullptr};
    if (parsed->path.empty()) {
        return fail(FaultCode::Usage, "--model " + spec + ": give a file, as in onnx:net.onnx");
    }
    const std::filesystem::path path = parsed->path;
    auto bytes = read_file(path, kDescriptorMax);
    if (bytes.has_error() && bytes.error().code == FaultCode::Oversized) {
        return fail(
            FaultCode::Usage,
            path.string() +
                ": a model file travels in the swarm's descriptor and may have 16 MiB at most"
        );
    }
    if (bytes.has_error()) return fail(FaultCode::Usage, bytes.error().message);
    parsed->path = path.filename().string();
    return ModelChoice{parsed->to_string(), std::make_shared<const Bytes>(std::move(*bytes))};
}

}  // namespace starling::peer
