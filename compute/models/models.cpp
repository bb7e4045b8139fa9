#include "compute/models/models.hpp"

#include <array>
#include <charconv>

#include "compute/graph/table_rows.hpp"
#include "compute/models/training_loss.hpp"

namespace starling::compute {

namespace {

/// Which samples a model takes. Tokens have a label each; all others have one label, or several
/// that may hold at once, or numbers, for the whole sample.
enum class Input : std::uint8_t { Any, Images, Row, Tokens, Boxes, Spectra };

struct NamedModel {
    std::string_view name;
    Input input = Input::Any;
    std::string_view keys;   ///< that its spec may have
    std::string_view usage;  ///< spec syntax and what it builds, one line
    Result<Model> (*build
    )(const Spec& spec, const Task& task, std::int64_t batch, Purpose purpose) = nullptr;
    /// The same of a model that may stand on a file.
    Result<Model> (*build_on
    )(const Spec& spec, const Task& task, std::int64_t batch, Purpose purpose, ByteView file
    ) = nullptr;
};

constexpr std::array<NamedModel, 8> kModels{{
    {"mlp",
     Input::Any,
     "hidden",
     "mlp?hidden=512,256       fully connected layers with ReLU between them",
     build_mlp},
    {"cnn",
     Input::Images,
     "channels,hidden,kernel,pad",
     "cnn?channels=32,64&hidden=128&kernel=5&pad=1   convolutions with ReLU and max-pool, then "
     "hidden layers; channels=6,16&hidden=120,84&pad=0 is LeNet-5's shape",
     build_cnn},
    {"resnet20",
     Input::Images,
     "width",
     "resnet20?width=16      residual net of 20 layers for small images",
     build_resnet20},
    {"resnet18",
     Input::Images,
     "stem,width",
     "resnet18?stem=imagenet   residual net of 18 layers; stem=cifar for small images",
     build_resnet18},
    {"detector",
     Input::Boxes,
     "backbone,size,stride,width",
     "detector?width=32&size=320x240&stride=4   finds boxes in pictures; size=WxH asks pictures "
     "with boxes for that size, of which both sides are multiples of 16; backbone=onnx:FILE begins "
     "with the layers of a net that was trained on pictures",
     nullptr,
     build_detector},
    {"gpt",
     Input::Tokens,
     "layers,heads,dim,dropout,tied,bias,context",
     "gpt?layers=6&heads=6&dim=384&dropout=0&tied=1&bias=1   transformer over tokens; samples of "
     "shape T, a label per token; context=T asks a text for such windows",
     build_gpt},
    {"audio",
     Input::Spectra,
     "blocks,channels,dropout,hidden,hop,mels,window",
     "audio?channels=32,64,128&hidden=128&blocks=conv   convolutions over spectrograms of sounds; "
     "blocks=ds for small devices; mels=40&window=25ms&hop=10ms asks sounds for such ones",
     build_audio},
    {"tabular",
     Input::Row,
     "categories,embed,hidden,norm",
     "tabular?hidden=128,64   rows of a table; columns of categories through embeddings "
     "(categories=3,12 says how many codes the first columns have, if the data do not)",
     build_tabular},
}};

constexpr std::int64_t kBatchMax = std::int64_t{1} << 16;
constexpr std::size_t kListMax = 32;
constexpr std::int64_t kWidthMax = 65536;
/// 4 GiB of f32. The buffers of a larger model would not fit into the machines that we aim at.
constexpr double kParametersMax = 1e9;

Result<void> check_request(const Task& task, std::int64_t batch) {
    if (auto sound = check_task(task); sound.has_error()) return sound;
    if (batch < 1 || batch > kBatchMax) {
        return fail(
            FaultCode::BadValue,
            "a batch of " + std::to_string(batch) + " is not allowed; give 1 to " +
                std::to_string(kBatchMax)
        );
    }
    return {};
}

bool is_text(const Task& task) {
    return task.kind == LabelKind::Class && task.labels > 1;
}

/// A sample of one token has one label, and is no text for the other models.
bool takes(Input input, const Task& task) {
    const auto axes = task.sample_shape.size();
    if (input == Input::Tokens) {
        return task.kind == LabelKind::Class && axes == 1 &&
               (task.labels == 0 || task.labels == task.sample_shape[0]);
    }
    const bool boxes = task.kind == LabelKind::Boxes;
    if (boxes != (input == Input::Boxes)) return false;
    if (input == Input::Spectra && task.sample_shape[0] != 1) return false;
    const bool planes = boxes || input == Input::Images || input == Input::Spectra;
    return !is_text(task) && (!planes || axes == 3);
}

std::string_view wishes(Input input) {
    switch (input) {
        case Input::Tokens:
            return "texts: samples of shape T with a class for each token";
        case Input::Images:
            return "samples of shape C, H, W with labels for the whole sample";
        case Input::Boxes:
            return "pictures with boxes: samples of shape C, H, W";
        case Input::Spectra:
            return "spectrograms: samples of shape 1, bands, frames";
        case Input::Any:
        case Input::Row:
            break;
    }
    return "samples with labels for the whole sample, not for each token";
}

Result<void> check_fit(const NamedModel& model, const Task& task) {
    if (!task.categories.empty() && model.input != Input::Row) {
        return fail(
            FaultCode::BadValue,
            "the data have " + std::to_string(task.categories.size()) +
                " columns of categories, whose codes are no numbers to " + std::string(model.name) +
                "; try tabular"
        );
    }
    if (takes(model.input, task)) return {};
    return fail(
        FaultCode::BadValue,
        "the data have " + describe_task(task) + ", and " + std::string(model.name) + " takes " +
            std::string(wishes(model.input)) + "; try " + fitting_models(task)
    );
}

/// Returns the model that a spec names, or null: that of a file. Its options are known then; their
/// values are not checked.
Result<const NamedModel*> find_model(const Spec& spec) {
    if (spec.name == "onnx") {
        if (auto known = spec.only("loss"); known.has_error()) return known.error();
        return static_cast<const NamedModel*>(nullptr);
    }
    std::string names;
    for (const auto& model : kModels) {
        names += (names.empty() ? "" : ", ") + std::string(model.name);
        if (model.name != spec.name || !spec.path.empty()) continue;
        if (auto known = spec.only(model.keys); known.has_error()) return known.error();
        return &model;
    }
    return fail(
        FaultCode::Usage,
        "'" + spec.to_string() + "': no such model; there are " + names + ", onnx:FILE"
    );
}

}  // namespace

ModelBuilder::ModelBuilder(const Task& task, std::int64_t batch, Purpose purpose)
    : ModelBuilder(task, batch, purpose, {batch}) {}

ModelBuilder::ModelBuilder(const Task& task, std::int64_t batch, Purpose purpose, Shape rows)
    : task_(task),
      purpose_(purpose) {
    Shape shape{batch};
    shape.insert(shape.end(), task.sample_shape.begin(), task.sample_shape.end());
    model_.values = model_.graph.add_input("values", {shape, ElementType::F32});
    model_.labels = model_.graph.add_input("labels", label_type(task, std::move(rows)));
}

ModelBuilder::ModelBuilder(
    Graph graph, ValueId values, const Task& task, Purpose purpose, Shape rows
)
    : task_(task),
      purpose_(purpose) {
    model_.graph = std::move(graph);
    model_.values = values;
    model_.labels = model_.graph.add_input("labels", label_type(task, std::move(rows)));
}

void ModelBuilder::expect_rank(ValueId x, std::size_t rank, std::string_view hint) {
    if (status_.has_value() && shape(x).size() != rank) {
        status_ = fail(FaultCode::BadValue, std::string(hint));
    }
}

std::vector<ValueId> ModelBuilder::nodes(
    std::string_view op, std::vector<ValueId> inputs, Attributes attributes
) {
    if (status_.has_error()) return {};
    auto added = model_.graph.add(op, std::move(inputs), std::move(attributes));
    if (added.has_error()) {
        status_ = added.error();
        return {};
    }
    return *added;
}

ValueId ModelBuilder::node(
    std::string_view op, std::vector<ValueId> inputs, Attributes attributes
) {
    const auto added = nodes(op, std::move(inputs), std::move(attributes));
    return added.empty() ? ValueId::None : added.front();
}

ValueId ModelBuilder::parameter(std::string name, Shape shape, std::int64_t fan_in) {
    ParameterInfo info;
    info.name = std::move(name);
    info.shape = std::move(shape);
    info.init = Init::UniformFanIn;
    info.fan_in = fan_in;
    return model_.graph.add_parameter(std::move(info));
}

ValueId ModelBuilder::constant_parameter(std::string name, Shape shape, Init init, Role role) {
    ParameterInfo info;
    info.name = std::move(name);
    info.shape = std::move(shape);
    info.init = init;
    info.buffer = role != Role::Weight;
    info.variance = role == Role::Variance;
    return model_.graph.add_parameter(std::move(info));
}

ValueId ModelBuilder::normal_parameter(std::string name, Shape shape, double deviation) {
    ParameterInfo info;
    info.name = std::move(name);
    info.shape = std::move(shape);
    info.init = Init::Normal;
    info.deviation = deviation;
    return model_.graph.add_parameter(std::move(info));
}

ValueId ModelBuilder::conv2d(
    const std::string& name, ValueId x, std::int64_t channels, Kernel kernel
) {
    expect_rank(x, 4, "convolutions want samples of shape C, H, W; try the mlp model");
    if (status_.has_error()) return ValueId::None;
    const auto inputs = shape(x)[1] / kernel.groups;
    const auto size = kernel.size;
    const auto fan_in = inputs * size * size;
    std::vector<ValueId> operands{
        x, parameter(name + ".weight", {channels, inputs, size, size}, fan_in)};
    if (kernel.bias) operands.push_back(parameter(name + ".bias", {channels}, fan_in));
    const auto before = kernel.padded ? (size - 1) / 2 : 0;
    const auto after = kernel.padded ? size / 2 : 0;
    Attributes attributes{
        {"kernel_shape", std::vector<std::int64_t>{size, size}},
        {"strides", std::vector<std::int64_t>{kernel.stride, kernel.stride}},
        {"pads", std::vector<std::int64_t>{before, before, after, after}}};
    if (kernel.groups > 1) attributes.set("group", kernel.groups);
    return node("Conv", std::move(operands), std::move(attributes));
}

ValueId ModelBuilder::batch_norm(const std::string& name, ValueId x) {
    if (status_.has_error()) return ValueId::None;
    const Shape channels{shape(x)[1]};
    const auto scale = constant_parameter(name + ".weight", channels, Init::One);
    const auto bias = constant_parameter(name + ".bias", channels, Init::Zero);
    const auto mean = constant_parameter(name + ".running_mean", channels, Init::Zero, Role::Mean);
    const auto variance =
        constant_parameter(name + ".running_var", channels, Init::One, Role::Variance);
    const bool training = purpose_ == Purpose::Training;
    const Attributes attributes{{"epsilon", 1e-5}, {"training_mode", std::int64_t{training}}};
    const auto made = nodes("BatchNormalization", {x, scale, bias, mean, variance}, attributes);
    if (made.empty()) return ValueId::None;
    if (training) {
        const std::int64_t samples = element_count(shape(x)) / channels[0];  // of each channel
        if (samples < 2) {
            status_ = fail(FaultCode::Usage, "batch norm '" + name + "': " + kLoneBatchValue);
            return ValueId::None;
        }
        const auto n = static_cast<double>(samples);
        const double factor = n > 1.0 ? n / (n - 1.0) : 1.0;
        model_.statistics.push_back({name + ".running_mean", made[1], 0.1, 1.0});
        model_.statistics.push_back({name + ".running_var", made[2], 0.1, factor});
    }
    return made[0];
}

ValueId ModelBuilder::linear(
    const std::string& name, ValueId x, std::int64_t features, double deviation, bool bias
) {
    if (status_.has_error()) return ValueId::None;
    const auto inputs = shape(x)[1];
    const Shape matrix{features, inputs};
    const bool normal = deviation > 0.0;
    const auto weight = normal ? normal_parameter(name + ".weight", matrix, deviation)
                               : parameter(name + ".weight", matrix, inputs);
    std::vector<ValueId> operands{x, weight};
    if (bias) {
        operands.push_back(
            normal ? constant_parameter(name + ".bias", {features}, Init::Zero)
                   : parameter(name + ".bias", {features}, inputs)
        );
    }
    return node("Gemm", std::move(operands), {{"transB", std::int64_t{1}}});
}

ValueId ModelBuilder::embedding(
    const std::string& name, ValueId indices, Shape table, double deviation
) {
    if (status_.has_error()) return ValueId::None;
    const auto weight = normal_parameter(name + ".weight", std::move(table), deviation);
    return node("Gather", {weight, indices});
}

ValueId ModelBuilder::positions(std::int64_t count) {
    std::vector<double> numbers;
    for (std::int64_t i = 0; i < count; ++i) numbers.push_back(static_cast<double>(i));
    const Attributes attributes{
        {"value", std::move(numbers)}, {"shape", Shape{count}}, {"to", std::string("int32")}};
    return node("Constant", {}, attributes);
}

ValueId ModelBuilder::tied_linear(const std::string& embedding, ValueId x) {
    for (std::size_t i = 0; i < model_.graph.parameters().size(); ++i) {
        if (model_.graph.parameters()[i].name != embedding + ".weight") continue;
        const auto weight = model_.graph.parameter_value(i);
        return node("Gemm", {x, weight}, {{"transB", std::int64_t{1}}});
    }
    return ValueId::None;
}

ValueId ModelBuilder::layer_norm(const std::string& name, ValueId x, bool bias) {
    if (status_.has_error()) return ValueId::None;
    const Shape width{shape(x).back()};
    const auto scale = constant_parameter(name + ".weight", width, Init::One);
    std::vector<ValueId> operands{x, scale};
    if (bias) operands.push_back(constant_parameter(name + ".bias", width, Init::Zero));
    return node("LayerNormalization", std::move(operands), {{"epsilon", 1e-5}});
}

ValueId ModelBuilder::dropout(ValueId x, double ratio) {
    if (ratio == 0.0 || purpose_ == Purpose::Inference) return x;
    // Each Dropout of the net draws masks of its own.
    const auto seed = static_cast<std::int64_t>(model_.graph.nodes().size());
    return node(
        "Dropout", {x}, {{"ratio", ratio}, {"seed", seed}, {"training_mode", std::int64_t{1}}}
    );
}

ValueId ModelBuilder::max_pool(ValueId x, std::int64_t kernel) {
    const std::vector<std::int64_t> square{kernel, kernel};
    return node("MaxPool", {x}, {{"kernel_shape", square}, {"strides", square}});
}

Result<Model> ModelBuilder::finish(ValueId scores) {
    if (status_.has_error()) return status_.error();
    double parameters = 0.0;
    for (const auto& info : model_.graph.parameters()) {
        parameters += static_cast<double>(element_count(info.shape));
    }
    if (parameters > kParametersMax) {
        return fail(FaultCode::BadValue, "the model has more than 1e9 parameters");
    }
    // Evaluations and answers are of the scores themselves.
    const bool trains = purpose_ == Purpose::Training;
    const auto judged = trains ? scores_to_train(model_.graph, scores, task_) : scores;
    const auto loss = add_training_loss(model_.graph, judged, model_.labels, task_);
    if (loss.has_error()) return loss.error();
    model_.scores = scores;
    model_.loss = loss->loss;
    model_.answers = loss->answers;
    return std::move(model_);
}

Result<Model> build_model(
    std::string_view spec, const Task& task, std::int64_t batch, Purpose purpose, ByteView file
) {
    const auto parsed = Spec::parse(spec);
    if (parsed.has_error()) return parsed.error();
    const auto model = find_model(*parsed);
    if (model.has_error()) return model.error();
    if (*model == nullptr) {
        const auto sound = check_request(task, batch);
        if (sound.has_error()) return sound.error();
        return build_onnx(*parsed, task, batch, purpose, file);
    }
    const auto sound = check_request(task, batch);
    if (sound.has_error()) return sound.error();
    if (auto fits = check_fit(**model, task); fits.has_error()) return fits.error();
    if ((*model)->build_on != nullptr) {
        return (*model)->build_on(*parsed, task, batch, purpose, file);
    }
    return (*model)->build(*parsed, task, batch, purpose);
}

Result<void> check_model_spec(std::string_view spec) {
    const auto parsed = Spec::parse(spec);
    if (parsed.has_error()) return parsed.error();
    const auto model = find_model(*parsed);
    if (model.has_error()) return model.error();
    if (auto backbone = backbone_file(*parsed); backbone.has_error()) return backbone.error();
    return {};
}

Result<std::vector<std::int64_t>> integer_list(
    const Spec& spec, std::string_view key, std::string_view fallback
) {
    const auto given = spec.text(key, fallback);
    std::vector<std::int64_t> list;
    const char* at = given.data();
    const char* end = at + given.size();
    while (list.size() < kListMax) {
        std::int64_t value = 0;
        const auto [rest, error] = std::from_chars(at, end, value);
        if (error != std::errc{} || value < 1 || value > kWidthMax) break;
        list.push_back(value);
        if (rest == end) return list;
        if (*rest != ',') break;
        at = rest + 1;
    }
    return fail(
        FaultCode::Usage,
        "'" + spec.name + "': " + std::string(key) + "=" + given + " is not allowed; give up to " +
            std::to_string(kListMax) + " whole numbers from 1 to " + std::to_string(kWidthMax) +
            ", like " + std::string(fallback)
    );
}

std::string fitting_models(const Task& task) {
    std::string names;
    for (const auto& model : kModels) {
        // Only a row of a table has columns.
        if (model.input == Input::Row && task.sample_shape.size() != 1) continue;
        // A task does not say whether one plane is a grey image or a spectrogram.
        if (model.input == Input::Spectra) continue;
        if (takes(model.input, task)) names += std::string(model.name) + ", ";
    }
    if (!names.empty()) names.resize(names.size() - 2);
    if (task.kind == LabelKind::Boxes) return names;  // no file is taken for a detector
    return names + (names.empty() ? "" : " or ") + "onnx:FILE";
}

std::string model_catalogue() {
    std::string text;
    for (const auto& model : kModels) text += std::string(model.usage) + "\n";
    return text +
           "onnx:net.onnx?loss=cross-entropy   a model from an ONNX file; other losses: nll, bce, "
           "mse, smooth-l1\n";
}

Result<ParameterLayout> model_layout(std::string_view spec, const Task& task, ByteView file) {
    const auto model = build_model(spec, task, 1, Purpose::Inference, file);
    if (model.has_error()) return model.error();
    return ParameterLayout(model->graph.parameters());
}

Result<ModelFacts> inspect_model(
    std::string_view spec, const Task& task, std::int64_t batch, ByteView file
) {
    auto model = build_model(spec, task, batch, Purpose::Training, file);
    if (model.has_error()) return model.error();
    return ModelFacts{
        ParameterLayout(model->graph.parameters()),
        std::move(model->notes),
        table_rows(model->graph, model->values)};
}

}  // namespace starling::compute
