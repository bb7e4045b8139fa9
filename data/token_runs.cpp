// Cuts tokens into runs: shards of version 2.

#include <algorithm>
#include <array>
#include <numeric>

#include "data/dataset.hpp"
#include "data/reading.hpp"
#include "data/shard_format.hpp"
#include "data/token_source.hpp"

namespace starling::data {

namespace {

/// As many as of samples, so that some ten peers of unlike speed get shares that fit them.
constexpr std::uint64_t kRunsWanted = 2048;
constexpr std::uint64_t kRunsMax = kShardsMax / 2;
constexpr std::uint64_t kTokensWanted = 1024;  ///< of a run, at least
constexpr std::uint64_t kWindowsWanted = 4;
constexpr std::uint64_t kTokensAtMost = std::uint64_t{2} << 20U;
constexpr std::uint64_t kTokensThatFit = (kShardBytesMax - kShardHeaderBytes) / kTokenBytes;

std::uint64_t runs_that_hold(std::uint64_t tokens) {
    return (tokens + kTokensAtMost - 1) / kTokensAtMost;
}

std::uint64_t runs_wanted(std::uint64_t tokens, std::uint32_t context) {
    const auto least = std::max(kTokensWanted, kWindowsWanted * context + 1);
    return std::max(std::min(kRunsWanted, tokens / least), runs_that_hold(tokens));
}

/// Tokens in [begin, end) of a split.
struct Stretch {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
};

class RunCutter {
public:
    RunCutter(
        const TokenSource& source, Manifest& manifest, HashFunction sha256, const ShardSink& sink
    )
        : source_(source),
          manifest_(manifest),
          sha256_(sha256),
          sink_(sink) {
        for (const auto split : {Split::Train, Split::Test, Split::Valid}) {
            all_ += source.count(split);
        }
    }

    /// Cuts some tokens of a split, in this order, into runs whose lengths differ by at most one token.
    Result<void> cut(
        Split split, std::uint32_t partition, std::span<const Stretch> part, std::uint64_t runs
    ) {
        std::uint64_t tokens = 0;
        for (const auto& stretch : part) tokens += stretch.end - stretch.begin;
        if (tokens == 0) return {};
        // Each run has a window at least.
        const auto at_most = std::min(kRunsMax, tokens / (source_.recipe().context + 1));
        runs = std::clamp<std::uint64_t>(runs, 1, std::max<std::uint64_t>(1, at_most));
        if (tokens / runs >= kTokensThatFit) {
            return fail(FaultCode::Oversized, source_.name() + ": too many tokens for one swarm");
        }
        auto at = part.begin();
        std::uint64_t passed = 0;  // tokens of the stretches before `at`
        for (std::uint64_t i = 0; i < runs; ++i) {
            auto begin = i * tokens / runs;
            const auto end = (i + 1) * tokens / runs;
            tokens_.clear();
            extents_.clear();
            while (begin < end) {
                const auto length = at->end - at->begin;
                const auto from = begin - passed;
                const auto count = std::min(length - from, end - begin);
                if (auto read = append(split, at->begin + from, count); !read) return read;
                begin += count;
                if (from + count < length) continue;
                passed += length;
                ++at;
            }
            const bool divided = split == Split::Train && manifest_.partitions > 0;
            const auto dealt = static_cast<std::uint32_t>(divided ? i % manifest_.partitions : 0);
            if (auto done = add(split, by_column_ ? partition : dealt); !done) return done;
        }
        return {};
    }

    /// Partitions are given to cut(); else runs are dealt out to them.
    void by_column() { by_column_ = true; }

private:
    Result<void> append(Split split, std::uint64_t from, std::uint64_t count) {
        const auto before = tokens_.size();
        tokens_.resize(before + static_cast<std::size_t>(count));
        for (auto& extent : source_.file_extents(split, from, count)) {
            extents_.push_back(std::move(extent));
        }
        return source_.read(split, from, std::span(tokens_).subspan(before));
    }

    /// Hands over the tokens that were collected.
    Result<void> add(Split split, std::uint32_t partition) {
        CutShard cut;
        cut.bytes.reserve(kShardHeaderBytes + tokens_.size() * kTokenBytes);
        ByteWriter writer(cut.bytes);
        writer.put(kShardMagic);
        writer.put(kShardVersionText);
        writer.put(static_cast<std::uint16_t>(split));
        writer.put(static_cast<std::uint32_t>(manifest_.shards.size()));
        writer.put(static_cast<std::uint32_t>(tokens_.size()));
        writer.put(static_cast<std::uint32_t>(kTokenBytes));
        writer.put_bytes(std::as_bytes(std::span<const std::uint16_t>(tokens_)));
        ShardInfo info;
        cut.id.bytes = sha256_(cut.bytes);
        info.id = cut.id;
        info.split = split;
        info.samples =
            static_cast<std::uint32_t>(windows_in(tokens_.size(), source_.recipe().context));
        info.bytes = static_cast<std::uint32_t>(cut.bytes.size());
        info.partition = partition;
        manifest_.shards.push_back(info);
        done_ += tokens_.size();
        const auto percent = std::to_string(100 * done_ / all_);
        auto told = Reading::tell(percent + " % of " + source_.name() + " cut into shards");
        if (!told) return told;
        cut.head = kShardHeaderBytes;
        cut.extents = std::move(extents_);
        return sink_(std::move(cut));
    }

