#include "data/preparation.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/check.hpp"
#include "base/rng.hpp"
#include "data/disturb.hpp"
#include "data/media/audio.hpp"
#include "data/media/augment.hpp"
#include "data/media/image.hpp"
#include "data/tables/signed_log.hpp"

namespace starling::data {

namespace {

/// Returns what a stored value of one counts.
double unit_of(Element element) {
    if (element == Element::U8) return 1.0 / 255.0;
    return element == Element::I16 ? 1.0 / 32768.0 : 1.0;
}

/// A hundredth of a picture of many objects would show none of them.
constexpr CropRange kCropWithBoxes{0.4, 1.0, 3.0 / 4.0, 4.0 / 3.0};

Region region_of(const Window& window) {
    return {
        static_cast<double>(window.top),
        static_cast<double>(window.left),
        static_cast<double>(window.height),
        static_cast<double>(window.width)};
}

template <class T>
std::vector<T> numbers_in(ByteView record) {
    std::vector<T> numbers(record.size() / sizeof(T));
    std::memcpy(numbers.data(), record.data(), numbers.size() * sizeof(T));
    return numbers;
}

/// Returns a category's code. What a stranger wrote chooses a row of a table, so it must be one of
/// its rows.
float code_of(const Column& column, float cell) {
    const auto last = static_cast<float>(column.codes() - 1);
    if (cell >= 0.0F && cell <= last) return std::floor(cell);
    return std::isnan(cell) ? 0.0F : static_cast<float>(column.unknown_code());
}

/// Returns a number as the column's recipe says.
float number_of(const Column& column, float cell) {
    if (column.log_unit > 0.0F) cell = static_cast<float>(signed_log(cell, column.log_unit));
    const float scaled = Normalizer(column.scale, 1.0)(cell);
    return column.clip > 0.0F ? std::clamp(scaled, -column.clip, column.clip) : scaled;
}

}  // namespace

std::size_t labels_of(const Manifest& manifest) {
    const auto kind = manifest.schema.label.kind;
    if (kind == LabelKind::Class) return 1;
    return kind == LabelKind::Tokens ? manifest.labels_per_sample() : 0;
}

std::size_t targets_of(const Manifest& manifest) {
    const auto& label = manifest.schema.label;
    if (label.kind == LabelKind::Boxes) return kBoxesMax * kBoxNumbers;
    const bool targets = label.kind == LabelKind::Classes || label.kind == LabelKind::Numbers;
    return targets ? label.count : 0;
}

Normalizer::Normalizer(const Scale& scale, double unit)
    : scale_(static_cast<float>(unit / scale.stddev)),
      offset_(static_cast<float>(-static_cast<double>(scale.mean) / scale.stddev)) {}

Preparation::Preparation(const Manifest& manifest)
    : schema_(manifest.schema),
      recipe_(manifest.recipe),
      shape_(manifest.shape()),
      values_(manifest.sample_elements()),
      labels_(labels_of(manifest)),
      targets_(targets_of(manifest)),
      classes_(manifest.classes()) {
    const auto& input = schema_.inputs.front();
    if (const auto* image = std::get_if<ImageRecipe>(&recipe_)) {
        const bool raw = input.storage == Storage::Raw;
        const double unit = raw ? unit_of(input.element) : 1.0 / 255.0;
        for (const auto& scale : image->scales) normalizers_.emplace_back(scale, unit);
    }
    if (const auto* audio = std::get_if<AudioRecipe>(&recipe_)) {
        normalizers_.emplace_back(audio->scale, 1.0);
        auto made = SoundFeatures::make(*audio);
        if (made) features_.emplace(std::move(*made));
    }
}

Result<void> Preparation::read(
    const ShardView& view, std::size_t sample, std::size_t shift, Draw draw, const SampleOut& out
) {
    STARLING_CHECK(out.values.size() == values_ && out.labels.size() == labels_);
    STARLING_CHECK(out.targets.size() == targets_);
    if (schema_.label.kind == LabelKind::Tokens) {
        return read_window(view, sample, shift, out);
    }
    const auto record = view.record(sample, room_);
    if (!record) return record.error();
    if (auto values = read_values(*record, draw, out.values); !values) return values;
    if (draw) disturb(*draw, out.values);
    return read_label_of(view.label_of(sample), out);
}

Result<void> Preparation::read_window(
    const ShardView& view, std::size_t sample, std::size_t shift, const SampleOut& out
) {
    const std::size_t ring = view.tokens() - 1;
    std::size_t at = (sample * values_ + shift) % ring;
    for (std::size_t done = 0; done < values_;) {
        // One token more: the label of the last one.
        const auto run = std::min(values_ - done, ring - at);
        const auto bytes = view.tokens_at(at, run + 1, room_);
        if (!bytes) return bytes.error();
        const auto token = [&](std::size_t i) {
            std::uint16_t number = 0;
            std::memcpy(&number, bytes->data() + i * sizeof(number), sizeof(number));
            return number;
        };
        for (std::size_t i = 0; i < run; ++i, ++done) {
            out.values[done] = static_cast<float>(token(i));
            out.labels[done] = token(i + 1);
            // A user's file may have changed a moment ago.
            if (view.extents != nullptr && std::max(token(i), token(i + 1)) >= classes_) {
                return fail(FaultCode::Corrupt, "a token is out of range");
            }
        }
        at = 0;
    }
    return {};
}

Result<void> Preparation::read_label_of(ByteView bytes, const SampleOut& out) const {
    const auto value = read_label(schema_.label, bytes);
    if (!value) return value.error();
    if (labels_ == 1) out.labels[0] = value->classes[0];
    if (schema_.label.kind == LabelKind::Classes) {
        std::fill(out.targets.begin(), out.targets.end(), 0.0F);
        for (const auto one : value->classes) out.targets[one] = 1.0F;
    }
    if (schema_.label.kind == LabelKind::Numbers) {
        std::copy(value->numbers.begin(), value->numbers.end(), out.targets.begin());
    }
    if (schema_.label.kind == LabelKind::Boxes) {
        put_boxes(value->boxes, stored_, points_, out.targets);
    }
    return {};
}

Result<void> Preparation::read_values(ByteView record, const Draw& draw, std::span<float> out) {
    const bool raw = schema_.inputs.front().storage == Storage::Raw;
    if (const auto* image = std::get_if<ImageRecipe>(&recipe_)) {
        points_ = {};
        if (!raw) return read_picture(*image, record, draw, out);
        if (shape_.size() == 3) stored_ = {shape_[1], shape_[2]};
        read_raw(record, out);
        if (draw && (image->flip || image->pad > 0)) augment_raw(*image, *draw, out);
    }
    if (const auto* audio = std::get_if<AudioRecipe>(&recipe_)) {
        return read_sound(*audio, record, draw, out);
    }
    if (const auto* table = std::get_if<TableRecipe>(&recipe_)) {
        read_columns(*table, record, draw, out);
    }
    return {};
}

void Preparation::read_raw(ByteView record, std::span<float> out) const {
    const std::size_t planes = normalizers_.size();
    const std::size_t each = out.size() / planes;
    for (std::size_t plane = 0; plane < planes; ++plane) {
        const auto& normalizer = normalizers_[plane];
        const auto to = out.subspan(plane * each, each);
        const std::size_t bytes = record.size() / planes;
        const auto from = record.subspan(plane * bytes, bytes);
        switch (schema_.inputs.front().element) {
            case Element::U8:
                normalizer.apply(
                    std::span(reinterpret_cast<const std::uint8_t*>(from.data()), each), to
                );
                break;
            case Element::I16:
                normalizer.apply(std::span<const std::int16_t>(numbers_in<std::int16_t>(from)), to);
                break;
            case Element::I32:
                normalizer.apply(std::span<const std::int32_t>(numbers_in<std::int32_t>(from)), to);
                break;
            case Element::F32:
            case Element::Token:
                normalizer.apply(std::span<const float>(numbers_in<float>(from)), to);
                break;
        }
    }
}

/// Mirrors and shifts a raw image that was normalised already. What comes in at an edge is black.
void Preparation::augment_raw(const ImageRecipe& recipe, std::uint64_t draw, std::span<float> out) {
    Rng rng(draw);
    const bool mirror = recipe.flip && rng.chance(0.5);
    const auto range = 2 * std::uint64_t{recipe.pad} + 1;
    const auto down = static_cast<std::int64_t>(rng.below(range)) - recipe.pad;
    const auto right = static_cast<std::int64_t>(rng.below(range)) - recipe.pad;
    const auto height = static_cast<std::int64_t>(shape_[1]);
    const auto width = static_cast<std::int64_t>(shape_[2]);
    points_.show(region_of({down, right, shape_[1], shape_[2]}), stored_);
    if (mirror) points_.mirror();
    scratch_.assign(out.begin(), out.end());
    for (std::size_t channel = 0; channel < shape_[0]; ++channel) {
        const float black = normalizers_[normalizers_.size() == 1 ? 0 : channel](0.0F);
        const auto plane = static_cast<std::int64_t>(channel) * height * width;
        for (std::int64_t y = 0; y < height; ++y) {
            for (std::int64_t x = 0; x < width; ++x) {
                const auto from_y = y + down;
                const auto from_x = (mirror ? width - 1 - x : x) + right;
                const bool inside = from_y >= 0 && from_y < height && from_x >= 0 && from_x < width;
                const auto from = static_cast<std::size_t>(plane + from_y * width + from_x);
                out[static_cast<std::size_t>(plane + y * width + x)] =
                    inside ? scratch_[from] : black;
            }
        }
    }
}

Result<void> Preparation::read_picture(
    const ImageRecipe& recipe, ByteView record, const Draw& draw, std::span<float> out
) {
    const bool boxes = schema_.label.kind == LabelKind::Boxes;
    if (boxes) {
        // A label has pixels of the picture at its full size.
        const auto facts = probe_image(record);
        if (!facts) return facts.error();
        stored_ = {facts->height, facts->width};
    }
    ImageRequest request;
    request.channels = recipe.channels;
    // A picture of which a part will be enlarged is decoded whole.
    const bool zoom = draw && recipe.zoom;
    if (!zoom) {
        request.at_least_height = recipe.height;
        request.at_least_width = recipe.width;
    }
    auto picture = decode_image(record, request);
    if (!picture) return picture.error();
    const Size size{recipe.height, recipe.width};
    Rng rng(draw.value_or(0));
    const Size whole{picture->height, picture->width};
    Image ready;
    if (zoom) {
        const auto box = random_box(whole, boxes ? kCropWithBoxes : CropRange{}, rng);
        points_.show(region_of({box.top, box.left, box.height, box.width}), whole);
        ready = resized_crop(*picture, box, size);
    } else {
        points_.show(shown(whole, size, recipe.fit), whole);
        ready = fit(*picture, size, recipe.fit);
    }
    if (draw && recipe.flip && rng.chance(0.5)) {
        points_.mirror();
        ready = flipped(std::move(ready));
    }
    if (draw && recipe.pad > 0) {
        const auto window = random_window(size, recipe.pad, size, rng);
        points_.show(region_of(window), size);
        ready = crop(ready, window);
    }
    const std::size_t pixels = std::size_t{size.height} * size.width;
    for (std::size_t channel = 0; channel < recipe.channels; ++channel) {
        const auto& normalizer = normalizers_[normalizers_.size() == 1 ? 0 : channel];
        float* to = out.data() + channel * pixels;
        const std::uint8_t* from = ready.values.data() + channel;
        for (std::size_t i = 0; i < pixels; ++i) {
            to[i] = normalizer(static_cast<float>(from[i * recipe.channels]));
        }
    }
    return {};
}

Result<void> Preparation::read_sound(
    const AudioRecipe& recipe, ByteView record, const Draw& draw, std::span<float> out
) {
    if (!features_) return fail(FaultCode::BadValue, "a spectrogram with bands that hear nothing");
    const auto clip = decode_audio(record, {recipe.rate, recipe.samples});
    if (!clip) return clip.error();
    const auto shift = draw && recipe.shift > 0 ? draw_shift(recipe, *draw) : 0;
    const auto own = features_->compute(*clip, shift, out);
    for (auto& value : out) value = normalizers_.front()(value);
    const bool masks = recipe.band_mask > 0 || recipe.time_mask > 0;
    if (draw && masks) mask_spectrogram(recipe, own, *draw, out);
    return {};
}

/// Changes the scaled values of a training sample as the recipe says.
void Preparation::disturb(std::uint64_t draw, std::span<float> out) const {
    if (const auto* image = std::get_if<ImageRecipe>(&recipe_)) {
        if (image->cutout > 0) cut_out(image->cutout, draw, shape_[1], shape_[2], out);
        if (image->noise > 0.0F) add_noise(image->noise, draw, out);
    }
    if (const auto* audio = std::get_if<AudioRecipe>(&recipe_)) {
        if (audio->noise > 0.0F) add_noise(audio->noise, draw, out);
    }
}

void Preparation::read_columns(
    const TableRecipe& recipe, ByteView record, const Draw& draw, std::span<float> out
) const {
    const auto cells = numbers_in<float>(record);
    std::size_t at = 0;
    const auto& columns = recipe.columns;
    for (std::size_t i = 0; i < columns.size(); ++i) {
        if (columns[i].kind == ColumnRole::Category) out[at++] = code_of(columns[i], cells[i]);
    }
    Rng rng(draw.value_or(0));
    const bool noisy = draw && recipe.noise > 0.0F;
    for (std::size_t i = 0; i < columns.size(); ++i) {
        if (columns[i].kind != ColumnRole::Number) continue;
        const bool there = std::isfinite(cells[i]);
        const double noise = noisy ? static_cast<double>(recipe.noise) * rng.normal() : 0.0;
        out[at++] = there ? number_of(columns[i], cells[i]) + static_cast<float>(noise) : 0.0F;
    }
    for (std::size_t i = 0; i < columns.size(); ++i) {
        if (columns[i].mask) out[at++] = std::isfinite(cells[i]) ? 0.0F : 1.0F;
    }
}

}  // namespace starling::data
