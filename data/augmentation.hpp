#pragma once

// --augment: random changes of training samples, as a list of well-known names for all kinds of data.

#include <string_view>

#include "data/manifest.hpp"

namespace starling::data {

/// Checks a list as `flip,crop=4,noise=0.01` without data: names, values, nothing twice.
/// Errors    Usage
/// Thread    any
[[nodiscard]] Result<void> check_augment(std::string_view list);

/// Adds the changes of a list to the manifest's recipe. Those that the recipe has already stay, and of
/// two that differ in size alone (crop and shift of images) the larger one counts.
///
/// | name | images | spectrograms | waveforms | tables |
/// |---|---|---|---|---|
/// | flip | mirrored half of the time | | | |
/// | crop=N, shift=N | moved by up to N pixels, black comes in | shift: up to N ms | likewise | |
/// | zoom | of encoded pictures: a part of 8 % to 100 %, enlarged | | | |
/// | noise=S | normal noise of S deviations on what a model is fed | likewise | likewise | numbers |
/// | mask=N | a square of up to N pixels becomes the mean | up to N bands | | |
/// | time_mask=N | | up to N frames | | |
///
/// Errors    Usage: what does not suit the data, with a list of what does; a size that is too large
/// Thread    any
[[nodiscard]] Result<void> augment(std::string_view list, Manifest& manifest);

}  // namespace starling::data
