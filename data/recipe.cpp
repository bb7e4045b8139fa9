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

Fault bad(const std::string& what) {
    return fail(FaultCode::BadValue, "recipe: " + what);
}

bool sound_scale(const Scale& scale) {
    return std::isfinite(scale.mean) && std::isfinite(scale.stddev) && scale.stddev > 0.0F;
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
    const bool changes = image.flip || image.zoom || image.pad > 0;
    if (raw && changes && input.shape.size() != 3)
        return bad("only C, H, W can be mirrored or cut");
    const auto height = raw && changes ? input.shape[1].size : image.height;
    const auto width = raw && changes ? input.shape[2].size : image.width;
    if (image.pad > std::min(height, width)) return bad("the padding is too wide");
    return {};
}

Result<void> check_audio(const AudioRecipe& audio) {
    if (!within(audio.rate, 1000, kRateMax) || !within(audio.samples, 1, kFedElementsMax)) {
        return bad("a sound has 1000 to 192000 samples a second, and 1 to 4 Mi in all");
    }
    if (audio.features > AudioFeatures::LogMel || !sound_scale(audio.scale)) {
        return bad("an unknown form of sounds, or a scale that is not finite");
    }
    if (audio.features == AudioFeatures::Waveform) return {};
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
    }
    return {};
}

void put_scale(ByteWriter& writer, const Scale& scale) {
    writer.put(scale.mean);
    writer.put(scale.stddev);
}

Scale take_scale(ByteReader& reader) {
    Scale scale;
    scale.mean = reader.take<float>();
    scale.stddev = reader.take<float>();
    return scale;
}

bool take_flag(ByteReader& reader) {
    const auto flag = reader.take<std::uint8_t>();
    if (flag > 1) reader.spoil();
    return flag == 1;
}

/// Writes the part of a recipe that depends on its kind.
struct Encoder {
    ByteWriter& writer;

    void operator()(const ImageRecipe& image) const {
        for (const auto side : {image.channels, image.height, image.width}) writer.put(side);
        writer.put(image.fit);
        writer.put(static_cast<std::uint32_t>(image.scales.size()));
        for (const auto& scale : image.scales) put_scale(writer, scale);
        writer.put(static_cast<std::uint8_t>(image.flip));
        writer.put(image.pad);
        writer.put(static_cast<std::uint8_t>(image.zoom));
    }

    void operator()(const AudioRecipe& audio) const {
        writer.put(audio.rate);
        writer.put(audio.samples);
        writer.put(audio.features);
        for (const auto size : {audio.mels, audio.window, audio.hop}) writer.put(size);
        put_scale(writer, audio.scale);
    }

    void operator()(const TokenRecipe& tokens) const {
        writer.put(tokens.tokenizer);
        writer.put(tokens.context);
        writer.put(static_cast<std::uint32_t>(tokens.vocabulary.size()));
        writer.put_bytes(as_byte_view(tokens.vocabulary));
    }

    void operator()(const TableRecipe& table) const {
        writer.put(static_cast<std::uint32_t>(table.columns.size()));
        for (const auto& column : table.columns) {
            writer.put_text(column.name);
            writer.put(column.kind);
            put_scale(writer, column.scale);
            writer.put(static_cast<std::uint8_t>(column.mask));
            writer.put(static_cast<std::uint32_t>(column.categories.size()));
            for (const auto& category : column.categories) writer.put_text(category);
        }
    }
};

ImageRecipe read_image(ByteReader& reader) {
    ImageRecipe image;
    image.channels = reader.take<std::uint32_t>();
    image.height = reader.take<std::uint32_t>();
    image.width = reader.take<std::uint32_t>();
    image.fit = reader.take<Fit>();
    const auto scales = reader.take<std::uint32_t>();
    for (std::uint32_t i = 0; i < scales && reader.ok(); ++i) {
        image.scales.push_back(take_scale(reader));
    }
    image.flip = take_flag(reader);
    image.pad = reader.take<std::uint32_t>();
    image.zoom = take_flag(reader);
    return image;
}

AudioRecipe read_audio(ByteReader& reader) {
    AudioRecipe audio;
    audio.rate = reader.take<std::uint32_t>();
    audio.samples = reader.take<std::uint32_t>();
    audio.features = reader.take<AudioFeatures>();
    audio.mels = reader.take<std::uint32_t>();
    audio.window = reader.take<std::uint32_t>();
    audio.hop = reader.take<std::uint32_t>();
    audio.scale = take_scale(reader);
    return audio;
}

TokenRecipe read_tokens(ByteReader& reader) {
    TokenRecipe tokens;
    tokens.tokenizer = reader.take<Tokenizer>();
    tokens.context = reader.take<std::uint32_t>();
    const auto bytes = reader.take<std::uint32_t>();
    tokens.vocabulary = std::string(as_text(reader.take_bytes(bytes)));
    return tokens;
}

TableRecipe read_table(ByteReader& reader) {
    TableRecipe table;
    const auto columns = reader.take<std::uint32_t>();
    if (columns > kRecipeColumnsMax) reader.spoil();
    for (std::uint32_t i = 0; i < columns && reader.ok(); ++i) {
        Column column;
        column.name = reader.take_text();
        column.kind = reader.take<ColumnRole>();
        column.scale = take_scale(reader);
        column.mask = take_flag(reader);
        const auto categories = reader.take<std::uint32_t>();
        if (categories > kCategoriesMax) reader.spoil();
        for (std::uint32_t k = 0; k < categories && reader.ok(); ++k) {
            column.categories.push_back(reader.take_text());
        }
        table.columns.push_back(std::move(column));
    }
    return table;
}

Recipe read_recipe(ByteReader& reader) {
    switch (reader.take<std::uint8_t>()) {
        case 0:
            return read_image(reader);
        case 1:
            return read_audio(reader);
        case 2:
            return read_tokens(reader);
        case 3:
            return read_table(reader);
        default:
            reader.spoil();
            return ImageRecipe{};
    }
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

Bytes encode_recipe(const Recipe& recipe) {
    Bytes out;
    ByteWriter writer(out);
    writer.put(static_cast<std::uint8_t>(recipe.index()));
    std::visit(Encoder{writer}, recipe);
    return out;
}

Result<Recipe> decode_recipe(ByteView bytes, const Schema& schema) {
    if (bytes.size() > kRecipeBytesMax) {
        return fail(FaultCode::Oversized, "recipe: it is over 4 MiB");
    }
    ByteReader reader(bytes);
    auto recipe = read_recipe(reader);
    if (!reader.ok()) return fail(FaultCode::Truncated, "recipe: it ends too early");
    if (!reader.finished()) return fail(FaultCode::BadFormat, "recipe: bytes follow its end");
    if (auto sound = check_recipe(recipe, schema); !sound) return sound.error();
    return recipe;
}

}  // namespace starling::data
