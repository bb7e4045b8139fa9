#include "peer/commands/data_view.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <map>

#include "base/printable.hpp"
#include "base/spec.hpp"
#include "data/preparation.hpp"
#include "data/tokens/text_encoder.hpp"
#include "peer/terms/recipe_json.hpp"

namespace starling::peer {

namespace {

constexpr std::size_t kClassesShown = 12;
constexpr std::size_t kColumnsShown = 16;
constexpr std::size_t kTokensShown = 80;

/// Returns how many training samples each class has; empty for other kinds of labels.
std::vector<std::uint64_t> class_counts(const LookedAt& data) {
    if (data.manifest.schema.label.kind != data::LabelKind::Class) return {};
    return data.tally.classes(data.manifest.classes());
}

BoxCounts box_counts(const LookedAt& data) {
    if (data.manifest.schema.label.kind != data::LabelKind::Boxes) return {};
    return data.tally.boxes(data.manifest.classes());
}

std::uint64_t bytes_of(const data::Manifest& manifest) {
    std::uint64_t bytes = 0;
    for (const auto& shard : manifest.shards) bytes += shard.bytes;
    return bytes;
}

std::string class_name(const data::Label& label, std::size_t number) {
    return label.names.empty() ? std::to_string(number) : label.names[number];
}

std::string shape_text(const std::vector<std::uint32_t>& shape) {
    std::string text;
    for (const auto side : shape) text += (text.empty() ? "" : " x ") + std::to_string(side);
    return text;
}

/// Describes in words how samples are prepared.
std::string recipe_text(const data::Manifest& manifest) {
    const auto shape = shape_text(manifest.shape());
    if (const auto* image = std::get_if<data::ImageRecipe>(&manifest.recipe)) {
        std::string text = "a model is fed " + shape;
        constexpr std::array<const char*, 3> kFits{"stretched", "cropped", "padded"};
        if (image->height > 0) {
            text += std::string(", ") + kFits.at(static_cast<std::size_t>(image->fit));
        }
        if (image->flip) text += ", mirrored at random";
        if (image->zoom) text += ", enlarged at random";
        if (image->pad > 0) text += fmt::format(", shifted by up to {}", image->pad);
        return text;
    }
    if (const auto* audio = std::get_if<data::AudioRecipe>(&manifest.recipe)) {
        const auto seconds = static_cast<double>(audio->samples) / audio->rate;
        const bool waveform = audio->features == data::AudioFeatures::Waveform;
        return fmt::format(
            "a model is fed {} of {:.2f} s at {} Hz: {}",
            waveform         ? "waveforms"
            : audio->centred ? "log-mel spectra without their means"
                             : "log-mel spectra",
            seconds,
            audio->rate,
            shape
        );
    }
    if (std::holds_alternative<data::TokenRecipe>(manifest.recipe)) {
        return "a model is fed windows of " + shape + " tokens";
    }
    return "a model is fed " + shape +
           " columns: categories, numbers, and marks of what is missing";
}

/// Draws values as blocks of four kinds of grey, at most 32 columns and 16 rows.
std::string picture(std::span<const float> values, const std::vector<std::uint32_t>& shape) {
    constexpr std::array<const char*, 5> kGreys{" ", "\u2591", "\u2592", "\u2593", "\u2588"};
    const std::size_t channels = shape.size() == 3 ? shape[0] : 1;
    const std::size_t height = shape.size() >= 2 ? shape[shape.size() - 2] : 1;
    const std::size_t width = shape.back();
    const auto rows = std::min<std::size_t>(16, height);
    const auto columns = std::min<std::size_t>(32, width);
    std::vector<double> cells(rows * columns);
    std::vector<double> counts(rows * columns);
    for (std::size_t channel = 0; channel < channels; ++channel) {
        for (std::size_t y = 0; y < height; ++y) {
            for (std::size_t x = 0; x < width; ++x) {
                const auto cell = y * rows / height * columns + x * columns / width;
                cells[cell] += static_cast<double>(values[(channel * height + y) * width + x]);
                counts[cell] += 1.0;
            }
        }
    }
    for (std::size_t i = 0; i < cells.size(); ++i) cells[i] /= std::max(1.0, counts[i]);
    const auto [low, high] = std::minmax_element(cells.begin(), cells.end());
    const double span = std::max(1e-9, *high - *low);
    std::string text;
    for (std::size_t y = 0; y < rows; ++y) {
        text += "    ";
        for (std::size_t x = 0; x < columns; ++x) {
            const double grey = (cells[y * columns + x] - *low) / span;
            text += kGreys.at(std::min<std::size_t>(4, static_cast<std::size_t>(grey * 5.0)));
        }
        text += "\n";
    }
    return text;
}

std::string row(const data::TableRecipe& table, ByteView record) {
    std::string text = "   ";
    for (std::size_t i = 0; i < std::min(kColumnsShown, table.columns.size()); ++i) {
        const auto& column = table.columns[i];
        float cell = 0.0F;
        std::memcpy(&cell, record.data() + i * sizeof(cell), sizeof(cell));
        std::string value = std::isfinite(cell) ? fmt::format("{:g}", cell) : "missing";
        const auto code = static_cast<std::size_t>(std::isfinite(cell) ? cell : 0.0F);
        if (column.kind == data::ColumnRole::Category) {
            const bool known = code > 0 && code <= column.categories.size();
            value = known ? column.categories[code - 1] : code == 0 ? "missing" : "unknown";
        }
        text += " " + column.name + "=" + value;
    }
    return text + (table.columns.size() > kColumnsShown ? " ...\n" : "\n");
}

std::string first_tokens(const data::ShardView& view, const data::TokenRecipe& recipe) {
    std::vector<std::uint16_t> tokens(std::min(kTokensShown, view.tokens()));
    for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = view.token(i);
    return "    " + printable(data::text_of(recipe, tokens)) + "\n";
}

std::string label_text(const data::Label& label, ByteView bytes) {
    const auto value = data::read_label(label, bytes);
    if (!value) return "?";
    std::string text;
    for (const auto one : value->classes) text += " " + class_name(label, one);
    for (const auto number : value->numbers) text += fmt::format(" {:g}", number);
    std::map<std::uint16_t, std::size_t> boxes;
    for (const auto& box : value->boxes) ++boxes[box.label];
    for (const auto& [number, count] : boxes) {
        text += fmt::format(" {} {}", count, class_name(label, number));
    }
    return text.empty() ? " nothing" : text;
}

std::string sample(
    const LookedAt& data,
    const data::ShardView& view,
    data::Preparation& preparation,
    std::size_t at
) {
    const auto& manifest = data.manifest;
    if (const auto* tokens = std::get_if<data::TokenRecipe>(&manifest.recipe)) {
        return first_tokens(view, *tokens);
    }
    const auto& label = manifest.schema.label;
    std::string text = "  label:" + label_text(label, view.label_of(at)) + "\n";
    if (const auto* table = std::get_if<data::TableRecipe>(&manifest.recipe)) {
        return text + row(*table, view.record(at));
    }
    std::vector<float> values(preparation.values());
    std::vector<std::int32_t> labels(preparation.labels());
    std::vector<float> targets(preparation.targets());
    const auto read = preparation.read(view, at, 0, std::nullopt, {values, labels, targets});
    if (!read) return text + "    " + read.error().message + "\n";
    return text + picture(values, manifest.shape());
}

std::string classes_text(const LookedAt& data) {
    const auto& label = data.manifest.schema.label;
    auto counts = class_counts(data);
    std::string text = fmt::format(
        "{} {}",
        label.count,
        label.kind == data::LabelKind::Tokens    ? "tokens"
        : label.kind == data::LabelKind::Numbers ? "numbers to predict"
                                                 : "classes"
    );
    const auto boxes = box_counts(data);
    if (boxes.pictures > 0) counts = boxes.of_class;
    if (counts.empty()) return text;
    text += boxes.pictures > 0 ? " of boxes:" : ":";
    for (std::size_t i = 0; i < std::min(kClassesShown, counts.size()); ++i) {
        text += fmt::format(" {} ({})", class_name(label, i), counts[i]);
    }
    if (counts.size() > kClassesShown) text += " ...";
    if (boxes.pictures == 0) return text;
    return text + fmt::format(
                      "\n{} boxes for training, {:.1f} in a picture, at most {}",
                      boxes.boxes,
                      static_cast<double>(boxes.boxes) / static_cast<double>(boxes.pictures),
                      boxes.most
                  );
}

}  // namespace

nlohmann::json data_facts(const LookedAt& data) {
    const auto& manifest = data.manifest;
    nlohmann::json out{
        {"dataset", manifest.name},
        {"train", manifest.samples(data::Split::Train)},
        {"test", manifest.samples(data::Split::Test)},
        {"shape", manifest.shape()},
        {"classes", manifest.classes()},
        {"label", data::to_string(manifest.schema.label.kind)},
        {"shards", manifest.shards.size()},
        {"bytes", bytes_of(manifest)}};
    if (const auto valid = manifest.samples(data::Split::Valid)) out["valid"] = valid;
    if (!manifest.schema.label.names.empty()) out["names"] = manifest.schema.label.names;
    if (const auto counts = class_counts(data); !counts.empty()) out["counts"] = counts;
    if (const auto boxes = box_counts(data); boxes.pictures > 0) {
        out["counts"] = boxes.of_class;
        out["boxes"] = boxes.boxes;
        out["boxes_max"] = boxes.most;
    }
    out["recipe"] = recipe_json(manifest);
    if (!data.notes.empty()) out["notes"] = data.notes;
    if (const auto* tokens = std::get_if<data::TokenRecipe>(&manifest.recipe)) {
        const auto& counts = data.tally.tokens();
        const bool characters = tokens->tokenizer == data::Tokenizer::Characters;
        out[characters ? "train_characters" : "train_tokens"] = counts[0];
        out[characters ? "test_characters" : "test_tokens"] = counts[1];
        // Merges are no text.
        if (characters) out["vocabulary"] = tokens->vocabulary;
    }
    const auto* image = std::get_if<data::ImageRecipe>(&manifest.recipe);
    if (image != nullptr && image->scales.size() == 1) {
        out["mean"] = image->scales[0].mean;
        out["stddev"] = image->scales[0].stddev;
    } else if (image != nullptr) {
        for (const auto& scale : image->scales) {
            out["mean"].push_back(scale.mean);
            out["stddev"].push_back(scale.stddev);
        }
    }
    return out;
}

std::string data_page(const LookedAt& data) {
    const auto& manifest = data.manifest;
    std::string text = manifest.name + "\n";
    text += fmt::format(
        "{} samples for training, {} for testing",
        manifest.samples(data::Split::Train),
        manifest.samples(data::Split::Test)
    );
    if (const auto valid = manifest.samples(data::Split::Valid)) {
        text += fmt::format(", {} for validation", valid);
    }
    text += "\n" + classes_text(data) + "\n" + recipe_text(manifest) + "\n";
    text += fmt::format(
        "{} shards, {:.1f} MB\n",
        manifest.shards.size(),
        static_cast<double>(bytes_of(manifest)) / 1e6
    );
    for (const auto& note : data.notes) text += "note: " + printable(note) + "\n";
    data::Preparation preparation(manifest);
    for (const auto& shard : data.first) {
        const auto view = data::view_shard(shard, manifest);
        text += sample(data, view, preparation, 0);
    }
    return text;
}

}  // namespace starling::peer
