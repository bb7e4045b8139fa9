#include "data/dataset.hpp"

#include <algorithm>
#include <system_error>

#include "base/spec.hpp"
#include "data/formats/idx.hpp"

namespace starling::data {

namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kSamplesMax = std::int64_t{1} << 32U;

/// Lists the files of `folder` whose names end with the IDX name, plain or gzipped.
Result<std::vector<fs::path>> files_ending_with(const fs::path& folder, const std::string& name) {
    std::vector<fs::path> found;
    std::error_code error;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
        const std::string file = it->path().filename().string();
        if (file.ends_with(name) || file.ends_with(name + ".gz")) found.push_back(it->path());
    }
    if (error) {
        return fail(FaultCode::Io, folder.string() + ": cannot be listed: " + error.message());
    }
    std::sort(found.begin(), found.end());
    return found;
}

/// Finds NAME or NAME.gz, or the only file with a prefix before it, for instance `fashion-mini-`.
Result<fs::path> find_idx(const fs::path& folder, const std::string& name) {
    std::error_code ignored;  // on an error exists() returns false
    for (const auto& exact : {folder / name, folder / (name + ".gz")}) {
        if (fs::exists(exact, ignored)) return exact;
    }
    const auto found = files_ending_with(folder, name);
    if (!found) return found.error();
    if (found->empty()) {
        return fail(
            FaultCode::NotFound,
            folder.string() + ": no file " + name + " or " + name +
                ".gz; give the directory that holds the four IDX files"
        );
    }
    if (found->size() > 1) {
        return fail(
            FaultCode::Usage,
            folder.string() + ": both " + (*found)[0].filename().string() + " and " +
                (*found)[1].filename().string() + " could be " + name + "; keep one of them there"
        );
    }
    return found->front();
}

/// One split, as it is in its two files.
struct RawSplit {
    Samples samples;
    std::uint32_t height = 0;
    std::uint32_t width = 0;
    fs::path images_file;
    fs::path labels_file;
};

Result<RawSplit> read_split(const fs::path& folder, const std::string& prefix) {
    const auto images_file = find_idx(folder, prefix + "-images-idx3-ubyte");
    if (!images_file) return images_file.error();
    const auto labels_file = find_idx(folder, prefix + "-labels-idx1-ubyte");
    if (!labels_file) return labels_file.error();
    auto images = read_idx(*images_file, 3);
    if (!images) return images.error();
    const auto labels = read_idx(*labels_file, 1);
    if (!labels) return labels.error();
    if (images->dimensions[0] != labels->dimensions[0]) {
        return fail(
            FaultCode::BadValue,
            labels_file->string() + ": " + std::to_string(labels->dimensions[0]) +
                " labels for the " + std::to_string(images->dimensions[0]) + " images of " +
                images_file->string() + "; the files must belong together"
        );
    }
    RawSplit split;
    split.height = images->dimensions[1];
    split.width = images->dimensions[2];
    if (std::uint64_t{split.height} * split.width > kSampleBytesMax) {
        return fail(FaultCode::Oversized, images_file->string() + ": one image is over 4 MiB");
    }
    split.samples.values = std::move(images->values);
    split.samples.labels.assign(labels->values.begin(), labels->values.end());
    split.images_file = *images_file;
    split.labels_file = *labels_file;
    return split;
}

void keep_first(Samples& samples, std::size_t count) {
    if (count >= samples.count()) return;
    const std::size_t elements = samples.values.size() / samples.count();
    samples.values.resize(count * elements);
    samples.values.shrink_to_fit();
    samples.labels.resize(count);
}

