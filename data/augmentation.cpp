#include "data/augmentation.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string>
#include <vector>

namespace starling::data {

namespace {

enum class Change : std::uint8_t { Flip, Crop, Shift, Zoom, Noise, Mask, TimeMask };

struct Known {
    Change change;
    std::string_view name;
    double most;  ///< 0: it takes no value
    bool whole;
    std::string_view example;
};

constexpr std::array<Known, 7> kKnown{{
    {Change::Flip, "flip", 0, true, "flip"},
    {Change::Crop, "crop", 1024, true, "crop=4"},
    {Change::Shift, "shift", 10000, true, "shift=2"},
    {Change::Zoom, "zoom", 0, true, "zoom"},
    {Change::Noise, "noise", 10, false, "noise=0.01"},
    {Change::Mask, "mask", 1024, true, "mask=6"},
    {Change::TimeMask, "time_mask", 10000, true, "time_mask=10"},
}};

struct Wanted {
    const Known* known = nullptr;
    double size = 0.0;
};

std::string examples(const std::vector<Change>& changes) {
    std::string text;
    for (const auto& known : kKnown) {
        if (std::find(changes.begin(), changes.end(), known.change) == changes.end()) continue;
        text += (text.empty() ? "" : ", ") + std::string(known.example);
    }
    return text;
}

Fault wrong(std::string_view item, const std::string& what) {
    return fail(FaultCode::Usage, "--augment: '" + std::string(item) + "' " + what);
}

Result<Wanted> read_item(std::string_view item) {
    const auto equal = std::min(item.find('='), item.size());
    const auto name = item.substr(0, equal);
    const auto* known = std::find_if(kKnown.begin(), kKnown.end(), [&](const Known& one) {
        return one.name == name;
    });
    if (known == kKnown.end()) {
        std::vector<Change> all;
        for (const auto& one : kKnown) all.push_back(one.change);
        return wrong(item, "is not known; there are " + examples(all));
    }
    if (known->most == 0.0) {
        if (equal == item.size()) return Wanted{known, 1.0};
        return wrong(item, "takes no value; write " + std::string(known->example));
    }
    const auto value = item.substr(std::min(equal + 1, item.size()));
    double size = 0.0;
    const auto [rest, error] = std::from_chars(value.data(), value.data() + value.size(), size);
    const bool number = error == std::errc{} && rest == value.data() + value.size();
    // Not a number fails these comparisons, too.
    const bool sound = number && size > 0.0 && size <= known->most;
    if (sound && (!known->whole || size == std::floor(size))) return Wanted{known, size};
    return wrong(
        item,
        "is not allowed; give " + std::string(known->whole ? "a whole number" : "a number") +
            " above 0, at most " + std::to_string(static_cast<int>(known->most)) + ", as " +
            std::string(known->example)
    );
}

Result<std::vector<Wanted>> read_list(std::string_view list) {
    std::vector<Wanted> wanted;
    while (!list.empty()) {
        const auto comma = std::min(list.find(','), list.size());
        const auto item = list.substr(0, comma);
        const auto one = read_item(item);
        if (!one) return one.error();
        const auto twice = std::any_of(wanted.begin(), wanted.end(), [&](const Wanted& other) {
            return other.known == one->known;
        });
        if (twice) return wrong(item, "is given twice");
        wanted.push_back(*one);
        list.remove_prefix(std::min(comma + 1, list.size()));
    }
    return wanted;
}

/// What suits the samples, and what they are called.
struct Suitable {
    std::vector<Change> changes;
    std::string_view samples;
};

Suitable suitable(const Manifest& manifest) {
    const auto& input = manifest.schema.inputs.front();
    if (std::holds_alternative<ImageRecipe>(manifest.recipe)) {
        if (input.storage == Storage::Encoded) {
            return {
                {Change::Flip,
                 Change::Crop,
                 Change::Shift,
                 Change::Zoom,
                 Change::Noise,
                 Change::Mask},
                "pictures"};
        }
        if (input.shape.size() != 3) return {{Change::Noise}, "images without channels"};
        return {
            {Change::Flip, Change::Crop, Change::Shift, Change::Noise, Change::Mask},
            "images of numbers"};
    }
    if (const auto* audio = std::get_if<AudioRecipe>(&manifest.recipe)) {
        if (audio->features == AudioFeatures::Waveform) {
            return {{Change::Shift, Change::Noise}, "waveforms"};
        }
        return {
            {Change::Shift, Change::Noise, Change::Mask, Change::TimeMask},
            "spectrograms of sounds"};
    }
    if (std::holds_alternative<TableRecipe>(manifest.recipe)) return {{Change::Noise}, "tables"};
    return {{}, "texts"};
}

/// Writes one change into a recipe that it suits.
struct Writer {
    Change change;
    double size;

    [[nodiscard]] std::uint32_t whole() const { return static_cast<std::uint32_t>(size); }

    void operator()(ImageRecipe& image) const {
        if (change == Change::Flip) image.flip = true;
        if (change == Change::Zoom) image.zoom = true;
        if (change == Change::Crop || change == Change::Shift) {
            image.pad = std::max(image.pad, whole());
        }
        if (change == Change::Noise) image.noise = static_cast<float>(size);
        if (change == Change::Mask) image.cutout = whole();
    }

    void operator()(AudioRecipe& audio) const {
        if (change == Change::Shift) {
            audio.shift = static_cast<std::uint32_t>(size * audio.rate / 1000.0);
        }
        if (change == Change::Noise) audio.noise = static_cast<float>(size);
        if (change == Change::Mask) audio.band_mask = whole();
        if (change == Change::TimeMask) audio.time_mask = whole();
    }

    void operator()(TokenRecipe& /*tokens*/) const {}

    void operator()(TableRecipe& table) const { table.noise = static_cast<float>(size); }
};

}  // namespace

Result<void> check_augment(std::string_view list) {
    const auto wanted = read_list(list);
    if (!wanted) return wanted.error();
    return {};
}

Result<void> augment(std::string_view list, Manifest& manifest) {
    const auto wanted = read_list(list);
    if (!wanted) return wanted.error();
    if (wanted->empty()) return {};
    const auto suits = suitable(manifest);
    for (const auto& one : *wanted) {
        const auto& changes = suits.changes;
        if (std::find(changes.begin(), changes.end(), one.known->change) == changes.end()) {
            return wrong(
                one.known->name,
                "does not suit " + std::string(suits.samples) +
                    (changes.empty() ? "; nothing does" : "; what does: " + examples(changes))
            );
        }
        std::visit(Writer{one.known->change, one.size}, manifest.recipe);
    }
    if (auto sound = check_recipe(manifest.recipe, manifest.schema); !sound) {
        return wrong(list, "is too much for these samples: " + sound.error().message);
    }
    return {};
}

}  // namespace starling::data
