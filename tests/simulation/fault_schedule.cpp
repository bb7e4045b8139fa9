#include "tests/simulation/fault_schedule.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace starling::simulation {

namespace {

using peer_virtual::Power;

/// Draws uniformly on a logarithmic scale.
double log_uniform(Rng& rng, double low, double high) {
    return low * std::pow(high / low, rng.uniform());
}

}  // namespace

FaultSchedule::FaultSchedule(std::uint64_t seed, std::set<std::size_t> skipped)
    : seed_(seed),
      skipped_(std::move(skipped)),
      rng_(Rng(seed).fork(0x6661756c74)),
      shape_rng_(Rng(seed).fork(0x7368617065)),
      fault_rng_(rng_),
      rule_rng_(Rng(seed).fork(0x72756c65)) {
    for (const auto family :
         {Family::Crash,
          Family::PowerCut,
          Family::Pause,
          Family::Leave,
          Family::Partition,
          Family::OneWayCut}) {
        const double period = log_uniform(rng_, 5.0, 200.0);
        if (rng_.chance(0.5)) rates_.emplace_back(family, period);
    }
    for (const auto family : {Family::Clog, Family::SlowCpu}) {
        const double period = log_uniform(shape_rng_, 5.0, 200.0);
        if (shape_rng_.chance(0.5)) rates_.emplace_back(family, period);
    }
}

peer_virtual::SwarmOptions FaultSchedule::draw_options() {
    peer_virtual::SwarmOptions options;
    options.peers = 3 + static_cast<std::size_t>(rng_.below(22));
    options.seed = seed_;
    options.network.latency = from_seconds(log_uniform(rng_, 1e-4, 0.05));
    options.network.jitter = from_seconds(log_uniform(rng_, 1e-5, 0.03));
    if (rng_.chance(0.5)) options.network.loss = log_uniform(rng_, 0.001, 0.2);
    if (rng_.chance(0.3)) options.network.duplicate = log_uniform(rng_, 0.001, 0.3);
    if (rng_.chance(0.3)) options.network.stream_reset = log_uniform(rng_, 0.0005, 0.05);
    peer_virtual::AveragingOptions averaging;
    averaging.config.encoding = gossip::Encoding::Exact64;
    averaging.shape.chunks = 1 + static_cast<std::size_t>(rng_.below(6));
    averaging.shape.elements = 1 + static_cast<std::size_t>(rng_.below(8));
    if (rng_.chance(0.3)) averaging.shape.locked = log_uniform(rng_, 0.01, 0.5);
    // With a window smaller than the model, an exchange needs several round trips.
    const auto chunk_bytes = (averaging.shape.elements + 1) * 8;
    averaging.config.window_bytes = chunk_bytes * (1 + rng_.below(3));
    averaging.mix_every = from_seconds(log_uniform(rng_, 0.2, 1.0));
    averaging.lockstep = rng_.chance(0.2);
    if (rng_.chance(0.5)) averaging.train_every = from_seconds(log_uniform(rng_, 0.1, 5.0));
    if (shape_rng_.chance(0.2)) options.network.uplink = log_uniform(shape_rng_, 5e4, 1e6);
    auto replay_rng = Rng(seed_).fork(0x7265706c6179);
    if (replay_rng.chance(0.3)) averaging.replay = log_uniform(replay_rng, 0.001, 0.1);
    options.averaging = averaging;
    return options;
}

peer_virtual::SwarmOptions FaultSchedule::draw_options_on_floats() {
    auto options = draw_options();
    auto& averaging = *options.averaging;
    averaging.floats = peer_virtual::FloatVector::Shape{
        averaging.shape.chunks, 16 * averaging.shape.elements, averaging.shape.locked};
    averaging.config.window_bytes *= 16;
    averaging.config.encoding = gossip::Encoding::F32;
    averaging.sync = rule_rng_.chance(0.2);
    if (averaging.sync) averaging.lockstep = false;
    if (rule_rng_.chance(0.3))
        averaging.config.parts = 2 + static_cast<std::uint32_t>(rule_rng_.below(4));
    averaging.replay = rule_rng_.chance(0.3) ? log_uniform(rule_rng_, 0.001, 0.1) : 0.0;
    const bool lattice = rule_rng_.chance(0.4);
    const auto rule = rule_rng_.below(3);
    if (rule == 0) averaging.config.mix.rule = gossip::Rule::PushSum;
    if (rule == 1)
        averaging.config.mix = *gossip::Mix::parse("noloco?alpha=0.3&beta=0.7&gamma=0.7");
    if (rule != 0 && lattice) averaging.config.encoding = gossip::Encoding::Lattice8;
    tell(
        averaging.config.mix.to_string() + " in " +
        std::string(to_string(averaging.config.encoding)) + ", " +
        std::to_string(averaging.config.parts) + " parts"
    );
    return options;
}

