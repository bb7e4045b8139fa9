#include "data/sources/class_tree.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <set>

#include "base/printable.hpp"
#include "data/dataset.hpp"
#include "data/sources/file_list.hpp"
#include "data/sources/sources.hpp"

namespace starling::data {

namespace {

namespace fs = std::filesystem;

struct Named {
    ListedFile* file = nullptr;
    std::optional<Split> split;
    std::string klass;
};

/// Finds split and class of one file in its path. A folder with a split's name may lie at any depth
/// above the class: archives often begin with one folder that holds all.
Named named(ListedFile& file, const TreeOptions& options) {
    Named named;
    named.file = &file;
    auto folders = parts_of(file.name, '/');
    const auto base = folders.back();
    folders.pop_back();
    for (const auto& folder : folders) {
        if (const auto split = split_named(folder)) named.split = split;
    }
    const auto fields = options.names ? options.names->read(file.name) : std::nullopt;
    if (options.rule && fields) {
        named.split = options.rule->split_of_text((*fields)[options.rule_field]);
    }
    if (options.label_field) {
        if (fields) named.klass = std::string((*fields)[*options.label_field]);
    } else if (options.name_part) {
        const auto parts = parts_of(fs::path(base).stem().string(), options.separator);
        if (*options.name_part < parts.size()) named.klass = parts[*options.name_part];
    } else if (!folders.empty() && !split_named(folders.back())) {
        named.klass = folders.back();
    }
    return named;
}

Result<void> assign(
    const TreeOptions& options, std::vector<ListedFile>& found, ClassTree& tree, ScanNotes& notes
) {
    std::vector<Named> all;
    std::set<std::string> classes;
    bool splits = false;
    bool tests = false;
    for (auto& file : found) {
        auto one = named(file, options);
        if (options.names && !options.names->read(file.name)) {
            notes.skip(options.path + ": " + file.name, "its name is not as names= says");
            continue;
        }
        if (one.klass.empty()) {
            notes.skip(options.path + ": " + file.name, "it lies in no folder of a class");
            continue;
        }
        splits = splits || one.split.has_value();
        tests = tests || one.split == Split::Test;
        classes.insert(one.klass);
        all.push_back(std::move(one));
    }
    if (all.empty() && options.names && !found.empty()) {
        return fail(
            FaultCode::Usage,
            options.path + ": no file's name is as names= says; the first is " + found[0].name
        );
    }
    if (classes.size() < 2) {
        return fail(
            FaultCode::Usage,
            options.path + ": " + std::to_string(classes.size()) +
                " classes with files in them; put the files of each class into a folder of its "
                "name, as DIR/cat/1.jpg, or say where names have it, as &label=name:0:_"
        );
    }
    if (classes.size() > kClassesMax) {
        return fail(FaultCode::Oversized, options.path + ": more than 65536 classes");
    }
    for (const auto& name : classes) {
        tree.classes.push_back(printable_name(name).substr(0, kClassNameMax));
    }
    for (const auto& one : all) {
        TreeFile file;
        file.name = one.file->name;
        file.place = one.file->place;
        file.label =
            static_cast<std::uint16_t>(std::distance(classes.begin(), classes.find(one.klass)));
        file.split = splits ? one.split.value_or(Split::Train)
                            : drawn_split(file.name, options.test, options.valid);
        // With train and validation folders alone, the second one is what models are judged by.
        if (splits && !tests && file.split == Split::Valid) file.split = Split::Test;
        tree.files.push_back(std::move(file));
    }
    if (!splits) {
        tree.notes.push_back(
            options.path + ": no folders train and test, so " + shortest_text(100 * options.test) +
            " % of the files are for testing" +
            (options.valid > 0 ? " and " + shortest_text(100 * options.valid) + " % for validation"
                               : std::string())
        );
    }
    return {};
}

/// Reads `split=take<5`, where take is a field of the names.
Result<void> read_rule(const Spec& spec, TreeOptions& options) {
    if (spec.text("split", "").empty()) return {};
    auto rule = SplitRule::read(spec);
    if (!rule) return rule.error();
    const auto field = options.names ? options.names->field(rule->column) : std::nullopt;
    if (!field) {
        return fail(
            FaultCode::Usage,
            "'" + spec.to_string() + "': split=" + rule->column +
                "... is no field of names=; write names={label}_{speaker}_{take} and split=take<5"
        );
    }
    options.rule = std::move(*rule);
    options.rule_field = *field;
    return {};
}

}  // namespace

Result<TreeOptions> tree_options(const Spec& spec) {
    TreeOptions options;
    options.path = spec.path;
    const auto shares = read_shares(spec);
    if (!shares) return shares.error();
    options.test = shares->test;
    options.valid = shares->valid;
    const auto names = spec.text("names", "");
    if (!names.empty()) {
        auto pattern = NamePattern::parse(names);
        if (!pattern) {
            return fail(FaultCode::Usage, "'" + spec.to_string() + "': " + pattern.error().message);
        }
        options.names = std::move(*pattern);
    }
    if (auto ok = read_rule(spec, options); !ok) return ok.error();
    const auto label = spec.text("label", "");
    if (options.names) options.label_field = options.names->field(label.empty() ? "label" : label);
    if (options.label_field || label.empty() || label == "folder") return options;
    const auto parts = parts_of(label, ':');
    std::size_t number = 0;
    const bool sound =
        parts.size() == 3 && parts[0] == "name" && parts[2].size() == 1 &&
        std::from_chars(parts[1].data(), parts[1].data() + parts[1].size(), number).ec ==
            std::errc{};
    if (!sound) {
        return fail(
            FaultCode::Usage,
            "'" + spec.to_string() + "': label=" + label +
                " is not allowed; give folder, name:PART:SEPARATOR as name:0:_, or a field of "
                "names={label}_{speaker}"
        );
    }
    options.name_part = number;
    options.separator = parts[2][0];
    return options;
}

Result<ClassTree> list_class_tree(const TreeOptions& options) {
    ClassTree tree;
    ScanNotes notes;
    auto found = list_files({options.path, options.extensions, false}, tree.records, notes);
    if (!found) return found.error();
    if (auto ok = assign(options, *found, tree, notes); !ok) return ok.error();
    tree.skipped = std::move(notes);
    return tree;
}

}  // namespace starling::data
