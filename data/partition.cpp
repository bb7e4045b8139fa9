#include "data/partition.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/check.hpp"
#include "base/rng.hpp"
#include "base/spec.hpp"
#include "data/manifest.hpp"

namespace starling::data {

namespace {

constexpr std::size_t kSamplesMin = 10;
constexpr int kDrawsMax = 1000;
constexpr std::string_view kColumn = "column=";
constexpr std::size_t kColumnNameMax = 128;
constexpr std::int64_t kSeedMax = std::int64_t{1} << 53;

using Members = std::vector<std::vector<std::uint32_t>>;  ///< by label or by partition

/// Draws from Gamma(shape, 1).
/// Source    Marsaglia and Tsang, "A simple method for generating gamma variables" (2000), with
///           their boost for shapes below one
double draw_gamma(Rng& rng, double shape) {
    const double boost = shape < 1.0 ? std::pow(1.0 - rng.uniform(), 1.0 / shape) : 1.0;
    const double d = (shape < 1.0 ? shape + 1.0 : shape) - 1.0 / 3.0;
    const double c = 1.0 / std::sqrt(9.0 * d);
    while (true) {
        const double x = rng.normal();
        const double v = std::pow(1.0 + c * x, 3);
        if (v <= 0.0) continue;
        const double u = 1.0 - rng.uniform();
        if (std::log(u) < 0.5 * x * x + d - d * v + d * std::log(v)) return boost * d * v;
    }
}

Members by_label(std::span<const std::uint16_t> labels, std::uint32_t classes) {
    Members members(classes);
    for (std::uint32_t i = 0; i < labels.size(); ++i) members.at(labels[i]).push_back(i);
    return members;
}

void give(Members& owners, std::size_t owner, std::span<const std::uint32_t> samples) {
    owners[owner].insert(owners[owner].end(), samples.begin(), samples.end());
}

/// Divides `samples` among the owners in proportion to the shares. Every sample gets one owner.
void divide(
    Members& owners, std::span<const std::uint32_t> samples, std::span<const double> shares
) {
    const double total = std::accumulate(shares.begin(), shares.end(), 0.0);
    double sum = 0.0;
    std::size_t begin = 0;
    for (std::size_t i = 0; i < shares.size(); ++i) {
        sum += shares[i];
        // Both sums add in the same order, so the last one is exactly `total`.
        const auto end =
            static_cast<std::size_t>(sum / total * static_cast<double>(samples.size()));
        give(owners, i, samples.subspan(begin, end - begin));
        begin = end;
    }
    STARLING_CHECK(begin == samples.size());
}

Members draw_iid(Rng& rng, std::size_t samples, std::size_t owners) {
    std::vector<std::uint32_t> order(samples);
    std::iota(order.begin(), order.end(), 0U);
    rng.shuffle(std::span(order));
    Members drawn(owners);
    for (std::size_t i = 0; i < owners; ++i) {
        const std::size_t begin = i * samples / owners;
        give(drawn, i, std::span(order).subspan(begin, (i + 1) * samples / owners - begin));
    }
    return drawn;
}

Members draw_dirichlet(Rng& rng, Members labels, const Partition& partition, std::size_t samples) {
    Members drawn(partition.owners);
    std::vector<double> shares(partition.owners);
    for (auto& members : labels) {
        rng.shuffle(std::span(members));
        double total = 0.0;
        for (std::size_t i = 0; i < shares.size(); ++i) {
            const double share = draw_gamma(rng, partition.alpha);
            const bool full = drawn[i].size() * partition.owners >= samples;
            shares[i] = full ? 0.0 : share;
            total += shares[i];
        }
        // With a tiny alpha all draws may be zero. Then we pick an owner at random.
        if (total <= 0.0) shares[rng.below(shares.size())] = 1.0;
        divide(drawn, members, shares);
    }
    return drawn;
}

/// Draws the labels of each owner: the one with its number, and others that are all equally likely.
/// Once as many labels are without an owner as places are left, it takes only those.
Members draw_label_sets(Rng& rng, const Partition& partition, std::uint32_t classes) {
    std::vector<bool> covered(classes);
    std::size_t uncovered = classes;
    std::size_t places = std::size_t{partition.owners} * partition.per_peer;
    std::vector<std::uint32_t> order(classes);
    Members sets(partition.owners);
    for (std::uint32_t owner = 0; owner < partition.owners; ++owner) {
        std::iota(order.begin(), order.end(), 0U);
        std::swap(order[0], order[owner % classes]);
        rng.shuffle(std::span(order).subspan(1));
        for (const auto label : order) {
            if (sets[owner].size() == partition.per_peer) break;
            if (uncovered >= places && covered[label]) continue;
            sets[owner].push_back(label);
            if (!covered[label]) --uncovered;
            covered[label] = true;
            --places;
        }
        STARLING_CHECK(sets[owner].size() == partition.per_peer);
    }
    return sets;
}

Members draw_labels(Rng& rng, Members labels, const Partition& partition) {
    const auto classes = static_cast<std::uint32_t>(labels.size());
    const auto sets = draw_label_sets(rng, partition, classes);
    Members drawn(partition.owners);
    for (std::uint32_t label = 0; label < classes; ++label) {
        auto& members = labels[label];
        rng.shuffle(std::span(members));
        std::vector<double> shares(partition.owners);
        for (std::size_t owner = 0; owner < sets.size(); ++owner) {
            const auto& set = sets[owner];
            shares[owner] = std::find(set.begin(), set.end(), label) == set.end() ? 0.0 : 1.0;
        }
        divide(drawn, members, shares);
    }
    return drawn;
}

Members draw(Rng& rng, const Members& labels, const Partition& partition, std::size_t samples) {
    switch (partition.kind) {
        case PartitionKind::Iid:
            return draw_iid(rng, samples, partition.owners);
        case PartitionKind::Dirichlet:
            return draw_dirichlet(rng, labels, partition, samples);
        case PartitionKind::Labels:
            return draw_labels(rng, labels, partition);
        case PartitionKind::Column:
            break;
    }
    STARLING_UNREACHABLE("partition kind");
}

Fault usage(const std::string& what) {
    return fail(FaultCode::Usage, "--partition: " + what);
}

Result<void> check_possible(
    const Partition& partition, std::size_t samples, std::uint32_t classes
) {
    const auto owners = std::to_string(partition.owners);
    if (samples < kSamplesMin * partition.owners) {
        return usage(
            std::to_string(samples) + " samples are fewer than ten for each of owners=" + owners
        );
    }
    if (partition.kind != PartitionKind::Labels) return {};
    const auto per_peer = std::to_string(partition.per_peer);
    if (partition.per_peer > classes) {
        return usage("per-peer=" + per_peer + ", but there are only " + std::to_string(classes));
    }
    if (std::uint64_t{partition.owners} * partition.per_peer < classes) {
        return usage(
            "owners=" + owners + " with per-peer=" + per_peer + " leave some of the " +
            std::to_string(classes) + " labels to nobody; give more of either"
        );
    }
    return {};
}

}  // namespace

Result<Partition> Partition::parse(std::string_view text) {
    // `column=NAME` reads as the path of a SPEC.
    const bool by_column = text.starts_with(kColumn);
    const auto spec = by_column ? Spec::parse("column:" + std::string(text.substr(kColumn.size())))
                                : Spec::parse(text);
    if (!spec) return usage(spec.error().message);
    Partition partition;
    std::string known = "owners,seed";
    if (by_column) {
        partition.kind = PartitionKind::Column;
        partition.column = spec->path;
        known = "owners";
        if (partition.column.empty() || partition.column.size() > kColumnNameMax) {
            return usage("'" + std::string(text) + "': give the column's name, as column=speaker");
        }
    } else if (spec->name == "dirichlet") {
        partition.kind = PartitionKind::Dirichlet;
        known += ",alpha";
    } else if (spec->name == "labels") {
        partition.kind = PartitionKind::Labels;
        known += ",per-peer";
    } else if (spec->name != "iid" || !spec->path.empty()) {
        return usage(
            "'" + std::string(text) +
            "' is none; give iid, dirichlet?alpha=0.5&owners=N, labels?per-peer=2&owners=N or "
            "column=NAME"
        );
    }
    if (auto ok = spec->only(known); !ok) return usage(ok.error().message);
    const auto owners = spec->integer("owners", 0, 1, kPartitionsMax);
    if (!owners) return usage(owners.error().message);
    const auto alpha = spec->real("alpha", partition.alpha, 1e-3, 1e6);
    if (!alpha) return usage(alpha.error().message);
    const auto per_peer = spec->integer("per-peer", partition.per_peer, 1, kClassesMax);
    if (!per_peer) return usage(per_peer.error().message);
    const auto seed = spec->integer("seed", 1, 0, kSeedMax);
    if (!seed) return usage(seed.error().message);
    partition.owners = static_cast<std::uint32_t>(*owners);
    partition.alpha = *alpha;
    partition.per_peer = static_cast<std::uint32_t>(*per_peer);
    partition.seed = static_cast<std::uint64_t>(*seed);
    if (!partition.divides() && partition.kind != PartitionKind::Iid) {
        return usage("'" + std::string(text) + "' wants owners=N: for how many peers to divide");
    }
    return partition;
}

std::string Partition::to_string() const {
    if (!divides()) return "";
    Spec spec;
    if (kind == PartitionKind::Column) {
        spec.name = "column";
        spec.path = column;
        if (owners > 0) spec.options = {{"owners", std::to_string(owners)}};
        auto text = spec.to_string();
        text[spec.name.size()] = kColumn.back();
        return text;
    }
    spec.options = {{"owners", std::to_string(owners)}, {"seed", std::to_string(seed)}};
    switch (kind) {
        case PartitionKind::Iid:
            spec.name = "iid";
            break;
        case PartitionKind::Dirichlet:
            spec.name = "dirichlet";
            spec.options["alpha"] = shortest_text(alpha);
            break;
        case PartitionKind::Labels:
            spec.name = "labels";
            spec.options["per-peer"] = std::to_string(per_peer);
            break;
        case PartitionKind::Column:
            break;
    }
    return spec.to_string();
}

Result<std::vector<std::uint32_t>> draw_partitions(
    const Partition& partition, std::span<const std::uint16_t> labels, std::uint32_t classes
) {
    STARLING_CHECK(partition.owners > 0 && partition.kind != PartitionKind::Column);
    if (auto ok = check_possible(partition, labels.size(), classes); !ok) return ok.error();
    const auto members = by_label(labels, classes);
    Rng rng(partition.seed);
    for (int attempt = 0; attempt < kDrawsMax; ++attempt) {
        const auto drawn = draw(rng, members, partition, labels.size());
        const bool enough = std::all_of(drawn.begin(), drawn.end(), [](const auto& samples) {
            return samples.size() >= kSamplesMin;
        });
        if (!enough) continue;
        std::vector<std::uint32_t> chosen(labels.size());
        for (std::uint32_t owner = 0; owner < drawn.size(); ++owner) {
            for (const auto sample : drawn[owner]) chosen[sample] = owner;
        }
        return chosen;
    }
    return usage(
        "after 1000 draws of " + partition.to_string() +
        " an owner still has fewer than ten samples; give a larger alpha or fewer owners"
    );
}

}  // namespace starling::data
