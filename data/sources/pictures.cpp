#include "data/sources/pictures.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace starling::data {

namespace {

constexpr std::uint32_t kHeadBytes = 64U << 10U;
/// Mean and deviation are those of so many training pictures, spread over all: the error of a mean of
/// more is far below what a model notices.
constexpr std::uint64_t kLearnedFrom = 2000;
constexpr std::uint32_t kSideMax = 1024;
constexpr std::uint32_t kDefaultSideMax = 224;

Fault bad_option(const Spec& spec, const char* key, const std::string& given, const char* wanted) {
    return fail(
        FaultCode::Usage,
        "'" + spec.to_string() + "': " + key + "=" + given + " is not allowed; give " + wanted
    );
}

/// Reads `size=64` or `size=48x64`, which is height by width.
Result<void> read_size(const Spec& spec, ImageOptions& options) {
    const auto given = spec.text("size", "");
    if (given.empty()) return {};
    const char* at = given.data();
    const char* end = at + given.size();
    for (auto* side : {&options.height, &options.width}) {
        const auto [rest, error] = std::from_chars(at, end, *side);
        if (error != std::errc{} || *side < 1 || *side > kSideMax) {
            return bad_option(spec, "size", given, "1 to 1024, as 64 or 48x64");
        }
        at = rest;
        if (side == &options.height && at == end) {
            options.width = options.height;
            return {};
        }
        if (side == &options.height && *at++ != 'x') break;
    }
    if (at == end && options.width > 0) return {};
    return bad_option(spec, "size", given, "1 to 1024, as 64 or 48x64");
}

/// Returns the side to which pictures are brought unless the user says it: that of small pictures
/// as they are, of larger ones what fits the median, in steps of 32.
std::uint32_t default_side(std::vector<std::uint32_t> sides) {
    const auto middle = sides.begin() + static_cast<std::ptrdiff_t>(sides.size() / 2);
    std::nth_element(sides.begin(), middle, sides.end());
    if (*middle <= 64) return *middle;
    return std::min(kDefaultSideMax, *middle / 32 * 32);
}

}  // namespace

Result<ImageOptions> read_image_options(const Spec& spec, std::string_view keys) {
    if (auto known = spec.only(keys); !known) {
        return known.error();
    }
    ImageOptions options;
    if (auto size = read_size(spec, options); !size) return size.error();
    const auto channels = spec.integer("channels", 0, 1, 3);
    if (!channels) return channels.error();
    if (*channels == 2) return bad_option(spec, "channels", "2", "1 (grey) or 3 (colours)");
    const auto pad = spec.integer("pad", 0, 0, kSideMax);
    if (!pad) return pad.error();
    const auto flip = spec.integer("flip", 0, 0, 1);
    if (!flip) return flip.error();
    const auto zoom = spec.integer("zoom", 0, 0, 1);
    if (!zoom) return zoom.error();
    options.channels = static_cast<std::uint32_t>(*channels);
    options.pad = static_cast<std::uint32_t>(*pad);
    options.flip = *flip == 1;
    options.zoom = *zoom == 1;
    const auto fit = spec.text("fit", "crop");
    if (fit == "stretch") options.fit = Fit::Stretch;
    if (fit == "pad") options.fit = Fit::Pad;
    if (fit != "crop" && fit != "stretch" && fit != "pad") {
        return bad_option(spec, "fit", fit, "crop, stretch or pad");
    }
    return options;
}

Result<ImageFacts> PictureSource::probe(RecordPlace place, std::uint32_t bytes) {
    place.length = std::min(place.length, bytes);
    head_.clear();
    if (auto read = records_.read(place, head_); !read) return read.error();
    return probe_image(head_);
}

Result<ImageFacts> PictureSource::look_at(const RecordPlace& place) {
    auto facts = probe(place, kHeadBytes);
    // A picture may have a preview or a colour profile of any length in front.
    if (!facts && facts.error().code == FaultCode::Truncated) facts = probe(place, place.length);
    return facts;
}

void PictureSource::keep(
    const ImageFacts& facts, Split split, RecordPlace place, const LabelValue& label
) {
    heights_.push_back(facts.height);
    widths_.push_back(facts.width);
    colours_ = colours_ || facts.channels == 3;
    labels_[static_cast<std::size_t>(split)].add(schema_.label, label);
    places_[static_cast<std::size_t>(split)].push_back(place);
}

Result<void> PictureSource::describe_pictures(const ImageOptions& options) {
    Input input;
    input.name = "image";
    input.storage = Storage::Encoded;
    const auto tallest = *std::max_element(heights_.begin(), heights_.end());
    const auto widest = *std::max_element(widths_.begin(), widths_.end());
    input.shape = {
        {colours_ ? 3U : 1U, false},
        {tallest, tallest != *std::min_element(heights_.begin(), heights_.end())},
        {widest, widest != *std::min_element(widths_.begin(), widths_.end())}};
    schema_.inputs = {std::move(input)};
    ImageRecipe recipe;
    recipe.channels = options.channels > 0 ? options.channels : colours_ ? 3 : 1;
    recipe.height = options.height > 0 ? options.height : default_side(heights_);
    recipe.width = options.width > 0 ? options.width : default_side(widths_);
    recipe.fit = options.fit;
    recipe.flip = options.flip;
    recipe.zoom = options.zoom;
    recipe.pad = std::min({options.pad, recipe.height, recipe.width});
    recipe.scales.assign(recipe.channels, Scale{});
    recipe_ = std::move(recipe);
    heights_ = {};
    widths_ = {};
    return learn_scales();
}

/// Learns mean and deviation of each channel from training pictures, in whole numbers.
Result<void> PictureSource::learn_scales() {
    auto& recipe = std::get<ImageRecipe>(recipe_);
    std::vector<std::uint64_t> sums(recipe.channels);
    std::vector<std::uint64_t> squares(recipe.channels);
    std::uint64_t pixels = 0;
    const auto all = count(Split::Train);
    const auto looks = std::min(all, kLearnedFrom);
    Bytes bytes;
    for (std::uint64_t i = 0; i < looks; ++i) {
        bytes.clear();
        if (auto ok = read(Split::Train, i * all / looks, bytes); !ok) return ok.error();
        const auto picture = decode_image(bytes, {recipe.channels, recipe.height, recipe.width});
        if (!picture) continue;  // training meets it, counts it and goes on
        const auto ready = fit(*picture, {recipe.height, recipe.width}, recipe.fit);
        for (std::size_t k = 0; k < ready.values.size(); ++k) {
            const std::uint64_t value = ready.values[k];
            sums[k % recipe.channels] += value;
            squares[k % recipe.channels] += value * value;
        }
        pixels += ready.values.size() / recipe.channels;
    }
    if (pixels == 0) {
        return fail(FaultCode::BadValue, name_ + ": no training picture can be decoded");
    }
    const auto n = static_cast<double>(pixels);
    for (std::size_t channel = 0; channel < recipe.channels; ++channel) {
        const double mean = static_cast<double>(sums[channel]) / n;
        const double variance = static_cast<double>(squares[channel]) / n - mean * mean;
        const double deviation = std::sqrt(std::max(0.0, variance)) / 255.0;
        recipe.scales[channel].mean = static_cast<float>(mean / 255.0);
        // If all are equal there is nothing to scale, and we divide by 1.
        recipe.scales[channel].stddev = deviation > 1e-6 ? static_cast<float>(deviation) : 1.0F;
    }
    return {};
}

}  // namespace starling::data
