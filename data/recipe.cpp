#include "data/recipe.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "base/check.hpp"
#include "base/printable.hpp"
#include "data/utf8.hpp"

namespace starling::data {

namespace {

constexpr std::uint32_t kSideMax = 8192;
constexpr std::uint32_t kRateMax = 192000;
constexpr std::uint32_t kMelsMax = 512;
constexpr std::uint32_t kTokenClassesMax = kClassesMax;
constexpr float kNoiseMax = 10.0F;

Fault bad(const std::string& what) {
    return fail(FaultCode::BadValue, "recipe: " + what);
}

bool sound_scale(const Scale& scale) {
    return std::isfinite(scale.mean) && std::isfinite(scale.stddev) && scale.stddev > 0.0F;
}

bool sound_noise(float noise) {
    return noise >= 0.0F && noise <= kNoiseMax;
}

bool within(std::uint32_t value, std::uint32_t low, std::uint32_t high) {
    return value >= low && value <= high;
}

Result<void> check_elements(const std::vector<std::uint32_t>& shape) {
    std::size_t product = 1;
    for (const auto side : shape) {
        if (side == 0 || side > kFedElementsMax) return bad("a side is out of range");
        product *= side;
        if (product > kFedElementsMax) return bad("a sample is fed as over 4 Mi numbers");
    }
    return {};
}

/// Returns the number of channels of a raw image: that of C, H, W, and else one.
std::size_t channels_of(const Input& input) {
    return input.shape.size() == 3 ? input.shape[0].size : 1;
}

Result<void> check_sides(const ImageRecipe& image, const Input& input) {
    if (input.storage == Storage::Raw) {
        if (image.channels == 0 && image.height == 0 && image.width == 0) return {};
        return bad("raw images are fed in the shape that they have");
    }
    if (image.channels != 1 && image.channels != 3) {
        return bad("a picture is fed grey or in three colours");
    }
    if (!within(image.height, 1, kSideMax) || !within(image.width, 1, kSideMax)) {
        return bad("a picture has 1 to 8192 rows and columns");
    }
    return {};
}

Result<void> check_image(const ImageRecipe& image, const Input& input) {
    if (auto sides = check_sides(image, input); !sides) return sides.error();
    const bool raw = input.storage == Storage::Raw;
    const std::size_t channels = raw ? channels_of(input) : image.channels;
    if (image.fit > Fit::Pad) return bad("an unknown way to fit a picture");
    if (image.scales.size() != 1 && image.scales.size() != channels) {
        return bad("there is neither one scale nor one for each channel");
    }
    if (!std::all_of(image.scales.begin(), image.scales.end(), sound_scale)) {
        return bad("mean and deviation must be finite and the deviation positive");
    }
    if (!sound_noise(image.noise)) return bad("noise has a deviation of 0 to 10");
    const bool changes = image.flip || image.zoom || image.pad > 0 || image.cutout > 0;
    if (raw && changes && input.shape.size() != 3)
        return bad("only C, H, W can be mirrored or cut");
    const auto height = raw && changes ? input.shape[1].size : image.height;
    const auto width = raw && changes ? input.shape[2].size : image.width;
    if (image.pad > std::min(height, width)) return bad("the padding is too wide");
    if (image.cutout > std::min(height, width)) return bad("what is cut out is too wide");
    return {};
}

Result<void> check_audio(const AudioRecipe& audio) {
    if (!within(audio.rate, 1000, kRateMax) || !within(audio.samples, 1, kFedElementsMax)) {
        return bad("a sound has 1000 to 192000 samples a second, and 1 to 4 Mi in all");
    }
    if (audio.features > AudioFeatures::LogMel || !sound_scale(audio.scale)) {
        return bad("an unknown form of sounds, or a scale that is not finite");
    }
    if (audio.shift > audio.samples || !sound_noise(audio.noise)) {
        return bad("a sound moves by at most its length, and noise has a deviation of 0 to 10");
    }
    if (audio.features == AudioFeatures::Waveform) {
        if (!audio.centred && audio.band_mask == 0 && audio.time_mask == 0) return {};
        return bad("only a spectrogram has bands");
    }
    if (audio.band_mask > audio.mels || audio.time_mask > audio.samples) {
        return bad("a mask is wider than the spectrogram");
    }
    if (!within(audio.mels, 1, kMelsMax) || !within(audio.window, 16, audio.samples) ||
        !within(audio.hop, 1, audio.window)) {
        return bad("a spectrogram's window or hop does not fit its samples");
    }
    return {};
}

Result<void> check_tokens(const TokenRecipe& tokens, const Schema& schema) {
    if (!within(tokens.context, 1, kContextMax)) {
        return bad("windows of a text have 1 to 8192 characters");
    }
    if (tokens.tokenizer > Tokenizer::Numbers) return bad("an unknown way to cut a text");
    if (schema.label.count > kTokenClassesMax) return bad("more than 65536 tokens");
    const bool lists =
        tokens.tokenizer == Tokenizer::Characters || tokens.tokenizer == Tokenizer::Bpe;
    if (lists == tokens.vocabulary.empty()) return bad("its vocabulary is missing or not wanted");
    if (tokens.tokenizer == Tokenizer::Bytes && schema.label.count != 257) {
        return bad("a text of bytes has 257 tokens");
    }
    if (tokens.tokenizer != Tokenizer::Characters) return {};
    if (tokens.vocabulary.size() > 4 * std::size_t{kClassesMax}) {
        return fail(FaultCode::Oversized, "recipe: the vocabulary is over 256 KiB");
    }
    const auto points = utf8_points(tokens.vocabulary);
    if (!points || points->size() != schema.label.count) {
        return bad("its vocabulary does not fit the number of classes");
    }
    const auto unsorted = std::adjacent_find(points->begin(), points->end(), std::greater_equal());
    if (unsorted != points->end()) return bad("its vocabulary is not in ascending order");
    return {};
}

Result<void> check_table(const TableRecipe& table, const Input& input) {
    if (table.columns.empty() || table.columns.size() > kRecipeColumnsMax) {
        return bad("a table has 1 to 4096 columns");
    }
    if (input.elements() != table.columns.size()) {
        return bad("a table's columns do not fit its samples");
    }
    for (const auto& column : table.columns) {
        if (column.name.size() > kClassNameMax ||
            std::any_of(column.name.begin(), column.name.end(), is_control)) {
            return bad("a column's name is too long or not printable");
        }
        const bool number = column.kind == ColumnRole::Number;
        if (column.kind > ColumnRole::Category || number != column.categories.empty() ||
            column.categories.size() > kCategoriesMax || (column.mask && !number)) {
            return bad("column " + column.name + " is neither of numbers nor of categories");
        }
        if (!sound_scale(column.scale)) return bad("column " + column.name + " has no scale");
        const bool sound = std::isfinite(column.log_unit) && column.log_unit >= 0.0F &&
                           std::isfinite(column.clip) && column.clip >= 0.0F;
        const bool changes = column.log_unit > 0.0F || column.clip > 0.0F;
        if (!sound || (changes && !number) || (column.unknown && number)) {
            return bad("column " + column.name + " is changed in a way that does not suit it");
        }
    }
    if (!sound_noise(table.noise)) return bad("noise has a deviation of 0 to 10");
    return {};
}

}  // namespace

std::vector<std::uint32_t> fed_shape(const Recipe& recipe, const Schema& schema) {
    if (schema.inputs.empty()) return {};  // the data of a swarm that trains nothing
    if (const auto* image = std::get_if<ImageRecipe>(&recipe)) {
        const auto& input = schema.inputs.front();
        if (input.storage == Storage::Raw) {
            std::vector<std::uint32_t> shape;
            for (const auto& axis : input.shape) shape.push_back(axis.size);
            return shape;
        }
        return {image->channels, image->height, image->width};
    }
    if (const auto* audio = std::get_if<AudioRecipe>(&recipe)) {
        if (audio->features == AudioFeatures::Waveform) return {1, audio->samples};
        return {1, audio->mels, 1 + (audio->samples - audio->window) / audio->hop};
    }
    if (const auto* tokens = std::get_if<TokenRecipe>(&recipe)) return {tokens->context};
    const auto& columns = std::get<TableRecipe>(recipe).columns;
    const auto masks = std::count_if(columns.begin(), columns.end(), [](const Column& column) {
        return column.mask;
    });
    return {static_cast<std::uint32_t>(columns.size() + static_cast<std::size_t>(masks))};
}

Result<void> check_recipe(const Recipe& recipe, const Schema& schema) {
    const auto& input = schema.inputs.front();
    const Meaning meaning[] = {Meaning::Image, Meaning::Audio, Meaning::Tokens, Meaning::Columns};
    if (schema.inputs.size() != 1 || input.meaning != meaning[recipe.index()]) {
        return bad("it is for another kind of samples than these");
    }
    Result<void> sound;
    if (const auto* image = std::get_if<ImageRecipe>(&recipe)) sound = check_image(*image, input);
    if (const auto* audio = std::get_if<AudioRecipe>(&recipe)) sound = check_audio(*audio);
    if (const auto* tokens = std::get_if<TokenRecipe>(&recipe)) {
        sound = check_tokens(*tokens, schema);
    }
    if (const auto* table = std::get_if<TableRecipe>(&recipe)) sound = check_table(*table, input);
    if (!sound) return sound.error();
    return check_elements(fed_shape(recipe, schema));
}

}  // namespace starling::data
