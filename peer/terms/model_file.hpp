#pragma once

// Models that are files, `onnx:net.onnx`, or stand on one, `detector?backbone=onnx:net.onnx`. The founder reads the file, and its bytes travel in the
// descriptor, so a newcomer needs nothing but an address.

#include <memory>
#include <string>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace starling::peer {

/// A model's spec and, where it names a file, the file's bytes.
struct ModelChoice {
    std::string spec;
    std::shared_ptr<const Bytes> file;  ///< null for a named model

    [[nodiscard]] ByteView bytes() const { return file == nullptr ? ByteView() : ByteView(*file); }
};

/// Reads the file that a spec names, if it names one. The spec that is returned has the file's name
/// without its folder: nobody else needs to know where it lay on the founder's disk.
/// Errors    Usage (no spec, no file, or a file that cannot be read or is larger than a descriptor)
[[nodiscard]] Result<ModelChoice> choose_model(const std::string& spec);

}  // namespace starling::peer
