#pragma once

// The text files of a YOLO data set: one line for each box, and the names of the classes.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace starling::data {

/// Centre and size are shares of the picture's width and height.
struct YoloBox {
    std::uint32_t label = 0;
    double x = 0.0;
    double y = 0.0;
    double width = 0.0;
    double height = 0.0;
};

/// Reads `class x y width height`, a line for each box. A sixth number is somebody's confidence and is
/// passed over.
/// Errors    BadFormat (a line with another count, as outlines have), BadValue (a number that is not
///           finite, a class that is no number below 65536); each names the line, not the file
/// Thread    any (pure)
[[nodiscard]] Result<std::vector<YoloBox>> parse_yolo(std::string_view text);

/// Reads the `names` of data.yaml, in the forms that people write: `[a, b]`, `{0: a, 1: b}`, lines
/// `- a`, lines `0: a`. All else in the file is passed over. Without names the result is empty.
/// Errors    BadFormat (names that are not numbered from 0 on)
/// Thread    any (pure)
[[nodiscard]] Result<std::vector<std::string>> parse_yolo_names(std::string_view text);

}  // namespace starling::data
