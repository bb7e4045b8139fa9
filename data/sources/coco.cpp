// coco:FILE.json: pictures with boxes as COCO has them, in one JSON file beside a folder of pictures.
//
// Source: https://cocodataset.org/#format-data. The file of the training part has 450 MB, most of
// them outlines. It is read as a stream: in memory are one object of it, 40 bytes for each box and
// some 200 for each picture.

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <map>
#include <optional>
#include <unordered_map>

#include "base/printable.hpp"
#include "data/formats/json.hpp"
#include "data/formats/json_arrays.hpp"
#include "data/reading.hpp"
#include "data/sources/boxes.hpp"
#include "data/sources/file_list.hpp"
#include "data/sources/sources.hpp"

namespace starling::data {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPicturesMax = std::size_t{1} << 24U;
constexpr std::size_t kAnnotationsMax = std::size_t{1} << 26U;
constexpr double kSideMax = 1e9;
constexpr double kWholeMax = 9007199254740992.0;  ///< 2^53

/// The fields that we read of an image, an annotation or a category.
struct Entry {
    std::optional<std::int64_t> id;
    std::optional<std::int64_t> image;
    std::optional<std::int64_t> category;
    std::string name;
    std::string file;
    std::vector<double> box;
    bool crowd = false;
};

struct ListedImage {
    std::int64_t id = 0;
    std::string file;
};

struct Annotation {
    std::int64_t image = 0;
    std::int64_t category = 0;
    std::array<float, 4> box{};  ///< x, y, width, height
};

std::optional<std::int64_t> whole(const JsonValue& value) {
    const bool fits = value.kind == JsonKind::Number && std::abs(value.number) < kWholeMax &&
                      std::floor(value.number) == value.number;
    if (!fits) return std::nullopt;
    return static_cast<std::int64_t>(value.number);
}

Result<Entry> read_entry(JsonParser& parser, std::string_view text) {
    Entry entry;
    auto read = parser.object(
        text,
        [&entry](std::string_view name, const JsonValue& value) -> Result<void> {
            if (name == "id") entry.id = whole(value);
            if (name == "image_id") entry.image = whole(value);
            if (name == "category_id") entry.category = whole(value);
            if (name == "iscrowd") entry.crowd = value.number != 0;
            if (name == "bbox") entry.box.assign(value.numbers.begin(), value.numbers.end());
            if (name == "name") entry.name = value.text;
            if (name == "file_name") entry.file = value.text;
            return {};
        }
    );
    if (!read) return read.error();
    return entry;
}

/// Returns whether a name that a file gives stays inside of the folder of pictures.
bool stays_inside(const fs::path& name) {
    return name.is_relative() && std::none_of(name.begin(), name.end(), [](const fs::path& part) {
               return part == "..";
           });
}

class CocoSource final : public BoxSource {
public:
    Result<void> scan(const Spec& spec, const ScanOptions& scan) {
        const auto options = read_box_options(spec, ",images,test,valid");
        if (!options) return options.error();
        const auto shares = read_shares(spec);
        if (!shares) return shares.error();
        name_ = spec.to_string();
        path_ = spec.path;
        folder_ = spec.text("images", fs::path(path_).parent_path().string());
        if (auto ok = read_file(); !ok) return ok.error();
        if (auto ok = check_annotations(); !ok) return ok.error();
        notes_.lines.push_back(
            name_ + ": " + shortest_text(100 * shares->test) + " % of the pictures are for testing"
        );
        if (auto ok = add_all(shares->test, shares->valid); !ok) return ok;
        std::vector<std::string> names;
        for (const auto& [id, name] : categories_) names.push_back(name);
        return finish(std::move(names), ClassOrder::AsGiven, *options, scan);
    }

private:
    Result<void> read_file() {
        auto stream = FileStream::open(path_);
        if (!stream) return stream.error();
        JsonParser parser(kJsonElementBytesMax);
        std::map<std::string, std::uint64_t, std::less<>> seen;
        return each_array_object(
            *stream,
            [&](std::string_view key, std::string_view text) -> Result<void> {
                if (key != "images" && key != "annotations" && key != "categories") return {};
                auto number = seen.find(key);
                if (number == seen.end()) number = seen.emplace(key, 0).first;
                const auto where =
                    path_ + ": " + number->first + "[" + std::to_string(number->second++) + "]: ";
                const auto entry = read_entry(parser, text);
                if (!entry) return fail(entry.error().code, where + entry.error().message);
                auto taken = key == "images"        ? take_picture(*entry)
                             : key == "annotations" ? take_annotation(*entry)
                                                    : take_category(*entry);
                if (!taken) return fail(taken.error().code, where + taken.error().message);
                return {};
            }
        );
    }

    Result<void> take_picture(const Entry& entry) {
        if (!entry.id || entry.file.empty()) {
            return fail(FaultCode::BadFormat, "an image without id or file_name");
        }
        if (images_.size() == kPicturesMax) {
            return fail(FaultCode::Oversized, "more than 16 million images");
        }
        images_.push_back({*entry.id, entry.file});
        return {};
    }

