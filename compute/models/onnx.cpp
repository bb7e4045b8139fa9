// A model that comes as an ONNX file: its graph up to the scores, trained as any other.

#include <array>
#include <optional>
#include <utility>

#include "compute/graph/operator.hpp"
#include "compute/models/models.hpp"
#include "compute/models/onnx_tail.hpp"
#include "compute/onnx/import.hpp"
#include "compute/values/printable.hpp"

namespace starling::compute {

namespace {

/// The file's input keeps the shape that it has in the file: [N, 784] takes samples of 1 x 28 x 28.
Result<void> check_input(const onnx::ImportedModel& model, const Task& task, std::int64_t batch) {
    if (model.inputs.size() != 1) {
        return fail(
            FaultCode::Unsupported,
            "onnx: the model has " + std::to_string(model.inputs.size()) +
                " inputs; one, for the samples, is supported"
        );
    }
    const auto& shape = model.graph.shape(model.inputs[0].id);
    if (element_count(shape) != element_count(task.sample_shape) * batch || shape.empty()) {
        return fail(
            FaultCode::BadValue,
            "onnx: the model takes " +
                to_string(shape.empty() ? shape : Shape(shape.begin() + 1, shape.end())) +
                ", samples are " + to_string(task.sample_shape)
        );
    }
    return {};
}

/// How the file's answers meet the labels.
enum class Loss : std::uint8_t { Unsaid, CrossEntropy, Nll, Bce, Mse, SmoothL1 };

constexpr auto kLosses = std::to_array<std::pair<std::string_view, Loss>>({
    {"cross-entropy", Loss::CrossEntropy},
    {"nll", Loss::Nll},
    {"bce", Loss::Bce},
    {"mse", Loss::Mse},
    {"smooth-l1", Loss::SmoothL1},
});

constexpr bool fits(Loss loss, LabelKind kind) {
    switch (loss) {
        case Loss::CrossEntropy:
        case Loss::Nll:
            return kind == LabelKind::Class;
        case Loss::Bce:
            return kind == LabelKind::Class || kind == LabelKind::Classes;
        case Loss::Mse:
        case Loss::SmoothL1:
            return kind == LabelKind::Numbers;
        case Loss::Unsaid:
            break;
    }
    return true;
}

std::string names_of(const std::vector<std::string_view>& names) {
    std::string text;
    for (std::size_t i = 0; i < names.size(); ++i) {
        text += (i == 0 ? "" : i + 1 == names.size() ? " or " : ", ") + std::string(names[i]);
    }
    return text;
}

Result<Loss> loss_of(const Spec& spec, const Task& task) {
    if (!spec.options.contains("loss")) return Loss::Unsaid;
    const auto given = spec.text("loss", "");
    std::vector<std::string_view> fitting;
    bool exists = false;
    for (const auto& [name, loss] : kLosses) {
        if (fits(loss, task.kind)) fitting.push_back(name);
        if (name != given) continue;
        if (fits(loss, task.kind)) return loss;
        exists = true;
    }
    return fail(
        FaultCode::Usage,
        "'onnx': loss=" + given +
            (exists ? " does not fit " + describe_task(task) : " is not allowed") + "; give " +
            names_of(fitting)
    );
}

std::string place_of(const Tail& tail) {
    return tail.op + " at node '" + printable(tail.node) + "'";
}

/// Joins the answers of a file with the loss.
class Head {
public:
    Head(Graph& graph, Loss loss, const Task& task)
        : graph_(graph),
          loss_(loss),
          kind_(task.kind),
          classes_(task.classes) {}

    /// Returns the scores of the classes or labels, or the numbers.
    Result<ValueId> scores_of(ValueId output) {
        if (kind_ == LabelKind::Numbers) return output;
        if (kind_ == LabelKind::Classes) return label_scores(output);
        if (loss_ == Loss::Bce) return binary_scores(output);
        auto tail = cut_softmax(graph_, output, classes_);
        if (loss_ == Loss::Nll) return logarithm_of(tail);
        note_cut(tail);
        if (tail.meaning == Meaning::Scores || loss_ == Loss::CrossEntropy) return tail.scores;
        const auto& shape = graph_.shape(tail.scores);
        const bool one = classes_ == 2 && !shape.empty() && element_count(shape) == shape[0];
        return fail(
            FaultCode::Unsupported,
            "onnx: the answers still are probabilities (" + place_of(tail) +
                "), and the loss wants scores: export the net without it, or give " +
                (one ? "?loss=bce for one answer of two classes"
                     : "?loss=nll if the probabilities of all classes add up to one, or "
                       "?loss=cross-entropy to train them as scores")
        );
    }

