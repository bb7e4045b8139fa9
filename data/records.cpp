// Cuts a source into shards of version 3.

#include <algorithm>

#include "base/check.hpp"
#include "base/permutation.hpp"
#include "base/printable.hpp"
#include "base/rng.hpp"
#include "data/dataset.hpp"
#include "data/reading.hpp"
#include "data/shard_format.hpp"
#include "data/source.hpp"

namespace starling::data {

namespace {

// This seed is part of the format: the same files give the same shard ids on every machine.
constexpr std::uint64_t kDealSeed = 0x5245434f524453;

constexpr std::uint64_t kShardsWanted = 2048;
constexpr std::uint64_t kSamplesWanted = 8;  ///< of a shard, where there are many
/// Shards of few samples: in all, and for each peer that is expected.
constexpr std::uint64_t kShardsOfFew = 64;
constexpr std::uint64_t kShardsOfPeer = 16;
constexpr std::uint64_t kShardBytesWanted = std::uint64_t{8} << 20U;
/// Leaves room for a page of shards of the other splits and of partitions.
constexpr std::uint64_t kShardsAtMost = kShardsMax / 2;

/// The order in which samples of a split are dealt out.
class Order {
public:
    /// All samples of a split, in a seeded order.
    Order(std::uint64_t count, Split split)
        : all_(count, mix64(kDealSeed + static_cast<std::uint64_t>(split))),
          count_(count) {}

    /// Those that are listed, in that order.
    explicit Order(std::vector<std::uint32_t> listed)
        : all_(1, 0),
          listed_(std::move(listed)),
          count_(listed_.size()) {}

    [[nodiscard]] std::uint64_t size() const { return count_; }

    [[nodiscard]] std::uint32_t at(std::uint64_t place) const {
        return listed_.empty() ? static_cast<std::uint32_t>(all_(place)) : listed_[place];
    }

private:
    Permutation all_;
    std::vector<std::uint32_t> listed_;
    std::uint64_t count_;
};

/// Cuts splits into shards and collects what the manifest says of them.
class Cutter {
public:
    Cutter(const Source& source, Manifest& manifest, HashFunction sha256, const ShardSink& sink)
        : source_(source),
          manifest_(manifest),
          sha256_(sha256),
          sink_(sink) {
        for (const auto split : {Split::Train, Split::Test, Split::Valid}) {
            all_ += source.count(split);
        }
    }

    /// Cuts the samples of `order`, in that order, into `shards` shards whose counts differ by at
    /// most one.
    Result<void> cut(
        Split split, std::uint32_t partition, const Order& order, std::uint64_t shards
    ) {
        shards = std::clamp<std::uint64_t>(shards, 1, std::max<std::uint64_t>(1, order.size()));
        std::vector<std::uint32_t> chosen;
        for (std::uint64_t i = 0; i < shards && order.size() > 0; ++i) {
            const auto end = (i + 1) * order.size() / shards;
            chosen.clear();
            for (auto at = i * order.size() / shards; at < end; ++at) {
                chosen.push_back(order.at(at));
            }
            if (auto done = add(split, partition, chosen); !done) return done.error();
        }
        return {};
    }

private:
    /// Writes one shard; in two, if its records turn out too large for one.
    Result<void> add(Split split, std::uint32_t partition, std::span<const std::uint32_t> chosen) {
        auto cut = write(split, chosen);
        if (cut.has_error()) return cut.error();
        if (cut->bytes.size() > kShardBytesMax) {
            if (chosen.size() == 1) {
                return fail(FaultCode::Oversized, source_.name() + ": one record is over 16 MiB");
            }
            *cut = {};
            const auto half = chosen.size() / 2;
            if (auto first = add(split, partition, chosen.first(half)); !first) return first;
            return add(split, partition, chosen.subspan(half));
        }
        if (manifest_.shards.size() == kShardsMax) {
            return fail(FaultCode::Usage, source_.name() + ": more than 65536 shards");
        }
        ShardInfo info;
        cut->id.bytes = sha256_(cut->bytes);
        info.id = cut->id;
        info.split = split;
        info.samples = static_cast<std::uint32_t>(chosen.size());
        info.bytes = static_cast<std::uint32_t>(cut->bytes.size());
        info.partition = partition;
        manifest_.shards.push_back(info);
        done_ += info.samples;
        const auto percent = std::to_string(100 * done_ / all_);
        auto told = Reading::tell(percent + " % of " + source_.name() + " cut into shards");
        if (!told) return told;
        return sink_(std::move(*cut));
    }

