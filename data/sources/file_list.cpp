#include "data/sources/file_list.hpp"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "base/rng.hpp"
#include "data/archive/archive.hpp"
#include "data/reading.hpp"

namespace starling::data {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFilesMax = std::size_t{1} << 24U;
constexpr int kDepthMax = 8;

bool wanted(const FileFilter& filter, const std::string& name) {
    const auto path = fs::path(name);
    // Finder and others leave files such as `._cat.jpg` beside the real ones.
    if (path.filename().string().starts_with('.')) return false;
    const auto extension = lower_case(path.extension().string());
    const auto& all = filter.extensions;
    return std::find(all.begin(), all.end(), extension) != all.end();
}

/// Returns why a file of this size cannot be a record, or nothing.
std::optional<std::string> unfit(std::uint64_t size, const FileFilter& filter) {
    if (size == 0 && !filter.empty_too) return "it is empty";
    if (size <= filter.bytes_max) return std::nullopt;
    return "it is over " + std::to_string(filter.bytes_max >> 20U) + " MiB";
}

Result<FileList> list_directory(const FileFilter& filter, RecordFiles& records, ScanNotes& notes) {
    FileList found;
    std::error_code error;
    const fs::path root(filter.path);
    fs::recursive_directory_iterator it(
        root, fs::directory_options::follow_directory_symlink, error
    );
    for (const fs::recursive_directory_iterator end; !error && it != end; it.increment(error)) {
        if (it.depth() >= kDepthMax) it.disable_recursion_pending();  // a loop of links
        const auto name = it->path().lexically_relative(root).generic_string();
        if (!wanted(filter, name)) continue;
        const auto file = records.add(it->path());
        if (!file) {
            notes.skip(it->path().string(), file.error().message);
            continue;
        }
        const auto size = records.size(*file);
        if (const auto why = unfit(size, filter)) {
            notes.skip(it->path().string(), *why);
            continue;
        }
        found.files.push_back({found.names.keep(name), {*file, static_cast<std::uint32_t>(size), 0}}
        );
        if (found.files.size() > kFilesMax) {
            return fail(FaultCode::Oversized, filter.path + ": more than 16 million files");
        }
    }
    if (error) {
        return fail(FaultCode::Io, filter.path + ": cannot be listed: " + error.message());
    }
    return found;
}

/// Lists an archive. Files that lie in it as they are stay there, packed ones are unpacked.
Result<FileList> list_archive(const FileFilter& filter, RecordFiles& records, ScanNotes& notes) {
    const auto whole = records.add(filter.path);
    if (!whole) return whole.error();
    auto archive = Archive::open(filter.path, {});
    if (!archive) return archive.error();
    FileList found;
    std::optional<std::uint32_t> unpacked;
    Bytes bytes;
    std::uint64_t told_to = 0;  // position in the archive
    while (true) {
        const auto entry = archive->next();
        if (!entry) return entry.error();
        if (!*entry) return found;
        const auto& file = **entry;
        if (!file.regular || !wanted(filter, file.name)) continue;
        const auto where = filter.path + ": " + file.name;
        const auto position = archive->position();
        auto told = Reading::advance(
            filter.path, position - std::exchange(told_to, position), position, archive->size()
        );
        if (!told) return told.error();
        if (const auto why = unfit(file.size.value_or(1), filter)) {
            notes.skip(where, *why);
            continue;
        }
        if (file.offset && file.size) {
            const auto length = static_cast<std::uint32_t>(*file.size);
            found.files.push_back({found.names.keep(file.name), {*whole, length, *file.offset}});
            continue;
        }
        if (auto read = archive->read(bytes, filter.bytes_max); !read) {
            if (read.error().code != FaultCode::Oversized) return read.error();
            notes.skip(where, *unfit(std::uint64_t{filter.bytes_max} + 1, filter));
            continue;
        }
        if (!unpacked) {
            const auto made = records.add_unpacked();
            if (!made) return made.error();
            unpacked = *made;
        }
        const auto at = records.append(*unpacked, bytes);
        if (!at) return at.error();
        found.files.push_back(
            {found.names.keep(file.name),
             {*unpacked, static_cast<std::uint32_t>(bytes.size()), *at}}
        );
    }
}

}  // namespace

std::string lower_case(std::string_view text) {
    std::string lower(text);
    for (auto& c : lower) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return lower;
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

std::optional<Split> split_named(std::string_view folder) {
    const auto name = lower_case(folder);
    if (name == "train" || name == "training") return Split::Train;
    if (name == "test" || name == "testing") return Split::Test;
    if (name == "val" || name == "valid" || name == "validation") return Split::Valid;
    return std::nullopt;
}

std::optional<Split> split_of_folders(std::string_view file) {
    std::optional<Split> split;
    auto folders = parts_of(file, '/');
    folders.pop_back();
    for (const auto& folder : folders) {
        // COCO's own folders are called train2017 and val2017.
        const auto name = folder.substr(0, folder.find_last_not_of("0123456789") + 1);
        if (const auto said = split_named(name)) split = said;
    }
    return split;
}

Split drawn_split(std::string_view name, double test, double valid) {
    std::uint64_t hash = 0;
    for (const char c : name) hash = mix64(hash ^ static_cast<unsigned char>(c));
    const double draw = static_cast<double>(hash >> 11U) * 0x1p-53;
    if (draw < test) return Split::Test;
    return draw < test + valid ? Split::Valid : Split::Train;
}

Result<FileList> list_files(const FileFilter& filter, RecordFiles& records, ScanNotes& notes) {
    std::error_code error;
    const auto status = fs::status(filter.path, error);
    if (!fs::exists(status)) {
        return fail(FaultCode::NotFound, "'" + filter.path + "': no such directory or archive");
    }
    auto found = fs::is_directory(status) ? list_directory(filter, records, notes)
                                          : list_archive(filter, records, notes);
    if (!found) return found.error();
    if (found->files.empty()) {
        std::string wanted;
        for (const auto& one : filter.extensions) wanted += (wanted.empty() ? "" : ", ") + one;
        return fail(FaultCode::Usage, filter.path + ": no files " + wanted + " in it");
    }
    std::sort(
        found->files.begin(),
        found->files.end(),
        [](const ListedFile& a, const ListedFile& b) { return a.name < b.name; }
    );
    return found;
}

}  // namespace starling::data
