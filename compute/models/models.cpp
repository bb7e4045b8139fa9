#include "compute/models/models.hpp"

#include <array>
#include <charconv>

namespace starling::compute {

namespace {

constexpr std::array<NamedModel, 2> kModels{{
    {"mlp", "mlp?hidden=512,256       fully connected layers with ReLU between them", build_mlp},
    {"cnn",
     "cnn?channels=32,64&hidden=128&kernel=5   convolutions with ReLU and max-pool, then one "
     "hidden layer",
     build_cnn},
}};

constexpr std::int64_t kSampleElementsMax = std::int64_t{1} << 24;
constexpr std::int64_t kClassesMax = std::int64_t{1} << 20;
constexpr std::int64_t kBatchMax = std::int64_t{1} << 16;
constexpr std::size_t kListMax = 32;
constexpr std::int64_t kWidthMax = 65536;
/// 4 GiB of f32: beyond it a plan's buffers would not fit the machines that we aim at.
constexpr double kParametersMax = 1e9;

Result<void> check_task(const Task& task, std::int64_t batch) {
    std::int64_t product = 1;
    for (const auto dimension : task.sample_shape) {
        if (dimension < 1 || dimension > kSampleElementsMax) product = 0;
        product *= dimension;
        if (product < 1 || product > kSampleElementsMax) {
            return fail(
                FaultCode::BadValue,
                "samples of shape " + to_string(task.sample_shape) + " are empty or too large"
            );
        }
    }
    if (task.sample_shape.empty() || task.classes < 2 || task.classes > kClassesMax) {
        return fail(
            FaultCode::BadValue,
            "a model wants samples of shape C, H, W and at least 2 classes, not " +
                to_string(task.sample_shape) + " and " + std::to_string(task.classes)
        );
    }
    if (batch < 1 || batch > kBatchMax) {
        return fail(
            FaultCode::BadValue,
            "a batch of " + std::to_string(batch) + " is not allowed; give 1 to " +
                std::to_string(kBatchMax)
        );
    }
    return {};
}

}  // namespace

ModelBuilder::ModelBuilder(const Task& task, std::int64_t batch) {
    Shape shape{batch};
    shape.insert(shape.end(), task.sample_shape.begin(), task.sample_shape.end());
    model_.values = model_.graph.add_input("values", {shape, ElementType::F32});
    model_.labels = model_.graph.add_input("labels", {{batch}, ElementType::I32});
}

ValueId ModelBuilder::node(
    std::string_view op, std::vector<ValueId> inputs, Attributes attributes
) {
    if (status_.has_error()) return ValueId::None;
    auto added = model_.graph.add(op, std::move(inputs), std::move(attributes));
    if (added.has_error()) {
        status_ = added.error();
        return ValueId::None;
    }
    return added->front();
}

ValueId ModelBuilder::parameter(std::string name, Shape shape, std::int64_t fan_in) {
    ParameterInfo info;
    info.name = std::move(name);
    info.shape = std::move(shape);
    info.init = Init::UniformFanIn;
    info.fan_in = fan_in;
    return model_.graph.add_parameter(std::move(info));
}

ValueId ModelBuilder::conv2d(
    const std::string& name, ValueId x, std::int64_t channels, std::int64_t kernel
) {
    if (status_.has_error()) return ValueId::None;
    if (shape(x).size() != 4) {
        status_ = fail(
            FaultCode::BadValue, "convolutions want samples of shape C, H, W; try the mlp model"
        );
        return ValueId::None;
    }
    const auto inputs = shape(x)[1];
    const auto fan_in = inputs * kernel * kernel;
    const auto weight = parameter(name + ".weight", {channels, inputs, kernel, kernel}, fan_in);
    const auto bias = parameter(name + ".bias", {channels}, fan_in);
    const auto before = (kernel - 1) / 2;
    const auto after = kernel / 2;
    return node(
        "Conv",
        {x, weight, bias},
        {{"kernel_shape", std::vector<std::int64_t>{kernel, kernel}},
         {"pads", std::vector<std::int64_t>{before, before, after, after}}}
    );
}

ValueId ModelBuilder::linear(const std::string& name, ValueId x, std::int64_t features) {
    if (status_.has_error()) return ValueId::None;
    const auto inputs = shape(x)[1];
    const auto weight = parameter(name + ".weight", {features, inputs}, inputs);
    const auto bias = parameter(name + ".bias", {features}, inputs);
    return node("Gemm", {x, weight, bias}, {{"transB", std::int64_t{1}}});
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
    auto outputs = model_.graph.add("SoftmaxCrossEntropyLoss", {scores, model_.labels});
    if (outputs.has_error()) return outputs.error();
    model_.loss = (*outputs)[0];
    model_.log_probabilities = (*outputs)[1];
    return std::move(model_);
}

std::span<const NamedModel> named_models() {
    return kModels;
}

Result<Model> build_model(std::string_view spec, const Task& task, std::int64_t batch) {
    const auto parsed = Spec::parse(spec);
    if (parsed.has_error()) return parsed.error();
    std::string names;
    for (const auto& model : kModels) {
        names += (names.empty() ? "" : ", ") + std::string(model.name);
        if (model.name != parsed->name || !parsed->path.empty()) continue;
        const auto sound = check_task(task, batch);
        if (sound.has_error()) return sound.error();
        return model.build(*parsed, task, batch);
    }
    return fail(FaultCode::Usage, "'" + std::string(spec) + "': no such model; there are " + names);
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

std::string model_catalogue() {
    std::string text;
    for (const auto& model : kModels) text += std::string(model.usage) + "\n";
    return text;
}

Result<ParameterLayout> model_layout(std::string_view spec, const Task& task) {
    const auto model = build_model(spec, task, 1);
    if (model.has_error()) return model.error();
    return ParameterLayout(model->graph.parameters());
}

}  // namespace starling::compute
