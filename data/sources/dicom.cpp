// dicom:DIR or dicom:TAR: grey pictures in DICOM files, in folders that are named by class.
//
// They are kept as PNG: what else stands in the files, such as names of patients, gets into no shard, and
// whoever decodes a sample later meets a picture as any other.

#include "data/formats/dicom.hpp"

#include <charconv>

#include "data/media/draw.hpp"
#include "data/reading.hpp"
#include "data/sources/class_tree.hpp"
#include "data/sources/file_list.hpp"
#include "data/sources/pictures.hpp"
#include "data/sources/sources.hpp"

namespace starling::data {

namespace {

/// An X-ray of 5,000 x 6,000 pixels of 16 bits has 57 MiB.
constexpr std::uint32_t kFileBytesMax = std::uint32_t{64} << 20U;

/// Reads `window=40:400`, as centre and width.
Result<std::optional<GreyWindow>> read_window(const Spec& spec) {
    const auto given = spec.text("window", "");
    if (given.empty()) return std::optional<GreyWindow>();
    GreyWindow window;
    const char* end = given.data() + given.size();
    auto [at, error] = std::from_chars(given.data(), end, window.centre);
    bool sound = error == std::errc{} && at != end && *at == ':';
    if (sound) {
        const auto [rest, wrong] = std::from_chars(at + 1, end, window.width);
        sound = wrong == std::errc{} && rest == end;
    }
    // Not a number is in no range.
    sound = sound && window.centre >= -1e6 && window.centre <= 1e6 && window.width > 0.0 &&
            window.width <= 1e6;
    if (sound) return std::optional(window);
    return fail(
        FaultCode::Usage,
        "'" + spec.to_string() + "': window=" + given +
            " is not allowed; give centre and width, as window=40:400"
    );
}

class DicomSource final : public PictureSource {
public:
    Result<void> scan(const Spec& spec, const ScanOptions& scan) {
        const auto options = read_image_options(
            spec, "size,channels,fit,flip,zoom,pad,split,test,valid,label,names,window"
        );
        if (!options) return options.error();
        auto tree = tree_options(spec);
        if (!tree) return tree.error();
        const auto window = read_window(spec);
        if (!window) return window.error();
        window_ = *window;
        tree->extensions = {".dcm", ".dicom", ".ima"};
        tree->bytes_max = kFileBytesMax;
        name_ = spec.to_string();
        auto listed = list_class_tree(*tree);
        if (!listed) return listed.error();
        fields_ = FileFields(tree->names);
        files_ = std::move(listed->records);
        notes_ = std::move(listed->notes);
        schema_.label = listed->label();
        for (auto& list : labels_) list = LabelList(schema_.label);
        if (auto ok = take_all(listed->files); !ok) return ok.error();
        const auto good = count(Split::Train) + count(Split::Test) + count(Split::Valid);
        if (auto ok = check_skipped(name_, notes_, good, scan.strict); !ok) return ok.error();
        if (count(Split::Train) == 0) return {};  // open_source says so
        return describe_pictures(*options);
    }

    [[nodiscard]] Result<Groups> groups(const std::string& field) const override {
        return field == "label" ? classes_as_groups() : fields_.groups(name_, field, {"label"});
    }

private:
    Result<void> take_all(const std::vector<TreeFile>& files) {
        const auto made = records_.add_unpacked();
        if (!made) return made.error();
        std::size_t done = 0;
        for (const auto& file : files) {
            if (auto ok = Reading::seen(++done, files.size(), "pictures"); !ok) return ok.error();
            const auto png = converted(file.place);
            if (!png) {
                notes_.skip(name_ + ": " + std::string(file.name), png.error().message);
                continue;
            }
            const auto at = records_.append(*made, *png);
            if (!at) return at.error();
            const auto facts = probe_image(*png);
            if (!facts) return facts.error();
            LabelValue label;
            label.classes = {file.label};
            const RecordPlace place{*made, static_cast<std::uint32_t>(png->size()), *at};
            keep(*facts, file.split, place, label);
            if (file.split == Split::Train) fields_.add(file.name);
        }
        return {};
    }

    Result<Bytes> converted(const RecordPlace& place) {
        bytes_.clear();
        if (auto read = files_.read(place, bytes_); !read) return read.error();
        const auto picture = read_dicom(bytes_, window_);
        if (!picture) return picture.error();
        auto png = encode_png(*picture);
        if (png && png->size() > kEncodedBytesMax) {
            return fail(FaultCode::Oversized, "as PNG it is over 12 MiB");
        }
        return png;
    }

    RecordFiles files_;  ///< the user's own
    FileFields fields_;
    std::optional<GreyWindow> window_;
    Bytes bytes_;
};

}  // namespace

Result<SourcePointer> open_dicom(const Spec& spec, const ScanOptions& options) {
    return scanned<DicomSource>(spec, options);
}

}  // namespace starling::data
