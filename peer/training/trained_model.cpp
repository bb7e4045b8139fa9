#include "peer/training/trained_model.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.hpp"
#include "base/rng.hpp"
#include "compute/metrics/detections.hpp"
#include "compute/models/models.hpp"
#include "data/tokens/text_encoder.hpp"
#include "peer/machine/exit_codes.hpp"
#include "peer/machine/files.hpp"
#include "peer/terms/task.hpp"
#include "peer/training/checkpoint.hpp"
#include "peer/training/engine_options.hpp"

namespace starling::peer {

namespace {

/// Returns any label that fits: what it is changes only the loss, which nobody looks at.
data::LabelValue some_label(const data::Label& label) {
    data::LabelValue value;
    if (label.kind == data::LabelKind::Class) value.classes = {0};
    if (label.kind == data::LabelKind::Numbers) value.numbers.assign(label.count, 0.0F);
    return value;
}

std::span<const std::uint8_t> view_of(const Bytes& bytes) {
    return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
}

void to_probabilities(const data::Label& label, std::span<float> scores) {
    if (label.kind == data::LabelKind::Class) {
        for (auto& score : scores) score = std::exp(score);
    }
    if (label.kind == data::LabelKind::Classes) {
        for (auto& score : scores) score = 1.0F / (1.0F + std::exp(-score));
    }
}

}  // namespace

Result<TrainedModel> load_trained(const std::filesystem::path& state, const ModelChoice* other) {
    return load_mean({state}, other);
}

namespace {

/// Lays the checkpoint's model out, without its parameters.
Result<TrainedModel> lay_out_model(
    const std::filesystem::path& state, const Checkpoint& checkpoint, const ModelChoice* other
) {
    auto descriptor = decode_descriptor(checkpoint.descriptor);
    if (descriptor.has_error()) return descriptor.error();
    if (other != nullptr) {
        descriptor->model = other->spec;
        descriptor->model_file = other->file ? *other->file : Bytes{};
    }
    auto layout = compute::model_layout(
        descriptor->model, task_of(descriptor->manifest), descriptor->model_file
    );
    if (layout.has_error()) return layout.error();
    if (layout->elements() != checkpoint.parameters.size()) {
        return fail(
            FaultCode::LayoutMismatch,
            state.string() + ": the checkpoint holds " +
                std::to_string(checkpoint.parameters.size()) + " parameters, " + descriptor->model +
                " has " + std::to_string(layout->elements())
        );
    }
    TrainedModel model{std::move(*descriptor), nullptr};
    model.parameters = std::make_unique<compute::ParameterStore>(std::move(*layout));
    return model;
}

}  // namespace

Result<TrainedModel> load_mean(
    const std::vector<std::filesystem::path>& states, const ModelChoice* other
) {
    STARLING_CHECK(!states.empty());
    std::optional<TrainedModel> model;
    Bytes swarm;
    // Two models are in memory at most, however many there are.
    std::vector<float> mean;
    for (std::size_t i = 0; i < states.size(); ++i) {
        auto checkpoint = read_checkpoint(real_disk(), states[i]);
        if (checkpoint.has_error()) return missing_is_usage(checkpoint.error());
        if (i == 0) {
            auto made = lay_out_model(states[i], *checkpoint, other);
            if (made.has_error()) return made.error();
            model = std::move(*made);
            swarm = std::move(checkpoint->descriptor);
            mean = std::move(checkpoint->parameters);
            continue;
        }
        if (checkpoint->descriptor != swarm || checkpoint->parameters.size() != mean.size()) {
            return fail(
                FaultCode::Usage,
                states[i].string() + " and " + states[0].string() +
                    " are of different swarms: a mean needs states of one"
            );
        }
        const double share = 1.0 / static_cast<double>(i + 1);
        for (std::size_t k = 0; k < mean.size(); ++k) {
            const double before = mean[k];
            mean[k] = static_cast<float>(before + share * (checkpoint->parameters[k] - before));
        }
    }
    model->parameters->write_all(mean);
    return std::move(*model);
}

Predictor::Predictor(const TrainedModel& model, std::size_t batch)
    : model_(&model),
      batch_(batch),
      scores_(model.descriptor.manifest.classes()),
      preparation_(model.descriptor.manifest),
      values_(batch * preparation_.values()),
      labels_(batch * preparation_.labels()),
      targets_(batch * preparation_.targets()) {}

Result<Predictor> Predictor::make(const TrainedModel& model, std::size_t batch, int threads) {
    Predictor made(model, batch);
    auto options = engine_options(model.descriptor, threads);
    options.eval_batch = static_cast<std::int64_t>(batch);
    auto engine = compute::Engine::create(options, *model.parameters);
    if (engine.has_error()) return engine.error();
    made.engine_ = std::move(*engine);
    return made;
}

Result<void> Predictor::run(std::size_t samples) {
    const compute::Batch batch{
        std::span(values_).first(samples * preparation_.values()),
        std::span(labels_).first(samples * preparation_.labels()),
        std::span(targets_).first(samples * preparation_.targets())};
    const auto done = engine_->evaluate(batch);
    if (done.has_error()) return done.error();
    return {};
}

Result<void> Predictor::prepare(std::span<const Bytes> records) {
    STARLING_CHECK(!records.empty() && records.size() <= batch_);
    const auto& label = model_->descriptor.manifest.schema.label;
    Bytes any;
    data::append_label(label, some_label(label), any);
    for (std::size_t i = 0; i < records.size(); ++i) {
        data::ShardView view;
        view.values = view_of(records[i]);
        view.labels = view_of(any);
        view.samples = 1;
        view.record_bytes = records[i].size();
        view.label_bytes = any.size();
        const auto out = preparation_.part({values_, labels_, targets_}, i);
        const auto read = preparation_.read(view, 0, 0, std::nullopt, out);
        if (!read) {
            return fail(
                read.error().code, "sample " + std::to_string(i + 1) + ": " + read.error().message
            );
        }
    }
    return run(records.size());
}

Result<std::span<const float>> Predictor::answer(std::span<const Bytes> records) {
    if (auto ok = prepare(records); !ok) return ok.error();
    const auto& label = model_->descriptor.manifest.schema.label;
    const auto answers = engine_->answers().first(records.size() * scores_);
    answers_.assign(answers.begin(), answers.end());
    to_probabilities(label, answers_);
    return std::span<const float>(answers_);
}

Result<std::vector<Predictor::Found>> Predictor::find(const Bytes& record) {
    if (auto ok = prepare(std::span(&record, 1)); !ok) return ok.error();
    const auto& manifest = model_->descriptor.manifest;
    const auto shape = manifest.shape();
    const auto maps = std::size_t{manifest.classes()} + 4;
    const auto answers = engine_->answers();
    const auto grid = compute::grid_of(answers.size() / batch_ / maps, shape.at(1), shape.at(2));
    if (!grid) return fail(FaultCode::BadValue, "the model's answers are no boxes");
    const auto seen =
        compute::detect(answers.first(grid->cells() * maps), manifest.classes(), *grid);
    if (seen.has_error()) return seen.error();
    // Back to where the points of the stored picture came from.
    const auto back = [](const data::PointMap::Line& line, double fed, std::uint32_t size) {
        return std::clamp((fed - line.offset) / line.scale, 0.0, 1.0) * size;
    };
    const auto& map = preparation_.points();
    const auto size = preparation_.stored();
    std::vector<Found> found;
    for (const auto& one : *seen) {
        const double left = back(map.x(), one.box.left, size.width);
        const double top = back(map.y(), one.box.top, size.height);
        const double right = back(map.x(), one.box.right, size.width);
        const double bottom = back(map.y(), one.box.bottom, size.height);
        found.push_back(
            {static_cast<std::size_t>(one.one_class),
             static_cast<double>(one.score),
             {top, left, bottom - top, right - left}}
        );
    }
    return found;
}

/// What stands behind the last token does not matter: no token sees a later one.
Result<std::span<const float>> Predictor::next_token(std::span<const std::uint16_t> tokens) {
    STARLING_CHECK(!tokens.empty() && tokens.size() <= preparation_.values());
    std::fill(values_.begin(), values_.end(), 0.0F);
    std::fill(labels_.begin(), labels_.end(), 0);
    std::copy(tokens.begin(), tokens.end(), values_.begin());
    if (auto ok = run(1); !ok) return ok.error();
    const auto row = engine_->answers().subspan((tokens.size() - 1) * scores_, scores_);
    answers_.assign(row.begin(), row.end());
    return std::span<const float>(answers_);
}

namespace {

/// Draws one of the tokens by softmax(log p / temperature).
std::uint16_t draw_token(std::span<const float> logs, double temperature, Rng& rng) {
    const auto best = std::max_element(logs.begin(), logs.end());
    if (temperature <= 0.0) return static_cast<std::uint16_t>(best - logs.begin());
    std::vector<double> sums(logs.size());
    double sum = 0.0;
    for (std::size_t i = 0; i < logs.size(); ++i) {
        sum += std::exp(static_cast<double>(logs[i] - *best) / temperature);
        sums[i] = sum;
    }
    const double at = rng.uniform() * sum;
    const auto found = std::upper_bound(sums.begin(), sums.end(), at);
    const auto last = static_cast<std::ptrdiff_t>(sums.size()) - 1;
    return static_cast<std::uint16_t>(std::min(found - sums.begin(), last));
}

}  // namespace

Result<std::string> continue_text(
    Predictor& predictor,
    const data::TokenRecipe& recipe,
    const std::string& prompt,
    const TextDraw& draw
) {
    auto encoder = data::TextEncoder::make(recipe);
    if (encoder.has_error()) return encoder.error();
    std::vector<std::uint16_t> tokens;
    if (auto fed = encoder->feed(prompt, tokens); !fed) return fed.error();
    encoder->finish(tokens);
    if (tokens.empty()) tokens.push_back(encoder->mark().value_or(0));
    Rng rng(draw.seed);
    std::vector<std::uint16_t> said;
    for (std::size_t i = 0; i < draw.tokens; ++i) {
        const auto seen = std::span<const std::uint16_t>(tokens).last(
            std::min<std::size_t>(tokens.size(), recipe.context)
        );
        const auto logs = predictor.next_token(seen);
        if (logs.has_error()) return logs.error();
        said.push_back(draw_token(*logs, draw.temperature, rng));
        tokens.push_back(said.back());
    }
    return data::text_of(recipe, said);
}

}  // namespace starling::peer
