#pragma once

// What the translations of single operators see: one node of the file, its operands, and the graph
// so far. The first failure sticks and later calls do nothing, so a translation reads like the
// operator's text and looks once.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "compute/onnx/import.hpp"
#include "compute/onnx/model_file.hpp"

namespace starling::compute::onnx {

using Ints = std::vector<std::int64_t>;

class Importer {
public:
    Importer(const ModelFile& file, const ImportOptions& options)
        : file_(file),
          options_(options) {}

    [[nodiscard]] Result<ImportedModel> run();

    // The node at hand.

    [[nodiscard]] std::int64_t opset() const { return file_.opset; }

    [[nodiscard]] bool training() const { return options_.purpose == Purpose::Training; }

    [[nodiscard]] const NodeMessage& node() const { return *node_; }

    /// The plain settings of the node.
    [[nodiscard]] const Attributes& attributes() const { return attributes_; }

    [[nodiscard]] const AttributeMessage* attribute(std::string_view name) const;

    [[nodiscard]] std::size_t operand_count() const { return node_->inputs.size(); }

    [[nodiscard]] bool has(std::size_t i) const {
        return i < node_->inputs.size() && !node_->inputs[i].empty();
    }

    /// Whether some node or the graph's output reads the node's i-th result.
    [[nodiscard]] bool wants(std::size_t i) const;

    /// The operand as a value of the graph; a fixed one becomes a constant or a parameter.
    [[nodiscard]] ValueId operand(std::size_t i);
    /// All operands, absent ones as None.
    [[nodiscard]] std::vector<ValueId> operands();

    /// The operand's elements when they are fixed in the file, else nullptr. A parameter is fixed
    /// too: reading it here does not make it trainable.
    [[nodiscard]] const Known* known(std::size_t i);
    [[nodiscard]] bool all_known();

    /// A fixed operand as whole numbers; fails when it is not fixed.
    [[nodiscard]] Ints integers(std::size_t i);
    [[nodiscard]] double real(std::size_t i);
    /// The operand when it is there, else the attribute, else the fallback.
    [[nodiscard]] Ints integers_or(std::size_t i, std::string_view key, Ints fallback);

    [[nodiscard]] Kind kind(std::size_t i) const;
    /// The operand's shape, known even where its elements are not.
    [[nodiscard]] Shape shape_of(std::size_t i);

    // What the translation leaves behind.

    void bind(std::size_t output, ValueId id, Kind kind = Kind::Real);
    void bind(std::size_t output, Known known);

    [[nodiscard]] bool ok() const { return !fault_.has_value(); }

    /// Fails the node; the node's name and operator are added.
    void refuse(FaultCode code, std::string message);

    // The graph.

    ValueId emit(std::string_view op, std::vector<ValueId> inputs, Attributes attributes = {});
    std::vector<ValueId> emit_all(
        std::string_view op, std::vector<ValueId> inputs, Attributes attributes = {}
    );
    ValueId constant(double value);
    ValueId constant(const Known& known);
    ValueId reshape(ValueId x, const Shape& shape);

    /// Empty after a failure.
    [[nodiscard]] Shape shape(ValueId x) const;

    [[nodiscard]] bool is_integer_value(ValueId x) const;

    /// A batch that the file fixed and the caller replaced: {1, 64}. Equal when nothing changed.
    [[nodiscard]] std::pair<std::int64_t, std::int64_t> batch_change() const {
        return {file_batch_, batch_};
    }

    void add_statistic(RunningStatistic statistic) {
        model_.statistics.push_back(std::move(statistic));
    }

    /// The parameter's name behind an operand; empty when it is none.
    [[nodiscard]] std::string parameter_name(std::size_t i) const;

private:
    /// What a name of the file stands for.
    struct Entry {
        ValueId id = ValueId::None;
        Kind kind = Kind::Real;
        std::shared_ptr<const Known> known;
        const TensorMessage* initializer = nullptr;
        bool buffer = false;
        bool variance = false;
        bool fixed = false;  ///< a float initializer that is a constant all the same
    };

    void read_opset();
    void declare_initializers();
    void mark_special_initializers();
    void add_inputs();
    void add_input(const ValueMessage& input);
    void note_uses();
    void translate(const NodeMessage& node);
    void dispatch();
    bool fold();
    void collect_outputs();
    ValueId materialize(const std::string& name, Entry& entry);
    ValueId make_parameter(const std::string& name, const Entry& entry);
    const Known* know(Entry& entry);
    [[nodiscard]] Entry* find(const std::string& name);
    /// The node's name, or else that of its first output.
    [[nodiscard]] std::string node_name() const;
    /// Counts elements that the file does not hold itself: small nodes could ask for a lot of them.
    [[nodiscard]] bool charge(std::size_t elements);
    void refuse_file(FaultCode code, std::string message);

    const ModelFile& file_;
    const ImportOptions& options_;
    ImportedModel model_;
    const NodeMessage* node_ = nullptr;
    Attributes attributes_;
    std::map<std::string, Entry, std::less<>> entries_;
    std::map<std::string, int, std::less<>> uses_;
    std::optional<Fault> fault_;
    std::size_t charged_ = 0;
    std::int64_t file_batch_ = 0;
    std::int64_t batch_ = 0;
};

using Translation = void (*)(Importer&);

struct NamedTranslation {
    std::string_view op;
    Translation translate = nullptr;
};

/// The families; each lives in a file of its own.
[[nodiscard]] std::span<const NamedTranslation> plain_translations();
[[nodiscard]] std::span<const NamedTranslation> arithmetic_translations();
[[nodiscard]] std::span<const NamedTranslation> window_translations();
[[nodiscard]] std::span<const NamedTranslation> shape_translations();
[[nodiscard]] std::span<const NamedTranslation> normalization_translations();

/// Computes a node whose operands are all known. Returns false for an operator that it does not
/// know, and leaves everything as it was.
[[nodiscard]] bool fold_known(Importer& importer);

/// Replaces decompositions by the operators that they spell out, and leaves out what nothing needs
/// any more: nodes and parameters alike. The values in `wanted` are renamed in place.
void recognise_patterns(Graph& graph, std::span<ValueId*> wanted);
/// Only leaves out what nothing needs.
void drop_unused(Graph& graph, std::span<ValueId*> wanted);

/// A known operand may have no more elements than this when it is computed rather than read.
inline constexpr std::int64_t kFoldedElementsMax = std::int64_t{1} << 20;
/// And all of them together no more than this beyond one for each byte of the file.
inline constexpr std::size_t kChargedElementsMax = std::size_t{1} << 23U;

}  // namespace starling::compute::onnx
