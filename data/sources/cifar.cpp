// cifar:FILE or cifar:DIR: records of a label and 3,072 bytes, as CIFAR-10 and CIFAR-100 have them.
//
// Source: https://www.cs.toronto.edu/~kriz/cifar.html, "Binary version". A record of CIFAR-10 begins
// with one label, a record of CIFAR-100 with a coarse and a fine one. Then follow 1,024 red, 1,024
// green and 1,024 blue bytes, row by row.

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <system_error>

#include "base/printable.hpp"
#include "data/dataset.hpp"
#include "data/formats/byte_stream.hpp"
#include "data/sources/record_files.hpp"
#include "data/sources/sources.hpp"

namespace starling::data {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPixels = 3072;
constexpr std::uint64_t kRecordsMax = std::uint64_t{1} << 24U;

/// A file of records and the split that its name says.
struct Part {
    fs::path path;
    Split split = Split::Train;
};

class CifarSource final : public Source {
public:
    Result<void> scan(const Spec& spec, const ScanOptions& /*options*/) {
        if (auto known = spec.only("flip,pad"); !known) return known.error();
        const auto flip = spec.integer("flip", 0, 0, 1);
        if (!flip) return flip.error();
        const auto pad = spec.integer("pad", 0, 0, 16);
        if (!pad) return pad.error();
        name_ = spec.to_string();
        auto parts = parts_of(spec);
        if (!parts) return parts.error();
        const auto made = records_.add_unpacked();
        if (!made) return made.error();
        unpacked_ = *made;
        for (const auto& part : *parts) {
            if (auto ok = read_file(part); !ok) return ok.error();
        }
        if (auto ok = describe(spec.path); !ok) return ok.error();
        ImageRecipe recipe;
        recipe.flip = *flip == 1;
        recipe.pad = static_cast<std::uint32_t>(*pad);
        recipe.scales = scales();
        recipe_ = std::move(recipe);
        return {};
    }

    [[nodiscard]] Result<void> read(Split split, std::uint64_t sample, Bytes& out) const override {
        const auto record = places_[static_cast<std::size_t>(split)][sample];
        return records_.read({unpacked_, kPixels, std::uint64_t{record} * kPixels}, out);
    }

private:
    /// Lists the files of records: the one that the SPEC names, or all of a folder whose names end
    /// in .bin or .bin.gz. A name with `test` in it is for testing.
    static Result<std::vector<Part>> parts_of(const Spec& spec) {
        std::error_code error;
        const fs::path path(spec.path);
        if (!fs::exists(path, error)) {
            return fail(FaultCode::NotFound, "'" + spec.path + "': no such file or directory");
        }
        std::vector<Part> parts;
        const auto add = [&parts](const fs::path& file) {
            const bool test = file.filename().string().find("test") != std::string::npos;
            parts.push_back({file, test ? Split::Test : Split::Train});
        };
        if (!fs::is_directory(path, error)) {
            add(path);
            parts.back().split = Split::Train;
            return parts;
        }
        for (fs::directory_iterator it(path, error), end; !error && it != end;
             it.increment(error)) {
            const auto name = it->path().filename().string();
            if (name.ends_with(".bin") || name.ends_with(".bin.gz")) add(it->path());
        }
        if (error) return fail(FaultCode::Io, spec.path + ": cannot be listed: " + error.message());
        if (parts.empty()) {
            return fail(FaultCode::NotFound, spec.path + ": no files *.bin or *.bin.gz in it");
        }
        std::sort(parts.begin(), parts.end(), [](const Part& a, const Part& b) {
            return a.path < b.path;
        });
        return parts;
    }

    Result<void> read_file(const Part& part) {
        auto stream = FileStream::open(part.path);
        if (!stream) return stream.error();
        std::vector<std::uint8_t> bytes;
        // The number of labels in front of the pixels is what makes the file a whole number of
        // records, which is known when all of it was read.
        std::uint64_t size = 0;
        std::vector<std::uint8_t> piece(std::size_t{1} << 20U);
        while (true) {
            const auto got = stream->read(piece);
            if (!got) return got.error();
            size += *got;
            if (*got < piece.size()) break;
        }
        const bool ten = size % (kPixels + 1) == 0;
        const bool hundred = size % (kPixels + 2) == 0;
        if (size == 0 || (!ten && !hundred)) {
            return fail(
                FaultCode::BadFormat,
                part.path.string() + ": " + std::to_string(size) +
                    " bytes, no whole number of records of 3073 or 3074 bytes"
            );
        }
        if (size / kPixels > kRecordsMax) {
            return fail(
                FaultCode::Oversized, part.path.string() + ": more than 16 million records"
            );
        }
        const std::size_t labels = ten ? 1 : 2;
        if (labels_of_record_ != 0 && labels_of_record_ != labels) {
            return fail(
                FaultCode::BadFormat,
                part.path.string() + ": records of another kind than in the other files"
            );
        }
        labels_of_record_ = labels;
        return read_records(part, size / (kPixels + labels));
    }

