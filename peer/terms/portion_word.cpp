#include "peer/terms/portion_word.hpp"

#include <cmath>

#include "base/check.hpp"

namespace starling::peer {

namespace {

constexpr std::uint8_t kKind = 10;
constexpr std::uint8_t kVersion = 0x15;  // 1.5
constexpr std::uint16_t kHeader = 48;
constexpr std::size_t kBefore = 4;  // kind, version, length of the header
constexpr double kSumMax = 1e30;
/// More samples than any portion has labels.
constexpr std::uint64_t kCountMax = std::uint64_t{1} << 48U;

bool sound(const compute::EvalResult& result) {
    const auto fits = [](double sum) { return std::abs(sum) <= kSumMax; };  // false for a NaN
    return fits(result.loss_sum) && fits(result.absolute_sum) && result.absolute_sum >= 0.0 &&
           result.samples <= kCountMax && result.correct <= result.samples;
}

bool is_nothing(const compute::EvalResult& result) {
    return result.loss_sum == 0.0 && result.absolute_sum == 0.0 && result.correct == 0;
}

}  // namespace

bool is_portion_word(ByteView payload) {
    return payload.size() >= kBefore && payload[0] == std::byte{kKind} &&
           payload[1] == std::byte{kVersion};
}

Bytes encode_portion_word(const PortionWord& word) {
    STARLING_CHECK(word.tallies.size() <= kWordTalliesCount);
    Bytes bytes;
    ByteWriter writer(bytes);
    writer.put(kKind);
    writer.put(kVersion);
    writer.put(kHeader);
    writer.put(word.round);
    writer.put(word.portion);
    writer.put(word.portions);
    writer.put(word.result.samples);
    writer.put(word.result.correct);
    writer.put(word.result.loss_sum);
    writer.put(word.result.absolute_sum);
    writer.put(static_cast<std::uint8_t>(word.result.has_accuracy ? 1 : 0));
    writer.put(static_cast<std::uint8_t>(word.tallies.size()));
    writer.put(std::uint16_t{0});
    writer.put(std::uint32_t{0});
    for (const auto& tally : word.tallies) {
        writer.put(static_cast<std::uint32_t>(tally.size()));
        writer.put_bytes(tally);
    }
    return bytes;
}

Result<PortionWord> decode_portion_word(ByteView payload) {
    if (payload.size() > kBefore + kHeader + kWordTalliesCount * 4 + kWordTalliesMax) {
        return fail(FaultCode::Oversized, "a word of a portion of more than 192 KiB");
    }
    ByteReader reader(payload);
    const auto kind = reader.take<std::uint8_t>();
    const auto version = reader.take<std::uint8_t>();
    const auto header = reader.take<std::uint16_t>();
    PortionWord word;
    word.round = reader.take<std::uint32_t>();
    word.portion = reader.take<std::uint16_t>();
    word.portions = reader.take<std::uint16_t>();
    word.result.samples = reader.take<std::uint64_t>();
    word.result.correct = reader.take<std::uint64_t>();
    word.result.loss_sum = reader.take<double>();
    word.result.absolute_sum = reader.take<double>();
    const auto flags = reader.take<std::uint8_t>();
    const auto tallies = reader.take<std::uint8_t>();
    const bool zeros = reader.take<std::uint16_t>() == 0 && reader.take<std::uint32_t>() == 0;
    if (!reader.ok()) return fail(FaultCode::Truncated, "a word of a portion ends too early");
    const bool known = kind == kKind && version == kVersion && header == kHeader;
    if (!known || !zeros || flags > 1 || tallies > kWordTalliesCount) {
        return fail(FaultCode::BadFormat, "this is no word of a portion");
    }
    word.result.has_accuracy = flags == 1;
    for (std::uint8_t i = 0; i < tallies; ++i) {
        const auto size = reader.take<std::uint32_t>();
        if (!reader.ok() || size > reader.remaining()) {
            return fail(FaultCode::Truncated, "a word of a portion ends too early");
        }
        const auto bytes = reader.take_bytes(size);
        word.tallies.emplace_back(bytes.begin(), bytes.end());
    }
    if (!reader.finished()) return fail(FaultCode::BadFormat, "a word of a portion is too long");
    const bool empty = word.result.samples == 0;
    if (word.portion >= word.portions || !sound(word.result) ||
        (empty && (tallies > 0 || !is_nothing(word.result)))) {
        return fail(FaultCode::BadValue, "sums that no evaluation gives");
    }
    return word;
}

void fit_tallies(std::vector<Bytes>& tallies, std::size_t first, std::size_t room) {
    const auto keep = [&room](Bytes& tally) {
        if (tally.size() > room) {
            tally = {};
        } else {
            room -= tally.size();
        }
    };
    if (first < tallies.size()) keep(tallies[first]);
    for (std::size_t i = 0; i < tallies.size(); ++i) {
        if (i != first) keep(tallies[i]);
    }
}

}  // namespace starling::peer