    Result<CutShard> write(Split split, std::span<const std::uint32_t> chosen) const {
        const auto& labels = source_.labels(split);
        const bool boxes = source_.schema().label.kind == LabelKind::Boxes;
        Bytes records;
        std::vector<std::uint32_t> ends{0};
        std::vector<std::uint32_t> label_ends{0};
        for (const auto sample : chosen) {
            if (auto read = source_.read(split, sample, records); !read) return read.error();
            if (records.size() > 2 * kShardBytesMax) break;  // too large in any case
            ends.push_back(static_cast<std::uint32_t>(records.size()));
            label_ends.push_back(
                label_ends.back() + static_cast<std::uint32_t>(labels.at(sample).size())
            );
        }
        CutShard cut;
        ByteWriter writer(cut.bytes);
        writer.put(kShardMagic);
        writer.put(kShardVersionRecords);
        writer.put(static_cast<std::uint16_t>(split));
        writer.put(static_cast<std::uint32_t>(manifest_.shards.size()));
        writer.put(static_cast<std::uint32_t>(chosen.size()));
        writer.put(label_ends.back());
        writer.put_bytes(std::as_bytes(std::span(ends)));
        if (boxes) writer.put_bytes(std::as_bytes(std::span(label_ends)));
        for (const auto sample : chosen) writer.put_bytes(labels.at(sample));
        cut.head = cut.bytes.size();
        writer.put_bytes(records);
        cut.extents = extents_of(split, chosen);
        return cut;
    }

    /// Returns where the records lie, if each lies in a user's file.
    std::vector<FileExtent> extents_of(Split split, std::span<const std::uint32_t> chosen) const {
        std::vector<FileExtent> extents;
        for (const auto sample : chosen) {
            auto extent = source_.file_extent(split, sample);
            if (!extent) return {};
            extents.push_back(std::move(*extent));
        }
        return extents;
    }

