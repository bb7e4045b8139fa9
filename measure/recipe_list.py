"""The recipes: what is trained, on which data, and what a good result is. `{data}` stands for the folder of the real data
sets, `{made}` for that of what is unpacked first, `{samples}` for data/samples. Each is one line of `starling swarm`; docs/recipes has a page for each."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Recipe:
    name: str
    use: str
    dataset: str
    model: str
    optimizer: str
    batch: int
    epochs: int
    goals: dict  # quality -> least value
    shown: tuple  # qualities in the table
    augment: str = ""
    private: str = ""  # how the samples are divided among peers that keep them
    partition: str = ""
    class_weights: str = ""
    mix: tuple = ("--mix-every", "8")
    note: str = ""


SPEECHES = "text:{made}/sotu?tokens=bpe:1024&context=64&names={{year}}_{{president*}}_{{party}}&split=0.9"

RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "table", "a table of the repository",
            "csv:{samples}/breast_cancer.csv?skip=1&header=0&split=row%5==0",
            "tabular", "adamw?lr=0.003", 8, 60,
            {"auc": 0.99}, ("auc", "accuracy", "balanced"),
        ),
        Recipe(
            "fraud", "fraud detection",
            "csv:{data}/creditcard-ulb-sample/creditcard_sample.csv.gz?label=Class&drop=Time&split=row%5==0",
            "tabular", "adamw?lr=0.001", 64, 40,
            {"ap": 0.965}, ("ap", "auc", "f1"),
            note="the share of frauds in this sample is not the real one",
        ),
        Recipe(
            "credit", "credit default",
            "csv:{data}/uci-credit-default/UCI_Credit_Card.csv.gz?label=default.payment.next.month&drop=ID"
            "&split=ID%5==0&categories=SEX,EDUCATION,MARRIAGE,PAY_0,PAY_2,PAY_3,PAY_4,PAY_5,PAY_6",
            "tabular", "adamw?lr=0.0005", 64, 12,
            {"auc": 0.785, "ap": 0.57}, ("auc", "ap", "f1"),
        ),
        Recipe(
            "medical", "medical images of four hospitals, which keep them",
            "npz:{data}/pneumoniamnist/pneumoniamnist_trainval.npz",
            "cnn?channels=16,32&hidden=64&kernel=3", "sgd?lr=0.02&momentum=0.9", 32, 30,
            {"auc": 0.988, "balanced": 0.94}, ("auc", "balanced", "accuracy"),
            private="dirichlet?alpha=0.5", class_weights="logits", mix=("--mix-every", "1", "--sync"),
        ),
        Recipe(
            "speech", "spoken digits",
            "audio:{data}/fsdd/fsdd.tar.gz?rate=8000&seconds=1&names={{label}}_{{speaker}}_{{take}}&split=take<5",
            "audio", "adamw?lr=0.001", 16, 20,
            {"accuracy": 0.97}, ("accuracy", "balanced"),
            augment="shift=50,mask=6",
        ),
        Recipe(
            "image", "image recognition",
            "cifar:{data}/cifar10", "resnet20",
            # Three peers are left, so each makes more steps than a quarter of thirty epochs has.
            "sgd?lr=0.1&momentum=0.9&weight_decay=0.0005&schedule=cosine&warmup=200&total=4560", 16, 30,
            {"accuracy": 0.70}, ("accuracy",), augment="flip,crop=4",
        ),
        Recipe(
            "detection", "blood cells in pictures",
            "voc:{data}/bccd/bccd_trainval.tar.gz", "detector?width=32&size=320x240", "adamw?lr=0.001", 8, 40,
            {"map50": 0.70}, ("map50", "map"), augment="flip,shift=16",
        ),
        Recipe(
            "language", "the next token of a text",
            "text:{data}/tinyshakespeare/input.txt.gz?tokens=bpe:1024&context=64&split=0.9",
            "gpt?layers=3&heads=4&dim=96", "adamw?lr=0.002", 16, 4,
            {}, ("bpb",), mix=("--mix-every", "1"),
        ),
        Recipe(
            "sotu", "texts of authors, each of whom one peer has",
            SPEECHES, "gpt?layers=3&heads=4&dim=96", "adamw?lr=0.002", 16, 1,
            {}, ("bpb",), partition="column=president?owners=4", mix=("--mix-every", "1"),
        ),
        Recipe(
            "sotu-mixed", "the same texts, evenly mixed",
            SPEECHES, "gpt?layers=3&heads=4&dim=96", "adamw?lr=0.002", 16, 1,
            {}, ("bpb",), mix=("--mix-every", "1"),
        ),
    )
}
