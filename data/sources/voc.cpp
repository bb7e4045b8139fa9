// voc:DIR or voc:TAR: pictures with boxes as PASCAL VOC has them, in the folders JPEGImages,
// Annotations and ImageSets/Main. There may be several such trees, as of VOC2007 and VOC2012. Tools that write such
// files put them elsewhere: beside the pictures (labelImg), in folders train, valid and test (Roboflow), in images and
// annotations. So a picture and its file belong together where their names are alike and their folders are the same but
// for the last one, if that is one of these.
//
// VOC counts pixels from 1, and a box's last pixel belongs to it; here a box has the edges of its
// pixels: (xmin - 1, ymin - 1, xmax, ymax). A box with xmin = xmax is a click and no box: it has no
// area, though it holds one pixel by that rule.

#include "data/formats/voc.hpp"

#include <algorithm>
#include <array>
#include <unordered_map>
#include <unordered_set>

#include "data/reading.hpp"
#include "data/sources/boxes.hpp"
#include "data/sources/file_list.hpp"
#include "data/sources/sources.hpp"

namespace starling::data {

namespace {

constexpr const char* kMoreKeys = ",test,valid";

/// Returns the name of a file without its extension.
std::string stem_of(const std::string& file) {
    return file.substr(0, file.rfind('.'));
}

/// A list of pictures in ImageSets/Main.
struct PictureList {
    std::string prefix;  ///< of its tree: "" or "VOC2012/"
    std::string name;
    RecordPlace place;
};

/// The files of all trees. Keys are a tree's prefix and a picture's name.
struct VocFiles {
    std::unordered_map<std::string, RecordPlace> pictures;
    std::vector<std::pair<std::string, RecordPlace>> annotations;
    std::vector<PictureList> lists;
};

/// Whether a folder's name says only what kind of files it has.
bool is_kind(const std::string& folder) {
    constexpr std::array<std::string_view, 9> kKinds{
        "jpegimages", "images", "image", "imgs", "img", "annotations", "annotation", "xmls", "xml"};
    return std::find(kKinds.begin(), kKinds.end(), lower_case(folder)) != kKinds.end();
}

VocFiles sort_files(const std::vector<ListedFile>& all) {
    VocFiles files;
    for (const auto& file : all) {
        auto folders = parts_of(file.name, '/');
        const auto base = folders.back();
        folders.pop_back();
        const auto depth = folders.size();
        const auto extension = lower_case(base.substr(base.rfind('.')));
        const bool list = extension == ".txt" && depth > 1 && folders[depth - 1] == "Main" &&
                          folders[depth - 2] == "ImageSets";
        if (list) folders.resize(depth - 2);
        if (!list && depth > 0 && is_kind(folders.back())) folders.pop_back();
        std::string prefix;
        for (const auto& folder : folders) prefix += folder + "/";
        const auto stem = stem_of(base);
        if (list) {
            files.lists.push_back({prefix, stem, file.place});
        } else if (extension == ".xml") {
            files.annotations.emplace_back(prefix + stem, file.place);
        } else if (extension != ".txt") {
            files.pictures.emplace(prefix + stem, file.place);
        }
    }
    return files;
}

class VocSource final : public BoxSource {
public:
    Result<void> scan(const Spec& spec, const ScanOptions& scan) {
        const auto options = read_box_options(spec, kMoreKeys);
        if (!options) return options.error();
        const auto test = spec.real("test", 0.1, 0.0, 0.9);
        if (!test) return test.error();
        const auto valid = spec.real("valid", 0.0, 0.0, 0.9);
        if (!valid) return valid.error();
        name_ = spec.to_string();
        const auto all = list_files(
            {spec.path, {".jpg", ".jpeg", ".png", ".xml", ".txt"}, true}, records_, notes_
        );
        if (!all) return all.error();
        const auto files = sort_files(all->files);
        if (files.annotations.empty()) {
            return fail(
                FaultCode::Usage,
                name_ +
                    ": no .xml file with boxes in it; VOC has them in Annotations, other tools "
                    "beside the pictures"
            );
        }
        if (auto ok = assign(files, *test, *valid); !ok) return ok.error();
        if (auto ok = read_all(files); !ok) return ok.error();
        return finish(std::move(names_), ClassOrder::ByName, *options, scan);
    }

private:
    /// Finds the split of each picture: by the lists, or where there is none by its name.
    Result<void> assign(const VocFiles& files, double test, double valid) {
        for (const auto* name : {"train", "val", "test", "trainval"}) {
            for (const auto& list : files.lists) {
                if (list.name != name) continue;
                if (auto ok = read_list(list); !ok) return ok.error();
            }
        }
        if (!chosen_.empty()) return {};
        const bool folders = std::ranges::any_of(files.annotations, [](const auto& one) {
            return split_of_folders(one.first).has_value();
        });
        for (const auto& [key, place] : files.annotations) {
            const auto split = folders ? split_of_folders(key).value_or(Split::Train)
                                       : drawn_split(key, test, valid);
            chosen_.emplace_back(key, split);
        }
        if (folders) return {};
        notes_.lines.push_back(
            name_ +
            ": no lists train.txt and val.txt in ImageSets/Main, and no folders train and val, "
            "so " +
            shortest_text(100 * test) + " % of the pictures are for testing"
        );
        return {};
    }

