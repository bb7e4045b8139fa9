#pragma once

// Files in folders that are named by class, as torchvision's ImageFolder has them: DIR/CLASS/FILE, or
// DIR/train/CLASS/FILE with one folder for each split. The same tree may lie in a tar or zip file.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/source.hpp"
#include "data/sources/name_arena.hpp"
#include "data/sources/name_pattern.hpp"
#include "data/sources/record_files.hpp"
#include "data/sources/split_rule.hpp"

namespace starling::data {

struct TreeOptions {
    std::string path;                            ///< a directory, or a tar or zip file
    std::vector<std::string> extensions;         ///< in lower case, with the dot
    std::uint32_t bytes_max = kEncodedBytesMax;  ///< a larger file is skipped and counted
    /// How to find the class: empty: the folder; else the part of the file's name with this number,
    /// cut by `separator`.
    std::optional<std::size_t> name_part;
    char separator = '_';
    std::optional<NamePattern> names;        ///< what the files' names say
    std::optional<std::size_t> label_field;  ///< or the class is this field of the names
    std::optional<SplitRule> rule;           ///< a field of the names says the split
    std::size_t rule_field = 0;
    double test = 0.1;  ///< shares of the files, where folders do not say the split
    double valid = 0.0;
};

/// Reads `label=name:0:_`, `names={label}_{speaker}`, and the shares from a SPEC.
/// Errors    Usage
[[nodiscard]] Result<TreeOptions> tree_options(const Spec& spec);

struct TreeFile {
    std::string_view name;  ///< below the root, with `/`; in the tree's arena
    RecordPlace place;
    Split split = Split::Train;
    std::uint16_t label = 0;
};

struct ClassTree {
    RecordFiles records;
    std::vector<std::string> classes;  ///< sorted; a label is a place in it
    NameArena names;
    std::vector<TreeFile> files;  ///< sorted by name
    ScanNotes notes;              ///< files that were left out, and lines for people

    /// Returns what a sample's label is: one of the classes.
    [[nodiscard]] Label label() const {
        return {LabelKind::Class, static_cast<std::uint32_t>(classes.size()), classes, {}};
    }
};

/// Lists the files. Of a packed archive the files are unpacked once.
/// Errors    NotFound, Io, Usage (no such files, one class), those of Archive
[[nodiscard]] Result<ClassTree> list_class_tree(const TreeOptions& options);

}  // namespace starling::data
