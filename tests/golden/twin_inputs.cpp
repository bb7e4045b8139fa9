// Writes what torch_twin.py needs to repeat our trainings: NAME.safetensors (initial parameters),
// NAME.values and NAME.labels or, of boxes, NAME.targets (all batches, raw).
//
//   twin_inputs DIRECTORY

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>

#include "compute/files/safetensors.hpp"
#include "compute/models/models.hpp"
#include "tests/golden/twin.hpp"

namespace {

using namespace starling;
using namespace starling::compute;

bool write(const std::filesystem::path& path, ByteView bytes) {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    const auto text = as_text(bytes);
    file.write(text.data(), static_cast<std::streamsize>(text.size()));
    return file.good();
}

bool write_inputs(const std::filesystem::path& directory, const Twin& twin) {
    const auto layout = model_layout(twin.model, twin.task());
    if (layout.has_error()) return false;
    ParameterStore store(*layout);
    twin_start(store);
    Samples all;
    for (int step = 0; step < kTwinSteps; ++step) {
        const auto batch = twin_batch(twin, step);
        all.values.insert(all.values.end(), batch.values.begin(), batch.values.end());
        all.labels.insert(all.labels.end(), batch.labels.begin(), batch.labels.end());
        all.targets.insert(all.targets.end(), batch.targets.begin(), batch.targets.end());
    }
    const auto path = directory / twin.name;
    return write(path.string() + ".safetensors", export_safetensors(store)) &&
           write(path.string() + ".values", std::as_bytes(std::span(all.values))) &&
           (twin.boxes > 0
                ? write(path.string() + ".targets", std::as_bytes(std::span(all.targets)))
                : write(path.string() + ".labels", std::as_bytes(std::span(all.labels))));
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fputs("twin_inputs: give a directory to write to\n", stderr);
        return 2;
    }
    for (const auto& twin : twins()) {
        if (write_inputs(argv[1], twin)) continue;
        std::fprintf(stderr, "twin_inputs: cannot write %s to %s\n", twin.name.data(), argv[1]);
        return 1;
    }
    return 0;
}
