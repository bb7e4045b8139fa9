#include "data/tables/column_learner.hpp"

#include <algorithm>
#include <cmath>

#include "base/check.hpp"
#include "data/tables/signed_log.hpp"

namespace starling::data {

ColumnLearner::ColumnLearner(std::vector<Column> columns, std::vector<LogChoice> logs)
    : columns_(std::move(columns)),
      logs_(std::move(logs)),
      moments_(columns_.size()),
      magnitudes_(columns_.size()),
      negative_(columns_.size()),
      counts_(columns_.size()) {
    STARLING_CHECK(logs_.size() == columns_.size());
    for (std::size_t i = 0; i < columns_.size(); ++i) {
        if (columns_[i].kind != ColumnRole::Category) continue;
        columns_[i].unknown = true;
        counts_[i].resize(columns_[i].categories.size() + 1);
    }
}

void ColumnLearner::add(std::span<const float> row) {
    STARLING_DCHECK(row.size() == columns_.size());
    for (std::size_t i = 0; i < columns_.size(); ++i) {
        if (!std::isfinite(row[i])) continue;
        if (columns_[i].kind == ColumnRole::Category) {
            ++counts_[i][static_cast<std::size_t>(row[i])];
            continue;
        }
        moments_[i].add(row[i]);
        magnitudes_[i].add(row[i]);
        if (row[i] < 0.0F) ++negative_[i];
    }
}

bool ColumnLearner::amounts(std::size_t column) const {
    const auto& magnitudes = magnitudes_[column];
    if (magnitudes.quantile(0.99) <= kLogSpread * magnitudes.quantile(0.5)) return false;
    const auto all = static_cast<double>(magnitudes.count());
    const auto negative = static_cast<double>(negative_[column]);
    return std::max(negative, all - negative) >= kLogOneSide * all;
}

bool ColumnLearner::choose_logs() {
    bool any = false;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
        if (columns_[i].kind != ColumnRole::Number || logs_[i] == LogChoice::Never) continue;
        const double median = magnitudes_[i].quantile(0.5);
        if (median == 0.0 || (logs_[i] == LogChoice::Auto && !amounts(i))) continue;
        columns_[i].log_unit = static_cast<float>(median);
        moments_[i] = {};
        any = true;
    }
    return any;
}

void ColumnLearner::add_again(std::span<const float> row) {
    for (std::size_t i = 0; i < columns_.size(); ++i) {
        if (columns_[i].log_unit > 0.0F && std::isfinite(row[i])) {
            moments_[i].add(signed_log(row[i], columns_[i].log_unit));
        }
    }
}

std::vector<bool> ColumnLearner::kept_words(std::size_t column) const {
    const auto& counts = counts_[column];
    // Where no word is frequent enough, those that are there count; a column of which the training
    // rows have nothing keeps all words, because a recipe's category has at least one.
    const auto most = *std::max_element(counts.begin() + 1, counts.end());
    const auto least = std::min(kWordRowsMin, most);
    std::vector<bool> kept;
    for (std::size_t i = 1; i < counts.size(); ++i) kept.push_back(counts[i] >= least);
    return kept;
}

std::vector<Column> ColumnLearner::columns() const {
    auto columns = columns_;
    for (std::size_t i = 0; i < columns.size(); ++i) {
        auto& column = columns[i];
        if (column.kind == ColumnRole::Category) {
            const auto kept = kept_words(i);
            std::size_t at = 0;
            std::erase_if(column.categories, [&](const std::string&) { return !kept[at++]; });
            continue;
        }
        column.clip = kColumnClip;
        if (moments_[i].count() == 0) continue;
        column.scale.mean = static_cast<float>(moments_[i].mean());
        const auto deviation = static_cast<float>(moments_[i].deviation());
        if (deviation > 0.0F && std::isfinite(deviation)) column.scale.stddev = deviation;
    }
    return columns;
}

std::vector<std::vector<float>> ColumnLearner::codes() const {
    const auto learned = columns();
    std::vector<std::vector<float>> codes(columns_.size());
    for (std::size_t i = 0; i < columns_.size(); ++i) {
        if (columns_[i].kind != ColumnRole::Category) continue;
        const auto kept = kept_words(i);
        const auto unknown = static_cast<float>(learned[i].unknown_code());
        float next = 1.0F;
        codes[i].push_back(0.0F);
        for (const bool keep : kept) codes[i].push_back(keep ? next++ : unknown);
    }
    return codes;
}

}  // namespace starling::data
