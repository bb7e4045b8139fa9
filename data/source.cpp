#include "data/source.hpp"

#include <algorithm>

#include "base/check.hpp"

namespace starling::data {

namespace {

constexpr std::size_t kLabelsOfAPiece = std::size_t{1} << 16U;

}  // namespace

void LabelList::add(const Label& label, const LabelValue& value) {
    if (boxes_) {
        append_label(label, value, boxes_bytes_);
        ends_.push_back(boxes_bytes_.size());
    } else {
        if (count_ % kLabelsOfAPiece == 0) {
            pieces_.emplace_back();
            // Small sets are many, and their lists are small.
            if (count_ > 0) pieces_.back().reserve(kLabelsOfAPiece * each_);
        }
        append_label(label, value, pieces_.back());
    }
    ++count_;
}

ByteView LabelList::at(std::uint64_t sample) const {
    STARLING_CHECK(sample < count_);
    if (!boxes_) {
        const ByteView piece(pieces_[sample / kLabelsOfAPiece]);
        return piece.subspan(sample % kLabelsOfAPiece * each_, each_);
    }
    const std::uint64_t begin = sample == 0 ? 0 : ends_[sample - 1];
    return ByteView(boxes_bytes_).subspan(begin, ends_[sample] - begin);
}

void ScanNotes::skip(std::string where, std::string what) {
    ++skipped;
    if (first.size() < kNamedMax) first.push_back({std::move(where), std::move(what)});
}

Result<void> Source::adopt_recipe(const Recipe& recipe) {
    if (auto fits = check_recipe(recipe, schema_); !fits) {
        return fail(
            FaultCode::Usage, name_ + ": not prepared as the model's data: " + fits.error().message
        );
    }
    recipe_ = recipe;
    return {};
}

Result<Groups> Source::groups(const std::string& field) const {
    const bool classes = schema_.label.kind == LabelKind::Class;
    if (classes && field == "label") return classes_as_groups();
    std::vector<std::string> known;
    if (classes) known.emplace_back("label");
    return no_such_field(name_, field, known);
}

Result<Groups> Source::classes_as_groups() const {
    const auto& label = schema_.label;
    const auto& list = labels(Split::Train);
    GroupBuilder values;
    for (std::uint64_t i = 0; i < list.count(); ++i) {
        const auto value = read_label(label, list.at(i));
        if (!value) return value.error();
        const auto number = value->classes[0];
        values.add(label.names.empty() ? std::to_string(number) : label.names[number]);
    }
    return values.groups("label");
}

Result<void> Source::adopt_label(const Label& label) {
    const auto& ours = schema_.label;
    if (ours.kind != label.kind) {
        return fail(
            FaultCode::Usage,
            name_ + ": its labels are " + std::string(to_string(ours.kind)) + ", the model's are " +
                std::string(to_string(label.kind))
        );
    }
    const bool classes = label.kind == LabelKind::Class || label.kind == LabelKind::Boxes;
    const bool named = classes && !ours.names.empty() && !label.names.empty();
    if (!named && ours.count > label.count) {
        return fail(
            FaultCode::Usage,
            name_ + ": has " + std::to_string(ours.count) + " classes, the model " +
                std::to_string(label.count)
        );
    }
    std::vector<std::uint16_t> numbers;
    for (std::size_t i = 0; i < ours.names.size() && named; ++i) {
        const auto found = std::find(label.names.begin(), label.names.end(), ours.names[i]);
        if (found == label.names.end()) {
            return fail(
                FaultCode::Usage,
                name_ + ": class " + ours.names[i] + " is not one of those that the model knows"
            );
        }
        numbers.push_back(static_cast<std::uint16_t>(found - label.names.begin()));
    }
    for (auto& list : labels_) {
        LabelList renumbered(label);
        for (std::uint64_t i = 0; i < list.count(); ++i) {
            auto value = read_label(ours, list.at(i));
            if (!value) return value.error();
            if (named) {
                for (auto& one : value->classes) one = numbers[one];
                for (auto& box : value->boxes) box.label = numbers[box.label];
            }
            renumbered.add(label, *value);
        }
        list = std::move(renumbered);
    }
    schema_.label = label;
    return {};
}

}  // namespace starling::data