    Result<void> read_list(const PictureList& list) {
        const bool both = list.name == "trainval";
        // What is the union of two other lists says nothing new.
        if (both && split_trees_.contains(list.prefix)) return {};
        if (list.name != "test") split_trees_.insert(list.prefix);
        const auto split = list.name == "test"  ? Split::Test
                           : list.name == "val" ? Split::Valid
                                                : Split::Train;
        Bytes bytes;
        if (auto read = records_.read(list.place, bytes); !read) return read.error();
        for (const auto& line : parts_of(as_text(bytes), '\n')) {
            // Some lists have a further column.
            const auto word = line.substr(0, line.find_first_of(" \t\r"));
            if (word.empty()) continue;
            const auto key = list.prefix + word;
            if (!listed_.insert(key).second) {
                count_note("pictures stand in several lists, and the first one counts");
                continue;
            }
            chosen_.emplace_back(key, split);
        }
        return {};
    }

    Result<void> read_all(const VocFiles& files) {
        std::unordered_map<std::string, RecordPlace> annotations(
            files.annotations.begin(), files.annotations.end()
        );
        std::size_t done = 0;
        for (const auto& [key, split] : chosen_) {
            if (auto ok = Reading::seen(++done, chosen_.size(), "pictures"); !ok) return ok.error();
            const auto picture = files.pictures.find(key);
            const auto annotation = annotations.find(key);
            if (picture == files.pictures.end() || annotation == annotations.end()) {
                const bool lost = picture == files.pictures.end();
                notes_.skip(
                    name_ + ": " + key, lost ? "no such picture" : "no .xml file of that name"
                );
                continue;
            }
            const auto boxes = boxes_of(annotation->second);
            if (!boxes) {
                notes_.skip(name_ + ": Annotations of " + key, boxes.error().message);
                continue;
            }
            add(key, split, picture->second, *boxes);
        }
        return {};
    }

    Result<std::vector<GivenBox>> boxes_of(const RecordPlace& place) {
        Bytes bytes;
        if (auto read = records_.read(place, bytes); !read) return read.error();
        const auto objects = parse_voc(bytes);
        if (!objects) return objects.error();
        std::vector<GivenBox> boxes;
        for (const auto& object : *objects) {
            if (object.difficult) {
                // The challenge does not judge them either.
                count_note("difficult objects are left out");
                continue;
            }
            const auto label = number_of(object.name);
            if (!label) return label.error();
            GivenBox box{*label, object.left - 1, object.top - 1, object.right, object.bottom};
            if (object.right <= object.left) box.right = box.left;
            if (object.bottom <= object.top) box.bottom = box.top;
            boxes.push_back(box);
        }
        return boxes;
    }

    Result<std::uint32_t> number_of(const std::string& name) {
        const auto [place, added] =
            numbers_.emplace(name, static_cast<std::uint32_t>(names_.size()));
        if (added && names_.size() == kClassesMax) {
            numbers_.erase(place);
            return fail(FaultCode::Oversized, "more than 65536 classes");
        }
        if (added) names_.push_back(name);
        return place->second;
    }

    std::vector<std::pair<std::string, Split>> chosen_;
    std::unordered_set<std::string> listed_;
    std::unordered_set<std::string> split_trees_;  ///< prefixes with a list train or val
    std::unordered_map<std::string, std::uint32_t> numbers_;
    std::vector<std::string> names_;
};

}  // namespace

Result<SourcePointer> open_voc(const Spec& spec, const ScanOptions& options) {
    return scanned<VocSource>(spec, options);
}

}  // namespace starling::data
