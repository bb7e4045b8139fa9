#include "data/sources/array_set.hpp"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "data/arrays/idx_arrays.hpp"

namespace starling::data {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kExtension = ".npy";

}  // namespace

Result<ArraySet> ArraySet::of_file(const std::string& path) {
    auto bytes = FileBytes::open(path);
    if (!bytes) return bytes.error();
    auto archive = NpzFile::open(**bytes);
    if (!archive) return archive.error();
    ArraySet set;
    set.path_ = path;
    for (const auto& member : archive->members()) set.names_.push_back(member.name);
    std::sort(set.names_.begin(), set.names_.end());
    set.bytes_ = std::move(*bytes);
    set.archive_ = std::make_unique<NpzFile>(std::move(*archive));
    return set;
}

Result<ArraySet> ArraySet::of_folder(const std::string& path) {
    std::error_code error;
    if (!fs::is_directory(path, error)) {
        return fail(FaultCode::NotFound, "'" + path + "': no such directory");
    }
    ArraySet set;
    set.path_ = path;
    for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
        const auto file = it->path().filename().string();
        if (!file.ends_with(kExtension) || file.starts_with('.')) continue;
        set.names_.push_back(file.substr(0, file.size() - kExtension.size()));
    }
    if (error) return fail(FaultCode::Io, path + ": cannot be listed: " + error.message());
    if (set.names_.empty()) return fail(FaultCode::Usage, path + ": no files *.npy in it");
    std::sort(set.names_.begin(), set.names_.end());
    return set;
}

Result<ArraySet> ArraySet::of_idx(const std::string& path) {
    const auto files = idx_files(path);
    if (!files) return files.error();
    ArraySet set;
    set.path_ = path;
    for (const auto& [name, file] : *files) {
        set.names_.push_back(name);
        set.idx_.push_back(file.string());
    }
    return set;
}

bool ArraySet::has(const std::string& name) const {
    return std::binary_search(names_.begin(), names_.end(), name);
}

std::string ArraySet::where(const std::string& name) const {
    const auto at = std::lower_bound(names_.begin(), names_.end(), name) - names_.begin();
    if (!idx_.empty()) return idx_[static_cast<std::size_t>(at)];
    return path_ + (archive_ ? ": " + name : "/" + name + std::string(kExtension));
}

Result<OpenArray> ArraySet::open(const std::string& name) const {
    if (!has(name)) {
        std::string all;
        for (const auto& one : names_) all += (all.empty() ? "" : ", ") + one;
        return fail(FaultCode::Usage, path_ + ": no array '" + name + "' in it; there are " + all);
    }
    OpenArray array;
    if (archive_) {
        auto content = archive_->content(name);
        if (!content) return content.error();
        array.content = std::move(*content);
        auto reader = archive_->array(name, *array.content);
        if (!reader) return reader.error();
        array.reader = std::make_unique<NpyReader>(std::move(*reader));
        return array;
    }
    auto stream = FileStream::open(where(name));
    if (!stream) return stream.error();
    array.content = std::make_unique<FileStream>(std::move(*stream));
    auto reader = idx_.empty() ? NpyReader::open(*array.content) : open_idx_array(*array.content);
    if (!reader) return reader.error();
    array.reader = std::make_unique<NpyReader>(std::move(*reader));
    return array;
}

}  // namespace starling::data
