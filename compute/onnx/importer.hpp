#pragma once

// What the translations of single operators see: one node of the file, its operands, and the graph
// so far. After the first failure all later calls do nothing, so a translation checks only once, at
// its end.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "compute/onnx/import.hpp"
#include "compute/onnx/model_file.hpp"
#include "compute/onnx/parameters.hpp"

namespace starling::compute::onnx {

using Ints = std::vector<std::int64_t>;

class Importer {
public:
    Importer(const ModelFile& file, const Placement& placement, const ImportOptions& options)
        : file_(file),
          placement_(placement),
          options_(options) {}

    [[nodiscard]] Result<ImportedModel> run();

    /// Returns the names of the last maps with these strides; see cut_to_maps().
    [[nodiscard]] Result<std::vector<std::string>> find_maps(std::span<const std::int64_t> strides);

    // The node that is being translated.

    [[nodiscard]] std::int64_t opset() const { return file_.opset.value_or(0); }

    [[nodiscard]] bool training() const { return options_.purpose == Purpose::Training; }

    /// Whether a node's own training form counts: the purpose is inference, as the file says it.
    [[nodiscard]] bool literal() const { return !training() && !options_.settle; }

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

    /// Returns the operand as a value of the graph; a fixed one becomes a constant or a parameter.
    [[nodiscard]] ValueId operand(std::size_t i);
    /// Returns all operands, absent ones as None.
    [[nodiscard]] std::vector<ValueId> operands();

    /// Returns the operand's elements when the file fixes them, else nullptr. The elements of a
    /// parameter are fixed, too; reading them here does not make it trainable.
    [[nodiscard]] const Known* known(std::size_t i);
    [[nodiscard]] bool all_known();

    /// Returns a fixed operand as whole numbers; refuses the node when it is not fixed.
    [[nodiscard]] Ints integers(std::size_t i);
    [[nodiscard]] double real(std::size_t i);
    /// Returns the operand if there is one, else the attribute, else the fallback.
    [[nodiscard]] Ints integers_or(std::size_t i, std::string_view key, Ints fallback);

    [[nodiscard]] Kind kind(std::size_t i) const;
    /// Returns the operand's shape, which is known even if its elements are not.
    [[nodiscard]] Shape shape_of(std::size_t i);

    // The results of the translation.

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

    /// Returns the batch size that the file fixes and the one that the caller wants: {1, 64}. Both
    /// are equal when the caller wants no change.
    [[nodiscard]] std::pair<std::int64_t, std::int64_t> batch_change() const {
        return {file_batch_, batch_};
    }

    void add_statistic(RunningStatistic statistic) {
        model_.statistics.push_back(std::move(statistic));
    }

    /// Returns the name of the operand if it is a parameter, else an empty text.
    [[nodiscard]] std::string parameter_name(std::size_t i) const;

private:
    /// A value of the file, found by its name.
    struct Entry {
        ValueId id = ValueId::None;
        Kind kind = Kind::Real;
        std::shared_ptr<const Known> known;
        const TensorMessage* initializer = nullptr;
        bool buffer = false;
        bool variance = false;
        bool fixed = false;  ///< a float initializer that is a constant and no parameter
    };

    /// All that precedes the first node.
    void prepare();
    void read_opset();
    void declare_initializers();
    void mark_special_initializers();
    void add_inputs();
    void add_input(const ValueMessage& input);
    [[nodiscard]] Result<void> take_sample(Shape& shape) const;
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
    /// Counts elements that are computed and do not stand in the file, because small nodes could
    /// ask for a lot of them. Returns false when they exceed the limit.
    [[nodiscard]] bool charge(std::size_t elements);
    void refuse_file(FaultCode code, std::string message);

    const ModelFile& file_;
    const Placement& placement_;
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

/// The operators that fold_known() knows.
[[nodiscard]] std::vector<std::string_view> folded_operators();

/// Replaces decompositions by the operators that they spell out, and drops the nodes and parameters
/// that nothing needs any more. Updates the values in `wanted` in place.
void recognise_patterns(Graph& graph, std::span<ValueId*> wanted);
/// Only drops the nodes and parameters that nothing needs.
void drop_unused(Graph& graph, std::span<ValueId*> wanted);

/// The most elements of a known operand that is computed rather than read.
inline constexpr std::int64_t kFoldedElementsMax = std::int64_t{1} << 20;
/// The most elements of all such operands together, beyond one for each byte of the file.
inline constexpr std::size_t kChargedElementsMax = std::size_t{1} << 23U;

}  // namespace starling::compute::onnx
