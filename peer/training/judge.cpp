#include "peer/training/judge.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <variant>

#include "compute/metrics/detections.hpp"
#include "data/preparation.hpp"
#include "data/tokens/text_encoder.hpp"
#include "peer/terms/qualities.hpp"

namespace starling::peer {

namespace {

using compute::ClassRows;
using compute::ScoreKind;
using nlohmann::json;

constexpr std::uint32_t kNamedMax = 1024;

void put(json& out, const char* name, const std::optional<double>& value) {
    if (value) out[name] = *value;
}

void describe(json& out, const compute::ClassTally& tally) {
    put(out, "balanced_accuracy", tally.balanced_accuracy());
    put(out, "macro_f1", tally.macro_f1());
    if (tally.classes() > 5) put(out, "top5_accuracy", tally.top5_accuracy());
}

void describe(json& out, const compute::ScoreTally& tally) {
    put(out, "auc", compute::roc_auc(tally.ranking()));
    put(out, "average_precision", compute::average_precision(tally.ranking()));
    const auto best = compute::best_f1(tally.ranking());
    if (!best) return;
    out["best_f1"] = best->f1;
    out["best_f1_threshold"] = best->probability;
}

void describe(json& out, const compute::LabelsTally& tally) {
    const compute::Tally any = tally;
    put(out, "auc", compute::quality(any, compute::QualityKind::Auc));
    if (tally.kind() == compute::Rankings::OneVsRest) return;
    put(out, "average_precision", compute::quality(any, compute::QualityKind::Ap));
    put(out, "best_f1", compute::quality(any, compute::QualityKind::F1));
}

void describe(json& out, const compute::TokenTally& tally) {
    put(out, "perplexity", tally.perplexity());
    put(out, "bits_per_byte", tally.bits_per_byte());
}

void describe(json& out, const compute::NumberTally& tally) {
    put(out, "rmse", tally.root_mean_square_error());
    put(out, "r2", tally.r2());
}

void describe(json& out, const compute::BoxTally& tally) {
    put(out, "map50", tally.map50());
    put(out, "map", tally.map());
}

}  // namespace

Judge::Judge(const data::Manifest& manifest)
    : label_(manifest.schema.label),
      empty_(empty_tallies(label_)),
      tallies_(empty_) {
    if (label_.kind == data::LabelKind::Boxes) {
        const auto shape = manifest.shape();
        picture_ = {shape.at(1), shape.at(2)};
    }
    if (const auto* tokens = std::get_if<data::TokenRecipe>(&manifest.recipe)) {
        token_bytes_ = data::bytes_of_tokens(*tokens);
        label_.count = manifest.classes();
    }
}

Judge::Judge(const data::Manifest& manifest, compute::QualityKind only)
    : Judge(Judge(manifest).only(only)) {}

Judge Judge::only(compute::QualityKind kind) const {
    Judge part = *this;
    part.empty_.clear();
    part.tallies_.clear();
    for (std::size_t i = 0; i < tallies_.size(); ++i) {
        if (!part.tallies_.empty() || !compute::knows(tallies_[i], kind)) continue;
        part.empty_.push_back(empty_[i]);
        part.tallies_.push_back(tallies_[i]);
    }
    return part;
}

void Judge::clear() {
    tallies_ = empty_;
}

Result<void> Judge::merge(const Judge& other) {
    if (tallies_.size() != other.tallies_.size()) {
        return fail(FaultCode::BadValue, "tallies of other qualities");
    }
    auto merged = tallies_;
    for (std::size_t i = 0; i < merged.size(); ++i) {
        if (auto ok = compute::merge(merged[i], other.tallies_[i]); !ok) return ok;
    }
    tallies_ = std::move(merged);
    return {};
}

std::uint64_t Judge::count() const {
    return tallies_.empty() ? 0 : compute::count(tallies_.front());
}

std::optional<double> Judge::quality(compute::QualityKind kind) const {
    for (const auto& tally : tallies_) {
        if (compute::knows(tally, kind)) return compute::quality(tally, kind);
    }
    return std::nullopt;
}

std::vector<compute::Quality> Judge::known(std::span<const compute::QualityKind> kinds) const {
    std::vector<compute::Quality> found;
    for (const auto kind : kinds) {
        if (const auto value = quality(kind)) found.push_back({kind, *value});
    }
    return found;
}

Result<void> Judge::add(std::span<const float> answers, const compute::Batch& batch) {
    // Whichever tally refuses a batch, all of them do: they check the same answers and labels.
    for (auto& tally : tallies_) {
        if (auto added = add_to(tally, answers, batch); !added) return added;
    }
    return {};
}

Result<void> Judge::add_to(
    compute::Tally& tally, std::span<const float> answers, const compute::Batch& batch
) const {
    const ClassRows rows{answers, batch.labels, label_.count, ScoreKind::LogProbability};
    if (auto* classes = std::get_if<compute::ClassTally>(&tally)) return classes->add(rows);
    if (auto* scores = std::get_if<compute::ScoreTally>(&tally)) return scores->add(rows);
    if (auto* tokens = std::get_if<compute::TokenTally>(&tally)) {
        std::uint64_t bytes = 0;
        for (const auto label : batch.labels) {
            const auto token = static_cast<std::size_t>(label);
            if (label >= 0 && token < token_bytes_.size()) bytes += token_bytes_[token];
        }
        return tokens->add(rows, bytes);
    }
    if (auto* numbers = std::get_if<compute::NumberTally>(&tally)) {
        return numbers->add(answers, batch.targets);
    }
    if (auto* boxes = std::get_if<compute::BoxTally>(&tally)) {
        return add_boxes(*boxes, answers, batch.targets);
    }
    auto& labels = std::get<compute::LabelsTally>(tally);
    if (labels.kind() == compute::Rankings::OneVsRest) return labels.add(rows);
    return labels.add(answers, batch.targets, ScoreKind::Logit);
}

Result<void> Judge::add_boxes(
    compute::BoxTally& tally, std::span<const float> answers, std::span<const float> targets
) const {
    constexpr auto kRows = std::size_t{data::kBoxesMax} * data::kBoxNumbers;
    const auto pictures = targets.size() / kRows;
    const auto each = pictures > 0 ? answers.size() / pictures : 0;
    const std::size_t maps = std::size_t{label_.count} + 4;
    const auto grid = compute::grid_of(each / maps, picture_.height, picture_.width);
    if (!grid || grid->cells() * maps * pictures != answers.size()) {
        return fail(FaultCode::BadValue, "the model's answers are no boxes in such pictures");
    }
    // Of a batch with an answer that is none, no picture is added.
    std::vector<std::vector<compute::Detection>> found;
    for (std::size_t i = 0; i < pictures; ++i) {
        auto one = compute::detect(answers.subspan(i * each, each), label_.count, *grid);
        if (one.has_error()) return one.error();
        found.push_back(std::move(*one));
    }
    for (std::size_t i = 0; i < pictures; ++i) {
        const auto truths = compute::true_boxes(targets.subspan(i * kRows, kRows));
        if (auto added = tally.add(found[i], truths); !added) return added;
    }
    return {};
}

json Judge::qualities() const {
    json out = json::object();
    for (const auto& tally : tallies_) {
        std::visit([&out](const auto& one) { describe(out, one); }, tally);
    }
    return out;
}

std::string Judge::name_of(std::size_t one_class) const {
    return label_.names.empty() ? std::to_string(one_class) : label_.names[one_class];
}

json Judge::classes() const {
    json out = json::array();
    if (tallies_.empty()) return out;
    if (const auto* boxes = std::get_if<compute::BoxTally>(&tallies_.front())) {
        for (std::size_t i = 0; i < std::min<std::size_t>(boxes->classes(), kNamedMax); ++i) {
            json one{{"class", name_of(i)}, {"boxes", boxes->truths(i)}};
            put(one, "ap50", boxes->average_precision(i, 0));
            out.push_back(std::move(one));
        }
        return out;
    }
    const auto found =
        std::find_if(tallies_.begin(), tallies_.end(), [](const compute::Tally& one) {
            return std::holds_alternative<compute::ClassTally>(one);
        });
    if (found == tallies_.end()) return out;
    const auto* tally = std::get_if<compute::ClassTally>(&*found);
    for (std::size_t i = 0; i < std::min<std::size_t>(tally->classes(), kNamedMax); ++i) {
        const auto quality = tally->quality_of(i);
        json one{{"samples", quality.truths}, {"predicted", quality.predictions}};
        one["class"] = name_of(i);
        put(one, "precision", quality.precision);
        put(one, "recall", quality.recall);
        put(one, "f1", quality.f1);
        out.push_back(std::move(one));
    }
    return out;
}

}  // namespace starling::peer