    const Source& source_;
    Manifest& manifest_;
    HashFunction sha256_;
    const ShardSink& sink_;
    std::uint64_t all_ = 0;   ///< samples of all splits
    std::uint64_t done_ = 0;  ///< samples that were cut
};

/// Divides the training samples by a field, and tells people who has what.
Result<std::vector<Order>> divide_by_column(
    const Source& source, const Partition& partition, const Order& order
) {
    const auto groups = source.groups(partition.column);
    if (!groups) return groups.error();
    const auto owners = deal_groups(*groups, partition.owners, partition.column);
    if (!owners) return owners.error();
    Reading::note(describe_deal(*groups, *owners, partition.column, "samples"));
    std::vector<std::vector<std::uint32_t>> lists(
        *std::max_element(owners->begin(), owners->end()) + 1
    );
    for (std::uint64_t i = 0; i < order.size(); ++i) {
        const auto sample = order.at(i);
        lists[(*owners)[groups->of[sample]]].push_back(sample);
    }
    std::vector<Order> parts;
    for (auto& list : lists) parts.emplace_back(std::move(list));
    return parts;
}

/// Divides the training samples among partitions. Without partitions there is one part.
Result<std::vector<Order>> divide(const Source& source, const Partition& partition) {
    const Order order(source.count(Split::Train), Split::Train);
    if (!partition.divides()) return std::vector<Order>{order};
    if (partition.kind == PartitionKind::Column) return divide_by_column(source, partition, order);
    const auto& label = source.schema().label;
    std::vector<std::uint16_t> classes(order.size(), 0);
    if (label.kind == LabelKind::Class) {
        for (std::size_t i = 0; i < classes.size(); ++i) {
            classes[i] = read_label(label, source.labels(Split::Train).at(i))->classes[0];
        }
    } else if (partition.kind != PartitionKind::Iid) {
        return fail(
            FaultCode::Usage,
            "--partition: these samples have no class each to divide by; give iid?owners=N"
        );
    }
    const auto count = label.kind == LabelKind::Class ? label.count : 1;
    const auto drawn = draw_partitions(partition, classes, count);
    if (!drawn) return drawn.error();
    std::vector<std::vector<std::uint32_t>> lists(partition.owners);
    for (std::uint64_t i = 0; i < order.size(); ++i) {
        const auto sample = order.at(i);
        lists[(*drawn)[sample]].push_back(sample);
    }
    std::vector<Order> parts;
    for (auto& list : lists) parts.emplace_back(std::move(list));
    return parts;
}

/// Returns an estimate of the bytes of a split's records, by its first ones.
std::uint64_t bytes_of_split(const Source& source, Split split) {
    constexpr std::uint64_t kLooks = 16;
    const auto count = source.count(split);
    Bytes bytes;
    std::uint64_t looked = 0;
    for (; looked < std::min(count, kLooks); ++looked) {
        // Spread over the split: files may be sorted by size or by class.
        if (!source.read(split, looked * count / kLooks % count, bytes)) break;
    }
    return looked == 0 ? 0 : bytes.size() * count / looked;
}

}  // namespace

std::uint32_t shards_wanted(std::uint64_t samples, std::uint64_t bytes, std::uint32_t peers) {
    const auto by_bytes = bytes / kShardBytesWanted + 1;
    const auto fine = samples / kSamplesWanted;
    // Peers that share few samples still get some each.
    const auto few = std::min(samples, std::max(kShardsOfFew, kShardsOfPeer * peers));
    const auto wanted = std::max({by_bytes, std::min(kShardsWanted, fine), few, std::uint64_t{1}});
    return static_cast<std::uint32_t>(
        std::min({wanted, kShardsAtMost, std::max<std::uint64_t>(samples, 1)})
    );
}

ShardCounts shard_counts(const Manifest& manifest) {
    ShardCounts counts;
    counts.train.assign(std::max(1U, manifest.partitions), 0);
    for (const auto& shard : manifest.shards) {
        if (shard.split == Split::Train) ++counts.train[shard.partition];
        if (shard.split == Split::Test) ++counts.test;
        if (shard.split == Split::Valid) ++counts.valid;
    }
    return counts;
}

Result<Manifest> cut_source(
    const Source& source,
    const Partition& partition,
    const std::optional<ShardCounts>& counts,
    HashFunction sha256,
    const ShardSink& sink,
    std::uint32_t peers
) {
    Manifest manifest;
    manifest.name = printable_name(source.name());
    manifest.schema = source.schema();
    manifest.recipe = source.recipe();
    manifest.partition = partition.to_string();
    const auto parts = divide(source, partition);
    if (!parts) return parts.error();
    manifest.partitions = partition.divides() ? static_cast<std::uint32_t>(parts->size()) : 0;
    Cutter cutter(source, manifest, sha256, sink);
    const auto bytes = bytes_of_split(source, Split::Train);
    const auto all = std::max<std::uint64_t>(1, source.count(Split::Train));
    for (std::uint32_t i = 0; i < parts->size(); ++i) {
        const auto& part = (*parts)[i];
        const bool given = counts && i < counts->train.size();
        // Partitions have one owner each, so none needs many shards.
        const auto own = !partition.divides() ? shards_wanted(part.size(), bytes, peers)
                                              : bytes * part.size() / all / kShardBytesWanted + 1;
        const auto done = cutter.cut(Split::Train, i, part, given ? counts->train[i] : own);
        if (!done) return done.error();
    }
    for (const auto split : {Split::Test, Split::Valid}) {
        const Order order(source.count(split), split);
        // A partition may also divide what models are judged by (`shards:DIR?part=N`).
        const auto least = std::min<std::uint64_t>(partition.owners, source.count(split));
        const auto own = std::max(bytes_of_split(source, split) / kShardBytesWanted + 1, least);
        const auto given = split == Split::Test ? counts ? counts->test : 0
                           : counts             ? counts->valid
                                                : 0;
        const auto done = cutter.cut(split, 0, order, counts ? given : own);
        if (!done) return done.error();
    }
    if (auto sound = check_manifest(manifest); !sound) return sound.error();
    return manifest;
}

}  // namespace starling::data
