#pragma once

// One picture's annotation as PASCAL VOC has it: an XML file with the boxes of objects.
//
// voc.cpp is the only home of pugixml.

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace starling::data {

inline constexpr std::size_t kVocBytesMax = std::size_t{4} << 20U;

/// Corners as the file has them: pixels that count from 1, and the last one belongs to the box.
struct VocObject {
    std::string name;
    double left = 0.0;
    double top = 0.0;
    double right = 0.0;
    double bottom = 0.0;
    bool difficult = false;
};

/// Reads the objects of an annotation, in their order. Parts of objects and all else are passed over.
/// Memory grows with the file, to some 20 times its size if it is made for it. Entities of a document
/// type are not expanded.
///
/// Errors    BadFormat (not XML, or no annotation; an object without name or box), BadValue (a corner
///           that is no finite number), Oversized (over kVocBytesMax); messages do not name the source
/// Thread    any (pure)
/// Source    "The PASCAL Visual Object Classes Challenge 2012 Development Kit", section 3
[[nodiscard]] Result<std::vector<VocObject>> parse_voc(ByteView bytes);

}  // namespace starling::data
