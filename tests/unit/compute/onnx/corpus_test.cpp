// Goal: the corpus of the fuzz targets is read without harm in every build, and stays a corpus of
// good files and of hostile ones.
// Method: every file is read the ways the fuzz targets read it. STARLING_CORPUS_DIR writes it anew:
// small exports of our own, and files that lie.

#include <algorithm>

#include "compute/files/safetensors.hpp"
#include "compute/models/models.hpp"
#include "compute/onnx/export.hpp"
#include "tests/unit/compute/support/onnx_file.hpp"
#include "tests/unit/compute/support/onnx_fixture.hpp"

namespace starling::compute::onnx {
namespace {

namespace fs = std::filesystem;

fs::path corpus(const char* target) {
    return fs::path(STARLING_SOURCE_DIR) / "tests/fuzz/corpus" / target;
}

std::vector<fs::path> files_in(const fs::path& directory) {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(directory)) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    return files;
}

struct Named {
    const char* name;
    const char* spec;
    Task task;
};

Bytes exported(const Named& c) {
    ParameterStore store(*model_layout(c.spec, c.task));
    store.initialize(Rng(1));
    const auto build = [&](std::int64_t batch) {
        return build_model(c.spec, c.task, batch, Purpose::Inference);
    };
    return *export_onnx(build, store);
}

FileBuilder hostile(int kind) {
    FileBuilder b;
    b.input("x", {2, 3}).floats("w", {3, 2}).node("MatMul", {"x", "w"}, {"y"}).output("y");
    if (kind == 0) b.file.initializers[0].shape = {std::int64_t{1} << 60};
    if (kind == 1) b.node("Add", {"y", "b"}, {"a"}).node("Relu", {"a"}, {"b"});
    if (kind == 2) b.file.initializers.clear();
    if (kind == 3) b.file.initializers[0].type = DataType::Int64;
    if (kind == 4) b.ints("s", {1 << 30, 1 << 30}).node("Expand", {"y", "s"}, {"z"});
    if (kind == 5) {
        b.ints("s", {1}).node("Size", {"s"}, {"n"});
        b.file.initializers[1].shape = {std::int64_t{1} << 32, std::int64_t{1} << 31};
    }
    if (kind == 6) {
        b.input("long", {2, 1 << 30}).ints("pads", {0, 1, 0, 0});
        b.node("Pad", {"long", "pads"}, {"z"}, {{"mode", std::string("edge")}});
    }
    if (kind == 7) {
        b.ints("pads", {std::numeric_limits<std::int64_t>::min(), 0, 0, 0});
        b.node("Pad", {"y", "pads"}, {"z"});
    }
    if (kind == 8) {
        b.ints("times", {std::int64_t{1} << 32, std::int64_t{1} << 32});
        b.node("Tile", {"y", "times"}, {"z"});
    }
    if (kind == 9) {
        b.input("wide", {2, 2'000'000'000}).ints("to", {4'000'000'000, 4'000'000'000});
        b.node("Reshape", {"wide", "to"}, {"z"});
    }
    if (kind == 10) {
        b.floats("image", {1, 2, 1}).ints("s", {1, 1});
        b.node("InstanceNormalization", {"image", "s", "s"}, {"z"});
    }
    if (kind == 11) b.node("Dropout", {"y"}, {});
    return b;
}

/// A model that goes through the arithmetic of shapes and the rules for windows.
FileBuilder shapes() {
    FileBuilder b;
    b.input("x", {-1, 2, 9}).floats("w", {2, 2, 3}).ints("zero", {0}).ints("rest", {-1});
    b.ints("pads", {0, 0, 1, 0, 0, 1}).ints("ends", {3}).ints("half", {2});
    b.node("Conv", {"x", "w"}, {"c"}, {{"auto_pad", std::string("SAME_UPPER")}});
    b.node(
        "MaxPool",
        {"c"},
        {"p"},
        {{"kernel_shape", std::vector<std::int64_t>{2}},
         {"strides", std::vector<std::int64_t>{2}},
         {"ceil_mode", std::int64_t{1}}}
    );
    b.node("Pad", {"p", "pads"}, {"q"}, {{"mode", std::string("reflect")}});
    b.node("Shape", {"q"}, {"s"}).node("Gather", {"s", "zero"}, {"n"});
    b.node("Concat", {"n", "rest"}, {"t"}, {{"axis", std::int64_t{0}}});
    b.node("Reshape", {"q", "t"}, {"f"}).node("Slice", {"f", "zero", "ends", "half"}, {"y"});
    b.file.nodes.back().inputs = {"f", "zero", "ends"};
    b.node("Split", {"f"}, {"l", "r"}, {{"axis", std::int64_t{1}}});
    b.node("Where", {"l", "l", "r"}, {"v"}).node("ReduceLogSumExp", {"v"}, {"z"});
    b.output("y").output("z");
    return b;
}

void write_corpus(const fs::path& directory) {
    const auto write = [&](const fs::path& path, const Bytes& bytes) {
        std::ofstream(directory / path, std::ios::binary) << as_text(bytes);
    };
    fs::create_directories(directory / "onnx");
    fs::create_directories(directory / "safetensors");
    const std::vector<Named> models{
        {"mlp", "mlp?hidden=3", {{1, 2, 2}, 2}},
        {"cnn", "cnn?channels=2&hidden=3&kernel=3", {{1, 4, 4}, 2}},
        {"resnet20", "resnet20?width=1", {{1, 4, 4}, 2}},
        {"gpt", "gpt?layers=1&heads=2&dim=4", {{3}, 4}},
        {"tabular", "tabular?categories=2&embed=2&hidden=3", {{3}, 2}}};
    for (const auto& c : models) write(fs::path("onnx") / c.name, exported(c));
    write("onnx/shapes", shapes().bytes());
    for (int kind = 0; kind < 12; ++kind) {
        write(fs::path("onnx") / ("hostile" + std::to_string(kind)), hostile(kind).bytes());
    }
    ParameterStore store(*model_layout("mlp?hidden=3", {{1, 2, 2}, 2}));
    auto good = export_safetensors(store);
    write("safetensors/mlp", good);
    auto header = std::string(as_text(good));
    const auto lie = [&](const char* name, const char* from, const char* to) {
        auto changed = header;
        const auto at = changed.find(from);
        if (at != std::string::npos) changed.replace(at, std::string(from).size(), to);
        const auto view = as_byte_view(changed);
        write(fs::path("safetensors") / name, {view.begin(), view.end()});
    };
    lie("type", "F32", "F16");
    lie("offset", "[0,", "[4,");
    lie("shape", "[3]", "[9]");
    good.resize(good.size() / 2);
    write("safetensors/cut", good);
}

TEST(FuzzCorpus, ModelsAreReadOrRefused) {
    const auto directory = folder("STARLING_CORPUS_DIR", "");
    if (!directory.empty()) write_corpus(directory);
    int read = 0;
    int refused = 0;
    for (const auto& path : files_in(corpus("onnx"))) {
        const auto bytes = read_file(path);
        ImportOptions options;
        options.batch = 2;
        options.float_inputs = true;
        const auto model = import_onnx(bytes, options);
        (model.has_value() ? read : refused) += 1;
        const bool lies = path.filename().string().starts_with("hostile");
        EXPECT_EQ(model.has_error(), lies)
            << path << (model.has_error() ? ": " + model.error().message : "");
    }
    EXPECT_GE(read, 6);
    EXPECT_GE(refused, 12);
}

TEST(FuzzCorpus, SafetensorsAreReadOrRefused) {
    int read = 0;
    int refused = 0;
    for (const auto& path : files_in(corpus("safetensors"))) {
        (parse_safetensors(read_file(path)).has_value() ? read : refused) += 1;
    }
    EXPECT_GE(read, 1);
    EXPECT_GE(refused, 4);
}

}  // namespace
}  // namespace starling::compute::onnx