    Result<void> take_annotation(const Entry& entry) {
        if (entry.crowd) {
            // One box around many things; COCO's own judge ignores it, too.
            count_note("boxes around crowds are left out");
            return {};
        }
        if (!entry.image || !entry.category || entry.box.size() != 4) {
            return fail(
                FaultCode::BadFormat,
                "it has no image_id, no category_id or no bbox of four numbers"
            );
        }
        if (annotations_.size() == kAnnotationsMax) {
            return fail(FaultCode::Oversized, "more than 64 million annotations");
        }
        Annotation annotation{*entry.image, *entry.category, {}};
        for (std::size_t i = 0; i < 4; ++i) {
            if (std::abs(entry.box[i]) > kSideMax) {
                return fail(FaultCode::BadValue, "a side of bbox is out of range");
            }
            annotation.box[i] = static_cast<float>(entry.box[i]);
        }
        annotations_.push_back(annotation);
        return {};
    }

    Result<void> take_category(const Entry& entry) {
        if (!entry.id || entry.name.empty()) {
            return fail(FaultCode::BadFormat, "a category without id or name");
        }
        if (!categories_.emplace(*entry.id, entry.name).second) {
            return fail(FaultCode::BadFormat, "its id is that of another category");
        }
        if (categories_.size() > kClassesMax) {
            return fail(FaultCode::Oversized, "more than 65536 categories");
        }
        return {};
    }

    /// Puts boxes of one picture side by side, and numbers their classes by the ids.
    Result<void> check_annotations() {
        if (images_.empty()) {
            return fail(
                FaultCode::Usage,
                path_ + ": it lists no images; COCO has images, annotations and categories"
            );
        }
        std::unordered_map<std::int64_t, std::int64_t> numbers;
        for (const auto& [id, name] : categories_) {
            numbers.emplace(id, static_cast<std::int64_t>(numbers.size()));
        }
        for (auto& annotation : annotations_) {
            const auto found = numbers.find(annotation.category);
            if (found == numbers.end()) {
                return fail(
                    FaultCode::BadValue,
                    path_ + ": a box of image " + std::to_string(annotation.image) +
                        " has category_id " + std::to_string(annotation.category) +
                        ", which is not in categories"
                );
            }
            annotation.category = found->second;
        }
        std::stable_sort(
            annotations_.begin(),
            annotations_.end(),
            [](const Annotation& a, const Annotation& b) { return a.image < b.image; }
        );
        return {};
    }

    Result<void> add_all(double test, double valid) {
        std::size_t used = 0;
        std::size_t done = 0;
        for (const auto& picture : images_) {
            if (auto ok = Reading::seen(++done, images_.size(), "pictures"); !ok) return ok;
            const auto boxes = boxes_of(picture.id);
            used += boxes.size();
            const auto place = place_of(picture.file);
            if (!place) {
                notes_.skip(path_ + ": " + printable(picture.file), place.error().message);
                continue;
            }
            add(picture.file, drawn_split(picture.file, test, valid), *place, boxes);
        }
        if (used < annotations_.size()) {
            notes_.lines.push_back(
                path_ + ": " + std::to_string(annotations_.size() - used) +
                " boxes are of images that it does not list"
            );
        }
        annotations_ = {};
        images_ = {};
        return {};
    }

    [[nodiscard]] std::vector<GivenBox> boxes_of(std::int64_t image) const {
        std::vector<GivenBox> boxes;
        auto at = std::lower_bound(
            annotations_.begin(),
            annotations_.end(),
            image,
            [](const Annotation& annotation, std::int64_t id) { return annotation.image < id; }
        );
        for (; at != annotations_.end() && at->image == image; ++at) {
            const double x = static_cast<double>(at->box[0]);
            const double y = static_cast<double>(at->box[1]);
            const double right = x + static_cast<double>(at->box[2]);
            const double bottom = y + static_cast<double>(at->box[3]);
            boxes.push_back({static_cast<std::uint32_t>(at->category), x, y, right, bottom});
        }
        return boxes;
    }

    Result<RecordPlace> place_of(const std::string& name) {
        if (!stays_inside(name)) {
            return fail(FaultCode::BadValue, "it leads out of the folder of pictures");
        }
        const auto file = records_.add(fs::path(folder_) / name);
        if (!file) return file.error();
        const auto size = records_.size(*file);
        if (size > kEncodedBytesMax) return fail(FaultCode::Oversized, "it is over 12 MiB");
        return RecordPlace{*file, static_cast<std::uint32_t>(size), 0};
    }

    std::string path_;
    std::string folder_;
    std::vector<ListedImage> images_;
    std::vector<Annotation> annotations_;
    std::map<std::int64_t, std::string> categories_;
};

}  // namespace

Result<SourcePointer> open_coco(const Spec& spec, const ScanOptions& options) {
    return scanned<CocoSource>(spec, options);
}

}  // namespace starling::data
