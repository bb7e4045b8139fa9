#include "peer/terms/recipe_json.hpp"

#include <nlohmann/json.hpp>

namespace starling::peer {

namespace {

using nlohmann::json;

json scale_json(const data::Scale& scale) {
    return {{"mean", scale.mean}, {"stddev", scale.stddev}};
}

const char* name_of(data::Fit fit) {
    switch (fit) {
        case data::Fit::Stretch:
            return "stretch";
        case data::Fit::Crop:
            return "crop";
        case data::Fit::Pad:
            return "pad";
    }
    return "unknown";
}

json describe(const data::ImageRecipe& image) {
    json out{{"kind", "image"}};
    // A raw image is fed in the shape that it is stored in.
    if (image.height > 0) {
        out["channels"] = image.channels;
        out["height"] = image.height;
        out["width"] = image.width;
        out["fit"] = name_of(image.fit);
    }
    out["scales"] = json::array();
    for (const auto& scale : image.scales) out["scales"].push_back(scale_json(scale));
    return out;
}

json describe(const data::AudioRecipe& audio) {
    json out{{"kind", "audio"}, {"rate", audio.rate}, {"samples", audio.samples}};
    const bool mels = audio.features == data::AudioFeatures::LogMel;
    out["features"] = mels ? "logmel" : "waveform";
    if (mels) {
        out["mels"] = audio.mels;
        out["window"] = audio.window;
        out["hop"] = audio.hop;
        out["centred"] = audio.centred;
    }
    out["scale"] = scale_json(audio.scale);
    return out;
}

json describe(const data::TokenRecipe& tokens) {
    json out{{"kind", "tokens"}, {"context", tokens.context}};
    switch (tokens.tokenizer) {
        case data::Tokenizer::Characters:
            out["tokenizer"] = "characters";
            out["vocabulary"] = tokens.vocabulary;
            break;
        case data::Tokenizer::Bytes:
            out["tokenizer"] = "bytes";
            break;
        case data::Tokenizer::Bpe:
            out["tokenizer"] = "bpe";
            out["table_bytes"] = tokens.vocabulary.size();
            break;
        case data::Tokenizer::Numbers:
            out["tokenizer"] = "numbers";
            break;
    }
    return out;
}

json describe(const data::TableRecipe& table) {
    json columns = json::array();
    for (const auto& column : table.columns) {
        json one{{"name", column.name}};
        if (column.kind == data::ColumnRole::Category) {
            one["categories"] = column.categories;
            one["unknown_code"] = column.unknown;
        } else {
            // A number x becomes sign(x) log(1 + |x| / log_unit) before it is scaled.
            if (column.log_unit > 0.0F) one["log_unit"] = column.log_unit;
            if (column.clip > 0.0F) one["clip"] = column.clip;
            one.update(scale_json(column.scale));
            one["missing_flag"] = column.mask;
        }
        columns.push_back(std::move(one));
    }
    return {{"kind", "table"}, {"columns", std::move(columns)}};
}

}  // namespace

json recipe_json(const data::Manifest& manifest) {
    auto out = std::visit([](const auto& recipe) { return describe(recipe); }, manifest.recipe);
    out["shape"] = manifest.shape();
    return out;
}

json label_json(const data::Manifest& manifest) {
    const auto& label = manifest.schema.label;
    json out{{"kind", data::to_string(label.kind)}, {"count", label.count}};
    if (!label.names.empty()) out["names"] = label.names;
    return out;
}

}  // namespace starling::peer
