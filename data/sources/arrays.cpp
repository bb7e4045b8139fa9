// npz:FILE, npy:DIR and idx:DIR: samples and labels in NumPy's arrays, of which the first axis counts samples.

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/rng.hpp"
#include "data/sources/array_set.hpp"
#include "data/sources/record_files.hpp"
#include "data/sources/sources.hpp"
#include "data/tables/column_learner.hpp"
#include "data/tables/exact_moments.hpp"

namespace starling::data {

namespace {

constexpr std::int64_t kSamplesMax = std::int64_t{1} << 30U;
constexpr std::uint64_t kLabelValuesMax = std::uint64_t{1} << 27U;
constexpr std::size_t kPieceBytes = std::size_t{1} << 20U;

/// Samples and labels that belong together.
struct Part {
    std::string samples;
    std::string labels;
    std::optional<Split> split;  ///< none: rows are drawn
    std::vector<double> values;  ///< the labels, row by row
    std::int64_t limit = 0;      ///< so many rows at most are used
};

/// How a row of an array of samples becomes a sample.
struct Layout {
    Meaning meaning = Meaning::Image;
    std::uint32_t channels = 1;
    std::uint32_t height = 1;
    std::uint32_t width = 1;  ///< columns: how many
    bool channels_last = false;
    bool bytes = false;  ///< images of bytes stay so; all else becomes f32

    [[nodiscard]] std::size_t elements() const { return std::size_t{channels} * height * width; }

    bool operator==(const Layout&) const = default;
};

std::string shape_text(const std::vector<std::uint64_t>& shape) {
    std::string text;
    for (const auto size : shape) text += (text.empty() ? "" : " x ") + std::to_string(size);
    return text;
}

bool is_colours(std::uint64_t size) {
    return size == 1 || size == 3;
}

bool is_float(NpyElement element) {
    return element == NpyElement::F16 || element == NpyElement::F32 || element == NpyElement::F64;
}

/// Reads the layout off an array's shape. Where both the second and the last axis may be channels,
/// they are taken to be last, as in NumPy's world.
Result<Layout> layout_of(const NpyHeader& header, const std::string& where) {
    const auto& shape = header.shape;
    const bool image = shape.size() == 3 || shape.size() == 4;
    const bool last = shape.size() == 4 && is_colours(shape[3]);
    const bool first = shape.size() == 4 && is_colours(shape[1]);
    if (shape.empty() || shape.size() > 4 || (shape.size() == 4 && !last && !first)) {
        return fail(
            FaultCode::Usage,
            where + ": an array of " + (shape.empty() ? "one number" : shape_text(shape)) +
                " is no list of samples; give N x columns, N x height x width, or that with 1 or 3 "
                "channels"
        );
    }
    for (std::size_t i = 0; i < shape.size(); ++i) {
        if (shape[i] == 0 ||
            shape[i] > (i == 0 ? static_cast<std::uint64_t>(kSamplesMax) : kSampleBytesMax)) {
            return fail(
                FaultCode::Usage, where + ": an axis of length " + std::to_string(shape[i])
            );
        }
    }
    const auto axis = [&shape](std::size_t i) { return static_cast<std::uint32_t>(shape[i]); };
    Layout layout;
    layout.channels_last = last;
    layout.bytes = image && header.element == NpyElement::U8;
    if (!image) {
        layout.meaning = Meaning::Columns;
        layout.width = shape.size() == 2 ? axis(1) : 1;
    } else {
        const std::size_t at = shape.size() == 4 && !last ? 2 : 1;
        layout.height = axis(at);
        layout.width = axis(at + 1);
        if (shape.size() == 4) layout.channels = last ? axis(3) : axis(1);
    }
    // The axes are below 2^22 each, so three of them could still be too much for any number.
    const double elements = static_cast<double>(layout.channels) * layout.height * layout.width;
    if (elements * (layout.bytes ? 1 : 4) > static_cast<double>(kSampleBytesMax)) {
        return fail(FaultCode::Oversized, where + ": samples of over 4 MiB");
    }
    return layout;
}

class ArraySource final : public Source {
public:
    Result<void> scan(const Spec& spec, ArraySet arrays, const ScanOptions& options) {
        name_ = spec.to_string();
        arrays_ = std::move(arrays);
        if (auto ok = choose_parts(spec); !ok) return ok.error();
        if (auto ok = read_labels(); !ok) return ok.error();
        if (auto ok = choose_label(); !ok) return ok.error();
        for (auto& file : unpacked_) {
            const auto made = records_.add_unpacked();
            if (!made) return made.error();
            file = *made;
        }
        for (auto& part : parts_) {
            if (auto ok = read_samples(part); !ok) return ok.error();
            part.values = {};
        }
        const auto good = count(Split::Train) + count(Split::Test) + count(Split::Valid);
        if (auto ok = check_skipped(name_, notes_, good, options.strict); !ok) return ok.error();
        if (count(Split::Train) == 0) return {};  // open_source says so
        if (auto ok = describe(spec); !ok) return ok.error();
        return check_schema(schema_);
    }

