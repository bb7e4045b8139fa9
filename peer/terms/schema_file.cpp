#include "peer/terms/schema_file.hpp"

#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>
#include <utility>

#include "base/json_text.hpp"
#include "peer/machine/files.hpp"
#include "peer/terms/json_fields.hpp"

namespace starling::peer {

namespace {

using nlohmann::json;
using nlohmann::ordered_json;

template <class Value>
using Name = std::pair<const char*, Value>;

constexpr std::uint32_t kVersion = 1;
constexpr int kDepthMax = 8;
constexpr std::uint32_t kAny = 0xffffffff;
constexpr unsigned kFileMode = 0644;

constexpr std::array<Name<data::Meaning>, 4> kMeanings{{
    {"image", data::Meaning::Image},
    {"audio", data::Meaning::Audio},
    {"tokens", data::Meaning::Tokens},
    {"columns", data::Meaning::Columns},
}};
constexpr std::array<Name<data::Storage>, 2> kStorages{{
    {"raw", data::Storage::Raw},
    {"encoded", data::Storage::Encoded},
}};
constexpr std::array<Name<data::Element>, 5> kElements{{
    {"u8", data::Element::U8},
    {"i16", data::Element::I16},
    {"i32", data::Element::I32},
    {"f32", data::Element::F32},
    {"token", data::Element::Token},
}};
constexpr std::array<Name<data::LabelKind>, 6> kLabels{{
    {"none", data::LabelKind::None},
    {"class", data::LabelKind::Class},
    {"classes", data::LabelKind::Classes},
    {"numbers", data::LabelKind::Numbers},
    {"tokens", data::LabelKind::Tokens},
    {"boxes", data::LabelKind::Boxes},
}};
constexpr std::array<Name<data::Fit>, 3> kFits{{
    {"stretch", data::Fit::Stretch},
    {"crop", data::Fit::Crop},
    {"pad", data::Fit::Pad},
}};
constexpr std::array<Name<data::AudioFeatures>, 2> kFeatures{{
    {"waveform", data::AudioFeatures::Waveform},
    {"logmel", data::AudioFeatures::LogMel},
}};
constexpr std::array<Name<data::Tokenizer>, 4> kTokenizers{{
    {"characters", data::Tokenizer::Characters},
    {"bytes", data::Tokenizer::Bytes},
    {"bpe", data::Tokenizer::Bpe},
    {"numbers", data::Tokenizer::Numbers},
}};
constexpr std::array<Name<data::ColumnRole>, 2> kRoles{{
    {"number", data::ColumnRole::Number},
    {"category", data::ColumnRole::Category},
}};

template <class Value, std::size_t N>
const char* name_of(const std::array<Name<Value>, N>& names, Value value) {
    for (const auto& [name, known] : names) {
        if (known == value) return name;
    }
    return "";
}

template <class Value, std::size_t N>
Value choose(JsonFields& fields, const char* key, const std::array<Name<Value>, N>& names) {
    return fields.choice<Value>(key, std::span<const Name<Value>>(names));
}

// Writing.

/// Returns a number whose text is short and reads back as the same float.
double shown(float value) {
    std::array<char, 64> text{};
    const auto written = std::to_chars(text.data(), text.data() + text.size(), value);
    double number = 0.0;
    std::from_chars(text.data(), written.ptr, number);
    return static_cast<float>(number) == value ? number : static_cast<double>(value);
}

ordered_json write(const data::Scale& scale) {
    return {{"mean", shown(scale.mean)}, {"stddev", shown(scale.stddev)}};
}

/// What a sample is not changed by stays unsaid.
template <class Value>
void put_unless_zero(ordered_json& out, const char* key, Value value) {
    if (value != Value{}) out[key] = value;
}

void put_noise(ordered_json& out, float noise) {
    put_unless_zero(out, "noise", shown(noise));
}

ordered_json write(const data::Input& input) {
    ordered_json out{
        {"name", input.name},
        {"meaning", name_of(kMeanings, input.meaning)},
        {"storage", name_of(kStorages, input.storage)},
        {"element", name_of(kElements, input.element)}};
    out["shape"] = ordered_json::array();
    for (const auto& axis : input.shape) {
        out["shape"].push_back({{"size", axis.size}, {"varies", axis.varies}});
    }
    return out;
}

ordered_json write(const data::Label& label) {
    ordered_json out{{"kind", name_of(kLabels, label.kind)}, {"count", label.count}};
    if (!label.names.empty()) out["names"] = label.names;
    for (const auto weight : label.weights) out["weights"].push_back(shown(weight));
    return out;
}

ordered_json write(const data::ImageRecipe& image) {
    ordered_json out{
        {"channels", image.channels},
        {"height", image.height},
        {"width", image.width},
        {"fit", name_of(kFits, image.fit)}};
    out["scales"] = ordered_json::array();
    for (const auto& scale : image.scales) out["scales"].push_back(write(scale));
    put_unless_zero(out, "flip", image.flip);
    put_unless_zero(out, "pad", image.pad);
    put_unless_zero(out, "zoom", image.zoom);
    put_unless_zero(out, "cutout", image.cutout);
    put_noise(out, image.noise);
    return out;
}

ordered_json write(const data::AudioRecipe& audio) {
    ordered_json out{
        {"rate", audio.rate},
        {"samples", audio.samples},
        {"features", name_of(kFeatures, audio.features)},
        {"mels", audio.mels},
        {"window", audio.window},
        {"hop", audio.hop},
        {"centred", audio.centred},
        {"scale", write(audio.scale)}};
    put_unless_zero(out, "shift", audio.shift);
    put_unless_zero(out, "band_mask", audio.band_mask);
    put_unless_zero(out, "time_mask", audio.time_mask);
    put_noise(out, audio.noise);
    return out;
}

/// A table of merges is no text, so it is written as hexadecimal digits.
std::string as_hex(std::string_view bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text;
    for (const char byte : bytes) {
        const auto value = static_cast<unsigned char>(byte);
        text += kDigits[value >> 4U];
        text += kDigits[value & 15U];
    }
    return text;
}

ordered_json write(const data::TokenRecipe& tokens) {
    ordered_json out{
        {"tokenizer", name_of(kTokenizers, tokens.tokenizer)}, {"context", tokens.context}};
    if (tokens.tokenizer == data::Tokenizer::Characters) out["vocabulary"] = tokens.vocabulary;
    if (tokens.tokenizer == data::Tokenizer::Bpe) out["merges"] = as_hex(tokens.vocabulary);
    return out;
}

ordered_json write(const data::TableRecipe& table) {
    ordered_json out;
    out["columns"] = ordered_json::array();
    for (const auto& column : table.columns) {
        ordered_json one{{"name", column.name}, {"kind", name_of(kRoles, column.kind)}};
        if (column.kind == data::ColumnRole::Category) {
            one["categories"] = column.categories;
            one["unknown"] = column.unknown;
        } else {
            one.update(write(column.scale));
            put_unless_zero(one, "log_unit", shown(column.log_unit));
            put_unless_zero(one, "clip", shown(column.clip));
            one["missing_flag"] = column.mask;
        }
        out["columns"].push_back(std::move(one));
    }
    put_noise(out, table.noise);
    return out;
}

// Reading.

data::Scale read_scale(JsonFields& fields) {
    data::Scale scale;
    scale.mean = fields.real("mean");
    scale.stddev = fields.real("stddev");
    return scale;
}

float read_noise(JsonFields& fields) {
    return fields.has("noise") ? fields.real("noise") : 0.0F;
}

std::uint32_t whole_or_zero(JsonFields& fields, const char* key) {
    return fields.has(key) ? fields.whole(key, kAny) : 0;
}

bool flag_or_false(JsonFields& fields, const char* key) {
    return fields.has(key) && fields.flag(key);
}

data::Input read_input(JsonFields fields) {
    data::Input input;
    input.name = fields.text("name");
    input.meaning = choose(fields, "meaning", kMeanings);
    input.storage = choose(fields, "storage", kStorages);
    input.element = choose(fields, "element", kElements);
    fields.objects("shape", data::kShapeRankMax, [&](JsonFields axis) {
        const auto size = axis.whole("size", kAny);
        input.shape.push_back({size, axis.flag("varies")});
        axis.done();
    });
    fields.done();
    return input;
}

data::Label read_label(JsonFields fields) {
    data::Label label;
    label.kind = choose(fields, "kind", kLabels);
    label.count = fields.whole("count", data::kClassesMax);
    if (fields.has("names")) label.names = fields.texts("names", data::kClassesMax);
    if (fields.has("weights")) label.weights = fields.reals("weights", data::kClassesMax);
    fields.done();
    return label;
}

data::ImageRecipe read_image(JsonFields& fields) {
    data::ImageRecipe image;
    image.channels = fields.whole("channels", kAny);
    image.height = fields.whole("height", kAny);
    image.width = fields.whole("width", kAny);
    image.fit = choose(fields, "fit", kFits);
    fields.objects("scales", data::kFedElementsMax, [&](JsonFields scale) {
        image.scales.push_back(read_scale(scale));
        scale.done();
    });
    image.flip = flag_or_false(fields, "flip");
    image.pad = whole_or_zero(fields, "pad");
    image.zoom = flag_or_false(fields, "zoom");
    image.cutout = whole_or_zero(fields, "cutout");
    image.noise = read_noise(fields);
    return image;
}

data::AudioRecipe read_audio(JsonFields& fields) {
    data::AudioRecipe audio;
    audio.rate = fields.whole("rate", kAny);
    audio.samples = fields.whole("samples", kAny);
    audio.features = choose(fields, "features", kFeatures);
    audio.mels = fields.whole("mels", kAny);
    audio.window = fields.whole("window", kAny);
    audio.hop = fields.whole("hop", kAny);
    audio.centred = fields.flag("centred");
    auto scale = fields.object("scale");
    audio.scale = read_scale(scale);
    scale.done();
    audio.shift = whole_or_zero(fields, "shift");
    audio.band_mask = whole_or_zero(fields, "band_mask");
    audio.time_mask = whole_or_zero(fields, "time_mask");
    audio.noise = read_noise(fields);
    return audio;
}

std::optional<std::string> from_hex(std::string_view text) {
    std::string bytes;
    if (text.size() % 2 != 0) return std::nullopt;
    for (std::size_t i = 0; i < text.size(); i += 2) {
        unsigned value = 0;
        const auto [rest, error] = std::from_chars(&text[i], &text[i] + 2, value, 16);
        if (error != std::errc{} || rest != &text[i] + 2) return std::nullopt;
        bytes += static_cast<char>(value);
    }
    return bytes;
}

data::TokenRecipe read_tokens(JsonFields& fields) {
    data::TokenRecipe tokens;
    tokens.tokenizer = choose(fields, "tokenizer", kTokenizers);
    tokens.context = fields.whole("context", kAny);
    if (tokens.tokenizer == data::Tokenizer::Characters) {
        tokens.vocabulary = fields.text("vocabulary");
    }
    if (tokens.tokenizer == data::Tokenizer::Bpe) {
        auto merges = from_hex(fields.text("merges"));
        if (!merges) fields.complain("merges", "hexadecimal digits are wanted");
        tokens.vocabulary = merges.value_or("");
    }
    return tokens;
}

data::Column read_column(JsonFields fields) {
    data::Column column;
    column.name = fields.text("name");
    column.kind = choose(fields, "kind", kRoles);
    if (column.kind == data::ColumnRole::Category) {
        column.categories = fields.texts("categories", data::kCategoriesMax);
        column.unknown = fields.flag("unknown");
    } else {
        column.scale = read_scale(fields);
        if (fields.has("log_unit")) column.log_unit = fields.real("log_unit");
        if (fields.has("clip")) column.clip = fields.real("clip");
        column.mask = fields.flag("missing_flag");
    }
    fields.done();
    return column;
}

data::TableRecipe read_table(JsonFields& fields) {
    data::TableRecipe table;
    fields.objects("columns", data::kRecipeColumnsMax, [&](JsonFields column) {
        table.columns.push_back(read_column(std::move(column)));
    });
    table.noise = read_noise(fields);
    return table;
}

/// The kind of the only input is the kind of the recipe.
data::Recipe read_recipe(JsonFields fields, data::Meaning meaning) {
    data::Recipe recipe;
    switch (meaning) {
        case data::Meaning::Image:
            recipe = read_image(fields);
            break;
        case data::Meaning::Audio:
            recipe = read_audio(fields);
            break;
        case data::Meaning::Tokens:
            recipe = read_tokens(fields);
            break;
        case data::Meaning::Columns:
            recipe = read_table(fields);
            break;
    }
    fields.done();
    return recipe;
}

/// Thrown through the library's parser, which is caught right around it.
struct TooDeep {};

/// Errors    BadFormat
Result<void> parse_json(std::string_view text, json& parsed) {
    const auto watch = [](int depth, json::parse_event_t, json&) {
        if (depth > kDepthMax) throw TooDeep();
        return true;
    };
    try {
        parsed = json::parse(text, watch);
        return {};
    } catch (const TooDeep&) {
        return fail(FaultCode::BadFormat, "it is no schema: lists in lists in lists");
    } catch (const json::exception& error) {
        // The library begins with its own number of the error.
        const std::string_view what(error.what());
        const auto at = what.find("] ");
        return fail(
            FaultCode::BadFormat,
            "it is no JSON: " +
                std::string(at == std::string_view::npos ? what : what.substr(at + 2))
        );
    }
}

Fault named(const std::filesystem::path& path, const Fault& fault) {
    return fail(fault.code, path.string() + ": " + fault.message);
}

}  // namespace

std::string schema_text(const data::Manifest& manifest) {
    ordered_json out;
    out["starling_schema"] = kVersion;
    out["inputs"] = ordered_json::array();
    for (const auto& input : manifest.schema.inputs) out["inputs"].push_back(write(input));
    out["label"] = write(manifest.schema.label);
    out["recipe"] = std::visit([](const auto& recipe) { return write(recipe); }, manifest.recipe);
    return json_text(out, JsonCharacters::All, 2) + "\n";
}

Result<data::Manifest> parse_schema(std::string_view text) {
    if (text.size() > kSchemaFileMax) {
        return fail(FaultCode::Oversized, "a schema of more than 8 MiB");
    }
    json parsed;
    if (auto ok = parse_json(text, parsed); ok.has_error()) return ok.error();
    std::string wrong;
    JsonFields all(parsed, "", wrong);
    if (all.whole("starling_schema", kAny) != kVersion) {
        all.complain("starling_schema", "version 1 is known here");
    }
    data::Manifest manifest;
    all.objects("inputs", 1, [&](JsonFields input) {
        manifest.schema.inputs.push_back(read_input(std::move(input)));
    });
    if (manifest.schema.inputs.empty()) all.complain("inputs", "one input is wanted");
    manifest.schema.label = read_label(all.object("label"));
    if (wrong.empty()) {
        const auto meaning = manifest.schema.inputs.front().meaning;
        manifest.recipe = read_recipe(all.object("recipe"), meaning);
        all.done();
    }
    if (!wrong.empty()) return fail(FaultCode::BadValue, wrong);
    manifest = data::agreed_part(manifest);
    if (auto sound = data::check_manifest(manifest); sound.has_error()) return sound.error();
    return manifest;
}

Result<data::Manifest> read_schema_file(const std::filesystem::path& path) {
    const auto bytes = read_file(path, kSchemaFileMax);
    if (bytes.has_error()) return bytes.error();
    auto manifest = parse_schema(as_text(*bytes));
    if (manifest.has_error()) return named(path, manifest.error());
    return manifest;
}

Result<void> write_schema_file(const std::filesystem::path& path, const data::Manifest& manifest) {
    std::error_code error;
    if (std::filesystem::exists(path, error)) {
        return fail(
            FaultCode::Usage,
            path.string() + ": it is there already, and others may have agreed on it; give --out"
        );
    }
    const auto text = schema_text(manifest);
    if (text.size() > kSchemaFileMax) {
        return fail(FaultCode::Oversized, path.string() + ": the schema takes more than 8 MiB");
    }
    return write_file_atomically(path, as_byte_view(text), kFileMode);
}

}  // namespace starling::peer
