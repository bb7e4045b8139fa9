// Goal: operators compute what ONNX specifies.
// Method: the test vectors of the ONNX project, as Debian's package libonnx-testdata brings them:
// each is a small model with operands and results. Every model whose operators and types we read
// must give its results, in the CPU plan and in the reference; the others are counted by reason.
// STARLING_VERBOSE=1 names each of them, STARLING_ONNX_VECTORS names another folder.

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "compute/onnx/model_file.hpp"
#include "tests/unit/compute/support/onnx_fixture.hpp"

namespace starling::compute::onnx {
namespace {

namespace fs = std::filesystem;

/// What happened to one model: passed, or the reason why it is not supported, or what was wrong.
struct Verdict {
    std::string unsupported;
    std::string wrong;
};

/// A fault without the node's name, so that equal reasons count together.
std::string reason_of(const Fault& fault) {
    const auto at = fault.message.find("' (");
    return at == std::string::npos ? fault.message : fault.message.substr(at + 2);
}

std::vector<fs::path> sorted_files(const fs::path& set, const std::string& prefix) {
    std::vector<fs::path> files;
    for (std::size_t i = 0; fs::exists(set / (prefix + std::to_string(i) + ".pb")); ++i) {
        files.push_back(set / (prefix + std::to_string(i) + ".pb"));
    }
    return files;
}

template <class T>
std::string difference(const std::vector<T>& actual, const std::vector<double>& expected) {
    if (actual.size() != expected.size()) return "another number of elements";
    for (std::size_t i = 0; i < actual.size(); ++i) {
        const auto value = static_cast<double>(actual[i]);
        const double wanted = expected[i];
        if (std::isnan(value) && std::isnan(wanted)) continue;
        if (value == wanted) continue;
        if (std::abs(value - wanted) <= 1e-3 * std::abs(wanted) + 1e-5) continue;
        return "element " + std::to_string(i) + " is " + std::to_string(value) + ", not " +
               std::to_string(wanted);
    }
    return {};
}

/// Operands that shapes and settings are made of must be known; which ones are, a model does not
/// say. Whole numbers always are, and when that is not enough, all but the first operand.
std::vector<std::set<std::size_t>> choices(const std::vector<Known>& operands) {
    std::set<std::size_t> whole;
    std::set<std::size_t> rest;
    for (std::size_t i = 0; i < operands.size(); ++i) {
        if (operands[i].kind == Kind::Integer) whole.insert(i);
        if (i > 0 || operands[i].kind == Kind::Integer) rest.insert(i);
    }
    return {whole, rest};
}

Verdict compare(
    Runnable& runnable, const std::vector<std::vector<double>>& values, const fs::path& set
) {
    const auto store = store_of(runnable.model.graph);
    const auto planned = runnable.run_plan(values, *store);
    if (planned.has_error()) return {"plan: " + planned.error().message, {}};
    const auto referred = runnable.run_reference(values, *store);
    if (referred.has_error()) return {"reference: " + referred.error().message, {}};
    const auto files = sorted_files(set, "output_");
    for (std::size_t i = 0; i < files.size() && i < planned->size(); ++i) {
        const auto expected = read_tensor(read_file(files[i]));
        if (expected.has_error()) return {"a result that is no tensor of numbers", {}};
        const auto where = "result " + std::to_string(i) + ": ";
        if (runnable.shapes[i] != expected->shape) {
            return {{}, where + "shape " + to_string(runnable.shapes[i])};
        }
        const auto plan = difference((*planned)[i], expected->values);
        if (!plan.empty()) return {{}, where + "plan: " + plan};
        const auto reference = difference((*referred)[i], expected->values);
        if (!reference.empty()) return {{}, where + "reference: " + reference};
    }
    return {};
}

Verdict run_set(const Bytes& bytes, const ModelFile& file, const fs::path& set) {
    std::vector<std::string> names;
    for (const auto& input : file.inputs) {
        const bool fixed = std::any_of(
            file.initializers.begin(),
            file.initializers.end(),
            [&](const TensorMessage& tensor) { return tensor.name == input.name; }
        );
        if (!fixed) names.push_back(input.name);
        if (!fixed && is_real(input.type) && input.type != DataType::Float) {
            return {"an operand of type " + to_string(input.type), {}};
        }
    }
    std::vector<Known> operands;
    bool real = names.empty();
    for (const auto& path : sorted_files(set, "input_")) {
        const auto content = read_file(path);
        auto known = read_tensor(content);
        const auto tensor = decode_tensor(content);
        if (known.has_error() || tensor.has_error()) {
            return {"an operand that is no tensor of numbers", {}};
        }
        if (is_real(tensor->type) && tensor->type != DataType::Float) {
            return {"an operand of type " + to_string(tensor->type), {}};
        }
        real = real || known->kind != Kind::Integer;
        operands.push_back(std::move(*known));
    }
    if (!real) return {"whole numbers only", {}};
    if (operands.size() > names.size()) return {{}, "more operands than inputs"};
    Verdict verdict;
    for (const auto& fixed : choices(operands)) {
        ImportOptions options;
        std::vector<std::vector<double>> values;
        for (std::size_t i = 0; i < operands.size(); ++i) {
            if (fixed.contains(i)) {
                options.known_inputs[names[i]] = operands[i];
            } else {
                values.push_back(operands[i].values);
            }
        }
        auto model = import_onnx(bytes, options);
        if (model.has_error()) {
            if (verdict.unsupported.empty()) verdict.unsupported = reason_of(model.error());
            continue;
        }
        Runnable runnable(std::move(*model));
        return compare(runnable, values, set);
    }
    return verdict;
}

Verdict run_model(const fs::path& folder) {
    const auto bytes = read_file(folder / "model.onnx");
    const auto file = decode_model(bytes);
    if (file.has_error()) return {file.error().message, {}};
    bool any = false;
    for (int i = 0; fs::exists(folder / ("test_data_set_" + std::to_string(i))); ++i) {
        any = true;
        auto verdict = run_set(bytes, *file, folder / ("test_data_set_" + std::to_string(i)));
        if (!verdict.unsupported.empty() || !verdict.wrong.empty()) return verdict;
    }
    return any ? Verdict{} : Verdict{"no data", {}};
}

TEST(OnnxVectors, EveryModelThatWeReadGivesItsResults) {
    const auto root = folder("STARLING_ONNX_VECTORS", "/usr/share/libonnx-testdata/data");
    if (!fs::exists(root / "node")) {
        GTEST_SKIP() << "no vectors in " << root << ": install Debian's package libonnx-testdata";
    }
    const bool verbose = !folder("STARLING_VERBOSE", "").empty();
    std::map<std::string, int> reasons;
    int passed = 0;
    int unsupported = 0;
    for (const auto* part : {"node", "simple", "pytorch-operator", "pytorch-converted"}) {
        std::vector<fs::path> folders;
        for (const auto& entry : fs::directory_iterator(root / part)) {
            if (fs::exists(entry.path() / "model.onnx")) folders.push_back(entry.path());
        }
        std::sort(folders.begin(), folders.end());
        for (const auto& path : folders) {
            const auto verdict = run_model(path);
            if (!verdict.wrong.empty()) {
                ADD_FAILURE() << part << "/" << path.filename().string() << ": " << verdict.wrong;
            } else if (!verdict.unsupported.empty()) {
                ++unsupported;
                ++reasons[verdict.unsupported];
                if (verbose) {
                    std::printf(
                        "%s/%s: %s\n", part, path.filename().c_str(), verdict.unsupported.c_str()
                    );
                }
            } else {
                ++passed;
            }
        }
    }
    for (const auto& [reason, count] : reasons) std::printf("%5d  %s\n", count, reason.c_str());
    std::printf("%d passed, %d unsupported\n", passed, unsupported);
    EXPECT_GE(passed, 400);
}

}  // namespace
}  // namespace starling::compute::onnx
