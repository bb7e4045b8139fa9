// The part of Node that reads data while it listens already: a founder's, and private ones.

#include <optional>
#include <utility>

#include "peer/node/node.hpp"
#include "peer/start/founding_reader.hpp"
#include "peer/terms/data_set.hpp"
#include "peer/transfer/descriptor_transfer.hpp"

namespace starling::peer {

namespace {

constexpr Duration kTellEvery = std::chrono::seconds(1);

/// Whoever reaches our port may hear how far the reading is ("40 % of /home/ann/letters.txt read"), but
/// not of what.
std::string public_progress(const std::string& line) {
    const auto digits = line.find_first_not_of("0123456789");
    const bool counts = digits > 0 && digits < 4 && line.compare(digits, 2, " %") == 0;
    return "reading its data" + (counts ? ", at " + line.substr(0, digits) + " %" : "");
}

}  // namespace

/// What needs no reading is checked before anybody hears of us.
Result<void> Node::check_founding() const {
    if (!founds(config_, local_.checkpoint)) return {};
    return check_data_set(config_.dataset);
}

/// Reads the data set of a new swarm. Meanwhile whoever wants to join is told how far that is, and tries
/// again by itself.
/// Errors    those of load_founding; Cancelled
Result<void> Node::read_founding() {
    if (!founds(config_, local_.checkpoint)) return {};
    links_.open_early(introduction(local_.key ? keyed_channel(*local_.key) : guest_channel()));
    auto read = read_files([config = config_] { return load_founding(config); });
    if (read.has_error()) return read.error();
    founding_ = std::move(*read);
    return {};
}

/// Reads what a peer brings into a swarm of private samples, before anybody counts it as a member. One that is
/// given no files reads those of its last life; one that has none averages and trains on nothing.
/// Errors    those of load_own; Cancelled
Result<void> Node::read_own(SwarmPlan& plan) {
    if (config_.membership_only || !plan.is_private() || plan.own) return {};
    plan.own = plan.descriptor.manifest;
    if (config_.dataset.empty()) return read_own_again(plan);
    if (auto ok = check_data_set(config_.dataset); ok.has_error()) return ok;
    return read_own_from(plan, nullptr);
}

/// Reads the files that this peer trained on in its last life. If they cannot be used, it says why.
/// Errors    Cancelled
Result<void> Node::read_own_again(SwarmPlan& plan) {
    const auto kept = config_.state.empty()
                          ? Result<KeptDataSet>(fail(FaultCode::NotFound, "no state directory"))
                          : read_kept_data_set(config_.state);
    const bool ours = kept.has_value() && kept->swarm == swarm_id_of(plan.blob);
    if (!ours && (kept.has_value() || kept.error().code == FaultCode::NotFound)) {
        reporter_.note(
            "the samples of this swarm are private, and no --dataset was given: this peer averages "
            "and trains on nothing"
        );
        return {};
    }
    Result<void> read;
    if (kept.has_error()) {
        read = kept.error();
    } else {
        config_.dataset = kept->spec;
        read = check_data_set(config_.dataset);
        if (read.has_value()) read = read_own_from(plan, &*kept);
    }
    if (read.has_value()) return {};
    if (read.error().code == FaultCode::Cancelled) return read;
    config_.dataset.clear();
    reporter_.note(
        "what this peer trained on cannot be used, so it averages and trains on nothing until it "
        "is started with --dataset: " +
        read.error().message
    );
    return {};
}

/// With `kept` the samples must be those of the last life: nobody has agreed to train on others.
/// Errors    those of load_own; BadValue (other samples); Cancelled
Result<void> Node::read_own_from(SwarmPlan& plan, const KeptDataSet* kept) {
    auto read = read_files([config = config_,
                            agreed = plan.descriptor.manifest,
                            weighting = plan.descriptor.class_weighting] {
        return load_own(config, agreed, weighting);
    });
    if (read.has_error()) return read.error();
    if (kept != nullptr && samples_hash(read->data.manifest) != kept->samples) {
        return fail(
            FaultCode::BadValue,
            "--dataset " + config_.dataset + ": its samples are not those of the last start"
        );
    }
    plan.own = read->data.manifest;
    plan.descriptor.class_weights = read->class_weights;
    founding_ = std::move(*read);
    return {};
}

/// Remembers what a peer with private samples trains on, for its next life.
void Node::keep_data_set(const SwarmPlan& plan) {
    if (!plan.is_private() || config_.dataset.empty() || config_.state.empty()) return;
    const auto spec = with_absolute_paths(config_.dataset);
    const KeptDataSet kept{swarm_, samples_hash(plan.manifest()), spec};
    if (const auto before = read_kept_data_set(config_.state); before && *before == kept) return;
    if (const auto ok = write_kept_data_set(config_.state, kept); ok.has_error()) {
        note_once(
            "the next start of this peer needs --dataset, which cannot be kept: " +
            ok.error().message
        );
    }
}

/// Runs a job that reads files, tells how far it is, and prints what is odd about them.
Result<Founding> Node::read_files(std::function<Result<Founding>()> job) {
    FoundingReader reader(config_.dataset, std::move(job), [post = loop_.poster()] {
        post([] {});
    });
    reading_ = reader.progress();
    reporter_.busy(reading_);
    std::optional<Timer> timer;
    timer.emplace(loop_, [&] {
        const auto line = reader.progress();
        if (line != std::exchange(reading_, line)) reporter_.busy(line);
        timer->arm_after(kTellEvery);
    });
    timer->arm_after(kTellEvery);
    std::optional<Result<Founding>> outcome;
    loop_.run_until([&] {
        outcome = reader.take();
        return outcome.has_value();
    });
    if (!outcome) return fault_ ? *fault_ : fail(FaultCode::Cancelled, "interrupted");
    if (outcome->has_error()) return outcome->error();
    for (const auto& note : (**outcome).notes) reporter_.note(note);
    return std::move(**outcome);
}

void Node::on_descriptor_wanted(Connection& asker, std::size_t piece) {
    owner_.check();
    if (!blob_.empty()) return send_descriptor_piece(asker, blob_, piece);
    send_not_yet(asker, public_progress(reading_));
}

}  // namespace starling::peer
