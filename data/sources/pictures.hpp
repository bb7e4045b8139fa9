#pragma once

// What sources of encoded pictures share: the options of how a model is fed them, a look at each
// file's head, and mean and deviation of each channel. What a picture's label is, each source knows.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/media/image.hpp"
#include "data/source.hpp"
#include "data/sources/record_files.hpp"

namespace starling::data {

struct ImageOptions {
    std::uint32_t height = 0;  ///< 0: chosen by the pictures
    std::uint32_t width = 0;
    std::uint32_t channels = 0;  ///< 0: as the pictures are
    Fit fit = Fit::Crop;
    bool flip = false;
    bool zoom = false;
    std::uint32_t pad = 0;
};

/// Reads `size`, `channels`, `fit`, `flip`, `zoom` and `pad`; `keys` lists all that the SPEC may have.
/// Errors    Usage
[[nodiscard]] Result<ImageOptions> read_image_options(const Spec& spec, std::string_view keys);

/// The records are the files' own bytes.
/// Thread    any one at a time
class PictureSource : public Source {
public:
    [[nodiscard]] Result<void> read(Split split, std::uint64_t sample, Bytes& out) const override {
        return records_.read(places_[static_cast<std::size_t>(split)][sample], out);
    }

    [[nodiscard]] std::optional<FileExtent> file_extent(Split split, std::uint64_t sample)
        const override {
        return records_.file_extent(places_[static_cast<std::size_t>(split)][sample]);
    }

protected:
    /// Reads as much of a file's head as its headers take.
    /// Errors    those of probe_image and of RecordFiles
    [[nodiscard]] Result<ImageFacts> look_at(const RecordPlace& place);

    /// Adds a picture as the next sample of its split.
    /// Requires  schema_.label and labels_ are ready
    void keep(const ImageFacts& facts, Split split, RecordPlace place, const LabelValue& label);

    /// Makes schema and recipe of the pictures that were kept, and learns the scales from those for
    /// training.
    /// Requires  a picture for training
    /// Errors    BadValue (none can be decoded), those of read
    [[nodiscard]] Result<void> describe_pictures(const ImageOptions& options);

    RecordFiles records_;

private:
    [[nodiscard]] Result<ImageFacts> probe(RecordPlace place, std::uint32_t bytes);
    [[nodiscard]] Result<void> learn_scales();

    std::array<std::vector<RecordPlace>, kSplits> places_;
    std::vector<std::uint32_t> heights_;  ///< of all pictures; empty once they are described
    std::vector<std::uint32_t> widths_;
    bool colours_ = false;
    Bytes head_;
};

}  // namespace starling::data
