#include "data/sources/boxes.hpp"

#include <algorithm>
#include <numeric>

#include "data/dataset.hpp"
#include "data/sources/sources.hpp"

namespace starling::data {

namespace {

/// Pixels by which a box may reach out of its picture without a word: shares of a size are rounded.
constexpr double kRounding = 0.01;

}  // namespace

void BoxSource::add(
    const std::string& name, Split split, RecordPlace place, const std::vector<GivenBox>& boxes
) {
    const auto facts = look_at(place);
    if (!facts) {
        notes_.skip(name_ + ": " + name, facts.error().message);
        return;
    }
    Picture picture;
    picture.facts = *facts;
    picture.split = split;
    picture.place = place;
    const double width = facts->width;
    const double height = facts->height;
    for (const auto& given : boxes) {
        if (given.right <= given.left || given.bottom <= given.top) {
            count_note("boxes have no area and are left out");
            continue;
        }
        LabelledBox box;
        box.label = static_cast<std::uint16_t>(given.label);
        box.left = static_cast<float>(std::clamp(given.left, 0.0, width));
        box.top = static_cast<float>(std::clamp(given.top, 0.0, height));
        box.right = static_cast<float>(std::clamp(given.right, 0.0, width));
        box.bottom = static_cast<float>(std::clamp(given.bottom, 0.0, height));
        if (box.right <= box.left || box.bottom <= box.top) {
            count_note("boxes lie outside of their pictures and are left out");
            continue;
        }
        const bool inside = given.left >= -kRounding && given.top >= -kRounding &&
                            given.right <= width + kRounding && given.bottom <= height + kRounding;
        if (!inside) count_note("boxes reach out of their pictures and are clipped");
        picture.boxes.push_back(box);
    }
    if (picture.boxes.size() > kBoxesMax) {
        notes_.skip(
            name_ + ": " + name,
            std::to_string(picture.boxes.size()) + " boxes, at most " + std::to_string(kBoxesMax) +
                " fit into a label"
        );
        return;
    }
    boxes_ += picture.boxes.size();
    pictures_.push_back(std::move(picture));
}

void BoxSource::number_by_names(std::vector<std::string>& names) {
    std::vector<std::uint16_t> order(names.size());
    std::iota(order.begin(), order.end(), std::uint16_t{0});
    std::sort(order.begin(), order.end(), [&names](std::uint16_t a, std::uint16_t b) {
        return names[a] < names[b];
    });
    std::vector<std::uint16_t> numbers(names.size());
    std::vector<std::string> sorted;
    for (std::size_t i = 0; i < order.size(); ++i) {
        numbers[order[i]] = static_cast<std::uint16_t>(i);
        sorted.push_back(std::move(names[order[i]]));
    }
    names = std::move(sorted);
    for (auto& picture : pictures_) {
        for (auto& box : picture.boxes) box.label = numbers[box.label];
    }
}

Result<void> BoxSource::finish(
    std::vector<std::string> names,
    ClassOrder order,
    const ImageOptions& options,
    const ScanOptions& scan
) {
    if (auto ok = check_skipped(name_, notes_, pictures_.size(), scan.strict); !ok) {
        return ok.error();
    }
    for (const auto& [what, times] : counts_) {
        notes_.lines.push_back(name_ + ": " + std::to_string(times) + " " + what);
    }
    if (boxes_ == 0) return fail(FaultCode::Usage, name_ + ": no picture in it has a box");
    if (names.size() > kClassesMax) {
        return fail(FaultCode::Oversized, name_ + ": more than 65536 classes");
    }
    if (order == ClassOrder::ByName) number_by_names(names);
    for (auto& name : names) name = printable_name(name).substr(0, kClassNameMax);
    const auto classes = static_cast<std::uint32_t>(names.size());
    schema_.label = {LabelKind::Boxes, classes, std::move(names), {}};
    for (auto& list : labels_) list = LabelList(schema_.label);
    // With parts for training and validation alone, the second one is what models are judged by.
    const bool tests = std::any_of(pictures_.begin(), pictures_.end(), [](const Picture& picture) {
        return picture.split == Split::Test;
    });
    for (auto& picture : pictures_) {
        if (!tests && picture.split == Split::Valid) picture.split = Split::Test;
        LabelValue label;
        label.boxes = std::move(picture.boxes);
        keep(picture.facts, picture.split, picture.place, label);
    }
    pictures_ = {};
    if (count(Split::Train) == 0) return {};  // open_source says so
    if (auto ok = describe_pictures(options); !ok) return ok.error();
    return check_schema(schema_);
}

Result<ImageOptions> read_box_options(const Spec& spec, const std::string& more) {
    auto options = read_image_options(spec, kBoxKeys + more);
    if (options && spec.text("fit", "").empty()) options->fit = Fit::Pad;
    return options;
}

}  // namespace starling::data