peer_virtual::SwarmOptions FaultSchedule::draw_options_with_liars() {
    auto options = draw_options_on_floats();
    auto rng = Rng(seed_).fork(0x6c696172);
    auto& averaging = *options.averaging;
    options.peers = std::max<std::size_t>(options.peers, 6);
    averaging.liars = 1 + static_cast<std::size_t>(rng.below(2));
    averaging.lie = log_uniform(rng, 0.01, 0.5);
    averaging.misfits = rng.chance(0.5) ? 1 : 0;
    tell(
        std::to_string(averaging.liars) + " liars, " + std::to_string(averaging.misfits) +
        " misfits"
    );
    return options;
}

peer_virtual::SwarmOptions FaultSchedule::draw_options_of_sessions() {
    auto options = draw_options_on_floats();
    auto rng = Rng(seed_).fork(0x73657373);
    options.averaging->floats->chunks = 3 + static_cast<std::size_t>(rng.below(10));
    peer_virtual::TrainingOptions training;
    training.shards = 8 + static_cast<std::size_t>(rng.below(40));
    training.step = from_seconds(log_uniform(rng, 0.02, 0.2));
    training.checkpoint_every = from_seconds(log_uniform(rng, 2.0, 30.0));
    training.checkpoint_takes = from_seconds(log_uniform(rng, 0.01, 2.0));
    if (rng.chance(0.5)) training.lost_answers = log_uniform(rng, 0.01, 0.1);
    if (rng.chance(0.3)) training.wait_for = 1 + static_cast<std::uint32_t>(rng.below(3));
    options.training = training;
    return options;
}

void FaultSchedule::tell(const std::string& what) {
    story_ += what + "\n";
}

void FaultSchedule::tell(const Swarm& swarm, const std::string& what) {
    char at[32];
    std::snprintf(at, sizeof at, "%9.3f s  ", to_seconds(swarm.now().time_since_epoch()));
    story_ += at + what + "\n";
}

std::vector<NodeIndex> FaultSchedule::draw_seeds(const Swarm& swarm) {
    auto running = swarm.running();
    fault_rng_.shuffle(std::span(running));
    running.resize(std::min<std::size_t>(running.size(), 3));
    return running;
}

Duration FaultSchedule::draw_length() {
    return from_seconds(log_uniform(fault_rng_, 0.2, 40.0));
}

bool FaultSchedule::run_with_faults(Simulation& simulation, Duration duration) {
    auto& swarm = simulation.swarm();
    const auto end = swarm.now() + duration;
    std::multimap<Instant, std::size_t> faults;
    const auto plan = [&](std::size_t which) {
        const auto after = from_seconds(rng_.exponential(rates_[which].second));
        faults.emplace(swarm.now() + after, which);
    };
    for (std::size_t i = 0; i < rates_.size(); ++i) plan(i);
    while (swarm.now() < end) {
        auto next = end;
        if (!faults.empty()) next = std::min(next, faults.begin()->first);
        if (!ends_.empty()) next = std::min(next, ends_.begin()->first);
        if (!simulation.run_for(next - swarm.now())) return false;
        undo_due(swarm);
        while (!faults.empty() && faults.begin()->first <= swarm.now()) {
            const auto which = faults.begin()->second;
            faults.erase(faults.begin());
            fault_rng_ = Rng(seed_).fork(mix64(faults_));
            if (!skipped_.contains(faults_++)) inject_fault(simulation, rates_[which].first);
            plan(which);
        }
    }
    return true;
}

void FaultSchedule::end_later(Swarm& swarm, Family family, NodeIndex node) {
    ends_.emplace(swarm.now() + draw_length(), End{family, node});
}

/// Returns how many nodes can take in others: with sessions those that have what newcomers need.
std::size_t FaultSchedule::survivors(const Swarm& swarm) {
    const auto running = swarm.running();
    if (!swarm.has_sessions()) return running.size();
    return static_cast<std::size_t>(std::count_if(
        running.begin(),
        running.end(),
        [&](NodeIndex node) {
            const auto* session = swarm.session(node);
            return session != nullptr && session->session().has_parameters();
        }
    ));
}

