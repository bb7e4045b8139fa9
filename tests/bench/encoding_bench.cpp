// Bytes per second of the loops behind each encoding, beside memcpy of the same chunk.
//
//   encoding_bench [chunks] [seconds per line]       encoding_bench 64 0.5
//
// GB/s count the parameters as f32: what an exchange of that many parameters would wait for.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "base/rng.hpp"
#include "gossip/encoding/registry.hpp"

namespace {

using namespace starling;
using namespace starling::gossip;

constexpr std::size_t kElements = kChunkElementsMax;

double seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

/// Many chunks in turn, so that the data comes from memory as it does in an exchange.
void report(
    const std::string& name,
    std::size_t chunks,
    double budget,
    const std::function<void(std::size_t chunk)>& work
) {
    for (std::size_t i = 0; i < chunks; ++i) work(i);
    const double start = seconds();
    std::size_t done = 0;
    while (seconds() - start < budget) {
        for (std::size_t i = 0; i < chunks; ++i) work(i);
        done += chunks;
    }
    const double rate = static_cast<double>(done * kElements * 4) / (seconds() - start);
    std::printf("%-24s %7.2f GB/s\n", name.c_str(), rate * 1e-9);
}

}  // namespace

int main(int argc, char** argv) {
    const auto chunks = static_cast<std::size_t>(argc > 1 ? std::atoi(argv[1]) : 64);
    const double budget = argc > 2 ? std::atof(argv[2]) : 0.3;
    Rng rng(1);
    std::vector<float> theirs(chunks * kElements);
    std::vector<float> mine(chunks * kElements);
    for (std::size_t i = 0; i < theirs.size(); ++i) {
        mine[i] = static_cast<float>(rng.uniform() - 0.5);
        theirs[i] = mine[i] + static_cast<float>(1e-3 * (rng.uniform() - 0.5));
    }
    std::vector<float> delta(kElements);
    const auto out = std::as_writable_bytes(std::span(delta));
    const auto chunk_of = [](const std::vector<float>& values, std::size_t chunk) {
        return std::as_bytes(std::span(values).subspan(chunk * kElements, kElements));
    };
    report("memcpy", chunks, budget, [&](std::size_t i) {
        std::memcpy(out.data(), chunk_of(mine, i).data(), out.size());
    });
    for (const auto which :
         {Encoding::F32, Encoding::Bf16, Encoding::Lattice8, Encoding::Lattice4}) {
        const auto& encoding = *find_encoding(which);
        const std::vector<float> gaps(kBlocksMax, 1e-3F);
        // Gaps are measured for a lattice only.
        const bool lattice = which == Encoding::Lattice8 || which == Encoding::Lattice4;
        std::vector<BlockGap> measured(lattice ? kBlocksMax : 0);
        Bytes offer(encoding.wire_bytes(kElements));
        Bytes reply(encoding.wire_bytes(kElements));
        Reply written{reply};
        const Share share{0.5, out, measured};
        const std::string name(to_string(which));
        report(name + " offer", chunks, budget, [&](std::size_t i) {
            (void)encoding.offer(chunk_of(theirs, i), gaps, offer);
        });
        std::vector<Bytes> offers(chunks, offer);
        for (std::size_t i = 0; i < chunks; ++i) {
            offers[i].resize(encoding.offer(chunk_of(theirs, i), gaps, offers[i]).bytes);
        }
        report(name + " answer", chunks, budget, [&](std::size_t i) {
            (void)encoding.answer(offers[i], chunk_of(mine, i), written, share);
        });
        (void)encoding.offer(chunk_of(theirs, 0), gaps, offer);
        (void)encoding.answer(offers[0], chunk_of(mine, 0), written, share);
        reply.resize(written.bytes);
        report(name + " settle", chunks, budget, [&](std::size_t /*i*/) {
            (void)encoding.take_reply(reply, offers[0], share);
        });
    }
    return 0;
}
