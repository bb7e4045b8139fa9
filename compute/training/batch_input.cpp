#include "compute/training/batch_input.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <string>

#include "base/check.hpp"

namespace starling::compute {

namespace {

constexpr auto kBoxRow = static_cast<std::size_t>(kBoxNumbers);

/// Copies all numbers and returns whether they are finite. Only infinities and NaNs have an
/// exponent of ones, which carries into the sign bit here. The loop has no branch, so it takes no
/// longer than the copy alone.
bool copy_finite(std::span<const float> from, std::span<float> to) {
    const float* __restrict source = from.data();
    float* __restrict target = to.data();
    std::uint32_t carries = 0;
    for (std::size_t i = 0; i < from.size(); ++i) {
        const auto bits = std::bit_cast<std::uint32_t>(source[i]);
        carries |= (bits & 0x7fffffffU) + 0x00800000U;
        target[i] = source[i];
    }
    return (carries >> 31U) == 0;
}

Fault bad_value(
    std::size_t index, std::size_t each, std::string_view what, const std::string& why
) {
    return fail(
        FaultCode::BadValue,
        "sample " + std::to_string(index / each) + " of the batch: " + std::string(what) + " " +
            std::to_string(index % each) + " is " + why
    );
}

/// Names the first number that is not finite.
Fault not_finite(std::span<const float> numbers, std::size_t each, std::string_view what) {
    const auto first = std::find_if(numbers.begin(), numbers.end(), [](float number) {
        return !std::isfinite(number);
    });
    const auto index = static_cast<std::size_t>(first - numbers.begin());
    return bad_value(index, each, what, std::to_string(*first) + ", which is no finite number");
}

}  // namespace

BatchInput::BatchInput(
    const Task& task, std::size_t capacity, std::size_t labels, std::vector<std::int64_t> rows
)
    : kind_(task.kind),
      classes_(task.classes),
      elements_(1),
      capacity_(capacity),
      labels_(labels),
      rows_(std::move(rows)) {
    for (const auto dimension : task.sample_shape) elements_ *= static_cast<std::size_t>(dimension);
    STARLING_CHECK(labels_ > 0 && (rows_.empty() || rows_.size() == elements_));
}

Result<std::size_t> BatchInput::copy(const Batch& batch, const BatchTarget& to) const {
    const auto samples = samples_of(batch);
    if (samples.has_error()) return samples;
    if (auto ok = copy_values(batch.values, to.values); !ok) return ok.error();
    if (auto ok = check_rows(batch.values); !ok) return ok.error();
    if (auto ok = copy_labels(batch.labels, to.labels); !ok) return ok.error();
    if (auto ok = copy_targets(batch.targets, to.targets); !ok) return ok.error();
    return samples;
}

Result<std::size_t> BatchInput::samples_of(const Batch& batch) const {
    const bool of_class = kind_ == LabelKind::Class;
    const auto answers = of_class ? batch.labels.size() : batch.targets.size();
    const auto others = of_class ? batch.targets.size() : batch.labels.size();
    const auto samples = batch.values.size() / elements_;
    if (others == 0 && samples <= capacity_ && samples * elements_ == batch.values.size() &&
        samples * labels_ == answers) {
        return samples;
    }
    return fail(
        FaultCode::BadValue,
        "a batch of " + std::to_string(batch.values.size()) + " values, " +
            std::to_string(batch.labels.size()) + " labels and " +
            std::to_string(batch.targets.size()) + " targets does not fit; up to " +
            std::to_string(capacity_) + " samples of " + std::to_string(elements_) +
            " values with " + std::to_string(labels_) + (of_class ? " labels" : " targets") +
            " each are wanted"
    );
}

Result<void> BatchInput::copy_values(std::span<const float> from, std::span<float> to) const {
    if (!copy_finite(from, to)) return not_finite(from, elements_, "value");
    std::fill(to.begin() + static_cast<std::ptrdiff_t>(from.size()), to.end(), 0.0F);
    return {};
}

Result<void> BatchInput::copy_labels(std::span<const std::int32_t> from, std::span<std::int32_t> to)
    const {
    const auto classes = static_cast<std::int32_t>(classes_);
    const auto bad = std::find_if(from.begin(), from.end(), [&](std::int32_t label) {
        return label < 0 || label >= classes;
    });
    if (bad != from.end()) {
        return bad_value(
            static_cast<std::size_t>(bad - from.begin()),
            labels_,
            "label",
            std::to_string(*bad) + ", outside 0 to " + std::to_string(classes - 1)
        );
    }
    std::copy(from.begin(), from.end(), to.begin());
    std::fill(to.begin() + static_cast<std::ptrdiff_t>(from.size()), to.end(), 0);
    return {};
}

Result<void> BatchInput::copy_targets(std::span<const float> from, std::span<float> to) const {
    if (!copy_finite(from, to)) return not_finite(from, labels_, "target");
    const auto bad = std::find_if(from.begin(), from.end(), [&](float target) {
        return kind_ == LabelKind::Classes && !(target >= 0.0F && target <= 1.0F);
    });
    if (bad != from.end()) {
        return bad_value(
            static_cast<std::size_t>(bad - from.begin()),
            labels_,
            "target",
            std::to_string(*bad) + ", outside 0 to 1"
        );
    }
    if (kind_ == LabelKind::Boxes) {
        if (auto ok = check_boxes(from); !ok) return ok;
    }
    std::fill(to.begin() + static_cast<std::ptrdiff_t>(from.size()), to.end(), 0.0F);
    if (kind_ == LabelKind::Boxes) {
        for (auto i = from.size(); i < to.size(); i += kBoxRow) to[i] = -1.0F;
    }
    return {};
}

Result<void> BatchInput::check_boxes(std::span<const float> rows) const {
    const auto wrong = [&](std::size_t row, std::size_t k) {
        constexpr std::array<std::string_view, 5> kNames{"class", "x", "y", "width", "height"};
        const auto each = labels_ / kBoxRow;
        const auto allowed = k == 0 ? "no whole number from -1 to " + std::to_string(classes_ - 1)
                                    : std::string("not a share of a side of the picture");
        return fail(
            FaultCode::BadValue,
            "sample " + std::to_string(row / each) + " of the batch: the " +
                std::string(kNames[k]) + " of box " + std::to_string(row % each) + " is " +
                std::to_string(rows[row * kBoxRow + k]) + ", " + allowed
        );
    };
    for (std::size_t row = 0; row < rows.size() / kBoxRow; ++row) {
        const auto box = rows.subspan(row * kBoxRow, kBoxRow);
        if (!(box[0] >= -1.0F && box[0] < static_cast<float>(classes_)) ||
            box[0] != std::floor(box[0])) {
            return wrong(row, 0);
        }
        for (std::size_t k = 1; k < kBoxRow; ++k) {
            // A box without area has no size that could be learned.
            const bool side = k > 2 && box[0] >= 0.0F;
            const bool sound = side ? box[k] > 0.0F : box[k] >= 0.0F;
            if (!sound || box[k] > 1.0F) return wrong(row, k);
        }
    }
    return {};
}

/// A Gather never reads outside its table, but the row that it takes for a wild number is not the
/// one that was meant.
Result<void> BatchInput::check_rows(std::span<const float> values) const {
    if (rows_.empty()) return {};
    for (std::size_t i = 0; i < values.size(); ++i) {
        const auto rows = rows_[i % elements_];
        const bool sound = rows == 0 || (values[i] >= 0.0F && values[i] == std::floor(values[i]) &&
                                         values[i] < static_cast<float>(rows));
        if (sound) continue;
        return bad_value(
            i,
            elements_,
            "value",
            std::to_string(values[i]) + ", which names no row of a table of " +
                std::to_string(rows) + "; give whole numbers below that"
        );
    }
    return {};
}

}  // namespace starling::compute
