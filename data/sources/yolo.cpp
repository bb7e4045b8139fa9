// yolo:DIR or yolo:TAR: pictures with boxes as YOLO has them: images/NAME.jpg and labels/NAME.txt, in
// folders train, val and test above or below these two, with the classes' names in data.yaml or
// classes.txt.

#include "data/formats/yolo.hpp"

#include <algorithm>
#include <unordered_map>

#include "data/reading.hpp"
#include "data/sources/boxes.hpp"
#include "data/sources/file_list.hpp"
#include "data/sources/sources.hpp"

namespace starling::data {

namespace {

/// Returns the name of the file with the boxes of a picture: the last folder `images` becomes
/// `labels`, and the extension .txt. Without such a folder the file lies beside the picture.
std::string label_file(const std::string& picture) {
    auto parts = parts_of(picture, '/');
    for (std::size_t i = parts.size() - 1; i > 0; --i) {
        if (parts[i - 1] != "images") continue;
        parts[i - 1] = "labels";
        break;
    }
    std::string name;
    for (const auto& part : parts) name += (name.empty() ? "" : "/") + part;
    return name.substr(0, name.rfind('.')) + ".txt";
}

class YoloSource final : public BoxSource {
public:
    Result<void> scan(const Spec& spec, const ScanOptions& scan) {
        const auto options = read_box_options(spec, ",test,valid");
        if (!options) return options.error();
        const auto shares = read_shares(spec);
        if (!shares) return shares.error();
        name_ = spec.to_string();
        const auto all = list_files(
            {spec.path, {".jpg", ".jpeg", ".png", ".txt", ".yaml", ".yml", ".names"}, true},
            records_,
            notes_
        );
        if (!all) return all.error();
        if (auto ok = read_names(all->files); !ok) return ok.error();
        if (auto ok = add_all(all->files, shares->test, shares->valid); !ok) return ok.error();
        if (classes_.empty()) {
            notes_.lines.push_back(
                name_ + ": no names in data.yaml or classes.txt, so classes have numbers"
            );
            for (std::uint32_t i = 0; i < labels_seen_; ++i) classes_.push_back(std::to_string(i));
        }
        return finish(std::move(classes_), ClassOrder::AsGiven, *options, scan);
    }

private:
    /// Takes the names of data.yaml, or else of classes.txt.
    Result<void> read_names(const std::vector<ListedFile>& all) {
        for (const auto& file : all) {
            const auto base = parts_of(file.name, '/').back();
            const bool yaml = base.ends_with(".yaml") || base.ends_with(".yml");
            const bool list = base == "classes.txt" || base == "obj.names";
            if ((!yaml && !list) || (list && !classes_.empty())) continue;
            Bytes bytes;
            if (auto read = records_.read(file.place, bytes); !read) return read.error();
            std::vector<std::string> names;
            if (yaml) {
                auto parsed = parse_yolo_names(as_text(bytes));
                if (!parsed) {
                    return fail(
                        parsed.error().code,
                        name_ + ": " + std::string(file.name) + ": " + parsed.error().message
                    );
                }
                names = std::move(*parsed);
            } else {
                for (const auto& line : parts_of(as_text(bytes), '\n')) {
                    auto name = line.substr(0, line.find_last_not_of(" \t\r") + 1);
                    if (!name.empty()) names.push_back(std::move(name));
                }
            }
            if (!names.empty()) classes_ = std::move(names);
        }
        return {};
    }

    Result<void> add_all(const std::vector<ListedFile>& all, double test, double valid) {
        std::unordered_map<std::string, RecordPlace> texts;
        std::vector<const ListedFile*> pictures;
        for (const auto& file : all) {
            const auto extension = lower_case(file.name.substr(file.name.rfind('.')));
            if (extension == ".txt") texts.emplace(file.name, file.place);
            if (extension[1] == 'j' || extension[1] == 'p') pictures.push_back(&file);
        }
        const bool splits =
            std::any_of(pictures.begin(), pictures.end(), [](const ListedFile* picture) {
                return split_of_folders(picture->name).has_value();
            });
        if (!splits) {
            notes_.lines.push_back(
                name_ + ": no folders train and val, so " + shortest_text(100 * test) +
                " % of the pictures are for testing"
            );
        }
        std::size_t done = 0;
        for (const auto* picture : pictures) {
            if (auto ok = Reading::seen(++done, pictures.size(), "pictures"); !ok)
                return ok.error();
            const std::string name(picture->name);
            const auto split = splits ? split_of_folders(name).value_or(Split::Train)
                                      : drawn_split(name, test, valid);
            const auto text = texts.find(label_file(name));
            if (text == texts.end()) {
                count_note("pictures have no file with boxes, which means none of the classes");
                add(name, split, picture->place, {});
                continue;
            }
            if (auto ok = add_with_boxes(*picture, split, text->first, text->second); !ok) {
                return ok.error();
            }
        }
        return {};
    }

    /// A bad file of boxes costs its picture; a class without a name is a mistake in all of them.
    Result<void> add_with_boxes(
        const ListedFile& picture, Split split, const std::string& file, const RecordPlace& place
    ) {
        Bytes bytes;
        if (auto read = records_.read(place, bytes); !read) return read.error();
        const auto shares = parse_yolo(as_text(bytes));
        if (!shares) {
            notes_.skip(name_ + ": " + file, shares.error().message);
            return {};
        }
        for (const auto& share : *shares) {
            labels_seen_ = std::max(labels_seen_, share.label + 1);
            if (classes_.empty() || share.label < classes_.size()) continue;
            return fail(
                FaultCode::BadValue,
                name_ + ": " + file + ": class " + std::to_string(share.label) + ", but " +
                    std::to_string(classes_.size()) + " classes have names"
            );
        }
        const auto facts = look_at(picture.place);
        if (!facts) {
            notes_.skip(name_ + ": " + std::string(picture.name), facts.error().message);
            return {};
        }
        std::vector<GivenBox> boxes;
        for (const auto& share : *shares) {
            GivenBox box;
            box.label = share.label;
            box.left = (share.x - share.width / 2) * facts->width;
            box.top = (share.y - share.height / 2) * facts->height;
            box.right = (share.x + share.width / 2) * facts->width;
            box.bottom = (share.y + share.height / 2) * facts->height;
            boxes.push_back(box);
        }
        add(std::string(picture.name), split, picture.place, boxes);
        return {};
    }

    std::vector<std::string> classes_;
    std::uint32_t labels_seen_ = 0;
};

}  // namespace

Result<SourcePointer> open_yolo(const Spec& spec, const ScanOptions& options) {
    return scanned<YoloSource>(spec, options);
}

}  // namespace starling::data