    const TokenSource& source_;
    Manifest& manifest_;
    HashFunction sha256_;
    const ShardSink& sink_;
    std::vector<std::uint16_t> tokens_;
    std::vector<FileExtent> extents_;  ///< of the tokens; empty where they do not lie in files
    bool by_column_ = false;
    std::uint64_t all_ = 0;   ///< tokens of all splits
    std::uint64_t done_ = 0;  ///< tokens that were cut
};

Result<void> check_lengths(const TokenSource& source) {
    const auto least = std::uint64_t{source.recipe().context} + 1;
    for (const auto split : {Split::Train, Split::Test, Split::Valid}) {
        const auto tokens = source.count(split);
        if (tokens >= least || (tokens == 0 && split != Split::Train)) continue;
        return fail(
            FaultCode::Usage,
            source.name() + ": " + std::to_string(tokens) + " tokens " +
                (split == Split::Train ? "to train on" : "to test on") + ", at least " +
                std::to_string(least) +
                " are wanted, one more than context=" + std::to_string(source.recipe().context)
        );
    }
    return {};
}

/// The tokens of one owner.
struct Part {
    std::vector<Stretch> stretches;
    std::uint64_t tokens = 0;
};

/// Divides the documents by a field, and tells people who has what.
Result<std::vector<Part>> divide(const TokenSource& source, const Partition& partition) {
    const auto found = source.groups(partition.column);
    if (!found) return found.error();
    const auto& groups = found->groups;
    const auto owners = deal_groups(groups, partition.owners, partition.column);
    if (!owners) return owners.error();
    Reading::note(describe_deal(groups, *owners, partition.column, "tokens"));
    std::vector<Part> parts(*std::max_element(owners->begin(), owners->end()) + 1);
    for (std::size_t i = 0; i < groups.of.size(); ++i) {
        const bool last = i + 1 == groups.of.size();
        const auto end = last ? source.count(Split::Train) : found->begins[i + 1];
        auto& part = parts[(*owners)[groups.of[i]]];
        if (end == found->begins[i]) continue;
        part.stretches.push_back({found->begins[i], end});
        part.tokens += end - found->begins[i];
    }
    const auto least = std::uint64_t{source.recipe().context} + 1;
    for (std::size_t i = 0; i < groups.count(); ++i) {
        const auto& part = parts[(*owners)[i]];
        if (part.tokens >= least) continue;
        return fail(
            FaultCode::Usage,
            "--partition column=" + partition.column + ": the owner of " + groups.names[i] +
                " gets " + std::to_string(part.tokens) + " tokens, at least " +
                std::to_string(least) + " are wanted; give fewer owners, as &owners=N"
        );
    }
    return parts;
}

/// Cuts the training part; of partitions each gets as many runs.
Result<void> cut_all(
    const TokenSource& source,
    const Partition& partition,
    const std::optional<ShardCounts>& counts,
    RunCutter& cutter
) {
    auto runs = runs_wanted(source.count(Split::Train), source.recipe().context);
    if (counts) {
        runs = std::accumulate(counts->train.begin(), counts->train.end(), std::uint64_t{0});
    } else if (partition.owners > std::max<std::uint64_t>(1, runs)) {
        return fail(
            FaultCode::Usage,
            "--partition: the text makes " + std::to_string(runs) +
                " shards, fewer than owners=" + std::to_string(partition.owners)
        );
    }
    const std::array all{Stretch{0, source.count(Split::Train)}};
    return cutter.cut(Split::Train, 0, all, runs);
}

/// Cuts what each owner has.
Result<void> cut_parts(
    const TokenSource& source,
    const Partition& partition,
    const std::optional<ShardCounts>& counts,
    RunCutter& cutter,
    Manifest& manifest
) {
    const auto parts = divide(source, partition);
    if (!parts) return parts.error();
    manifest.partitions = static_cast<std::uint32_t>(parts->size());
    cutter.by_column();
    for (std::uint32_t i = 0; i < parts->size(); ++i) {
        const auto& part = (*parts)[i];
        const bool given = counts && i < counts->train.size();
        const auto runs = given ? counts->train[i] : runs_that_hold(part.tokens);
        if (auto done = cutter.cut(Split::Train, i, part.stretches, runs); !done) return done;
    }
    return {};
}

}  // namespace

Result<Manifest> cut_tokens(
    const TokenSource& source,
    const Partition& partition,
    const std::optional<ShardCounts>& counts,
    HashFunction sha256,
    const ShardSink& sink
) {
    const bool by_column = partition.kind == PartitionKind::Column;
    if (partition.kind != PartitionKind::Iid && !by_column) {
        return fail(
            FaultCode::Usage,
            "--partition: a text has no labels to divide by; give iid?owners=N, or of a folder "
            "column=file"
        );
    }
    if (auto enough = check_lengths(source); !enough) return enough.error();
    Manifest manifest;
    manifest.name = printable_name(source.name());
    describe_characters(manifest, {}, source.tokens(), source.recipe().context);
    manifest.recipe = source.recipe();
    manifest.partition = partition.to_string();
    manifest.partitions = partition.owners;
    RunCutter cutter(source, manifest, sha256, sink);
    if (auto done = by_column ? cut_parts(source, partition, counts, cutter, manifest)
                              : cut_all(source, partition, counts, cutter);
        !done) {
        return done.error();
    }
    for (const auto split : {Split::Test, Split::Valid}) {
        const auto given = counts ? split == Split::Test ? counts->test : counts->valid : 0;
        const auto own = runs_that_hold(source.count(split));
        const std::array all{Stretch{0, source.count(split)}};
        if (auto done = cutter.cut(split, 0, all, counts ? given : own); !done) return done.error();
    }
    if (auto sound = check_manifest(manifest); !sound) return sound.error();
    return manifest;
}

}  // namespace starling::data
