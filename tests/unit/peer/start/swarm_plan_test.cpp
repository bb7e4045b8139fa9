// Goal: a peer founds what its flags say, joins only what it can read and prove, and resumes where
// it stopped; all else is one line before it becomes a member. Method: plans from values and small
// files; seeds are real streams on loopback that answer as a test says.

#include "peer/start/swarm_plan.hpp"

#include <fstream>
#include <gtest/gtest.h>

#include "compute/models/models.hpp"
#include "compute/onnx/model_file.hpp"
#include "data/shard_format.hpp"
#include "peer/crypto/sha256.hpp"
#include "peer/start/local_state.hpp"
#include "peer/streams/links.hpp"
#include "peer/transfer/descriptor_transfer.hpp"
#include "tests/support/introductions.hpp"
#include "tests/support/temporary_directory.hpp"

namespace starling::peer {
namespace {

SwarmKey key_of(std::uint8_t byte) {
    SwarmKey key;
    key.bytes.fill(byte);
    return key;
}

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

/// A founder of a small text model.
class Plans : public ::testing::Test {
protected:
    Plans() {
        const auto path = directory_.path() / "text.txt";
        std::ofstream file(path);
        for (int i = 0; i < 3000; ++i) file << i << ' ';
        config_.dataset = "text:" + path.string();
        config_.model = "gpt?layers=1&heads=1&dim=8&context=16";
    }

    [[nodiscard]] SwarmPlan found(bool keyed = false) const {
        const auto founding = load_founding(config_);
        EXPECT_TRUE(founding.has_value()) << founding.error().message;
        auto plan = plan_founding(config_, keyed, &*founding);
        EXPECT_TRUE(plan.has_value()) << plan.error().message;
        return std::move(*plan);
    }

    Note note() {
        return [this](const std::string& line) { notes_.push_back(line); };
    }

