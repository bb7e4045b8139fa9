#include "data/sources/class_tree.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <set>
#include <system_error>

#include "base/printable.hpp"
#include "base/rng.hpp"
#include "data/archive/archive.hpp"
#include "data/dataset.hpp"

namespace starling::data {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFilesMax = std::size_t{1} << 24U;
constexpr int kDepthMax = 8;

/// What was found, before anything is known of splits and classes.
struct Found {
    std::string name;
    RecordPlace place;
};

std::string lower(std::string text) {
    for (auto& c : text) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return text;
}

bool wanted(const TreeOptions& options, const std::string& name) {
    const auto path = fs::path(name);
    // Finder and others leave files such as `._cat.jpg` beside the real ones.
    if (path.filename().string().starts_with('.')) return false;
    const auto extension = lower(path.extension().string());
    const auto& all = options.extensions;
    return std::find(all.begin(), all.end(), extension) != all.end();
}

std::vector<std::string> parts_of(std::string_view text, char separator) {
    std::vector<std::string> parts(1);
    for (const char c : text) {
        if (c == separator) {
            parts.emplace_back();
        } else {
            parts.back() += c;
        }
    }
    return parts;
}

std::optional<Split> split_named(const std::string& folder) {
    const auto name = lower(folder);
    if (name == "train" || name == "training") return Split::Train;
    if (name == "test" || name == "testing") return Split::Test;
    if (name == "val" || name == "valid" || name == "validation") return Split::Valid;
    return std::nullopt;
}

Result<std::vector<Found>> list_directory(
    const TreeOptions& options, RecordFiles& records, ScanNotes& notes
) {
    std::vector<Found> found;
    std::error_code error;
    const fs::path root(options.path);
    fs::recursive_directory_iterator it(
        root, fs::directory_options::follow_directory_symlink, error
    );
    for (const fs::recursive_directory_iterator end; !error && it != end; it.increment(error)) {
        if (it.depth() >= kDepthMax) it.disable_recursion_pending();  // a loop of links
        const auto name = it->path().lexically_relative(root).generic_string();
        if (!wanted(options, name)) continue;
        const auto file = records.add(it->path());
        if (!file) {
            notes.skip(it->path().string(), file.error().message);
            continue;
        }
        const auto size = records.size(*file);
        if (size == 0 || size > kEncodedBytesMax) {
            notes.skip(it->path().string(), size == 0 ? "it is empty" : "it is over 12 MiB");
            continue;
        }
        found.push_back({name, {*file, static_cast<std::uint32_t>(size), 0}});
        if (found.size() > kFilesMax) {
            return fail(FaultCode::Oversized, options.path + ": more than 16 million files");
        }
    }
    if (error) {
        return fail(FaultCode::Io, options.path + ": cannot be listed: " + error.message());
    }
    return found;
}

/// Lists an archive. Files that lie in it as they are stay there, packed ones are unpacked.
Result<std::vector<Found>> list_archive(
    const TreeOptions& options, RecordFiles& records, ScanNotes& notes, const ScanOptions& scan
) {
    const auto whole = records.add(options.path);
    if (!whole) return whole.error();
    auto archive = Archive::open(options.path, {});
    if (!archive) return archive.error();
    std::vector<Found> found;
    std::optional<std::uint32_t> unpacked;
    Bytes bytes;
    while (true) {
        const auto entry = archive->next();
        if (!entry) return entry.error();
        if (!*entry) return found;
        const auto& file = **entry;
        if (!file.regular || !wanted(options, file.name)) continue;
        const auto where = options.path + ": " + file.name;
        if (scan.progress && found.size() % 4096 == 0 && archive->size() > 0) {
            scan.progress(
                std::to_string(100 * archive->position() / archive->size()) + " % of " +
                options.path + " read"
            );
        }
        if (file.size.value_or(1) == 0 || file.size.value_or(1) > kEncodedBytesMax) {
            notes.skip(where, file.size == 0U ? "it is empty" : "it is over 12 MiB");
            continue;
        }
        if (file.offset && file.size) {
            const auto length = static_cast<std::uint32_t>(*file.size);
            found.push_back({file.name, {*whole, length, *file.offset}});
            continue;
        }
        if (auto read = archive->read(bytes, kEncodedBytesMax); !read) {
            if (read.error().code != FaultCode::Oversized) return read.error();
            notes.skip(where, "it is over 12 MiB");
            continue;
        }
        if (!unpacked) {
            const auto made = records.add_unpacked();
            if (!made) return made.error();
            unpacked = *made;
        }
        const auto at = records.append(*unpacked, bytes);
        if (!at) return at.error();
        found.push_back({file.name, {*unpacked, static_cast<std::uint32_t>(bytes.size()), *at}});
    }
}

/// Draws the split of a file by its name, so that it does not depend on which other files are there.
Split drawn_split(const std::string& name, const TreeOptions& options) {
    std::uint64_t hash = 0;
    for (const char c : name) hash = mix64(hash ^ static_cast<unsigned char>(c));
    const double draw = static_cast<double>(hash >> 11U) * 0x1p-53;
    if (draw < options.test) return Split::Test;
    return draw < options.test + options.valid ? Split::Valid : Split::Train;
}

struct Named {
    Found* file = nullptr;
    std::optional<Split> split;
    std::string klass;
};

/// Finds split and class of one file in its path. A folder with a split's name may lie at any depth
/// above the class: archives often begin with one folder that holds all.
Named named(Found& file, const TreeOptions& options) {
    Named named;
    named.file = &file;
    auto folders = parts_of(file.name, '/');
    const auto base = folders.back();
    folders.pop_back();
    for (const auto& folder : folders) {
        if (const auto split = split_named(folder)) named.split = split;
    }
    if (options.name_part) {
        const auto parts = parts_of(fs::path(base).stem().string(), options.separator);
        if (*options.name_part < parts.size()) named.klass = parts[*options.name_part];
    } else if (!folders.empty() && !split_named(folders.back())) {
        named.klass = folders.back();
    }
    return named;
}

Result<void> assign(
    const TreeOptions& options, std::vector<Found>& found, ClassTree& tree, ScanNotes& notes
) {
    std::vector<Named> all;
    std::set<std::string> classes;
    bool splits = false;
    bool tests = false;
    for (auto& file : found) {
        auto one = named(file, options);
        if (one.klass.empty()) {
            notes.skip(options.path + ": " + file.name, "it lies in no folder of a class");
            continue;
        }
        splits = splits || one.split.has_value();
        tests = tests || one.split == Split::Test;
        classes.insert(one.klass);
        all.push_back(std::move(one));
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
        file.split = splits ? one.split.value_or(Split::Train) : drawn_split(file.name, options);
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

}  // namespace

Result<TreeOptions> tree_options(const Spec& spec) {
    TreeOptions options;
    options.path = spec.path;
    const auto test = spec.real("test", 0.1, 0.0, 0.9);
    if (!test) return test.error();
    const auto valid = spec.real("valid", 0.0, 0.0, 0.9);
    if (!valid) return valid.error();
    options.test = *test;
    options.valid = *valid;
    const auto label = spec.text("label", "folder");
    if (label == "folder") return options;
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
                " is not allowed; give folder, or name:PART:SEPARATOR as name:0:_"
        );
    }
    options.name_part = number;
    options.separator = parts[2][0];
    return options;
}

Result<ClassTree> list_class_tree(const TreeOptions& options, const ScanOptions& scan) {
    ClassTree tree;
    ScanNotes notes;
    std::error_code error;
    const auto status = fs::status(options.path, error);
    if (!fs::exists(status)) {
        return fail(FaultCode::NotFound, "'" + options.path + "': no such directory or archive");
    }
    auto found = fs::is_directory(status) ? list_directory(options, tree.records, notes)
                                          : list_archive(options, tree.records, notes, scan);
    if (!found) return found.error();
    if (found->empty()) {
        std::string wanted;
        for (const auto& one : options.extensions) wanted += (wanted.empty() ? "" : ", ") + one;
        return fail(FaultCode::Usage, options.path + ": no files " + wanted + " in it");
    }
    std::sort(found->begin(), found->end(), [](const Found& a, const Found& b) {
        return a.name < b.name;
    });
    if (auto ok = assign(options, *found, tree, notes); !ok) return ok.error();
    tree.skipped = std::move(notes);
    return tree;
}

}  // namespace starling::data
