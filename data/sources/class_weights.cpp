#include "data/sources/class_weights.hpp"

namespace starling::data {

std::vector<float> balanced_weights(const LabelList& labels, const Label& label) {
    std::vector<double> counts(label.count);
    for (std::uint64_t i = 0; i < labels.count(); ++i) {
        ++counts[read_label(label, labels.at(i))->classes[0]];
    }
    const auto all = static_cast<double>(labels.count());
    std::vector<float> weights;
    for (const double count : counts) {
        const double weight = count > 0 ? all / (static_cast<double>(counts.size()) * count) : 1.0;
        weights.push_back(static_cast<float>(weight));
    }
    return weights;
}

}  // namespace starling::data