void FaultSchedule::inject_fault(Simulation& simulation, Family family) {
    auto& swarm = simulation.swarm();
    const auto running = swarm.running();
    // Two nodes must survive and remember the others. Otherwise the swarm can never be whole again.
    const bool enough = survivors(swarm) > 2;
    const auto victim = fault_rng_.pick(std::span<const NodeIndex>(running));
    const auto name = " node " + std::to_string(victim);
    if (family == Family::Partition) {
        partition(swarm);
        simulation.checkers().excuse_leaves();
    } else if (family == Family::OneWayCut) {
        const auto other = fault_rng_.pick(std::span<const NodeIndex>(running));
        if (other == victim) return;
        swarm.network().cut_one_way(victim, other);
        simulation.checkers().excuse_leaves();
        tell(swarm, "one-way cut" + name + " to " + std::to_string(other));
    } else if (family == Family::Clog) {
        const auto other = fault_rng_.pick(std::span<const NodeIndex>(running));
        swarm.network().clog(victim, other, swarm.now() + draw_length());
        simulation.checkers().excuse_leaves();
        tell(swarm, "clog" + name + " to " + std::to_string(other));
        return;
    } else if (family == Family::SlowCpu) {
        swarm.set_cost(victim, from_seconds(log_uniform(fault_rng_, 1e-4, 5e-3)));
        tell(swarm, "slow CPU" + name);
    } else if (!enough) {
        return;
    } else if (family == Family::Pause) {
        swarm.pause(victim);
        tell(swarm, "pause" + name);
    } else if (family == Family::Leave) {
        swarm.leave(victim);
        tell(swarm, "leave" + name);
    } else {
        const bool dark = family == Family::PowerCut;
        swarm.crash(victim, dark ? Power::Dark : Power::Stopped);
        tell(swarm, (dark ? "power cut" : "crash") + name);
    }
    end_later(swarm, family, victim);
}

/// Half of the partitions are random halves. The others have a shape that halves never have.
void FaultSchedule::partition(Swarm& swarm) {
    const auto n = static_cast<NodeIndex>(swarm.size());
    std::vector<std::uint8_t> groups(n);
    for (auto& group : groups) group = static_cast<std::uint8_t>(fault_rng_.below(2));
    const auto shape = fault_rng_.below(6);
    const auto special = static_cast<NodeIndex>(fault_rng_.below(n));
    const auto cut_unless = [&](auto connected) {
        for (NodeIndex a = 0; a < n; ++a) {
            for (NodeIndex b = 0; b < n; ++b) {
                if (a != b && !connected(a, b)) swarm.network().cut_one_way(a, b);
            }
        }
    };
    if (shape == 0) {
        tell(swarm, "isolate node " + std::to_string(special));
        cut_unless([&](NodeIndex a, NodeIndex b) { return a != special && b != special; });
    } else if (shape == 1) {
        tell(swarm, "halves with the bridge node " + std::to_string(special));
        cut_unless([&](NodeIndex a, NodeIndex b) {
            return groups[a] == groups[b] || a == special || b == special;
        });
    } else if (shape == 2) {
        tell(swarm, "ring of majorities");
        cut_unless([&](NodeIndex a, NodeIndex b) {
            const auto apart = (a + n - b) % n;
            return std::min(apart, n - apart) <= (n + 3) / 4;
        });
    } else {
        tell(swarm, "partition");
        swarm.network().set_groups(std::move(groups));
    }
}

void FaultSchedule::undo_due(Swarm& swarm) {
    while (!ends_.empty() && ends_.begin()->first <= swarm.now()) {
        const auto [family, node] = ends_.begin()->second;
        ends_.erase(ends_.begin());
        const auto name = " node " + std::to_string(node);
        if (family == Family::Partition || family == Family::OneWayCut) {
            swarm.network().heal();
            tell(swarm, "heal links");
        } else if (family == Family::SlowCpu) {
            swarm.set_cost(node, {});
            tell(swarm, "fast CPU again" + name);
        } else if (family == Family::Pause) {
            if (swarm.state(node) != NodeState::Paused) continue;
            swarm.resume(node);
            tell(swarm, "resume" + name);
        } else if (swarm.state(node) == NodeState::Absent) {
            swarm.start(node, draw_seeds(swarm));
            tell(swarm, "restart" + name);
        } else if (swarm.state(node) == NodeState::Leaving) {
            end_later(swarm, family, node);
        }
    }
}

void FaultSchedule::prepare(Swarm& swarm) {
    if (shape_rng_.chance(0.5)) return;
    for (NodeIndex i = 0; i < swarm.size(); ++i) {
        swarm.set_clock_error(i, static_cast<std::int32_t>(shape_rng_.below(20'001)) - 10'000);
    }
}

void FaultSchedule::heal(Simulation& simulation) {
    auto& swarm = simulation.swarm();
    tell(swarm, "heal everything");
    swarm.network().heal();
    auto calm = swarm.network().options();
    calm.loss = 0.0;
    calm.duplicate = 0.0;
    calm.stream_reset = 0.0;
    swarm.network().set_options(calm);
    ends_.clear();
    for (NodeIndex i = 0; i < swarm.size(); ++i) swarm.set_cost(i, {});
    for (NodeIndex i = 0; i < swarm.size(); ++i) {
        if (swarm.state(i) == NodeState::Paused) swarm.resume(i);
    }
    for (NodeIndex i = 0; i < swarm.size(); ++i) {
        // A node that is saying goodbye ends first. Its next life begins in the liveness phase.
        if (swarm.state(i) == NodeState::Leaving) swarm.crash(i);
        if (swarm.state(i) == NodeState::Absent) swarm.start(i, draw_seeds(swarm));
    }
}

}  // namespace starling::simulation
