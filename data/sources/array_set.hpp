#pragma once

// Arrays by name: the members of an .npz, the .npy files of a folder, or its IDX files.

#include <memory>
#include <string>
#include <vector>

#include "data/arrays/npy.hpp"
#include "data/arrays/npz.hpp"

namespace starling::data {

/// An array that is being read. The set that opened it must outlive it.
struct OpenArray {
    std::unique_ptr<ByteStream> content;
    std::unique_ptr<NpyReader> reader;
};

/// Thread    one at a time
class ArraySet {
public:
    /// Opens `FILE.npz`.
    /// Errors    those of FileBytes::open and NpzFile::open
    [[nodiscard]] static Result<ArraySet> of_file(const std::string& path);

    /// Lists the files `NAME.npy` of a folder.
    /// Errors    NotFound, Io, Usage (no such files)
    [[nodiscard]] static Result<ArraySet> of_folder(const std::string& path);

    /// Finds the IDX files of a folder.
    /// Errors    those of idx_files
    [[nodiscard]] static Result<ArraySet> of_idx(const std::string& path);

    /// The names of all arrays, sorted.
    [[nodiscard]] const std::vector<std::string>& names() const { return names_; }

    [[nodiscard]] bool has(const std::string& name) const;

    /// Opens an array; its header is read.
    /// Errors    Usage (no such array; the message lists all), those of NpyReader::open
    [[nodiscard]] Result<OpenArray> open(const std::string& name) const;

    /// Returns a message's beginning: the file, and the array in it.
    [[nodiscard]] std::string where(const std::string& name) const;

private:
    std::string path_;
    std::vector<std::string> names_;
    std::unique_ptr<FileBytes> bytes_;  ///< of an .npz
    std::unique_ptr<NpzFile> archive_;
    std::vector<std::string> idx_;  ///< the files of `names_`
};

}  // namespace starling::data