    [[nodiscard]] Result<void> read(Split split, std::uint64_t sample, Bytes& out) const override {
        const auto bytes = static_cast<std::uint32_t>(record_bytes());
        const auto file = unpacked_[static_cast<std::size_t>(split)];
        return records_.read({file, bytes, sample * bytes}, out);
    }

private:
    /// Finds the arrays: those that the SPEC names, or those that MedMNIST has.
    Result<void> choose_parts(const Spec& spec) {
        const auto samples = spec.text("x", "");
        const auto labels = spec.text("y", "");
        if (samples.empty() != labels.empty()) {
            return fail(FaultCode::Usage, "'" + name_ + "': give both x=NAME and y=NAME");
        }
        if (!samples.empty()) {
            const auto shares = read_shares(spec);
            if (!shares) return shares.error();
            shares_ = *shares;
            parts_ = {{samples, labels, std::nullopt, {}, kSamplesMax}};
            notes_.lines.push_back(
                name_ + ": " + shortest_text(100 * shares_.test) +
                " % of the samples are for testing"
            );
            return {};
        }
        const bool tests = arrays_.has("test_images");
        const std::pair<const char*, Split> known[] = {
            {"train", Split::Train},
            {"val", tests ? Split::Valid : Split::Test},
            {"test", Split::Test}};
        for (const auto& [prefix, split] : known) {
            const auto name = std::string(prefix);
            if (!arrays_.has(name + "_images")) continue;
            Result<std::int64_t> limit = kSamplesMax;
            if (spec.name == "idx") limit = spec.integer(name, kSamplesMax, 1, kSamplesMax);
            if (!limit) return limit.error();
            parts_.push_back({name + "_images", name + "_labels", split, {}, *limit});
        }
        if (!parts_.empty() && parts_[0].split == Split::Train) return {};
        std::string all;
        for (const auto& name : arrays_.names()) all += (all.empty() ? "" : ", ") + name;
        return fail(
            FaultCode::Usage,
            name_ + ": no train_images and train_labels in it; give x=NAME&y=NAME of " + all
        );
    }

    Result<void> read_labels() {
        for (auto& part : parts_) {
            const auto where = arrays_.where(part.labels);
            auto array = arrays_.open(part.labels);
            if (!array) return array.error();
            const auto& header = array->reader->header();
            const auto& shape = header.shape;
            if (shape.empty() || shape.size() > 2 || (shape.size() == 2 && shape[1] == 0)) {
                return fail(
                    FaultCode::Usage, where + ": labels are N or N x K, not " + shape_text(shape)
                );
            }
            const auto each = shape.size() == 2 ? shape[1] : 1;
            if (header.elements() > kLabelValuesMax || each > kClassesMax) {
                return fail(FaultCode::Oversized, where + ": over 128 million values of labels");
            }
            if (each_ != 0 && (each != each_ || is_float(header.element) != floats_)) {
                return fail(
                    FaultCode::BadFormat, where + ": labels of another kind than the others"
                );
            }
            each_ = static_cast<std::size_t>(each);
            floats_ = is_float(header.element);
            // The header may promise more than there is.
            part.values.reserve(std::min<std::uint64_t>(header.elements(), kPieceBytes));
            auto done = read_all(*array, each_, [&part](const double* row, std::size_t count) {
                part.values.insert(part.values.end(), row, row + count);
                return Result<void>();
            });
            if (!done) return done.error();
        }
        return {};
    }

    /// Reads rows of `elements` numbers, and also what stands behind the last one: its checksum.
    template <class Take>
    Result<void> read_all(OpenArray& array, std::size_t elements, const Take& take) {
        const auto element = array.reader->header().element;
        const auto row_bytes = elements * bytes_of(element);
        std::vector<std::uint8_t> piece(
            std::max<std::size_t>(1, kPieceBytes / row_bytes) * row_bytes
        );
        std::vector<double> row(elements);
        while (true) {
            const auto got = array.reader->read(piece);
            if (!got) return got.error();
            if (*got == 0) return {};
            const auto rows = std::span<const std::uint8_t>(piece).first(*got);
            for (std::size_t at = 0; at < *got / row_bytes; ++at) {
                for (std::size_t i = 0; i < elements; ++i) {
                    row[i] = npy_value(element, rows, at * elements + i);
                }
                if (auto ok = take(row.data(), elements); !ok) return ok.error();
            }
        }
    }

