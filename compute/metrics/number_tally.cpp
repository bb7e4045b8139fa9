#include "compute/metrics/number_tally.hpp"

#include <cmath>
#include <string>

#include "base/check.hpp"
#include "base/finite.hpp"
#include "compute/metrics/packing.hpp"

namespace starling::compute {

namespace {

Fault unfit(std::size_t numbers) {
    return fail(
        FaultCode::BadValue,
        "answers, targets or a tally do not fit a tally of " + std::to_string(numbers) +
            " numbers a sample, or are more than 2^48 numbers in all"
    );
}

/// A sum as two doubles, with twice the digits of one.
struct Parts {
    double high = 0.0;
    double low = 0.0;

    explicit Parts(const ExactSum& sum) : high(sum.value()) {
        auto rest = sum;
        if (!std::isfinite(high)) return;
        rest.add(-high);
        low = rest.value();
    }
};

}  // namespace

NumberTally::NumberTally(std::size_t numbers)
    : numbers_(numbers),
      columns_(numbers <= kColumnsMax ? numbers : 1) {
    STARLING_CHECK(numbers >= 1 && numbers <= kNumbersMax);
}

Result<void> NumberTally::add(std::span<const float> answers, std::span<const float> targets) {
    const auto samples = targets.size() / numbers_;
    const bool fits = answers.size() == targets.size() && samples * numbers_ == targets.size() &&
                      targets.size() <= kCountMax - count();
    if (!fits) return unfit(numbers_);
    if (!all_finite(answers) || !all_finite(targets)) {
        return fail(FaultCode::BadValue, "an answer or a target is not finite");
    }
    for (std::size_t i = 0; i < targets.size(); ++i) {
        auto& column = columns_[i % columns_.size()];
        const auto target = static_cast<double>(targets[i]);
        const auto error = std::abs(static_cast<double>(answers[i]) - target);
        column.absolute.add(error);
        column.squared.add(error * error);
        column.target.add(target);
        column.target_squared.add(target * target);
    }
    samples_ += samples;
    return {};
}

Result<void> NumberTally::merge(const NumberTally& other) {
    if (other.numbers_ != numbers_ || other.count() > kCountMax - count()) return unfit(numbers_);
    samples_ += other.samples_;
    for (std::size_t c = 0; c < columns_.size(); ++c) {
        columns_[c].absolute += other.columns_[c].absolute;
        columns_[c].squared += other.columns_[c].squared;
        columns_[c].target += other.columns_[c].target;
        columns_[c].target_squared += other.columns_[c].target_squared;
    }
    return {};
}

std::optional<double> NumberTally::loss() const {
    if (samples_ == 0) return std::nullopt;
    ExactSum sum;
    for (const auto& column : columns_) sum += column.squared;
    return sum.value() / static_cast<double>(count());
}

std::optional<double> NumberTally::mean_absolute_error() const {
    if (samples_ == 0) return std::nullopt;
    ExactSum sum;
    for (const auto& column : columns_) sum += column.absolute;
    return sum.value() / static_cast<double>(count());
}

std::optional<double> NumberTally::root_mean_square_error() const {
    const auto squared = loss();
    if (!squared) return std::nullopt;
    return std::sqrt(*squared);
}

/// n * sum t^2 - (sum t)^2, where both terms may agree in all digits of a double.
double NumberTally::Column::scatter(double count) const {
    const Parts squares(target_squared);
    const Parts sum(target);
    ExactSum scatter;
    scatter.add_product(count, squares.high);
    scatter.add_product(count, squares.low);
    scatter.add_product(-sum.high, sum.high);
    scatter.add_product(-2.0 * sum.high, sum.low);
    scatter.add_product(-sum.low, sum.low);
    return scatter.value();
}

std::optional<double> NumberTally::r2() const {
    const auto each = column_count();
    if (each < 2.0) return std::nullopt;
    double sum = 0.0;
    for (const auto& column : columns_) {
        const auto scatter = column.scatter(each);
        const auto error = each * column.squared.value();
        if (scatter > 0.0) {
            sum += 1.0 - error / scatter;
        } else {
            sum += error > 0.0 ? 0.0 : 1.0;
        }
    }
    return sum / static_cast<double>(columns_.size());
}

void NumberTally::encode(ByteWriter& out) const {
    put_packed(out, numbers_);
    put_packed(out, samples_);
    for (const auto& column : columns_) {
        column.absolute.encode(out);
        column.squared.encode(out);
        column.target.encode(out);
        column.target_squared.encode(out);
    }
}

/// Errors and targets are differences and values of floats, which bounds their sums. Within these
/// bounds no product of scatter() overflows.
bool NumberTally::Column::is_sound(double count) const {
    constexpr double kLargest = 0x1p128;
    constexpr double kSlack = 1.0 + 1e-9;
    const double most = count * kLargest;
    const auto absolute_sum = absolute.value();
    const auto squared_sum = squared.value();
    const auto target_sum = std::abs(target.value());
    const auto target_squared_sum = target_squared.value();
    const auto agree = [&](double sum, double squares) {
        // Cauchy and Schwarz, and: no single term is larger than the sum.
        return sum * sum <= kSlack * count * squares;
    };
    return !absolute.is_negative() && !squared.is_negative() && !target_squared.is_negative() &&
           absolute_sum <= 2.0 * most && target_sum <= most &&
           squared_sum <= kSlack * absolute_sum * absolute_sum &&
           target_squared_sum <= most * kLargest && agree(absolute_sum, squared_sum) &&
           agree(target_sum, target_squared_sum);
}

Result<NumberTally> NumberTally::decode(ByteReader& in) {
    const auto numbers = static_cast<std::size_t>(take_packed(in, kNumbersMax));
    const auto samples = take_packed(in, numbers == 0 ? 0 : kCountMax / numbers);
    if (!in.ok() || numbers == 0) {
        return fail(FaultCode::BadFormat, "a tally of numbers does not begin as one");
    }
    NumberTally tally(numbers);
    tally.samples_ = samples;
    bool sound = true;
    for (auto& column : tally.columns_) {
        column.absolute = ExactSum::decode(in);
        column.squared = ExactSum::decode(in);
        column.target = ExactSum::decode(in);
        column.target_squared = ExactSum::decode(in);
        if (!in.ok()) break;
        sound = sound && column.is_sound(tally.column_count());
    }
    if (in.ok() && sound) return tally;
    return fail(FaultCode::BadFormat, "a tally of numbers is cut or contradicts itself");
}

}  // namespace starling::compute