    std::vector<std::string> notes;

private:
    void note_cut(const Tail& tail) {
        if (tail.cut) {
            notes.push_back(
                "the " + place_of(tail) + " and what follows it are left to the loss; the scores " +
                "before it are trained and exported"
            );
        }
    }

    /// For the label's probability p the loss is -log p. A cross-entropy of log-probabilities is the
    /// same, because their exponentials add up to one.
    Result<ValueId> logarithm_of(const Tail& tail) {
        note_cut(tail);
        if (tail.cut || tail.meaning != Meaning::Probabilities) return tail.scores;
        notes.push_back(
            "the logarithm of the probabilities from the " + place_of(tail) + " is trained"
        );
        // The smallest normal float, so that the logarithm and its slope stay finite.
        const auto positive = graph_.add("Clip", {tail.scores}, {{"min", 1.2e-38}});
        if (positive.has_error()) return positive.error();
        const auto logarithm = graph_.add("Log", {(*positive)[0]});
        if (logarithm.has_error()) return logarithm.error();
        return (*logarithm)[0];
    }

    /// The scores of labels that may hold at once: what goes into a sigmoid at the end.
    Result<ValueId> label_scores(ValueId output) {
        const auto tail = cut_sigmoid(graph_, output);
        note_cut(tail);
        if (tail.meaning == Meaning::Scores) return tail.scores;
        return fail(
            FaultCode::Unsupported,
            "onnx: the answers still are probabilities (" + place_of(tail) +
                "), and labels that may hold at once want scores: export the net without it"
        );
    }

    /// With a zero for the first class, the softmax of both scores is the sigmoid of the second.
    Result<ValueId> binary_scores(ValueId output) {
        if (classes_ != 2) {
            return fail(
                FaultCode::BadValue,
                "onnx: loss=bce is for two classes, the data have " + std::to_string(classes_)
            );
        }
        const auto tail = cut_sigmoid(graph_, output);
        note_cut(tail);
        const auto shape = graph_.shape(tail.scores);
        const auto rows = element_count(shape);
        if (shape.empty() || shape[0] != rows) {
            return fail(
                FaultCode::BadValue,
                "onnx: loss=bce wants one answer for each sample, the model gives " +
                    to_string(shape)
            );
        }
        const auto column = graph_.add("Reshape", {tail.scores}, {{"shape", Shape{rows, 1}}});
        if (column.has_error()) return column.error();
        const Attributes left{{"pads", std::vector<std::int64_t>{0, 1, 0, 0}}};
        const auto both = graph_.add("Pad", {(*column)[0]}, left);
        if (both.has_error()) return both.error();
        notes.push_back("the one answer is trained as the score of class 1 against a zero");
        return (*both)[0];
    }

