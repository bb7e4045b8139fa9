#pragma once

// Reads an ONNX file into a graph that can be trained. The file's float initializers become
// parameters, other fixed tensors become attributes and constants, and all shapes are static.
//
// The importer reads opset 1 to 22 of the default domain (7 and above in full), float tensors
// (whole numbers as indices and shapes), and one graph without control flow. It refuses everything
// else with one line that names the node and its operator.

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "compute/graph/graph.hpp"
#include "compute/graph/model.hpp"

namespace starling::compute::onnx {

inline constexpr std::int64_t kOpsetMin = 1;
inline constexpr std::int64_t kOpsetMax = 22;

enum class Kind : std::uint8_t { Real, Integer, Bool };

/// A tensor whose elements are known while the graph is made.
struct Known {
    Kind kind = Kind::Real;
    Shape shape;
    std::vector<double> values;
};

struct ImportOptions {
    /// Replaces the first dimension of every input. Without it, the file must state all dimensions.
    std::optional<std::int64_t> batch;
    /// Training turns BatchNormalization and Dropout into their training forms.
    Purpose purpose = Purpose::Inference;
    /// Inference turns them into their inference forms, whatever form the file gives them: exporters
    /// write the training form also into files for inference. Without it, inference computes what
    /// the file says.
    bool settle = false;
    /// Inputs of whole numbers take floats and cut off their fractions: samples are always floats,
    /// even tokens.
    bool float_inputs = false;
    /// Replaces all but the first dimension of the input. A net of convolutions takes pictures of any size, and its
    /// file names the one that it was exported with.
    std::optional<Shape> sample;
    /// Stands before the names of parameters, as "backbone.".
    std::string prefix;
    /// The values of inputs of the file that are not to be inputs of the graph, by name.
    std::map<std::string, Known, std::less<>> known_inputs;
    /// Whether to replace decompositions of operators by the operators, where we have these.
    bool recognise = true;
};

/// Returns the options for a net whose input are samples, which are floats, for one purpose.
[[nodiscard]] inline ImportOptions for_samples(std::int64_t batch, Purpose purpose) {
    ImportOptions options;
    options.batch = batch;
    options.purpose = purpose;
    options.settle = true;
    options.float_inputs = true;
    return options;
}

struct NamedValue {
    std::string name;
    ValueId id = ValueId::None;
    Kind kind = Kind::Real;
};

struct ImportedModel {
    Graph graph;  ///< its parameters carry the file's values
    std::vector<NamedValue> inputs;
    std::vector<NamedValue> outputs;
    std::vector<RunningStatistic> statistics;  ///< for training
    std::vector<std::string> notes;            ///< lines for people about shared tensors
};

/// Reads a model. Training and inference give the same parameters in the same order.
/// Errors    BadFormat, Truncated, Oversized, BadVersion (opset), BadValue (operands that do not
///           fit), Unsupported (operator, type, dynamic shape, external data); one line
/// Thread    any
[[nodiscard]] Result<ImportedModel> import_onnx(ByteView bytes, const ImportOptions& options);

/// Cuts a net for pictures down to what makes its maps: what has the sides of the picture divided by each of the
/// `strides`, the last of its kind. They are the outputs of the file that is returned, in that order. What lies behind them,
/// which tells the classes of other data, is left out and need not be readable.
/// Errors    those of import_onnx before the maps; Unsupported: it takes no pictures, or has no such map
/// Thread    any
[[nodiscard]] Result<Bytes> cut_to_maps(ByteView bytes, std::span<const std::int64_t> strides);

/// Returns the names of the operators that a file may have, in no order.
[[nodiscard]] std::vector<std::string_view> accepted_operators();

/// Reads a lone tensor, as test vectors hold them.
[[nodiscard]] Result<Known> read_tensor(ByteView bytes);

}  // namespace starling::compute::onnx
