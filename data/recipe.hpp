#pragma once

// How a stored sample becomes the floats that a model is fed. The founder learns the numbers in it
// from the training part alone, and the recipe travels in the manifest. So every peer, `eval` and
// `export` prepare a sample in the same way.

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "data/media/resize.hpp"
#include "data/schema.hpp"

namespace starling::data {

inline constexpr std::size_t kFedElementsMax = std::size_t{1} << 22U;
inline constexpr std::size_t kRecipeColumnsMax = 4096;
inline constexpr std::size_t kCategoriesMax = 65535;  ///< of one column
inline constexpr std::size_t kRecipeBytesMax = std::size_t{4} << 20U;

/// The model gets (x - mean) / stddev.
struct Scale {
    float mean = 0.0F;
    float stddev = 1.0F;

    bool operator==(const Scale&) const = default;
};

/// Values of 8 bits count in 1 / 255, values of 16 bits in 1 / 32768, others as they are. A raw image
/// is fed in the shape that it is stored in, and its recipe has no sides.
struct ImageRecipe {
    std::uint32_t channels = 0;  ///< 1 grey, 3 RGB
    std::uint32_t height = 0;
    std::uint32_t width = 0;
    Fit fit = Fit::Stretch;
    std::vector<Scale> scales;  ///< one for all channels, or one for each

    // Only in training:
    bool flip = false;         ///< mirror left and right, half of the time
    std::uint32_t pad = 0;     ///< shift by up to so many pixels, black comes in
    bool zoom = false;         ///< cut out a part of 8 % (with boxes 40 %) to 100 %, and enlarge it
    float noise = 0.0F;        ///< deviation of what is added to each number that the model gets
    std::uint32_t cutout = 0;  ///< a square of up to so many pixels becomes the mean

    bool operator==(const ImageRecipe&) const = default;
};

enum class AudioFeatures : std::uint8_t { Waveform = 0, LogMel = 1 };

/// A clip is mono, has `rate` samples a second, and is cut or padded with silence to `samples`.
/// Shapes    Waveform [1, samples]; LogMel [1, mels, 1 + (samples - window) / hop]
struct AudioRecipe {
    std::uint32_t rate = 16000;
    std::uint32_t samples = 16000;
    AudioFeatures features = AudioFeatures::LogMel;
    std::uint32_t mels = 40;
    std::uint32_t window = 400;  ///< samples
    std::uint32_t hop = 160;     ///< samples
    Scale scale;
    /// LogMel: from each band its mean over the frames of the clip's own sound is taken away first, and
    /// frames of silence behind it are 0. So a microphone or a room, which colours all of a clip
    /// alike, does not matter.
    bool centred = false;

    // Only in training:
    std::uint32_t shift = 0;      ///< move by up to so many samples, silence comes in
    std::uint32_t band_mask = 0;  ///< LogMel: up to so many bands become the mean
    std::uint32_t time_mask = 0;  ///< LogMel: likewise frames
    float noise = 0.0F;           ///< as of an image

    bool operator==(const AudioRecipe&) const = default;
};

enum class Tokenizer : std::uint8_t {
    Characters = 0,  ///< token i is the i-th character of the vocabulary, which is in UTF-8
    Bytes = 1,       ///< token i is the byte i; 256 is the mark between documents
    Bpe = 2,         ///< the vocabulary is an encoded table of merges
    Numbers = 3      ///< the source has tokens only; nobody knows what they stand for
};

struct TokenRecipe {
    Tokenizer tokenizer = Tokenizer::Characters;
    std::string vocabulary;
    std::uint32_t context = 0;  ///< tokens of one window

    bool operator==(const TokenRecipe&) const = default;
};

enum class ColumnRole : std::uint8_t { Number = 0, Category = 1 };

/// A column of a table. Numbers: a missing one becomes the mean, and with `mask` a further column
/// says 1 where it was missing. Categories: a code counts from 1, and 0 stands for what is missing.
/// What the founder's training rows do not have gets the last code with `unknown`, and else 0, too.
struct Column {
    std::string name;
    ColumnRole kind = ColumnRole::Number;
    Scale scale;
    bool mask = false;
    std::vector<std::string> categories;
    /// Above 0 a number x counts as sign(x) log(1 + |x| / log_unit); `scale` is of that.
    float log_unit = 0.0F;
    float clip = 0.0F;  ///< above 0 a number is at most so many deviations away from the mean
    bool unknown = false;

    /// Returns how many codes a category has, 0 included.
    [[nodiscard]] std::size_t codes() const { return categories.size() + (unknown ? 2 : 1); }

    /// Returns the code of a word that is not among the categories.
    [[nodiscard]] std::size_t unknown_code() const { return unknown ? codes() - 1 : 0; }

    bool operator==(const Column&) const = default;
};

/// A model is fed the categories first, then the numbers, then the masks, each in the columns'
/// order.
struct TableRecipe {
    std::vector<Column> columns;
    float noise = 0.0F;  ///< only in training: as of an image, for the numbers that are there

    bool operator==(const TableRecipe&) const = default;
};

using Recipe = std::variant<ImageRecipe, AudioRecipe, TokenRecipe, TableRecipe>;

/// Returns the shape of what a model is fed: C, H, W; 1, T or 1, mels, frames; the context; or the
/// number of columns.
/// Requires  a recipe that check_recipe accepts for this schema
[[nodiscard]] std::vector<std::uint32_t> fed_shape(const Recipe& recipe, const Schema& schema);

/// Checks every limit, and that the recipe can prepare what the schema stores.
/// Errors    BadValue, Oversized
/// Thread    any
[[nodiscard]] Result<void> check_recipe(const Recipe& recipe, const Schema& schema);

/// Encodes a recipe. Equal recipes give equal bytes.
[[nodiscard]] Bytes encode_recipe(const Recipe& recipe);

/// Errors    Truncated, BadFormat, and those of check_recipe
[[nodiscard]] Result<Recipe> decode_recipe(ByteView bytes, const Schema& schema);

}  // namespace starling::data