    starling::testing::TemporaryDirectory directory_;
    PeerConfig config_;
    std::vector<std::string> notes_;
};

TEST_F(Plans, PeersMeasureHowOftenTheyAverageUnlessStepsAreCounted) {
    EXPECT_EQ(found().descriptor.mix_every.by, MixBy::Auto);
    config_.sync = true;
    EXPECT_EQ(found().descriptor.mix_every, MixEvery{});
}

TEST_F(Plans, WhatAFounderDecidesIsInTheDescriptorThatOthersRead) {
    config_.optimizer = "adamw?lr=0.002";
    config_.batch = 5;
    config_.mix = "noloco?h=10";
    config_.mix_every = "3";
    config_.encoding = "bf16";
    config_.share = "25%";
    config_.sync = true;
    config_.partition = "iid?owners=2";
    config_.wait_for = 4;
    config_.until = "loss=1.5";
    config_.settle = 0.01;
    config_.seed = 77;
    config_.seed_given = true;
    ASSERT_TRUE(validate(config_).has_value());
    const auto plan = found(true);
    EXPECT_EQ(plan.start, Start::Found);
    const auto read = decode_descriptor(plan.blob);
    ASSERT_TRUE(read.has_value()) << read.error().message;
    EXPECT_EQ(encode_descriptor(*read), plan.blob);
    EXPECT_EQ(read->model, config_.model);
    EXPECT_EQ(read->optimizer.rfind("adamw?", 0), 0U) << read->optimizer;
    EXPECT_TRUE(contains(read->optimizer, "lr=0.002")) << read->optimizer;
    EXPECT_EQ(read->batch, 5U);
    EXPECT_EQ(read->mix.rfind("noloco?", 0), 0U) << read->mix;
    EXPECT_TRUE(contains(read->mix, "h=10")) << read->mix;
    EXPECT_EQ(read->mix_every, (MixEvery{MixBy::Steps, 3, {}}));
    EXPECT_TRUE(read->encoding == "bf16" && read->parts == 4 && read->sync);
    EXPECT_EQ(read->manifest.partitions, 2U);
    EXPECT_EQ(read->wait_for, 4U);
    EXPECT_TRUE(read->until.kind == UntilKind::Loss && read->until.value == 1.5);
    EXPECT_EQ(read->settle, 0.01);
    EXPECT_EQ(read->seed, 77U);
    EXPECT_TRUE(read->keyed);
    EXPECT_EQ(read->manifest.name, "text:text.txt");
    const std::string all(as_text(plan.blob));
    EXPECT_FALSE(contains(all, directory_.path().filename())) << "no folder of the founder's";
}

TEST_F(Plans, TwoSwarmsWithEqualFlagsDifferInIdAndUnlessGivenInSeed) {
    const auto one = found();
    const auto two = found();
    EXPECT_NE(swarm_id_of(one.blob), swarm_id_of(two.blob));
    EXPECT_NE(one.descriptor.seed, two.descriptor.seed);
    config_.seed_given = true;
    const auto three = found();
    EXPECT_EQ(three.descriptor.seed, 0U) << "a seed of zero is one, too";
    EXPECT_EQ(three.descriptor.layout, one.descriptor.layout);
}

TEST_F(Plans, ASwarmThatTrainsNothingIsDescribedAndHasNoLayout) {
    config_.membership_only = true;
    auto plan = plan_founding(config_, false, nullptr);
    ASSERT_TRUE(plan.has_value()) << plan.error().message;
    EXPECT_EQ(plan->descriptor.model, "none");
    EXPECT_TRUE(plan->descriptor.manifest.shards.empty());
    ASSERT_TRUE(decode_descriptor(plan->blob).has_value());
    const auto laid = lay_out(*plan);
    ASSERT_TRUE(laid.has_error());
    EXPECT_EQ(laid.error().code, FaultCode::Unsupported);
    EXPECT_TRUE(contains(laid.error().message, "--membership-only")) << laid.error().message;
}

TEST_F(Plans, AFounderWithWrongFilesIsToldWhich) {
    const auto good = config_;
    const auto fault = [this] { return load_founding(config_).error(); };
    config_.dataset = "text:/nowhere/text.txt";
    EXPECT_TRUE(contains(fault().message, "/nowhere/text.txt")) << fault().message;
    config_ = good;
    config_.model = "cnn";
    EXPECT_EQ(fault().code, FaultCode::Usage) << "a model for images: " << fault().message;
    EXPECT_TRUE(contains(fault().message, "--model cnn")) << fault().message;
    for (const auto* model : {"mlp", "tabular"}) {
        config_.model = model;
        EXPECT_EQ(fault().code, FaultCode::Usage) << "one answer for many labels";
        EXPECT_TRUE(contains(fault().message, "64 labels")) << fault().message;
    }
    config_.model = "nope";
    EXPECT_TRUE(contains(fault().message, "mlp")) << fault().message;
    config_.model = "onnx:";
    EXPECT_TRUE(contains(fault().message, "--model")) << fault().message;
    config_.model = "onnx:/nowhere/net.onnx";
    EXPECT_EQ(fault().code, FaultCode::Usage);
    EXPECT_TRUE(contains(fault().message, "/nowhere/net.onnx")) << fault().message;
    const auto file = directory_.path() / "net.onnx";
    starling::testing::write_quickly(file, as_byte_view("this is no net"));
    config_.model = "onnx:" + file.string();
    EXPECT_EQ(fault().code, FaultCode::Usage) << fault().message;
    EXPECT_TRUE(contains(fault().message, "net.onnx")) << fault().message;
}

TEST_F(Plans, ATargetOfLessThanOneBatchIsRefused) {
    config_.batch = 64;
    for (const auto* until : {"samples=63", "epochs=0.001"}) {
        config_.until = until;
        const auto founding = load_founding(config_);
        ASSERT_TRUE(founding.has_error()) << until;
        EXPECT_EQ(founding.error().code, FaultCode::Usage);
        EXPECT_TRUE(contains(founding.error().message, until)) << founding.error().message;
        EXPECT_TRUE(contains(founding.error().message, "64")) << founding.error().message;
    }
    config_.until = "samples=64";
    EXPECT_TRUE(load_founding(config_).has_value());
    config_.until = "loss=0.5";
    EXPECT_TRUE(load_founding(config_).has_value());
}

/// A net for texts: a table of scores for each character, to which batch-normalised numbers of the
/// characters are added, and a softmax.
Bytes small_net() {
    namespace onnx = compute::onnx;
    onnx::ModelFile file;
    file.opset = 15;
    file.inputs.push_back({"x", onnx::DataType::Int64, true, true, {-1, 64}});
    file.outputs.push_back({"y", onnx::DataType::Float, true, true, {-1, 64, 11}});
    const auto floats = [&](const char* name, compute::Shape shape, float value) {
        onnx::TensorMessage tensor;
        tensor.name = name;
        tensor.floats.assign(static_cast<std::size_t>(compute::element_count(shape)), value);
        tensor.shape = std::move(shape);
        tensor.type = onnx::DataType::Float;
        file.initializers.push_back(std::move(tensor));
    };
    floats("table", {11, 11}, 0.5F);
    floats("one", {64}, 1.0F);
    floats("zero", {64}, 0.0F);
    const auto node = [&](const char* op, std::vector<std::string> inputs, const char* result) {
        onnx::NodeMessage message;
        message.name = std::string("the_") + op;
        message.op = op;
        message.inputs = std::move(inputs);
        message.outputs = {result};
        if (message.op == "Cast") message.attributes.push_back({"to", std::int64_t{1}, {}, {}});
        file.nodes.push_back(std::move(message));
    };
    onnx::TensorMessage column;
    column.name = "column";
    column.shape = {3};
    column.type = onnx::DataType::Int64;
    column.integers = {-1, 64, 1};
    file.initializers.push_back(std::move(column));
    node("Gather", {"table", "x"}, "g");
    node("Cast", {"x"}, "f");
    node("BatchNormalization", {"f", "one", "zero", "zero", "one"}, "n");
    node("Reshape", {"n", "column"}, "r");
    node("Add", {"g", "r"}, "s");
    node("Softmax", {"s"}, "y");
    return encode_model(file);
}

TEST_F(Plans, AFounderSaysWhatAModelFileIsTakenFor) {
    const auto file = directory_.path() / "net.onnx";
    starling::testing::write_quickly(file, small_net());
    config_.model = "onnx:" + file.string();
    const auto founding = load_founding(config_);
    ASSERT_TRUE(founding.has_value()) << founding.error().message;
    std::string all;
    for (const auto& note : founding->notes) all += note + "\n";
    EXPECT_TRUE(contains(all, "model: the Softmax at node 'the_Softmax'")) << all;
    EXPECT_TRUE(contains(all, "scores of 11 classes")) << all;
    EXPECT_TRUE(contains(all, "shared tensors")) << all;
}

TEST_F(Plans, ABatchThatLeavesAStatisticOneValueIsRefused) {
    const auto file = directory_.path() / "net.onnx";
    starling::testing::write_quickly(file, small_net());
    config_.model = "onnx:" + file.string();
    auto plan = found();
    ASSERT_TRUE(lay_out(plan).has_value());
    config_.batch = 1;
    const auto founding = load_founding(config_);
    ASSERT_TRUE(founding.has_error());
    EXPECT_EQ(founding.error().code, FaultCode::Usage);
    EXPECT_TRUE(contains(founding.error().message, "'the_BatchNormalization'"))
        << founding.error().message;
    // A stranger's founder may have said nothing.
    plan.descriptor.batch = 1;
    const auto laid = lay_out(plan);
    ASSERT_TRUE(laid.has_error());
    EXPECT_EQ(laid.error().code, FaultCode::Usage);
    EXPECT_TRUE(contains(laid.error().message, "at least 2")) << laid.error().message;
}

TEST_F(Plans, ADescriptorThatIsTooLargeIsRefusedBeforeAnybodyGetsIt) {
    const auto loaded = load_founding(config_);
    ASSERT_TRUE(loaded.has_value());
    const auto file = std::make_shared<const Bytes>(kDescriptorMax);
    const Founding large{loaded->data, ModelChoice{config_.model, file}, {}, {}, {}};
    const auto plan = plan_founding(config_, false, &large);
    ASSERT_TRUE(plan.has_error());
    EXPECT_EQ(plan.error().code, FaultCode::Oversized);
    EXPECT_TRUE(contains(plan.error().message, "16 MiB at most")) << plan.error().message;
}

TEST_F(Plans, TheLayoutIsTheFoundersOrNothing) {
    auto plan = found();
    const auto laid = lay_out(plan);
    ASSERT_TRUE(laid.has_value()) << laid.error().message;
    EXPECT_GT(plan.layout.elements(), 0U);
    plan.descriptor.layout.bytes[0] ^= 1U;
    const auto other = lay_out(plan);
    ASSERT_TRUE(other.has_error());
    EXPECT_EQ(other.error().code, FaultCode::LayoutMismatch);
    EXPECT_TRUE(contains(other.error().message, plan.descriptor.layout.short_string()));
    EXPECT_TRUE(contains(other.error().message, "same release")) << other.error().message;
}

TEST_F(Plans, ADescriptorThatNoReleaseWritesIsRefusedBeforeTheStart) {
    struct Wrong {
        const char* name;
        void (*make)(Descriptor&);
    };

    const Wrong wrongs[] = {
        {"model", [](auto& d) { d.model = "nope"; }},
        {"optimizer", [](auto& d) { d.optimizer = "sgd?lr=nan"; }},
        {"mix", [](auto& d) { d.mix = "median"; }},
        {"encoding", [](auto& d) { d.encoding = "exact64"; }},
        {"parts", [](auto& d) { d.parts = 0; }},
    };
    for (const auto& wrong : wrongs) {
        auto plan = found();
        wrong.make(plan.descriptor);
        const auto laid = lay_out(plan);
        EXPECT_TRUE(laid.has_error()) << wrong.name;
        EXPECT_EQ(plan.layout.elements(), 0U) << wrong.name;
    }
}

TEST_F(Plans, AStrangersModelThatDoesNotFitItsDataOrAnyMachineIsRefusedBeforeTheStart) {
    struct Wrong {
        const char* model;
        std::uint32_t batch;
        const char* words;
    };

    const Wrong wrongs[] = {
        {"mlp", 64, "labels"},
        {"tabular", 64, "labels"},
        {"gpt?layers=256&heads=1&dim=512", 65536, "MB of memory"},
    };
    for (const auto& wrong : wrongs) {
        auto plan = found();
        auto& d = plan.descriptor;
        d.model = wrong.model;
        d.batch = wrong.batch;
        // The stranger's own program may compute a layout for it.
        const auto layout = compute::model_layout(d.model, {{16}, d.manifest.classes()});
        ASSERT_TRUE(layout.has_value()) << layout.error().message;
        d.layout = LayoutHash{sha256(layout->canonical_bytes())};
        const auto laid = lay_out(plan);
        ASSERT_TRUE(laid.has_error()) << wrong.model;
        EXPECT_TRUE(contains(laid.error().message, wrong.words)) << laid.error().message;
    }
}

/// Shards lie in files that are mapped, so it takes no memory to hold them.
TEST_F(Plans, ManyTestSamplesAskForNoMemory) {
    auto plan = found();
    auto& manifest = plan.descriptor.manifest;
    data::ShardInfo test;
    test.split = data::Split::Test;
    test.bytes = 16U << 20U;
    test.samples = static_cast<std::uint32_t>(
        data::windows_in(data::shard_tokens(test.bytes), manifest.sample_elements())
    );
    while (manifest.shards.size() < data::kShardsMax) {
        test.id.bytes[0] = static_cast<std::uint8_t>(manifest.shards.size());
        test.id.bytes[1] = static_cast<std::uint8_t>(manifest.shards.size() >> 8U);
        manifest.shards.push_back(test);
    }
    const auto laid = lay_out(plan);
    EXPECT_TRUE(laid.has_value()) << "a terabyte of it: " << (laid ? "" : laid.error().message);
}

TEST_F(Plans, ACheckpointIsResumedWithItsSwarmAndTheAddressesThatCanBeRead) {
    auto founded = found();
    ASSERT_TRUE(lay_out(founded).has_value());
    Checkpoint checkpoint;
    checkpoint.descriptor = founded.blob;
    checkpoint.steps = 9;
    checkpoint.parameters.resize(founded.layout.elements());
    checkpoint.addresses = {"10.0.0.1:7000", "nowhere", "", "[::1]:7", "10.0.0.1"};
    auto plan = plan_resuming(checkpoint, note());
    ASSERT_TRUE(plan.has_value()) << plan.error().message;
    EXPECT_EQ(plan->start, Start::Resume);
    EXPECT_EQ(swarm_id_of(plan->blob), swarm_id_of(founded.blob));
    EXPECT_EQ(plan->checkpoint->steps, 9U);
    const std::vector<Endpoint> expected{
        *Endpoint::parse("10.0.0.1:7000"), *Endpoint::parse("[::1]:7")};
    EXPECT_EQ(plan->known_addresses, expected);
    EXPECT_TRUE(notes_.empty());
    const auto laid = lay_out(*plan);
    EXPECT_TRUE(laid.has_value()) << laid.error().message;
}

TEST_F(Plans, ACheckpointThatDoesNotFitItsModelIsRefused) {
    Checkpoint checkpoint;
    checkpoint.descriptor = found().blob;
    checkpoint.parameters.resize(3);
    auto plan = plan_resuming(checkpoint, note());
    ASSERT_TRUE(plan.has_value()) << plan.error().message;
    const auto laid = lay_out(*plan);
    ASSERT_TRUE(laid.has_error());
    EXPECT_EQ(laid.error().code, FaultCode::Corrupt);
    checkpoint.descriptor.resize(checkpoint.descriptor.size() / 2);
    EXPECT_TRUE(plan_resuming(checkpoint, note()).has_error());
}

TEST_F(Plans, GoingOnFromAnOlderCheckpointIsNoted) {
    Checkpoint checkpoint;
    checkpoint.descriptor = found().blob;
    checkpoint.damage = fail(FaultCode::Truncated, "checkpoint: it is too short");
    ASSERT_TRUE(plan_resuming(checkpoint, note()).has_value());
    ASSERT_EQ(notes_.size(), 1U);
    EXPECT_TRUE(contains(notes_[0], "damaged")) << notes_[0];
    EXPECT_TRUE(contains(notes_[0], "too short")) << notes_[0];
}

/// A peer of a swarm that gives newcomers its descriptor, or what a test gives instead.
class Seed final : private LinkHandler {
public:
    Seed(Loop& loop, Bytes blob, const std::optional<SwarmKey>& key = std::nullopt)
        : blob_(std::move(blob)),
          links_(loop, *this) {
        address = *links_.bind(Endpoint::v4(0x7f000001, 0));
        auto introduction = new_introduction(7);
        introduction.ours.swarm = swarm_id_of(blob_);
        introduction.ours.address = address;
        introduction.keys = key ? keyed_channel(*key) : open_channel(introduction.ours.swarm);
        links_.open(std::move(introduction));
    }

