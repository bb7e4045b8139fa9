#include "peer/commands/help_topics.hpp"

#include <fmt/format.h>

namespace starling::peer {

namespace {

std::vector<HelpKey> optimizer_keys(std::vector<HelpKey> own) {
    const HelpKey shared[] = {
        {"clip", "largest global norm of a gradient; 0 for any (0)"},
        {"accumulate", "batches whose mean gradient makes one update (1)"},
        {"schedule", "constant, step or cosine (constant)"},
        {"warmup", "steps of linear warm-up (0)"},
        {"total", "steps until cosine reaches floor"},
        {"step_every", "steps between two drops of step"},
        {"gamma", "factor of each drop (0.1)"},
        {"floor", "share of lr at which cosine ends (0)"},
    };
    own.insert(own.end(), std::begin(shared), std::end(shared));
    return own;
}

HelpTopic models() {
    return {
        "models",
        "--model",
        {
            {"mlp",
             "fully connected layers with ReLU between them, for images",
             {{"hidden", "widths of the hidden layers (512,256)"}},
             "mlp?hidden=256"},
            {"cnn",
             "convolutions with ReLU and max-pooling, then hidden layers, for images",
             {{"channels", "channels of the convolutions (32,64)"},
              {"hidden", "widths of the hidden layers (128)"},
              {"kernel", "side of a convolution's window (5)"},
              {"pad", "1 keeps the size of the image, 0 shrinks it (1)"}},
             "cnn?channels=6,16&hidden=120,84&pad=0"},
            {"resnet20",
             "residual net of 20 layers, for small images",
             {{"width", "channels of the first stage (16)"}},
             "resnet20?width=32"},
            {"resnet18",
             "residual net of 18 layers, for larger images",
             {{"stem", "imagenet, or cifar for small images (imagenet)"},
              {"width", "channels of the first stage (64)"}},
             "resnet18?stem=cifar&width=32"},
            {"detector",
             "residual net that finds boxes in pictures, for voc, coco and yolo data",
             {{"width", "channels of the first stage (32)"},
              {"size",
               "width x height that pictures are fed in, multiples of 16, as 320x240 (that of "
               "the data set)"},
              {"stride", "pixels of a cell of the heat map: 4, 8 or 16 (4)"},
              {"backbone", "onnx:FILE, a net trained on pictures to begin with (none)"}},
             "detector?width=32&size=320x240&stride=4"},
            {"gpt",
             "transformer that predicts the next character, for texts",
             {{"layers", "blocks (6)"},
              {"heads", "attention heads; they divide dim (6)"},
              {"dim", "width (384)"},
              {"dropout", "share that is dropped in training (0)"},
              {"tied", "1: one table for input and output (1)"},
              {"bias", "1: with biases (1)"},
              {"context", "characters that it sees at once (that of the data set)"}},
             "gpt?layers=4&heads=4&dim=128&context=64"},
            {"audio",
             "convolutions over spectrograms of sounds, then dense layers",
             {{"channels", "channels of the blocks, each with a max-pool (32,64,128)"},
              {"hidden", "widths of the hidden layers (128)"},
              {"blocks", "conv, or ds: depthwise and pointwise, for small devices (conv)"},
              {"dropout", "share that is dropped in training (0.2)"},
              {"mels", "bands that sounds are fed in (40, or those of the data set)"},
              {"window", "length of sound that one frame sees, likewise (25ms)"},
              {"hop", "from one frame to the next, likewise (10ms)"}},
             "audio?blocks=ds&channels=64,64,64"},
            {"tabular",
             "dense layers over the rows of a table; categories through embeddings",
             {{"embed", "width of each embedding (half of the codes, at most 32)"},
              {"hidden", "widths of the hidden layers (128,64)"},
              {"norm", "1: numbers through batch norm, though the data scale them (0)"},
              {"categories", "how many codes the first columns have, if the data do not say it"}},
             "tabular?embed=4&hidden=64,32"},
            {"onnx:FILE",
             "the graph of an ONNX file, which travels to all peers (docs/FORMATS.md)",
             {{"loss",
               "what its answers are: cross-entropy for scores, nll for probabilities, bce for one "
               "score of two classes or for labels that may hold at once, mse or smooth-l1 for "
               "numbers (what fits the data's labels)"}},
             "onnx:net.onnx?loss=bce"},
        }};
}

HelpTopic optimizer() {
    return {
        "optimizer",
        "--optimizer",
        {
            {"sgd",
             "gradient descent with momentum",
             optimizer_keys(
                 {{"lr", "learning rate (0.05)"},
                  {"momentum", "(0.9)"},
                  {"nesterov", "1: Nesterov's momentum (0)"},
                  {"weight_decay", "is added to the gradient (0)"}}
             ),
             "sgd?lr=0.1&schedule=step&step_every=1000"},
            {"adamw",
             "Adam with decoupled weight decay",
             optimizer_keys(
                 {{"lr", "learning rate (0.001)"},
                  {"beta1", "(0.9)"},
                  {"beta2", "(0.999)"},
                  {"eps", "(1e-8)"},
                  {"weight_decay", "(0.01)"},
                  {"decay", "all, or matrices: not biases and norms (all)"},
                  {"scale",
                   "auto: K peers that are one model step sqrt(K) times as far; a number bounds K "
                   "(0)"}}
             ),
             "adamw?lr=0.001&schedule=cosine&warmup=100&total=4000"},
        }};
}

std::vector<HelpKey> table_keys() {
    return {
        {"label", "the column or field that is learned (the last one)"},
        {"target", "class or number (by its values)"},
        {"drop", "columns to leave out, as ID,Time"},
        {"categories", "columns of numbers that are codes"},
        {"numbers", "columns in which a word is an error"},
        {"log", "auto, none, or columns of numbers that are fed as logarithms (auto)"},
        {"split", "the rows for testing, as ID%5==0, row%5==0 or part=test (drawn)"},
        {"test", "share of the rows for testing, if they are drawn (0.1)"},
        {"valid", "share for validation, likewise (0)"},
        {"balance", "1: rare classes count more in the loss (0)"},
        {"pos_weight", "how many times the second of two classes counts in the loss (1)"}};
}

std::vector<HelpKey> csv_keys() {
    auto keys = table_keys();
    keys.push_back({"skip", "lines at the beginning that are no rows (0)"});
    keys.push_back({"header", "1: the first line names the columns, 0: it does not (guessed)"});
    return keys;
}

std::vector<HelpKey> sqlite_keys() {
    auto keys = table_keys();
    keys.push_back({"table", "the table or view (the only one)"});
    keys.push_back({"query", "instead of it one SELECT, as SELECT a, b FROM t ORDER BY id"});
    return keys;
}

std::vector<HelpSpec> table_specs() {
    return {
        {"csv:FILE",
         "a table, plain or gzipped; all columns but the label are fed to the model",
         csv_keys(),
         "csv:clients.csv?label=default&split=ID%5==0"},
        {"jsonl:FILE",
         "a table with one JSON object a line; with text=FIELD documents, with keys as of "
         "text:",
         table_keys(),
         "jsonl:clients.jsonl.gz?label=default"},
        {"parquet:FILE",
         "a table in a Parquet file with columns of numbers and texts",
         table_keys(),
         "parquet:clients.parquet?label=default"},
        {"sqlite:FILE",
         "a table in a SQLite database, or what a SELECT over its tables gives",
         sqlite_keys(),
         "sqlite:shop.db?table=clients&label=default"}};
}

std::vector<HelpSpec> box_specs() {
    return {
        {"voc:DIR or TAR",
         "pictures with boxes in the folders JPEGImages, Annotations and ImageSets/Main, or with "
         "an .xml beside each",
         {{"size", "side, or height x width, that a model is fed (by the pictures)"},
          {"channels", "1 grey, 3 colours (as the pictures are)"},
          {"fit", "crop, stretch or pad pictures of another shape (pad)"},
          {"flip", "1: mirror half of the training pictures (0)"},
          {"pad", "shift training pictures by up to so many pixels (0)"},
          {"zoom", "1: train on parts of 40 % to 100 % of a picture (0)"},
          {"test", "share of the pictures for testing, without lists that say it (0.1)"},
          {"valid", "share for validation, likewise (0)"}},
         "voc:VOCdevkit/VOC2012?size=320"},
        {"coco:FILE.json",
         "pictures with boxes as of COCO's instances; boxes around crowds are left out",
         {{"images", "the folder of the pictures (that of the file)"},
          {"size", "side, or height x width, that a model is fed (by the pictures)"},
          {"channels", "1 grey, 3 colours (as the pictures are)"},
          {"fit", "crop, stretch or pad pictures of another shape (pad)"},
          {"flip", "1: mirror half of the training pictures (0)"},
          {"pad", "shift training pictures by up to so many pixels (0)"},
          {"zoom", "1: train on parts of 40 % to 100 % of a picture (0)"},
          {"test", "share of the pictures for testing (0.1)"},
          {"valid", "share for validation (0)"}},
         "coco:annotations/instances_val2017.json?images=val2017"},
        {"yolo:DIR or TAR",
         "pictures with boxes in the folders images and labels, below train and val or not",
         {{"size", "side, or height x width, that a model is fed (by the pictures)"},
          {"channels", "1 grey, 3 colours (as the pictures are)"},
          {"fit", "crop, stretch or pad pictures of another shape (pad)"},
          {"flip", "1: mirror half of the training pictures (0)"},
          {"pad", "shift training pictures by up to so many pixels (0)"},
          {"zoom", "1: train on parts of 40 % to 100 % of a picture (0)"},
          {"test", "share of the pictures for testing, without folders that say it (0.1)"},
          {"valid", "share for validation, likewise (0)"}},
         "yolo:coco128?size=320"}};
}

std::vector<HelpSpec> array_specs() {
    return {
        {"dicom:DIR or TAR",
         "grey pictures in DICOM files (.dcm, not compressed) in folders named by class",
         {{"window", "centre and width of the values that are shown, as 40:400 (of the file)"},
          {"size", "side, or height x width, that a model is fed (by the pictures)"},
          {"channels", "1 grey, 3 colours (1)"},
          {"fit", "crop, stretch or pad pictures of another shape (crop)"},
          {"flip", "1: mirror at random while training (0)"},
          {"pad", "shift at random by up to so many pixels (0)"},
          {"zoom", "1: enlarge a random part (0)"},
          {"test", "share of the files for testing, without folders that say it (0.1)"},
          {"valid", "share for validation, likewise (0)"},
          {"label", "folder, name:PART:SEPARATOR, or a field of names (folder)"},
          {"names", "fields in the files' names, as {patient}_{label}"},
          {"split", "files for testing by such a field: patient%5==0"}},
         "dicom:chest?size=128&window=40:400"},
        {"npz:FILE",
         "NumPy's arrays; without names those of MedMNIST, as train_images and train_labels",
         {{"x", "the array of the samples (train_images and so on)"},
          {"y", "the array of the labels (train_labels and so on)"},
          {"flip", "1: mirror at random while training, for images (0)"},
          {"pad", "shift at random by up to so many pixels, for images (0)"},
          {"test", "share of the samples for testing, with x and y (0.1)"},
          {"valid", "share for validation, likewise (0)"}},
         "npz:pneumoniamnist.npz"},
        {"npy:DIR",
         "the same from files NAME.npy",
         {{"x", "the array of the samples (train_images and so on)"},
          {"y", "the array of the labels (train_labels and so on)"},
          {"flip", "1: mirror at random while training, for images (0)"},
          {"pad", "shift at random by up to so many pixels, for images (0)"},
          {"test", "share of the samples for testing, with x and y (0.1)"},
          {"valid", "share for validation, likewise (0)"}},
         "npy:arrays?x=images&y=classes"}};
}

HelpTopic dataset() {
    HelpTopic topic{
        "dataset",
        "--dataset",
        {
            {"idx:DIRECTORY",
             "images in four IDX files, plain or gzipped, as of MNIST (docs/FORMATS.md)",
             {{"train", "use the first N training images (all)"},
              {"test", "use the first N test images (all)"}},
             "idx:data/samples?train=1000"},
            {"text:FILE or DIR",
             "a UTF-8 file, plain or gzipped; a folder is a list of documents, sorted by name",
             {{"context", "tokens of a sample (64)"},
              {"split", "share of the characters to train on (0.9)"},
              {"newlines", "lf, or keep: CR LF stays two characters (lf)"},
              {"encoding", "utf8 or latin1 (utf8)"},
              {"tokens", "chars, bytes, bpe:N to learn N of them, bpe:DIR with vocab.bpe (chars)"},
              {"names", "of a folder: fields in the files' names, as {year}_{author*}"}},
             "text:data/samples/moby-dick.txt.gz?context=128"},
            {"images:DIR or TAR",
             "JPEG and PNG files in folders named by class, below train, valid and test or not",
             {{"size", "side, or height x width, that a model is fed (by the pictures)"},
              {"channels", "1 grey, 3 colours (as the pictures are)"},
              {"fit", "crop, stretch or pad pictures of another shape (crop)"},
              {"flip", "1: mirror at random while training (0)"},
              {"pad", "shift at random by up to so many pixels (0)"},
              {"zoom", "1: enlarge a random part, as for ImageNet (0)"},
              {"test", "share of the files for testing, without folders that say it (0.1)"},
              {"valid", "share for validation, likewise (0)"},
              {"label",
               "folder, name:PART:SEPARATOR for files like cat_17.jpg, or a field of names "
               "(folder)"},
              {"names", "fields in the files' names, as {label}_{artist}_{number}"},
              {"split", "files for testing by such a field: number%5==0, number<5, artist=ann"}},
             "images:pets?size=64&flip=1"},
            {"audio:DIR or TAR",
             "WAV, FLAC, OGG and MP3 files in folders named by class",
             {{"rate", "samples a second after resampling (of the files, at most 16000)"},
              {"seconds", "length to which clips are cut or padded (of nine in ten)"},
              {"features", "logmel or waveform (logmel)"},
              {"mels", "bands of a spectrum (40)"},
              {"window", "length of sound that one frame sees (25ms)"},
              {"hop", "from one frame to the next (10ms)"},
              {"centre", "1: each band loses its mean over the clip (1)"},
              {"test", "share of the files for testing (0.1)"},
              {"valid", "share for validation (0)"},
              {"label", "folder, name:PART:SEPARATOR, or a field of names (folder)"},
              {"names", "fields in the files' names, as {label}_{speaker}_{take}"},
              {"split", "files for testing by such a field: take<5, speaker=theo"}},
             "audio:recordings.tar.gz?label=name:0:_"},
            {"bin:DIR",
             "train.bin and val.bin with tokens of 16 bits, as of nanoGPT or llm.c",
             {{"context", "tokens of a sample (64)"},
              {"vocab", "number of different tokens (the largest one and 1)"}},
             "bin:openwebtext?vocab=50257&context=128"},
            {"cifar:DIR or FILE",
             "records of CIFAR-10 or CIFAR-100; files with test in their name are for testing",
             {{"flip", "1: mirror at random while training (0)"},
              {"pad", "shift at random by up to so many pixels (0)"}},
             "cifar:cifar-10-batches-bin?flip=1&pad=4"},
            {"shards:DIR",
             "what `starling data shard SPEC --out DIR` wrote; nothing is read or cut anew",
             {{"part", "only what this owner of the partition has, from 0 on"}},
             "shards:fashion-shards"},
        }};
    for (auto& spec : table_specs()) topic.specs.push_back(std::move(spec));
    for (auto& spec : array_specs()) topic.specs.push_back(std::move(spec));
    for (auto& spec : box_specs()) topic.specs.push_back(std::move(spec));
    return topic;
}

HelpTopic mix() {
    return {
        "mix",
        "--mix",
        {
            {"pairwise", "two peers take the mean of their parameters", {}, "pairwise"},
            {"push-sum", "one peer gives, in proportion to weights", {}, "push-sum"},
            {"noloco",
             "many local steps, then an outer step with momentum",
             {{"h", "local steps between two outer steps (--mix-every, else 8)"},
              {"alpha", "outer momentum (0.5)"},
              {"beta", "outer learning rate (0.7)"},
              {"gamma", "pull towards the partner (0.7)"}},
             "noloco?h=50"},
            {"none", "peers do not average", {}, "none"},
        }};
}

HelpTopic partition() {
    return {
        "partition",
        "--partition",
        {
            {"iid",
             "equal mixtures",
             {{"owners", "for so many peers (whoever is there)"}, {"seed", "of the draw (1)"}},
             "iid?owners=4"},
            {"dirichlet",
             "shares of each label by a Dirichlet distribution",
             {{"owners", "for so many peers"},
              {"seed", "of the draw (1)"},
              {"alpha", "small: very unlike shares (0.5)"}},
             "dirichlet?alpha=0.5&owners=10"},
            {"labels",
             "some labels for each peer",
             {{"owners", "for so many peers"},
              {"seed", "of the draw (1)"},
              {"per-peer", "labels of each (2)"}},
             "labels?per-peer=2&owners=10"},
            {"column=NAME",
             "the values of a column, as of a table, or of a field of files' names (names=)",
             {{"owners", "for so many peers, values dealt out evenly (one for each value)"}},
             "column=speaker"},
        }};
}

}  // namespace

std::span<const HelpTopic> help_topics() {
    static const std::vector<HelpTopic> topics{
        models(), optimizer(), dataset(), mix(), partition()};
    return topics;
}

std::string help_text(const HelpTopic& topic) {
    std::string text = fmt::format(
        "starling peer {} SPEC: it is NAME or NAME?KEY=VALUE&KEY=VALUE, in quotes.\n"
        "In brackets stands what holds without a key.\n",
        topic.flag
    );
    for (const auto& spec : topic.specs) {
        text += fmt::format("\n{:<16}{}\n", spec.name, spec.meaning);
        for (const auto& key : spec.keys) {
            text += fmt::format("    {:<14}{}\n", std::string(key.name) + "=", key.meaning);
        }
        text += fmt::format("    for instance  {} '{}'\n", topic.flag, spec.example);
    }
    return text;
}

}  // namespace starling::peer
