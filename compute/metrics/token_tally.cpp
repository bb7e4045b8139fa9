#include "compute/metrics/token_tally.hpp"

#include <cmath>
#include <numbers>

#include "compute/metrics/packing.hpp"

namespace starling::compute {

namespace {

Fault too_many() {
    return fail(FaultCode::BadValue, "a tally counts no more than 2^48 tokens, nor bytes");
}

}  // namespace

Result<void> TokenTally::add(const ClassRows& rows, std::uint64_t bytes) {
    if (auto checked = check_rows(rows); checked.has_error()) return checked;
    const auto tokens = rows.labels.size();
    if (tokens > kCountMax - tokens_ || bytes > kCountMax - bytes_) return too_many();
    for (std::size_t n = 0; n < tokens; ++n) nats_.add(cross_entropy(rows, n));
    tokens_ += tokens;
    bytes_ += bytes;
    return {};
}

Result<void> TokenTally::add_sum(double nats, std::uint64_t tokens, std::uint64_t bytes) {
    ExactSum sum;
    if (std::isfinite(nats)) sum.add(nats);
    if (!std::isfinite(nats) || !is_loss_of(sum, static_cast<double>(tokens))) {
        return fail(FaultCode::BadValue, "so many tokens cannot have such a cross entropy");
    }
    if (tokens > kCountMax - tokens_ || bytes > kCountMax - bytes_) return too_many();
    nats_ += sum;
    tokens_ += tokens;
    bytes_ += bytes;
    return {};
}

Result<void> TokenTally::merge(const TokenTally& other) {
    if (other.tokens_ > kCountMax - tokens_ || other.bytes_ > kCountMax - bytes_) {
        return too_many();
    }
    nats_ += other.nats_;
    tokens_ += other.tokens_;
    bytes_ += other.bytes_;
    return {};
}

std::optional<double> TokenTally::loss() const {
    if (tokens_ == 0) return std::nullopt;
    return nats_.value() / static_cast<double>(tokens_);
}

std::optional<double> TokenTally::perplexity() const {
    const auto nats = loss();
    if (!nats) return std::nullopt;
    return std::exp(*nats);
}

std::optional<double> TokenTally::bits_per_byte() const {
    if (tokens_ == 0 || bytes_ == 0) return std::nullopt;
    return nats_.value() * std::numbers::log2e / static_cast<double>(bytes_);
}

void TokenTally::encode(ByteWriter& out) const {
    put_packed(out, tokens_);
    put_packed(out, bytes_);
    nats_.encode(out);
}

Result<TokenTally> TokenTally::decode(ByteReader& in) {
    TokenTally tally;
    tally.tokens_ = take_packed(in, kCountMax);
    tally.bytes_ = take_packed(in, kCountMax);
    tally.nats_ = ExactSum::decode(in);
    if (in.ok() && is_loss_of(tally.nats_, static_cast<double>(tally.tokens_))) return tally;
    return fail(FaultCode::BadFormat, "a tally of tokens is cut or contradicts itself");
}

}  // namespace starling::compute
