#pragma once

// What sources of pictures with boxes share: boxes are held against their picture, counted and
// numbered. The labels have corners in pixels of the picture as decode_image gives it, so a recipe's
// size changes no label.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "data/sources/pictures.hpp"

namespace starling::data {

/// The keys of a SPEC that say how pictures with boxes are fed.
inline constexpr const char* kBoxKeys = "size,channels,fit,flip,pad,zoom";

/// A box as an annotation has it, in pixels from the picture's left and upper edge.
struct GivenBox {
    std::uint32_t label = 0;
    double left = 0.0;
    double top = 0.0;
    double right = 0.0;
    double bottom = 0.0;
};

/// How classes are numbered: as the files do it, or by their names where files only have names.
enum class ClassOrder : std::uint8_t { AsGiven, ByName };

/// Thread    any one at a time
class BoxSource : public PictureSource {
protected:
    /// Looks at a picture's head and keeps the picture with those of its boxes that have an area
    /// inside of it. A picture that cannot be used is skipped and counted.
    /// Requires  finite sides
    void add(
        const std::string& name, Split split, RecordPlace place, const std::vector<GivenBox>& boxes
    );

    /// Counts something that people are told once, with its count in front.
    void count_note(const std::string& what) { ++counts_[what]; }

    /// Makes the samples of all pictures. `names[i]` is the class that boxes have as label i so far.
    /// Errors    Usage (no box at all), BadValue (too many pictures were skipped), Oversized (more
    ///           than 65536 classes), those of describe_pictures and check_schema
    [[nodiscard]] Result<void> finish(
        std::vector<std::string> names,
        ClassOrder order,
        const ImageOptions& options,
        const ScanOptions& scan
    );

private:
    void number_by_names(std::vector<std::string>& names);

    struct Picture {
        ImageFacts facts;
        Split split = Split::Train;
        RecordPlace place;
        std::vector<LabelledBox> boxes;
    };

    std::vector<Picture> pictures_;  ///< until finish
    std::map<std::string, std::uint64_t> counts_;
    std::uint64_t boxes_ = 0;
};

/// Reads the options of a source with boxes; `more` lists its own keys, with a comma in front. Unless
/// the SPEC says it, pictures are padded: no box is cut off or changes its shape.
/// Errors    Usage
[[nodiscard]] Result<ImageOptions> read_box_options(const Spec& spec, const std::string& more);

}  // namespace starling::data
