// Encodes and decodes recipes.

#include <algorithm>

#include "data/recipe.hpp"

namespace starling::data {

namespace {

/// The first byte of a recipe is the number of its kind. This bit says that fields follow which
/// older programs do not know; recipes without them keep their bytes.
constexpr std::uint8_t kExtended = 0x80;

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

/// Returns whether the recipe has a field that only extended recipes have.
struct Extended {
    bool operator()(const ImageRecipe& image) const {
        return image.noise != 0.0F || image.cutout != 0;
    }

    bool operator()(const AudioRecipe& audio) const {
        return audio.centred || audio.shift != 0 || audio.band_mask != 0 || audio.time_mask != 0 ||
               audio.noise != 0.0F;
    }

    bool operator()(const TokenRecipe& /*tokens*/) const { return false; }

    bool operator()(const TableRecipe& table) const {
        return table.noise != 0.0F ||
               std::any_of(table.columns.begin(), table.columns.end(), [](const Column& column) {
                   return column.log_unit != 0.0F || column.clip != 0.0F || column.unknown;
               });
    }
};

/// Writes what follows the fields of all recipes of this kind.
struct Extender {
    ByteWriter& writer;

    void operator()(const ImageRecipe& image) const {
        writer.put(image.noise);
        writer.put(image.cutout);
    }

    void operator()(const AudioRecipe& audio) const {
        writer.put(static_cast<std::uint8_t>(audio.centred));
        for (const auto size : {audio.shift, audio.band_mask, audio.time_mask}) writer.put(size);
        writer.put(audio.noise);
    }

    void operator()(const TokenRecipe& /*tokens*/) const {}

    void operator()(const TableRecipe& table) const {
        for (const auto& column : table.columns) {
            if (column.kind == ColumnRole::Category) {
                writer.put(static_cast<std::uint8_t>(column.unknown));
            } else {
                writer.put(column.log_unit);
                writer.put(column.clip);
            }
        }
        writer.put(table.noise);
    }
};

/// Reads what Extender writes.
struct ExtensionReader {
    ByteReader& reader;

    void operator()(ImageRecipe& image) const {
        image.noise = reader.take<float>();
        image.cutout = reader.take<std::uint32_t>();
    }

    void operator()(AudioRecipe& audio) const {
        audio.centred = take_flag(reader);
        audio.shift = reader.take<std::uint32_t>();
        audio.band_mask = reader.take<std::uint32_t>();
        audio.time_mask = reader.take<std::uint32_t>();
        audio.noise = reader.take<float>();
    }

    void operator()(TokenRecipe& /*tokens*/) const { reader.spoil(); }

    void operator()(TableRecipe& table) const {
        for (auto& column : table.columns) {
            if (column.kind == ColumnRole::Category) {
                column.unknown = take_flag(reader);
            } else {
                column.log_unit = reader.take<float>();
                column.clip = reader.take<float>();
            }
        }
        table.noise = reader.take<float>();
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

Recipe read_kind(ByteReader& reader, std::uint8_t kind) {
    switch (kind) {
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

Recipe read_recipe(ByteReader& reader) {
    const auto first = reader.take<std::uint8_t>();
    const bool extended = (first & kExtended) != 0;
    auto recipe = read_kind(reader, static_cast<std::uint8_t>(first & ~kExtended));
    if (extended) std::visit(ExtensionReader{reader}, recipe);
    // Equal recipes have equal bytes: an extension has something in it.
    if (extended && !std::visit(Extended{}, recipe)) reader.spoil();
    return recipe;
}

}  // namespace

Bytes encode_recipe(const Recipe& recipe) {
    Bytes out;
    ByteWriter writer(out);
    const bool extended = std::visit(Extended{}, recipe);
    writer.put(static_cast<std::uint8_t>(recipe.index() | (extended ? kExtended : 0U)));
    std::visit(Encoder{writer}, recipe);
    if (extended) std::visit(Extender{writer}, recipe);
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