/// Checks that the test files describe the same task as the training files.
Result<void> check_test(const RawSplit& train, const RawSplit& test, std::uint32_t classes) {
    if (test.height != train.height || test.width != train.width) {
        return fail(
            FaultCode::BadValue,
            test.images_file.string() + ": images of " + std::to_string(test.height) + " x " +
                std::to_string(test.width) + ", but " + train.images_file.string() + " has " +
                std::to_string(train.height) + " x " + std::to_string(train.width)
        );
    }
    const auto& labels = test.samples.labels;
    const auto largest = *std::max_element(labels.begin(), labels.end());
    if (largest >= classes) {
        return fail(
            FaultCode::BadValue,
            test.labels_file.string() + ": label " + std::to_string(largest) + ", but " +
                train.labels_file.string() + " only knows 0 to " + std::to_string(classes - 1)
        );
    }
    return {};
}

/// Returns what is odd about the labels of a training file: one stray label makes classes to which
/// nothing belongs, and one label alone is nothing to learn.
std::vector<std::string> notes_on_labels(const RawSplit& train) {
    std::vector<std::size_t> counts;
    for (const auto label : train.samples.labels) {
        if (label >= counts.size()) counts.resize(label + std::size_t{1});
        ++counts[label];
    }
    const auto name = train.labels_file.string();
    const auto last = std::to_string(counts.size() - 1);
    const auto empty = static_cast<std::size_t>(std::count(counts.begin(), counts.end(), 0U));
    if (empty == counts.size() - 1) {
        return {name + ": every image has the label " + last + ", so there is nothing to learn"};
    }
    if (empty == 0) return {};
    return {
        name + ": its largest label, " + last + " (" + std::to_string(counts.back()) +
        " times), makes " + std::to_string(counts.size()) + " classes, but no image has " +
        std::to_string(empty) + " of them"};
}

Result<Dataset> load_idx(const Spec& spec) {
    if (auto known = spec.only("train,test"); !known) return known.error();
    const auto train_count = spec.integer("train", kSamplesMax, 1, kSamplesMax);
    if (!train_count) return train_count.error();
    const auto test_count = spec.integer("test", kSamplesMax, 1, kSamplesMax);
    if (!test_count) return test_count.error();
    const fs::path folder(spec.path);
    std::error_code ignored;  // any error means that it is no directory for us
    if (!fs::is_directory(folder, ignored)) {
        return fail(
            spec.path.empty() ? FaultCode::Usage : FaultCode::NotFound,
            "'" + spec.to_string() + "': no directory '" + spec.path + "'; write idx:DIRECTORY"
        );
    }
    auto train = read_split(folder, "train");
    if (!train) return train.error();
    auto test = read_split(folder, "t10k");
    if (!test) return test.error();
    // All labels of the file count for the classes: a small `train=` must not change the task.
    const auto& labels = train->samples.labels;
    const auto largest = *std::max_element(labels.begin(), labels.end());
    Dataset dataset;
    dataset.notes = notes_on_labels(*train);
    dataset.name = spec.to_string();
    dataset.shape = {1, train->height, train->width};
    dataset.classes = std::max<std::uint32_t>(2, std::uint32_t{largest} + 1);
    if (auto same = check_test(*train, *test, dataset.classes); !same) return same.error();
    dataset.train = std::move(train->samples);
    dataset.test = std::move(test->samples);
    keep_first(dataset.train, static_cast<std::size_t>(*train_count));
    keep_first(dataset.test, static_cast<std::size_t>(*test_count));
    return dataset;
}

}  // namespace

std::size_t Dataset::count(Split split) const {
    return (split == Split::Train ? train : test).count();
}

Result<Dataset> load_dataset(std::string_view spec) {
    const auto parsed = Spec::parse(spec);
    if (!parsed) return parsed.error();
    if (parsed->name == "idx") return load_idx(*parsed);
    return fail(
        FaultCode::Usage,
        "no dataset kind '" + parsed->name +
            "'; there are idx:DIR, text:FILE, images:DIR, audio:DIR, csv:FILE, jsonl:FILE, "
            "parquet:FILE, sqlite:FILE, dicom:DIR, cifar:DIR and bin:DIR; see starling help dataset"
    );
}

}  // namespace starling::data
