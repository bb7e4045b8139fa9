#pragma once

// The named nets: each builds the forward graph of a task for one batch size, with parameter names
// like PyTorch's, so that exported weights load there.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/spec.hpp"
#include "compute/graph/model.hpp"
#include "compute/values/task.hpp"

namespace starling::compute {

/// Writes layers into a graph. After the first failure all later calls do nothing and finish()
/// returns the failure, so code that builds a net checks only once.
class ModelBuilder {
public:
    ModelBuilder(const Task& task, std::int64_t batch, Purpose purpose);
    /// `rows` is the shape of the answers without their scores, for nets with one answer per token
    /// rather than per sample.
    ModelBuilder(const Task& task, std::int64_t batch, Purpose purpose, Shape rows);
    /// Continues an existing graph, one of whose inputs is `values`.
    ModelBuilder(Graph graph, ValueId values, const Task& task, Purpose purpose, Shape rows);

    [[nodiscard]] ValueId input() const { return model_.values; }

    [[nodiscard]] const Shape& shape(ValueId id) const { return model_.graph.shape(id); }

    /// Fails, with `hint` as the message, unless the value has so many axes.
    void expect_rank(ValueId x, std::size_t rank, std::string_view hint);

    struct Kernel {
        std::int64_t size = 1;
        std::int64_t stride = 1;
        bool bias = true;
        bool padded = true;  ///< pads so that stride one keeps the size
        std::int64_t groups =
            1;  ///< each sees its share of the inputs; as many as those: depthwise
    };

    /// Parameters `name.weight` [O,C/groups,k,k] and `name.bias` [O].
    ValueId conv2d(const std::string& name, ValueId x, std::int64_t channels, std::int64_t kernel) {
        return conv2d(name, x, channels, Kernel{kernel, 1, true, true, 1});
    }

    ValueId conv2d(const std::string& name, ValueId x, std::int64_t channels, Kernel kernel);

    /// Parameters `name.weight`, `name.bias`, buffers `name.running_mean` and `name.running_var`.
    ValueId batch_norm(const std::string& name, ValueId x);

    /// Parameters `name.weight` [O,K] and, if `bias`, `name.bias` [O]. With a deviation above zero
    /// the weight starts normal with that deviation and the bias at zero.
    ValueId linear(
        const std::string& name,
        ValueId x,
        std::int64_t features,
        double deviation = 0.0,
        bool bias = true
    );

    /// Parameter `name.weight` [count, width]; indices are int32.
    ValueId embedding(
        const std::string& name, ValueId indices, Shape table, double deviation = 1.0
    );
    /// Returns the numbers 0 to count - 1 as int32.
    ValueId positions(std::int64_t count);
    /// Y = X W^T with the weight of an embedding.
    ValueId tied_linear(const std::string& embedding, ValueId x);

    /// Parameters `name.weight` and, if `bias`, `name.bias`, as long as the last axis.
    ValueId layer_norm(const std::string& name, ValueId x, bool bias = true);

    ValueId dropout(ValueId x, double ratio);

    ValueId relu(ValueId x) { return node("Relu", {x}); }

    ValueId flatten(ValueId x) { return node("Flatten", {x}); }

    ValueId add(ValueId a, ValueId b) { return node("Add", {a, b}); }

    ValueId reshape(ValueId x, Shape shape) { return node("Reshape", {x}, {{"shape", shape}}); }

    ValueId max_pool(ValueId x, std::int64_t kernel);

    /// Adds any operator and returns its first output.
    ValueId node(std::string_view op, std::vector<ValueId> inputs, Attributes attributes = {});

    void add_statistics(std::vector<RunningStatistic> statistics) {
        model_.statistics = std::move(statistics);
    }

    /// Adds the loss of the task's kind of labels over `scores` [rows, classes] and returns the
    /// model, or the first failure.
    [[nodiscard]] Result<Model> finish(ValueId scores);

private:
    std::vector<ValueId> nodes(
        std::string_view op, std::vector<ValueId> inputs, Attributes attributes
    );
    ValueId parameter(std::string name, Shape shape, std::int64_t fan_in);
    enum class Role : std::uint8_t { Weight, Mean, Variance };

    ValueId constant_parameter(std::string name, Shape shape, Init init, Role role = Role::Weight);
    ValueId normal_parameter(std::string name, Shape shape, double deviation);

