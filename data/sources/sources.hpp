#pragma once

// The readers of formats that open_source knows; each family lives in its own file.

#include "data/source.hpp"

namespace starling::data {

[[nodiscard]] Result<SourcePointer> open_images(const Spec& spec, const ScanOptions& options);
[[nodiscard]] Result<SourcePointer> open_audio(const Spec& spec, const ScanOptions& options);
[[nodiscard]] Result<SourcePointer> open_csv(const Spec& spec, const ScanOptions& options);
[[nodiscard]] Result<SourcePointer> open_cifar(const Spec& spec, const ScanOptions& options);
[[nodiscard]] Result<SourcePointer> open_voc(const Spec& spec, const ScanOptions& options);
[[nodiscard]] Result<SourcePointer> open_coco(const Spec& spec, const ScanOptions& options);
[[nodiscard]] Result<SourcePointer> open_yolo(const Spec& spec, const ScanOptions& options);

/// A format's users expect a few bad records; more than one in a hundred means that something else
/// is wrong.
/// Errors    BadValue (more than 1 % were skipped, or any with `strict`); names the first
[[nodiscard]] Result<void> check_skipped(
    const std::string& name, const ScanNotes& notes, std::uint64_t good, bool strict
);

}  // namespace starling::data
