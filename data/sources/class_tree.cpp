#include "data/sources/class_tree.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>

#include "base/printable.hpp"
#include "data/dataset.hpp"
#include "data/sources/file_list.hpp"
#include "data/sources/sources.hpp"

namespace starling::data {

namespace {

namespace fs = std::filesystem;

/// What a file's path says of it.
struct Named {
    std::optional<Split> split;
    std::string klass;
};

/// Finds split and class of one file in its path. A folder with a split's name may lie at any depth
/// above the class: archives often begin with one folder that holds all.
Named named(std::string_view file, const TreeOptions& options) {
    Named named;
    auto folders = parts_of(file, '/');
    const auto base = folders.back();
    folders.pop_back();
    for (const auto& folder : folders) {
        if (const auto split = split_named(folder)) named.split = split;
    }
    const auto fields = options.names ? options.names->read(file) : std::nullopt;
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

/// What a pass over the names has found.
struct Survey {
    std::map<std::string, std::uint32_t> classes;  ///< and which of them was met how manieth
    bool splits = false;                           ///< folders or a rule say the splits
    bool tests = false;
};

/// Takes the files that have a class. Their label is the number of that class in the survey.
Result<void> take_files(
    const TreeOptions& options,
    const std::vector<ListedFile>& found,
    ClassTree& tree,
    Survey& survey
) {
    tree.files.reserve(found.size());
    for (const auto& file : found) {
        const auto skip = [&](const char* why) {
            tree.notes.skip(options.path + ": " + std::string(file.name), why);
        };
        if (options.names && !options.names->read(file.name)) {
            skip("its name is not as names= says");
            continue;
        }
        const auto one = named(file.name, options);
        if (one.klass.empty()) {
            skip("it lies in no folder of a class");
            continue;
        }
        survey.splits = survey.splits || one.split.has_value();
        survey.tests = survey.tests || one.split == Split::Test;
        const auto number = static_cast<std::uint32_t>(survey.classes.size());
        const auto klass = survey.classes.emplace(one.klass, number).first->second;
        if (klass >= kClassesMax) {
            return fail(FaultCode::Oversized, options.path + ": more than 65536 classes");
        }
        tree.files.push_back(
            {file.name,
             file.place,
             one.split.value_or(Split::Train),
             static_cast<std::uint16_t>(klass)}
        );
    }
    if (tree.files.empty() && options.names && !found.empty()) {
        return fail(
            FaultCode::Usage,
            options.path + ": no file's name is as names= says; the first is " +
                std::string(found[0].name)
        );
    }
    if (survey.classes.size() >= 2) return {};
    return fail(
        FaultCode::Usage,
        options.path + ": " + std::to_string(survey.classes.size()) +
            " classes with files in them; put the files of each class into a folder of its "
            "name, as DIR/cat/1.jpg, or say where names have it, as &label=name:0:_"
    );
}

Result<void> assign(
    const TreeOptions& options, const std::vector<ListedFile>& found, ClassTree& tree
) {
    Survey survey;
    if (auto ok = take_files(options, found, tree, survey); !ok) return ok;
    std::vector<std::uint16_t> labels(survey.classes.size());  // by the number in the survey
    for (const auto& [name, number] : survey.classes) {
        labels[number] = static_cast<std::uint16_t>(tree.classes.size());
        tree.classes.push_back(printable_name(name).substr(0, kClassNameMax));
    }
    for (auto& file : tree.files) {
        file.label = labels[file.label];
        if (!survey.splits) file.split = drawn_split(file.name, options.test, options.valid);
        // With train and validation folders alone, the second one is what models are judged by.
        if (survey.splits && !survey.tests && file.split == Split::Valid) file.split = Split::Test;
    }
    if (!survey.splits) {
        tree.notes.lines.push_back(
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
    auto found = list_files(
        {options.path, options.extensions, false, options.bytes_max}, tree.records, tree.notes
    );
    if (!found) return found.error();
    tree.names = std::move(found->names);
    if (auto ok = assign(options, found->files, tree); !ok) return ok.error();
    return tree;
}

}  // namespace starling::data
