#include "data/source.hpp"

#include <algorithm>

#include "base/check.hpp"

namespace starling::data {

void LabelList::add(const Label& label, const LabelValue& value) {
    append_label(label, value, bytes_);
    ++count_;
    if (boxes_) ends_.push_back(bytes_.size());
}

ByteView LabelList::at(std::uint64_t sample) const {
    STARLING_CHECK(sample < count_);
    if (!boxes_) return ByteView(bytes_).subspan(sample * each_, each_);
    const std::uint64_t begin = sample == 0 ? 0 : ends_[sample - 1];
    return ByteView(bytes_).subspan(begin, ends_[sample] - begin);
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

}  // namespace starling::data