    Result<void> choose_label() {
        double least = 0.0;
        double most = 0.0;
        for (const auto& part : parts_) {
            for (const double value : part.values) {
                least = std::min(least, value);
                most = std::max(most, value);
            }
        }
        if (floats_ || (each_ > 1 && (least < 0.0 || most > 1.0))) {
            schema_.label = {LabelKind::Numbers, static_cast<std::uint32_t>(each_), {}, {}};
        } else if (each_ > 1) {
            schema_.label = {LabelKind::Classes, static_cast<std::uint32_t>(each_), {}, {}};
        } else if (least < 0.0 || most >= kClassesMax) {
            return fail(
                FaultCode::BadValue,
                arrays_.where(parts_[0].labels) + ": labels from " + shortest_text(least) + " to " +
                    shortest_text(most) + ", classes are 0 to 65535; numbers to predict are floats"
            );
        } else {
            const auto classes = std::max(2U, static_cast<std::uint32_t>(most) + 1);
            schema_.label = {LabelKind::Class, classes, {}, {}};
        }
        for (auto& list : labels_) list = LabelList(schema_.label);
        return {};
    }

    [[nodiscard]] std::optional<LabelValue> label_of(const double* values) const {
        LabelValue label;
        if (schema_.label.kind == LabelKind::Class) {
            label.classes = {static_cast<std::uint16_t>(values[0])};
            return label;
        }
        for (std::size_t i = 0; i < each_; ++i) {
            if (schema_.label.kind == LabelKind::Classes) {
                if (values[i] != 0.0) label.classes.push_back(static_cast<std::uint16_t>(i));
                continue;
            }
            const auto number = static_cast<float>(values[i]);
            if (!std::isfinite(number)) return std::nullopt;
            label.numbers.push_back(number);
        }
        return label;
    }

    Result<void> read_samples(const Part& part) {
        const auto where = arrays_.where(part.samples);
        auto array = arrays_.open(part.samples);
        if (!array) return array.error();
        const auto& header = array->reader->header();
        const auto layout = layout_of(header, where);
        if (!layout) return layout.error();
        if (!layout_) start(*layout);
        if (*layout_ != *layout) {
            return fail(
                FaultCode::BadFormat,
                where + ": samples of another shape or type than in " + parts_[0].samples
            );
        }
        const auto labels = part.values.size() / each_;
        if (header.shape[0] != labels) {
            return fail(
                FaultCode::BadFormat,
                where + ": " + std::to_string(header.shape[0]) + " samples, but " +
                    std::to_string(labels) + " labels in " + part.labels
            );
        }
        std::uint64_t row = 0;
        return read_all(*array, layout->elements(), [&](const double* values, std::size_t) {
            const auto number = row++;
            if (number >= static_cast<std::uint64_t>(part.limit)) return Result<void>();
            return add(part, number, values, where + ": row " + std::to_string(number));
        });
    }

    void start(const Layout& layout) {
        layout_ = layout;
        const bool columns = layout.meaning == Meaning::Columns;
        moments_.assign(columns ? layout.width : layout.channels, ExactMoments{});
        missing_.assign(moments_.size(), false);
    }

    Result<void> add(
        const Part& part, std::uint64_t row, const double* values, const std::string& where
    ) {
        const auto label = label_of(part.values.data() + row * each_);
        if (!label) {
            notes_.skip(where, "its label is no finite number");
            return {};
        }
        const auto split = part.split.value_or(drawn(row));
        record_.clear();
        const auto elements = layout_->elements();
        const bool columns = layout_->meaning == Meaning::Columns;
        const auto plane = std::size_t{layout_->height} * layout_->width;
        for (std::size_t i = 0; i < elements; ++i) {
            const auto from =
                layout_->channels_last ? i % plane * layout_->channels + i / plane : i;
            const double value = values[from];
            const auto channel = columns ? i : i / plane;
            const bool finite = std::isfinite(static_cast<float>(value));
            if (!finite && !columns) {
                return fail(FaultCode::BadValue, where + ": a pixel is no finite number");
            }
            if (!finite) missing_[channel] = true;
            if (finite && split == Split::Train) moments_[channel].add(value);
            append(finite ? value : std::nan(""));
        }
        const auto file = unpacked_[static_cast<std::size_t>(split)];
        if (auto put = records_.append(file, record_); !put) return put.error();
        labels_[static_cast<std::size_t>(split)].add(schema_.label, *label);
        return {};
    }

