#pragma once

// A file of somebody's as a sample of a data set that it never was part of: for a trained model that is
// asked what it sees there.

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "data/manifest.hpp"

namespace starling::data {

/// Returns the bytes of a picture (JPEG, PNG) or sound (WAV, FLAC, Ogg, MP3) as shards of this data set
/// store a sample. A picture of a set of raw pixels is resized to their shape, with as many channels.
/// Whether it is white on black, as in MNIST, it must be by itself.
/// Errors    BadFormat, Truncated, Oversized, Corrupt (as the decoders), Unsupported (samples that are
///           no pictures and no sounds, or pictures of more than 8 bits)
/// Thread    any (pure)
[[nodiscard]] Result<Bytes> record_of_file(const Manifest& manifest, ByteView file);

}  // namespace starling::data
