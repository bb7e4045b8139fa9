#include "data/sources/sources.hpp"

#include <algorithm>
#include <array>

#include "data/arrays/idx_arrays.hpp"

namespace starling::data {

namespace {

struct Kind {
    std::string_view name;
    std::string_view usage;
    Result<SourcePointer> (*open)(const Spec& spec, const ScanOptions& options);
};

constexpr std::array<Kind, 14> kKinds{{
    {"images",
     "images:DIR|TAR?size=64&flip=1   JPEG and PNG files in folders named by class, below train, "
     "valid and test or not",
     open_images},
    {"audio",
     "audio:DIR|TAR?rate=16000&seconds=1   WAV, FLAC, OGG and MP3 files in folders named by class; "
     "label=name:0:_ takes the class from names as dog_17.wav",
     open_audio},
    {"csv",
     "csv:FILE?label=COLUMN&drop=A,B   a table; label=COLUMN is what is learned, "
     "split=ID%5==0 or split=COLUMN=VALUE says which rows are for testing",
     open_csv},
    {"jsonl",
     "jsonl:FILE?label=FIELD   a table with one JSON object a line; options as for csv",
     open_jsonl},
    {"parquet", "parquet:FILE?label=COLUMN   a table; options as for csv", open_parquet},
    {"sqlite",
     "sqlite:FILE?table=NAME   a table of a database, or what query=SELECT... gives; options as "
     "for "
     "csv",
     open_sqlite},
    {"dicom",
     "dicom:DIR|TAR?size=64&window=40:400   grey pictures in DICOM files (.dcm) in folders named "
     "by class; "
     "options as for images",
     open_dicom},
    {"cifar", "cifar:FILE|DIR   records of CIFAR-10 or CIFAR-100, plain or .gz", open_cifar},
    {"npz",
     "npz:FILE?x=NAME&y=NAME   NumPy's arrays of samples and labels; without names those of "
     "MedMNIST",
     open_npz},
    {"npy", "npy:DIR?x=NAME&y=NAME   the same from files NAME.npy", open_npy},
    {"idx", "idx:DIR   arrays of images and labels in IDX files", open_idx},
    {"voc",
     "voc:DIR|TAR?size=416   pictures with boxes in the folders JPEGImages, Annotations and "
     "ImageSets/Main",
     open_voc},
    {"coco",
     "coco:FILE.json?images=DIR   pictures with boxes as of COCO's instances; crowds are left out",
     open_coco},
    {"yolo",
     "yolo:DIR|TAR   pictures with boxes in the folders images and labels, with data.yaml or "
     "classes.txt",
     open_yolo},
}};

}  // namespace

bool is_source_spec(const Spec& spec) {
    if (spec.name == "idx") return has_idx_arrays(spec.path);
    return std::any_of(kKinds.begin(), kKinds.end(), [&](const Kind& known) {
        return known.name == spec.name;
    });
}

Result<SourcePointer> open_source(const Spec& spec, const ScanOptions& options) {
    for (const auto& kind : kKinds) {
        if (kind.name != spec.name) continue;
        if (spec.path.empty()) {
            return fail(
                FaultCode::Usage,
                "'" + spec.to_string() + "': no path; write " +
                    std::string(kind.usage.substr(0, kind.usage.find_first_of("? ")))
            );
        }
        auto source = kind.open(spec, options);
        if (!source) return source.error();
        if (options.like == nullptr && (*source)->count(Split::Train) == 0) {
            return fail(FaultCode::Usage, (*source)->name() + ": nothing in it is for training");
        }
        return source;
    }
    return fail(FaultCode::Usage, "no dataset kind '" + spec.name + "'");
}

Result<Shares> read_shares(const Spec& spec) {
    const auto test = spec.real("test", 0.1, 0.0, 0.9);
    if (!test) return test.error();
    const auto valid = spec.real("valid", 0.0, 0.0, 0.9);
    if (!valid) return valid.error();
    return Shares{*test, *valid};
}

Result<void> check_skipped(
    const std::string& name, const ScanNotes& notes, std::uint64_t good, bool strict
) {
    if (notes.skipped == 0 || (!strict && notes.skipped * 100 <= good)) return {};
    const auto& first = notes.first.front();
    return fail(
        FaultCode::BadValue,
        name + ": " + std::to_string(notes.skipped) + " of " +
            std::to_string(notes.skipped + good) + " records cannot be used; the first is " +
            first.where + ": " + first.what +
            (strict ? "; --strict allows none"
                    : "; up to 1 % may be, so mend them or leave them out")
    );
}

std::vector<std::string> notes_on_classes(const Source& source) {
    const auto& label = source.schema().label;
    if (label.kind != LabelKind::Class) return {};
    std::vector<std::uint64_t> counts(label.count);
    const auto& labels = source.labels(Split::Train);
    for (std::uint64_t i = 0; i < labels.count(); ++i) {
        const auto value = read_label(label, labels.at(i));
        if (value) ++counts[value->classes[0]];
    }
    std::vector<std::string> empty;
    for (std::size_t i = 0; i < counts.size(); ++i) {
        if (counts[i] > 0) continue;
        empty.push_back(label.names.empty() ? std::to_string(i) : label.names[i]);
    }
    if (empty.size() + 1 == counts.size()) {
        return {
            source.name() +
            ": all training samples are of one class, so there is nothing to learn"};
    }
    if (empty.empty()) return {};
    std::string listed;
    for (std::size_t i = 0; i < std::min<std::size_t>(5, empty.size()); ++i) {
        listed += (i == 0 ? "" : ", ") + empty[i];
    }
    return {
        source.name() + ": " + std::to_string(empty.size()) + " of " +
        std::to_string(counts.size()) + " classes have no training sample: " + listed +
        (empty.size() > 5 ? ", ..." : "")};
}

}  // namespace starling::data