    void append(double value) {
        ByteWriter writer(record_);
        if (layout_->bytes) {
            writer.put(static_cast<std::uint8_t>(value));
        } else {
            writer.put(static_cast<float>(value));
        }
    }

    [[nodiscard]] Split drawn(std::uint64_t row) const {
        const double draw = static_cast<double>(mix64(row) >> 11U) * 0x1p-53;
        if (draw < shares_.test) return Split::Test;
        return draw < shares_.test + shares_.valid ? Split::Valid : Split::Train;
    }

    [[nodiscard]] std::size_t record_bytes() const {
        return layout_->elements() * (layout_->bytes ? 1 : sizeof(float));
    }

    Result<void> describe(const Spec& spec) {
        const auto flip = spec.integer("flip", 0, 0, 1);
        if (!flip) return flip.error();
        const auto pad = spec.integer("pad", 0, 0, 64);
        if (!pad) return pad.error();
        Input input;
        input.meaning = layout_->meaning;
        input.element = layout_->bytes ? Element::U8 : Element::F32;
        if (layout_->meaning == Meaning::Columns) {
            if (*flip != 0 || *pad != 0) {
                return fail(FaultCode::Usage, "'" + name_ + "': flip and pad are for images");
            }
            input.name = "columns";
            input.shape = {{layout_->width, false}};
            schema_.inputs = {std::move(input)};
            return describe_columns();
        }
        input.name = "image";
        input.shape = {
            {layout_->channels, false}, {layout_->height, false}, {layout_->width, false}};
        schema_.inputs = {std::move(input)};
        ImageRecipe recipe;
        recipe.flip = *flip == 1;
        recipe.pad = static_cast<std::uint32_t>(*pad);
        for (const auto& moments : moments_) {
            recipe.scales.push_back(scale_of(moments, layout_->bytes ? 255.0 : 1.0));
        }
        recipe_ = std::move(recipe);
        return {};
    }

    Result<void> describe_columns() {
        if (layout_->width > kRecipeColumnsMax) {
            return fail(FaultCode::Usage, name_ + ": more than 4096 columns");
        }
        TableRecipe recipe;
        for (std::size_t i = 0; i < moments_.size(); ++i) {
            Column column;
            column.name = std::to_string(i);
            column.scale = scale_of(moments_[i], 1.0);
            column.mask = missing_[i];
            column.clip = kColumnClip;
            recipe.columns.push_back(std::move(column));
        }
        recipe_ = std::move(recipe);
        return {};
    }

    static Scale scale_of(const ExactMoments& moments, double unit) {
        Scale scale;
        scale.mean = static_cast<float>(moments.mean() / unit);
        const auto deviation = static_cast<float>(moments.deviation() / unit);
        // If all are equal there is nothing to scale, and we divide by 1.
        if (deviation > 1e-6F && std::isfinite(deviation)) scale.stddev = deviation;
        return scale;
    }

    ArraySet arrays_;
    std::vector<Part> parts_;
    Shares shares_;
    std::size_t each_ = 0;  ///< values of one label
    bool floats_ = false;
    std::optional<Layout> layout_;
    std::vector<ExactMoments> moments_;  ///< of each channel or column
    std::vector<bool> missing_;          ///< of each column
    Bytes record_;
    RecordFiles records_;
    std::array<std::uint32_t, kSplits> unpacked_{};  ///< the files of each split's samples
};

Result<SourcePointer> open_arrays(
    const Spec& spec, Result<ArraySet> arrays, const ScanOptions& options
) {
    if (!arrays) return arrays.error();
    auto source = std::make_unique<ArraySource>();
    if (auto ok = source->scan(spec, std::move(*arrays), options); !ok) return ok.error();
    return SourcePointer(std::move(source));
}

constexpr std::string_view kKeys = "x,y,test,valid,flip,pad";
/// Here train and test are numbers of samples, as for grey images.
constexpr std::string_view kIdxKeys = "train,test,flip,pad";

}  // namespace

Result<SourcePointer> open_npz(const Spec& spec, const ScanOptions& options) {
    if (auto known = spec.only(kKeys); !known) return known.error();
    return open_arrays(spec, ArraySet::of_file(spec.path), options);
}

Result<SourcePointer> open_idx(const Spec& spec, const ScanOptions& options) {
    if (auto known = spec.only(kIdxKeys); !known) return known.error();
    return open_arrays(spec, ArraySet::of_idx(spec.path), options);
}

Result<SourcePointer> open_npy(const Spec& spec, const ScanOptions& options) {
    if (auto known = spec.only(kKeys); !known) return known.error();
    return open_arrays(spec, ArraySet::of_folder(spec.path), options);
}

}  // namespace starling::data
