#pragma once

// Turns a graph into an ONNX file. export.cpp writes the frame, export_operators.cpp the operators.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "compute/arena/parameter_store.hpp"
#include "compute/graph/model.hpp"
#include "compute/onnx/model_file.hpp"

namespace starling::compute::onnx {

class Exporter {
public:
    using Ints = std::vector<std::int64_t>;

    static constexpr const char* kVaries = "onnx: the graph depends on the batch size";

    /// `other` is the same model for another batch size, or nullptr to fix the batch.
    Exporter(const Model& model, const Model* other);

    Result<ModelFile> run(ParameterStore& store);

private:
    using Writer = void (Exporter::*)(const Node&);

    [[nodiscard]] const Graph& graph() const { return model_.graph; }

    void refuse(std::string message);
    void refuse_node(const Node& node, const std::string& what);

    // Which parts of the graph are written.

    [[nodiscard]] bool same_structure() const;
    void mark(ValueId scores);

    [[nodiscard]] bool needed(ValueId id) const { return needed_[to_index(id)]; }

    /// Returns the shape, with -1 for a dimension that depends on the batch size.
    [[nodiscard]] Shape free_shape(ValueId id) const;
    void add_ends(ValueId scores);
    void add_parameters(ParameterStore& store);
    /// Raises the file's opset to this one. A file names the lowest opset that has all its
    /// operators, because more runtimes read it then.
    void want_opset(std::int64_t opset);

    // Names and nodes.

    std::string fresh();
    /// Returns a name that no parameter has: the wanted one, with underscores behind it if need be.
    std::string free_name(std::string wanted);
    std::string name(ValueId id);
    std::vector<std::string> operands(const Node& node);
    /// Adds a node and returns its result's name.
    std::string put(
        std::string_view op,
        std::vector<std::string> inputs,
        std::string output = {},
        std::vector<AttributeMessage> attributes = {}
    );
    static AttributeMessage setting(std::string_view key, Attribute value);
    /// Constants are nodes rather than initializers: an initializer says "train me".
    std::string constant(TensorMessage tensor, std::string output = {});
    std::string list(const Ints& values);
    std::string number(double value);
    std::string filled(const Shape& shape, double value, std::string output = {});
    std::string cast(const std::string& x, DataType to, std::string output = {});

    // Operators.

    void write(const Node& node);
    /// Returns false for an operator that ONNX has in another form or not at all; each of these has
    /// a writer of its own.
    [[nodiscard]] bool write_direct(const Node& node);
    static std::span<const std::pair<std::string_view, Writer>> writers();
    void write_reshape(const Node& node);
    void write_expand(const Node& node);
    void write_slice(const Node& node);
    void write_pad(const Node& node);
    void write_sum(const Node& node);
    void write_clip(const Node& node);
    void write_cast(const Node& node);
    void write_where(const Node& node);
    void write_equal(const Node& node);
    void write_ahead(const Node& node);
    /// Source    Hendrycks and Gimpel (arXiv 1606.08415), section 2
    void write_gelu(const Node& node);
    void write_constant(const Node& node);
    void write_layer_norm(const Node& node);
    /// Writes a transposed convolution, which the graph holds as the gradient of a convolution.
    void write_transposed(const Node& node);
    void write_matmul(const Node& node);
    /// Returns the mask of which tokens a token sees, [1,1,T,T]; all layers share one.
    std::string causal_mask(std::int64_t length);
    /// Source    Vaswani et al. (arXiv 1706.03762), section 3.2
    void write_attention(const Node& node);

    const Model& model_;
    const Model* other_;
    ModelFile file_;
    std::optional<Fault> fault_;
    std::vector<bool> alive_;
    std::vector<bool> needed_;
    std::map<ValueId, std::string> names_;
    std::set<std::string, std::less<>> taken_;
    std::string input_name_;
    std::string output_name_;
    std::map<std::int64_t, std::string> masks_;
    std::size_t counter_ = 0;
};

}  // namespace starling::compute::onnx
