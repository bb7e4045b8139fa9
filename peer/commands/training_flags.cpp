#include "peer/commands/training_flags.hpp"

#include <CLI/CLI.hpp>

namespace starling::peer {

void add_training_flags(CLI::App& command, PeerConfig& config) {
    command.add_option(
        "--dataset",
        config.dataset,
        "Data: idx:DIR[?train=N&test=N] or text:FILE[?context=64&split=0.9]. A joiner reads its "
        "shards from there instead of fetching them"
    );
    command
        .add_option(
            "--partition",
            config.partition,
            "Who gets which data: iid, iid?owners=N (equal shares), dirichlet?alpha=0.5&owners=N "
            "or "
            "labels?per-peer=2&owners=N (labels unevenly)"
        )
        ->capture_default_str();
    command
        .add_option("--wait-for", config.wait_for, "Train when so many peers are ready, not before")
        ->capture_default_str();
    command
        .add_option(
            "--model",
            config.model,
            "Model: cnn, mlp?hidden=512,256, resnet20, resnet18, gpt for a text, onnx:net.onnx; a "
            "wrong name lists all"
        )
        ->capture_default_str();
    command
        .add_option(
            "--optimizer",
            config.optimizer,
            "sgd?lr=0.05&momentum=0.9 or adamw?lr=0.001, with schedule=constant|step|cosine&..."
        )
        ->capture_default_str();
    command.add_option("--batch", config.batch, "Samples per step (of a text: windows)")
        ->capture_default_str();
    command
        .add_option(
            "--mix",
            config.mix,
            "Averaging rule: pairwise, push-sum, noloco?h=50&alpha=0.5&beta=0.7&gamma=0.7 or none"
        )
        ->capture_default_str();
    command.add_option("--mix-every", config.mix_every, "Steps between exchanges")
        ->capture_default_str();
    command
        .add_option(
            "--encoding", config.encoding, "How parameters travel: f32, bf16, lattice8 or lattice4"
        )
        ->capture_default_str();
    command
        .add_option("--share", config.share, "Share of the parameters in one exchange, in turn: 5%")
        ->capture_default_str();
    command.add_flag(
        "--sync", config.sync, "Pair peers round by round and wait for each exchange, in bounds"
    );
    command.add_option(
        "--upload-limit",
        config.upload_limit,
        "What exchanges of this peer may send: 10Mbit or 1.5MB a second"
    );
    command.add_option(
        "--until", config.until, "samples=N, steps=N (per peer), epochs=N, accuracy=X or loss=X"
    );
    command
        .add_option("--settle", config.settle, "Relative spread at which peers agree at the end")
        ->capture_default_str();
    command
        .add_option(
            "--precision", config.precision, "f32, bf16, or auto, which takes what is faster here"
        )
        ->capture_default_str();
    command.add_option("--device", config.device, "cpu")->capture_default_str();
    command.add_option("--threads", config.threads, "Compute threads (0: all cores)")
        ->capture_default_str();
    command.add_option("--seed", config.seed, "Seed of initial parameters and shuffles");
}

}  // namespace starling::peer
