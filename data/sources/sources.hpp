#pragma once

// The readers of formats that open_source knows; each family lives in its own file.

#include "data/source.hpp"
#include "data/tables/jsonl.hpp"

namespace starling::data {

class TableFormat;

[[nodiscard]] Result<SourcePointer> open_images(const Spec& spec, const ScanOptions& options);
[[nodiscard]] Result<SourcePointer> open_audio(const Spec& spec, const ScanOptions& options);
[[nodiscard]] Result<SourcePointer> open_csv(const Spec& spec, const ScanOptions& options);
[[nodiscard]] Result<SourcePointer> open_jsonl(const Spec& spec, const ScanOptions& options);
[[nodiscard]] Result<SourcePointer> open_parquet(const Spec& spec, const ScanOptions& options);
[[nodiscard]] Result<SourcePointer> open_sqlite(const Spec& spec, const ScanOptions& options);
[[nodiscard]] Result<SourcePointer> open_cifar(const Spec& spec, const ScanOptions& options);
[[nodiscard]] Result<SourcePointer> open_dicom(const Spec& spec, const ScanOptions& options);
[[nodiscard]] Result<SourcePointer> open_voc(const Spec& spec, const ScanOptions& options);
[[nodiscard]] Result<SourcePointer> open_npz(const Spec& spec, const ScanOptions& options);
[[nodiscard]] Result<SourcePointer> open_npy(const Spec& spec, const ScanOptions& options);
[[nodiscard]] Result<SourcePointer> open_coco(const Spec& spec, const ScanOptions& options);
[[nodiscard]] Result<SourcePointer> open_yolo(const Spec& spec, const ScanOptions& options);

[[nodiscard]] Result<SourcePointer> open_idx(const Spec& spec, const ScanOptions& options);

/// The formats of tables, not opened yet.
[[nodiscard]] std::unique_ptr<TableFormat> csv_format();
[[nodiscard]] std::unique_ptr<TableFormat> jsonl_format();
[[nodiscard]] std::unique_ptr<TableFormat> parquet_format();
[[nodiscard]] Result<std::unique_ptr<TableFormat>> sqlite_format(const Spec& spec);

/// Makes a source of a format and scans its files.
/// Requires  Format::scan(spec, options), which gives a Result<void>
template <class Format>
[[nodiscard]] Result<SourcePointer> scanned(const Spec& spec, const ScanOptions& options) {
    auto source = std::make_unique<Format>();
    if (auto ok = source->scan(spec, options); !ok) return ok.error();
    return SourcePointer(std::move(source));
}

/// Shares of the samples for testing and validation, where the files do not say it.
struct Shares {
    double test = 0.1;
    double valid = 0.0;
};

/// Reads `test=0.1&valid=0`.
/// Errors    Usage
[[nodiscard]] Result<Shares> read_shares(const Spec& spec);

/// Notes the wrong lines of a file as skipped records.
void note_wrong_lines(const std::string& path, const LineFindings& wrong, ScanNotes& notes);

/// A format's users expect a few bad records; more than one in a hundred means that something else
/// is wrong.
/// Errors    BadValue (more than 1 % were skipped, or any with `strict`); names the first
[[nodiscard]] Result<void> check_skipped(
    const std::string& name, const ScanNotes& notes, std::uint64_t good, bool strict
);

}  // namespace starling::data
