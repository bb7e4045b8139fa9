#pragma once

// Turns stored samples into the floats and labels that a model is fed, as the manifest's recipe says.
// Decoding happens here, on the peer that trains.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/result.hpp"
#include "data/box_targets.hpp"
#include "data/shard_view.hpp"
#include "data/sound_features.hpp"

namespace starling::data {

/// Turns numbers into those that a model takes: (unit * value - mean) / stddev.
class Normalizer {
public:
    Normalizer(const Scale& scale, double unit);

    /// Requires  as many floats as values
    template <class T>
    void apply(std::span<const T> values, std::span<float> out) const {
        // The compiler vectorises a multiplication and an addition; a table of 256 floats was slower.
        const T* __restrict from = values.data();
        float* __restrict to = out.data();
        for (std::size_t i = 0; i < out.size(); ++i) {
            to[i] = static_cast<float>(from[i]) * scale_ + offset_;
        }
    }

    [[nodiscard]] float operator()(float value) const { return value * scale_ + offset_; }

private:
    float scale_;
    float offset_;
};

/// Where samples go, one or N of them. A span is empty where the label kind does not use it.
struct SampleOut {
    std::span<float> values;
    std::span<std::int32_t> labels;  ///< Class: one; Tokens: one for each token
    /// Classes: 0 or 1 for each; Numbers: the numbers; Boxes: kBoxesMax rows of put_boxes
    std::span<float> targets = {};
};

/// Returns how many labels a model gets with one sample: one for a class, one for each token.
[[nodiscard]] std::size_t labels_of(const Manifest& manifest);

/// Returns how many targets a model gets with one sample: one for each label that may hold, each
/// number, or each number of kBoxesMax boxes.
[[nodiscard]] std::size_t targets_of(const Manifest& manifest);

/// Thread    one at a time; it keeps room for decoding
class Preparation {
public:
    /// Requires  a manifest that check_manifest accepts
    explicit Preparation(const Manifest& manifest);

    [[nodiscard]] std::size_t values() const { return values_; }  ///< of one sample

    [[nodiscard]] std::size_t labels() const { return labels_; }

    [[nodiscard]] std::size_t targets() const { return targets_; }

    /// Returns where the points of the picture have gone that was read last; known for boxes.
    [[nodiscard]] const PointMap& points() const { return points_; }

    /// Returns the size of that picture, as it is stored; known for boxes.
    [[nodiscard]] Size stored() const { return stored_; }

    /// Returns where sample number `at` of several lies.
    [[nodiscard]] SampleOut part(const SampleOut& all, std::size_t at) const {
        return {
            all.values.subspan(at * values_, values_),
            all.labels.subspan(at * labels_, labels_),
            all.targets.subspan(at * targets_, targets_)};
    }

    /// Reads one sample. Of a text it reads a window, which starts `shift` characters later than
    /// without a shift. A window that passes the shard's end goes on at the shard's beginning.
    /// With `draw` the sample is changed at random as the recipe says, by this seed alone; without
    /// it the sample is as it is, for evaluations.
    ///
    /// Requires  sample < view.samples, shift < 2^63, spans of the sizes above
    /// Errors    those of the decoders: the record is damaged; those of ShardExtents::read. `out` then
    ///           has anything in it
    [[nodiscard]] Result<void> read(
        const ShardView& view,
        std::size_t sample,
        std::size_t shift,
        std::optional<std::uint64_t> draw,
        const SampleOut& out
    );

private:
    using Draw = std::optional<std::uint64_t>;

    Result<void> read_window(
        const ShardView& view, std::size_t sample, std::size_t shift, const SampleOut& out
    );
    Result<void> read_values(ByteView record, const Draw& draw, std::span<float> out);
    Result<void> read_label_of(ByteView bytes, const SampleOut& out) const;
    void read_raw(ByteView record, std::span<float> out) const;
    void augment_raw(const ImageRecipe& recipe, std::uint64_t draw, std::span<float> out);
    Result<void> read_picture(
        const ImageRecipe& recipe, ByteView record, const Draw& draw, std::span<float> out
    );
    Result<void> read_sound(
        const AudioRecipe& recipe, ByteView record, const Draw& draw, std::span<float> out
    );
    void disturb(std::uint64_t draw, std::span<float> out) const;
    void read_columns(
        const TableRecipe& recipe, ByteView record, const Draw& draw, std::span<float> out
    ) const;

    Schema schema_;
    Recipe recipe_;
    std::vector<std::uint32_t> shape_;
    std::size_t values_;
    std::size_t labels_;
    std::size_t targets_;
    std::size_t classes_;
    std::vector<Normalizer> normalizers_;  ///< of images: one, or one for each channel
    std::optional<SoundFeatures> features_;
    std::vector<float> scratch_;
    Bytes room_;       ///< bytes of a sample that lies in a user's file
    Size stored_;      ///< of the picture that was read last, at its full size; known for boxes
    PointMap points_;  ///< where its points have gone
};

}  // namespace starling::data
