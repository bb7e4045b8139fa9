#include "peer/commands/founder_flags.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/check.hpp"

namespace starling::peer {

namespace {

constexpr std::array kFounderFlags = {
    FounderFlag{
        "--partition",
        "SPEC",
        "Who gets which data: iid, iid?owners=N (equal shares), dirichlet?alpha=0.5&owners=N or "
        "labels?per-peer=2&owners=N (labels unevenly)"},
    FounderFlag{
        "--private",
        "",
        "Each peer brings samples of its own (--dataset), which never leave it; see "
        "docs/PRIVATE.md"},
    FounderFlag{
        "--schema",
        "FILE",
        "With --private: how samples are prepared and labelled, as `starling data schema` wrote "
        "it, "
        "instead of by this founder's own samples"},
    FounderFlag{
        "--augment",
        "LIST",
        "Change training samples at random: flip, crop=N, shift=N, zoom, noise=S, mask=N, "
        "time_mask=N, as flip,crop=4; docs/FORMATS.md says what suits which data"},
    FounderFlag{
        "--class-weights",
        "HOW",
        "Whether rare classes count as much as frequent ones: none, balanced (a sample's loss "
        "times the "
        "weight of its class) or logits (scores shifted while training); with --private each peer "
        "counts its own samples"},
    FounderFlag{"--wait-for", "N", "Train when so many peers are ready, not before"},
    FounderFlag{
        "--model",
        "SPEC",
        "Model: cnn, mlp?hidden=512,256, resnet20, resnet18, detector for boxes, gpt for a text, "
        "audio for sounds, tabular for tables, onnx:net.onnx; see starling help models"},
    FounderFlag{
        "--optimizer",
        "SPEC",
        "sgd?lr=0.05&momentum=0.9 or adamw?lr=0.001, with schedule=constant|step|cosine&...; see "
        "starling help optimizer"},
    FounderFlag{"--batch", "N", "Samples per step (of a text: windows)"},
    FounderFlag{
        "--mix",
        "RULE",
        "Averaging rule: pairwise, push-sum, noloco?h=50&alpha=0.5&beta=0.7&gamma=0.7 or none"},
    FounderFlag{
        "--mix-every",
        "WHEN",
        "auto: as often as exchanges cost each peer less than 2 % of its time, and so often that "
        "peers stay close; 8: after so many steps, as auto does with --sync and noloco; 500ms: "
        "after so much time"},
    FounderFlag{"--encoding", "NAME", "How parameters travel: f32, bf16, lattice8 or lattice4"},
    FounderFlag{"--share", "SHARE", "Share of the parameters in one exchange, in turn: 5%"},
    FounderFlag{"--sync", "", "Pair peers round by round and wait for each exchange, in bounds"},
    FounderFlag{
        "--until",
        "TARGET",
        "samples=N, steps=N (per peer), epochs=N, or a quality: accuracy, loss, balanced, auc, ap, "
        "f1, bpb, mae, "
        "map50 or map, as auc=0.78; for ever without it"},
    FounderFlag{"--settle", "X", "Relative spread at which peers agree at the end"},
};

}  // namespace

std::span<const FounderFlag> founder_flags() {
    return kFounderFlags;
}

const FounderFlag& founder_flag(const char* name) {
    const auto* const found =
        std::find_if(kFounderFlags.begin(), kFounderFlags.end(), [name](const FounderFlag& flag) {
            return std::string_view(flag.name) == name;
        });
    STARLING_CHECK(found != kFounderFlags.end());
    return *found;
}

}  // namespace starling::peer
