// images:DIR or images:TAR: pictures in folders that are named by class.

#include "data/reading.hpp"
#include "data/sources/class_tree.hpp"
#include "data/sources/pictures.hpp"
#include "data/sources/sources.hpp"

namespace starling::data {

namespace {

class ImageSource final : public PictureSource {
public:
    Result<void> scan(const Spec& spec, const ScanOptions& scan) {
        const auto options = read_image_options(
            spec, "size,channels,fit,flip,zoom,pad,split,test,valid,label,names"
        );
        if (!options) return options.error();
        const auto tree = tree_options(spec);
        if (!tree) return tree.error();
        name_ = spec.to_string();
        auto listed = tree_of(*tree);
        if (!listed) return listed.error();
        auto& files = *listed;
        fields_ = FileFields(tree->names);
        records_ = std::move(files.records);
        notes_ = std::move(files.notes);
        schema_.label = files.label();
        for (auto& list : labels_) list = LabelList(schema_.label);
        if (auto ok = look_at_all(files.files); !ok) return ok.error();
        const auto good = count(Split::Train) + count(Split::Test) + count(Split::Valid);
        if (auto ok = check_skipped(name_, notes_, good, scan.strict); !ok) return ok.error();
        if (count(Split::Train) == 0) return {};  // open_source says so
        return describe_pictures(*options);
    }

    [[nodiscard]] Result<Groups> groups(const std::string& field) const override {
        return field == "label" ? classes_as_groups() : fields_.groups(name_, field, {"label"});
    }

private:
    static Result<ClassTree> tree_of(TreeOptions options) {
        options.extensions = {".jpg", ".jpeg", ".png"};
        return list_class_tree(options);
    }

    Result<void> look_at_all(const std::vector<TreeFile>& files) {
        std::size_t done = 0;
        for (const auto& file : files) {
            if (auto ok = Reading::seen(++done, files.size(), "pictures"); !ok) return ok.error();
            const auto facts = look_at(file.place);
            if (!facts) {
                notes_.skip(name_ + ": " + std::string(file.name), facts.error().message);
                continue;
            }
            LabelValue label;
            label.classes = {file.label};
            keep(*facts, file.split, file.place, label);
            if (file.split == Split::Train) fields_.add(file.name);
        }
        return {};
    }

    FileFields fields_;
};

}  // namespace

Result<SourcePointer> open_images(const Spec& spec, const ScanOptions& options) {
    return scanned<ImageSource>(spec, options);
}

}  // namespace starling::data
