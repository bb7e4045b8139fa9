#pragma once

// The files below a directory, or inside of a tar or zip file, with the place of each one's bytes.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/source.hpp"
#include "data/sources/name_arena.hpp"
#include "data/sources/record_files.hpp"

namespace starling::data {

struct FileFilter {
    std::string path;                     ///< a directory, or a tar or zip file
    std::vector<std::string> extensions;  ///< in lower case, with the dot
    bool empty_too = false;               ///< false: a file without bytes is skipped and counted
    std::uint32_t bytes_max = kEncodedBytesMax;  ///< a larger file is skipped and counted
};

struct ListedFile {
    std::string_view name;  ///< below the root, with `/`; in the list's arena
    RecordPlace place;
};

struct FileList {
    NameArena names;
    std::vector<ListedFile> files;
};

/// Lists the files sorted by name. Of a packed archive the files are unpacked once. Hidden files,
/// links that loop, and other extensions are passed over; unreadable files and such of over 12 MiB
/// are skipped and counted.
/// Errors    NotFound, Io, Oversized (16 million files), Usage (no such files), those of Archive
[[nodiscard]] Result<FileList> list_files(
    const FileFilter& filter, RecordFiles& records, ScanNotes& notes
);

/// Returns the split that a folder's name means, as `train` or `val`.
[[nodiscard]] std::optional<Split> split_named(std::string_view folder);

/// Returns the split that the folders of a file mean, the last of them that means any; a year may stand behind
/// the word, as in COCO's train2017.
[[nodiscard]] std::optional<Split> split_of_folders(std::string_view file);

/// Draws the split of a file by its name, so that it does not depend on which other files are there.
[[nodiscard]] Split drawn_split(std::string_view name, double test, double valid);

/// Returns the text with the ASCII letters in lower case.
[[nodiscard]] std::string lower_case(std::string_view text);

/// Cuts a text at each separator; an empty text is one empty part.
[[nodiscard]] std::vector<std::string> parts_of(std::string_view text, char separator);

}  // namespace starling::data