    Endpoint address;

private:
    void on_sent(FrameType, Bytes) override {}

    void on_broken(const PeerId&, const Fault&) override {}

    void on_lane_broken(const PeerId&, Lanes, const Fault&) override {}

    void on_descriptor_wanted(Connection& asker, std::size_t piece) override {
        send_descriptor_piece(asker, blob_, piece);
    }

    std::optional<Endpoint> address_of(const PeerId&) override { return std::nullopt; }

    Bytes blob_;
    Links links_;
};

class Joining : public Plans {
protected:
    Result<SwarmPlan> join(
        const std::vector<Endpoint>& seeds, const std::optional<SwarmKey>& key = std::nullopt
    ) {
        config_.join.clear();
        for (const auto& seed : seeds) config_.join.push_back(seed.to_string());
        return plan_joining(loop_, config_, new_introduction(0), key, note());
    }

    Loop loop_;
};

TEST_F(Joining, ANewcomerGetsTheSwarmOfItsSeedByteByByte) {
    const auto founded = found();
    const Seed seed(loop_, founded.blob);
    auto plan = join({seed.address});
    ASSERT_TRUE(plan.has_value()) << plan.error().message;
    EXPECT_EQ(plan->start, Start::Join);
    EXPECT_EQ(plan->blob, founded.blob);
    EXPECT_EQ(plan->via, seed.address);
    EXPECT_TRUE(notes_.empty());
    const auto laid = lay_out(*plan);
    EXPECT_TRUE(laid.has_value()) << laid.error().message;
}

TEST_F(Joining, ASeedThatIsDownIsNotedAndTheNextOneIsAsked) {
    Endpoint down;
    {
        const Seed gone(loop_, Bytes(1));
        down = gone.address;
    }
    const Seed seed(loop_, found().blob);
    const auto plan = join({down, seed.address});
    ASSERT_TRUE(plan.has_value()) << plan.error().message;
    EXPECT_EQ(plan->via, seed.address);
    ASSERT_EQ(notes_.size(), 1U);
    EXPECT_TRUE(contains(notes_[0], down.to_string())) << notes_[0];
}

TEST_F(Joining, TheKeyOfAnotherSwarmIsRefusedAndItsFileNamed) {
    config_.key = "/keys/mine";
    const Seed seed(loop_, found(true).blob, key_of(1));
    const auto plan = join({seed.address}, key_of(2));
    ASSERT_TRUE(plan.has_error());
    EXPECT_EQ(plan.error().code, FaultCode::Refused);
    for (const auto& word : {seed.address.to_string(), std::string("/keys/mine")}) {
        EXPECT_TRUE(contains(plan.error().message, word)) << plan.error().message;
    }
    const auto joined = join({seed.address}, key_of(1));
    EXPECT_TRUE(joined.has_value()) << joined.error().message;
}

TEST_F(Joining, ASeedThatProvesNothingIsNoMemberOfASwarmWithAKey) {
    const Seed liar(loop_, found(true).blob);
    EXPECT_EQ(join({liar.address}, key_of(1)).error().code, FaultCode::Refused);
}

TEST_F(Joining, ADescriptorThatCannotBeReadIsRefused) {
    auto cut = found().blob;
    cut.resize(20);
    const Seed truncated(loop_, cut);
    EXPECT_EQ(join({truncated.address}).error().code, FaultCode::Truncated);
    const auto text = as_byte_view("no descriptor at all");
    const Seed garbage(loop_, Bytes(text.begin(), text.end()));
    EXPECT_EQ(join({garbage.address}).error().code, FaultCode::BadFormat);
    auto newer = found().blob;
    newer[5] = std::byte{9};  // the major version, after a byte of cereal and the magic number
    const Seed other(loop_, newer);
    const auto plan = join({other.address});
    EXPECT_EQ(plan.error().code, FaultCode::BadVersion);
    EXPECT_TRUE(contains(plan.error().message, "same release")) << plan.error().message;
}

TEST_F(Joining, AnInterruptionEndsTheWaitAtOnce) {
    const Seed seed(loop_, found().blob);
    loop_.stop();
    EXPECT_EQ(join({seed.address}).error().code, FaultCode::Cancelled);
}

}  // namespace
}  // namespace starling::peer
