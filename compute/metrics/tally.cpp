#include "compute/metrics/tally.hpp"

#include <algorithm>
#include <initializer_list>
#include <string>
#include <type_traits>
#include <utility>

namespace starling::compute {

namespace {

std::optional<double> quality_of(const ClassTally& tally, QualityKind kind) {
    switch (kind) {
        case QualityKind::Accuracy:
            return tally.accuracy();
        case QualityKind::Balanced:
            return tally.balanced_accuracy();
        case QualityKind::F1:
            return tally.macro_f1();
        case QualityKind::Loss:
            return tally.loss();
        default:
            return std::nullopt;
    }
}

std::optional<double> quality_of(const ScoreTally& tally, QualityKind kind) {
    switch (kind) {
        case QualityKind::Accuracy:
            return tally.accuracy();
        case QualityKind::Balanced:
            return tally.balanced_accuracy();
        case QualityKind::Auc:
            return roc_auc(tally.ranking());
        case QualityKind::Ap:
            return average_precision(tally.ranking());
        case QualityKind::F1: {
            const auto best = best_f1(tally.ranking());
            return best ? std::optional(best->f1) : std::nullopt;
        }
        case QualityKind::Loss:
            return tally.loss();
        default:
            return std::nullopt;
    }
}

std::optional<double> quality_of(const LabelsTally& tally, QualityKind kind) {
    switch (kind) {
        case QualityKind::Accuracy:
            return tally.accuracy();
        case QualityKind::Auc:
            return tally.macro_auc();
        case QualityKind::Ap:
            return tally.macro_average_precision();
        case QualityKind::F1:
            return tally.macro_best_f1();
        case QualityKind::Loss:
            return tally.loss();
        default:
            return std::nullopt;
    }
}

std::optional<double> quality_of(const TokenTally& tally, QualityKind kind) {
    if (kind == QualityKind::Bpb) return tally.bits_per_byte();
    return kind == QualityKind::Loss ? tally.loss() : std::nullopt;
}

std::optional<double> quality_of(const NumberTally& tally, QualityKind kind) {
    if (kind == QualityKind::Mae) return tally.mean_absolute_error();
    return kind == QualityKind::Loss ? tally.loss() : std::nullopt;
}

std::optional<double> quality_of(const BoxTally& tally, QualityKind kind) {
    if (kind == QualityKind::Map50) return tally.map50();
    return kind == QualityKind::Map ? tally.map() : std::nullopt;
}

template <class T>
Result<Tally> decode_as(ByteReader& in) {
    auto tally = T::decode(in);
    if (tally.has_error()) return tally.error();
    return Tally(std::move(*tally));
}

Result<Tally> decode_kind(ByteReader& in, std::uint8_t kind) {
    switch (kind) {
        case 0:
            return decode_as<ClassTally>(in);
        case 1:
            return decode_as<ScoreTally>(in);
        case 2:
            return decode_as<LabelsTally>(in);
        case 3:
            return decode_as<TokenTally>(in);
        case 4:
            return decode_as<NumberTally>(in);
        case 5:
            return decode_as<BoxTally>(in);
        default:
            return fail(FaultCode::BadFormat, "a tally is of an unknown kind");
    }
}

static_assert(std::variant_size_v<Tally> == 6, "decode_kind knows each kind");

}  // namespace

Result<void> merge(Tally& into, const Tally& from) {
    if (into.index() != from.index()) {
        return fail(FaultCode::BadValue, "tallies of different kinds do not merge");
    }
    return std::visit(
        [&](auto& mine) -> Result<void> {
            return mine.merge(std::get<std::decay_t<decltype(mine)>>(from));
        },
        into
    );
}

std::optional<double> quality(const Tally& tally, QualityKind kind) {
    return std::visit([&](const auto& one) { return quality_of(one, kind); }, tally);
}

bool knows(const Tally& tally, QualityKind kind) {
    using enum QualityKind;
    const auto one_of = [kind](std::initializer_list<QualityKind> kinds) {
        return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
    };
    if (std::holds_alternative<ClassTally>(tally)) return one_of({Accuracy, Balanced, F1, Loss});
    if (std::holds_alternative<ScoreTally>(tally)) {
        return one_of({Accuracy, Balanced, Auc, Ap, F1, Loss});
    }
    if (const auto* labels = std::get_if<LabelsTally>(&tally)) {
        if (kind == Accuracy) return labels->kind() == Rankings::Labels;
        return one_of({Auc, Ap, F1, Loss});
    }
    if (std::holds_alternative<TokenTally>(tally)) return one_of({Bpb, Loss});
    if (std::holds_alternative<NumberTally>(tally)) return one_of({Mae, Loss});
    return one_of({Map50, Map});
}

std::optional<double> loss(const Tally& tally) {
    return quality(tally, QualityKind::Loss);
}

std::uint64_t count(const Tally& tally) {
    return std::visit([](const auto& one) { return one.count(); }, tally);
}

Bytes encode(const Tally& tally) {
    Bytes bytes;
    ByteWriter out(bytes);
    out.put(kTallyVersion);
    out.put(static_cast<std::uint8_t>(tally.index()));
    std::visit([&](const auto& one) { one.encode(out); }, tally);
    return bytes;
}

Result<Tally> decode_tally(ByteView bytes) {
    if (bytes.size() > kTallyBytesMax) {
        return fail(FaultCode::Oversized, "a tally of more than 32 MiB is refused");
    }
    ByteReader in(bytes);
    const auto version = in.take<std::uint8_t>();
    const auto kind = in.take<std::uint8_t>();
    if (!in.ok()) return fail(FaultCode::BadFormat, "a tally is cut");
    if (version != kTallyVersion) {
        return fail(
            FaultCode::BadVersion, "a tally has version " + std::to_string(version) + ", not 1"
        );
    }
    auto tally = decode_kind(in, kind);
    if (tally.has_value() && !in.finished()) {
        return fail(FaultCode::BadFormat, "a tally is longer than it says");
    }
    return tally;
}

}  // namespace starling::compute