    Model model_;
    Task task_;
    Purpose purpose_;
    Result<void> status_;
};

/// Builds the model of a spec. `file` holds the bytes of a model that is a file.
/// Errors    Usage (unknown model or option), BadValue (a task that the model cannot take), those
///           of import_onnx
[[nodiscard]] Result<Model> build_model(
    std::string_view spec,
    const Task& task,
    std::int64_t batch,
    Purpose purpose = Purpose::Training,
    ByteView file = {}
);

/// Returns the parameter layout of `spec` (`mlp?hidden=512,256` or `cnn?...`) for a task. It builds
/// the model's graph. A spec that names a file (`onnx:net.onnx`) needs the file's bytes.
/// Errors    Usage (unknown model or option, listing what exists), BadValue, those of import_onnx
[[nodiscard]] Result<ParameterLayout> model_layout(
    std::string_view spec, const Task& task, ByteView file = {}
);

/// Checks the name and the names of the options, without data and without the file of `onnx:FILE`.
/// Errors    Usage
[[nodiscard]] Result<void> check_model_spec(std::string_view spec);

struct ModelFacts {
    ParameterLayout layout;
    std::vector<std::string> notes;  ///< lines for people: what a model file is taken for
    /// Of each element of a sample, how many rows of a table it chooses from; see table_rows().
    std::vector<std::int64_t> table_rows;
};

/// Builds the graph that is trained with this batch, and returns what is worth saying about it.
/// Errors    those of build_model
[[nodiscard]] Result<ModelFacts> inspect_model(
    std::string_view spec, const Task& task, std::int64_t batch, ByteView file = {}
);

/// Names the models that take such data, for messages: `mlp, cnn or onnx:FILE`.
[[nodiscard]] std::string fitting_models(const Task& task);

/// Lists the models with one line each: spec syntax and what it builds. For --help and errors.
[[nodiscard]] std::string model_catalogue();

/// Reads an option that is a list of whole numbers: `512,256`.
/// Errors    Usage
[[nodiscard]] Result<std::vector<std::int64_t>> integer_list(
    const Spec& spec, std::string_view key, std::string_view fallback
);

/// A model from an ONNX file: `onnx:net.onnx?loss=cross-entropy`. Without a loss the kind of labels
/// chooses it.
[[nodiscard]] Result<Model> build_onnx(
    const Spec& spec, const Task& task, std::int64_t batch, Purpose purpose, ByteView file
);

/// Returns the path in `detector?backbone=onnx:FILE`; empty where a spec names no such file.
/// Errors    Usage
[[nodiscard]] Result<std::string> backbone_file(const Spec& spec);

/// Returns the part of an ONNX file that a detector stands on: what makes the maps of a quarter, an eighth and a
/// sixteenth of the picture's sides.
/// Errors    those of import_onnx; Unsupported (no net for pictures)
/// Thread    any
[[nodiscard]] Result<Bytes> cut_backbone(ByteView file);

/// Units     pixels
struct PictureSides {
    std::int64_t width = 0;
    std::int64_t height = 0;
};

/// Returns the size of pictures that a detector's spec asks for, `size=320x240` (width x height, as
/// pictures state it), or nothing.
/// Errors    Usage
[[nodiscard]] Result<std::optional<PictureSides>> detector_size(const Spec& spec);

/// The data that a model from a file is made for.
struct FileTask {
    Task task;
    bool whole_numbers = false;  ///< samples are tokens: whole numbers below the number of classes
};

/// Returns the task that an ONNX file states by the shapes of its input and of its scores.
/// Errors    those of import_onnx; Unsupported, BadValue (no samples, or no scores)
/// Thread    any
[[nodiscard]] Result<FileTask> onnx_task(ByteView file);

/// The nets; each family lives in its own file.
[[nodiscard]] Result<Model> build_mlp(
    const Spec& spec, const Task& task, std::int64_t batch, Purpose purpose
);
[[nodiscard]] Result<Model> build_cnn(
    const Spec& spec, const Task& task, std::int64_t batch, Purpose purpose
);
[[nodiscard]] Result<Model> build_resnet20(
    const Spec& spec, const Task& task, std::int64_t batch, Purpose purpose
);
[[nodiscard]] Result<Model> build_resnet18(
    const Spec& spec, const Task& task, std::int64_t batch, Purpose purpose
);
/// With `backbone=onnx:FILE` the layers of `file`, which cut_backbone() has made, stand in the place of our own.
[[nodiscard]] Result<Model> build_detector(
    const Spec& spec, const Task& task, std::int64_t batch, Purpose purpose, ByteView file
);
[[nodiscard]] Result<Model> build_gpt(
    const Spec& spec, const Task& task, std::int64_t batch, Purpose purpose
);
[[nodiscard]] Result<Model> build_audio(
    const Spec& spec, const Task& task, std::int64_t batch, Purpose purpose
);
[[nodiscard]] Result<Model> build_tabular(
    const Spec& spec, const Task& task, std::int64_t batch, Purpose purpose
);

}  // namespace starling::compute
