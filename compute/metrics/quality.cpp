#include "compute/metrics/quality.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <limits>
#include <system_error>

#include "base/check.hpp"
#include "base/range.hpp"
#include "base/spec.hpp"

namespace starling::compute {

namespace {

struct Row {
    QualityKind kind;
    std::string_view name;
    bool higher_is_better;
};

/// In the order of the enumerators.
constexpr std::array<Row, 10> kTable{{
    {QualityKind::Accuracy, "accuracy", true},
    {QualityKind::Auc, "auc", true},
    {QualityKind::Ap, "ap", true},
    {QualityKind::F1, "f1", true},
    {QualityKind::Map50, "map50", true},
    {QualityKind::Map, "map", true},
    {QualityKind::Bpb, "bpb", false},
    {QualityKind::Loss, "loss", false},
    {QualityKind::Balanced, "balanced", true},
    {QualityKind::Mae, "mae", false},
}};

const Row& row_of(QualityKind kind) {
    const auto place = static_cast<std::size_t>(kind);
    STARLING_CHECK(place < kTable.size());
    return kTable[place];
}

}  // namespace

std::string_view to_string(QualityKind kind) {
    return row_of(kind).name;
}

Result<QualityKind> parse_quality_kind(std::string_view text) {
    std::string names;
    for (const auto& row : kTable) {
        if (row.name == text) return row.kind;
        names += (names.empty() ? "" : ", ") + std::string(row.name);
    }
    return fail(FaultCode::Usage, "'" + std::string(text) + "' is no quality; there are: " + names);
}

bool higher_is_better(QualityKind kind) {
    return row_of(kind).higher_is_better;
}

bool Quality::reaches(const Quality& goal) const {
    STARLING_CHECK(goal.kind == kind);
    return higher_is_better(kind) ? value >= goal.value : value <= goal.value;
}

std::string to_string(const Quality& quality) {
    return std::string(to_string(quality.kind)) + "=" + shortest_text(quality.value);
}

Result<Quality> parse_quality(std::string_view text) {
    const auto sign = text.find('=');
    const auto kind = parse_quality_kind(text.substr(0, sign));
    if (kind.has_error()) return kind.error();
    Quality quality{*kind};
    const auto number = sign == std::string_view::npos ? "" : text.substr(sign + 1);
    const auto* end = number.data() + number.size();
    const auto [rest, error] = std::from_chars(number.data(), end, quality.value);
    const double most = higher_is_better(*kind) ? 1.0 : std::numeric_limits<double>::max();
    if (error == std::errc{} && rest == end && within(quality.value, 0.0, most)) return quality;
    return out_of_range(
        to_string(*kind),
        "'" + std::string(number) + "'",
        higher_is_better(*kind) ? "give a number from 0 to 1" : "give a number from 0 on"
    );
}

}  // namespace starling::compute