    Graph& graph_;
    Loss loss_;
    LabelKind kind_;
    std::int64_t classes_;
};

/// Counts the floats of the file that are no parameters. Lone numbers are settings and do not count.
std::optional<std::string> constants_of(const Graph& graph) {
    std::size_t floats = 0;
    std::size_t tensors = 0;
    std::size_t most = 0;
    std::string where;
    for (const auto& node : graph.nodes()) {
        if (node.op->name != "Constant") continue;
        if (graph.value(node.outputs[0]).type.element != ElementType::F32) continue;
        const auto count = node.attributes.reals("value").size();
        if (count < 2) continue;
        floats += count;
        ++tensors;
        if (count <= most) continue;
        most = count;
        where = node.name;
    }
    if (tensors == 0) return std::nullopt;
    return std::to_string(floats) + " floats in " + std::to_string(tensors) +
           (tensors == 1 ? " tensor" : " tensors") +
           " of the file are no parameters and stay as they are, as at node '" + printable(where) +
           "'";
}

/// Returns how many labels of kind Class the scores answer, and checks that they fit the task.
Result<std::int64_t> rows_of_classes(const Shape& shape, const Task& task, std::int64_t batch) {
    const auto rows = element_count(shape) / task.classes;
    const bool tokens = task.sample_shape.size() == 1 && rows == batch * task.sample_shape[0];
    const auto labels = tokens && task.labels != 1 ? rows : batch;
    if (shape.empty() || shape.back() != task.classes || rows != labels) {
        const bool one = element_count(shape) == batch && task.classes == 2;
        return fail(
            FaultCode::BadValue,
            "onnx: the model's scores have the shape " + to_string(shape) + ", the task wants " +
                to_string({batch, task.classes}) +
                (one ? "; one answer for two classes wants ?loss=bce" : "")
        );
    }
    if (task.labels == 0 || labels / batch == task.labels) return labels;
    return fail(
        FaultCode::BadValue,
        "the data have " + describe_task(task) + ", and the onnx model takes samples with " +
            std::to_string(labels / batch) + " labels; try " + fitting_models(task)
    );
}

/// Returns how many answers the scores are, and checks that they fit the task.
Result<std::int64_t> rows_of(const Shape& shape, const Task& task, std::int64_t batch) {
    if (task.kind == LabelKind::Class) return rows_of_classes(shape, task, batch);
    if (!shape.empty() && shape[0] == batch && element_count(shape) == batch * task.classes) {
        return batch;
    }
    return fail(
        FaultCode::BadValue,
        "onnx: the model gives " + to_string(shape) + ", and the data have " + describe_task(task) +
            ": it should give " + to_string({batch, task.classes})
    );
}

/// Says what the file's answers are trained as.
std::string meaning_of(const std::string& output, const Task& task) {
    const auto count = std::to_string(task.classes);
    const auto text = "the file's output '" + printable(output) + "' gives ";
    switch (task.kind) {
        case LabelKind::Class:
            return text + "the scores of " + count + " classes to a cross-entropy";
        case LabelKind::Classes:
            return text + "the scores of " + count + " labels to a binary cross-entropy";
        case LabelKind::Boxes:  // refused before
        case LabelKind::Numbers:
            break;
    }
    return text + count + (task.classes == 1 ? " number" : " numbers") + " to a " +
           (task.beta == 0.0 ? "squared error" : "smooth L1 loss");
}

/// The task with the beta that the loss asks for; 1 is PyTorch's, too.
Task with_loss(Task task, Loss loss) {
    if (loss == Loss::Mse) task.beta = 0.0;
    if (loss == Loss::SmoothL1 && task.beta == 0.0) task.beta = 1.0;
    return task;
}

}  // namespace

Result<Model> build_onnx(
    const Spec& spec, const Task& given, std::int64_t batch, Purpose purpose, ByteView file
) {
    if (given.kind == LabelKind::Boxes) {
        return fail(
            FaultCode::Usage,
            "the data have " + describe_task(given) + ", which no ONNX file learns here; try " +
                fitting_models(given)
        );
    }
    const auto loss = loss_of(spec, given);
    if (loss.has_error()) return loss.error();
    const auto task = with_loss(given, *loss);
    if (file.empty()) {
        return fail(FaultCode::Usage, "'onnx': give a file, as in onnx:net.onnx");
    }
    auto imported = onnx::import_onnx(file, onnx::for_samples(batch, purpose));
    if (imported.has_error()) return imported.error();
    const auto fits = check_input(*imported, task, batch);
    if (fits.has_error()) return fits.error();
    if (imported->graph.parameters().empty()) {
        return fail(FaultCode::Unsupported, "onnx: the model has no parameters to train");
    }
    Head head(imported->graph, *loss, task);
    const auto scores = head.scores_of(imported->outputs[0].id);
    if (scores.has_error()) return scores.error();
    const auto shape = imported->graph.shape(*scores);
    const auto rows = rows_of(shape, task, batch);
    if (rows.has_error()) return rows.error();
    auto notes = std::move(head.notes);
    notes.push_back(meaning_of(imported->outputs[0].name, task));
    notes.insert(notes.end(), imported->notes.begin(), imported->notes.end());
    if (auto line = constants_of(imported->graph)) notes.push_back(std::move(*line));
    ModelBuilder net(
        std::move(imported->graph), imported->inputs[0].id, task, purpose, Shape{*rows}
    );
    net.add_statistics(std::move(imported->statistics));
    auto model = net.finish(shape.size() == 2 ? *scores : net.reshape(*scores, {-1, task.classes}));
    if (model.has_value()) model->notes = std::move(notes);
    return model;
}

}  // namespace starling::compute