    Result<void> read_records(const Part& part, std::uint64_t count) {
        auto stream = FileStream::open(part.path);
        if (!stream) return stream.error();
        std::vector<std::uint8_t> record(kPixels + labels_of_record_);
        auto& split = raw_labels_[static_cast<std::size_t>(part.split)];
        auto& places = places_[static_cast<std::size_t>(part.split)];
        for (std::uint64_t i = 0; i < count; ++i) {
            const auto got = stream->read(record);
            if (!got) return got.error();
            if (*got != record.size()) {
                return fail(FaultCode::Truncated, part.path.string() + ": it has become shorter");
            }
            const auto pixels = std::span(record).subspan(labels_of_record_);
            if (part.split == Split::Train) count_pixels(pixels);
            const auto put = records_.append(unpacked_, std::as_bytes(pixels));
            if (!put) return put.error();
            split.push_back(record[labels_of_record_ - 1]);
            places.push_back(static_cast<std::uint32_t>(*put / kPixels));
        }
        return {};
    }

    void count_pixels(std::span<const std::uint8_t> pixels) {
        for (std::size_t channel = 0; channel < 3; ++channel) {
            for (const std::uint64_t value : pixels.subspan(channel * 1024, 1024)) {
                sums_[channel] += value;
                squares_[channel] += value * value;
            }
        }
    }

    /// Names the classes by the file that lies beside the records, where there is one.
    [[nodiscard]] std::vector<std::string> names_beside(const fs::path& path) const {
        std::error_code error;
        const auto folder = fs::is_directory(path, error) ? path : path.parent_path();
        const auto* file = labels_of_record_ == 1 ? "batches.meta.txt" : "fine_label_names.txt";
        auto stream = FileStream::open(folder / file);
        if (!stream) return {};
        std::vector<std::uint8_t> bytes(std::size_t{1} << 16U);
        const auto got = stream->read(bytes);
        if (!got) return {};
        std::vector<std::string> names;
        std::string name;
        for (std::size_t i = 0; i < *got; ++i) {
            const char c = static_cast<char>(bytes[i]);
            if (c != '\n' && c != '\r') {
                name += c;
            } else if (!name.empty()) {
                names.push_back(printable_name(std::exchange(name, {})).substr(0, kClassNameMax));
            }
        }
        if (!name.empty()) names.push_back(printable_name(name).substr(0, kClassNameMax));
        return names;
    }

    Result<void> describe(const std::string& path) {
        Input input;
        input.name = "image";
        input.shape = {{3, false}, {32, false}, {32, false}};
        schema_.inputs = {std::move(input)};
        std::uint32_t classes = 2;
        for (const auto& labels : raw_labels_) {
            for (const auto label : labels) classes = std::max(classes, label + 1U);
        }
        auto names = names_beside(path);
        if (names.size() >= classes) {
            classes = static_cast<std::uint32_t>(names.size());
        } else {
            names.clear();
        }
        schema_.label = {LabelKind::Class, classes, std::move(names), {}};
        for (std::size_t split = 0; split < kSplits; ++split) {
            labels_[split] = LabelList(schema_.label);
            for (const auto label : raw_labels_[split]) {
                LabelValue value;
                value.classes = {label};
                labels_[split].add(schema_.label, value);
            }
            raw_labels_[split] = {};
        }
        return check_schema(schema_);
    }

    [[nodiscard]] std::vector<Scale> scales() const {
        std::vector<Scale> scales;
        const auto n = 1024.0 * static_cast<double>(count(Split::Train));
        for (std::size_t channel = 0; channel < 3; ++channel) {
            const double mean = static_cast<double>(sums_[channel]) / n;
            const double variance = static_cast<double>(squares_[channel]) / n - mean * mean;
            const double deviation = std::sqrt(std::max(0.0, variance)) / 255.0;
            Scale scale;
            scale.mean = static_cast<float>(mean / 255.0);
            if (deviation > 1e-6) scale.stddev = static_cast<float>(deviation);
            scales.push_back(scale);
        }
        return scales;
    }

    RecordFiles records_;
    std::uint32_t unpacked_ = 0;
    std::size_t labels_of_record_ = 0;
    std::array<std::vector<std::uint8_t>, kSplits> raw_labels_;
    std::array<std::vector<std::uint32_t>, kSplits> places_;
    std::array<std::uint64_t, 3> sums_{};
    std::array<std::uint64_t, 3> squares_{};
};

}  // namespace

Result<SourcePointer> open_cifar(const Spec& spec, const ScanOptions& options) {
    return scanned<CifarSource>(spec, options);
}

}  // namespace starling::data
