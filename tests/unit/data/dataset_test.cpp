// Goal: a SPEC gives a data set, or one line that says what to do. Method: small directories that
// the tests write, the samples of the repository, and the whole of Fashion-MNIST if it is
// installed.

#include "data/dataset.hpp"

#include "tests/unit/data/support/datasets.hpp"

namespace starling::data {
namespace {

using starling::testing::TemporaryDirectory;
using testing::idx_bytes;
using testing::write_file;

class DatasetFiles : public ::testing::Test {
protected:
    DatasetFiles() {
        write("train-images-idx3-ubyte", idx_bytes({3, 2, 2}, "abcdefghijkl"));
        write("train-labels-idx1-ubyte", idx_bytes({3}, std::string("\0\2\1", 3)));
        write("t10k-images-idx3-ubyte", idx_bytes({2, 2, 2}, "ABCDEFGH"));
        write("t10k-labels-idx1-ubyte", idx_bytes({2}, std::string("\1\0", 2)));
    }

    void write(const std::string& name, std::string_view bytes) {
        write_file(directory_.path() / name, bytes);
    }

    void rename(const std::string& from, const std::string& to) {
        std::filesystem::rename(directory_.path() / from, directory_.path() / to);
    }

    [[nodiscard]] std::string spec(const std::string& options = "") const {
        return "idx:" + directory_.path().string() + options;
    }

    void expect_fault(const std::string& text, FaultCode code, const std::string& part) {
        const auto dataset = load_dataset(text);
        ASSERT_FALSE(dataset.has_value());
        EXPECT_EQ(to_string(dataset.error().code), to_string(code)) << dataset.error().message;
        EXPECT_NE(dataset.error().message.find(part), std::string::npos) << dataset.error().message;
        EXPECT_EQ(dataset.error().message.find('\n'), std::string::npos);
    }

    TemporaryDirectory directory_;
};

TEST_F(DatasetFiles, FourFilesMakeADataset) {
    const auto dataset = load_dataset(spec());
    ASSERT_TRUE(dataset.has_value()) << dataset.error().message;
    EXPECT_EQ(dataset->shape, (std::vector<std::uint32_t>{1, 2, 2}));
    EXPECT_EQ(dataset->classes, 3U);
    EXPECT_EQ(dataset->train.labels, (std::vector<std::uint16_t>{0, 2, 1}));
    EXPECT_EQ(dataset->test.count(), 2U);
    EXPECT_EQ(dataset->test.values.front(), 'A');
}

TEST_F(DatasetFiles, OptionsKeepTheFirstSamplesAndTheClasses) {
    const auto dataset = load_dataset(spec("?train=1&test=1"));
    ASSERT_TRUE(dataset.has_value()) << dataset.error().message;
    EXPECT_EQ(dataset->train.count(), 1U);
    EXPECT_EQ(dataset->train.values.size(), 4U);
    EXPECT_EQ(dataset->test.count(), 1U);
    EXPECT_EQ(dataset->classes, 3U);
    EXPECT_EQ(load_dataset(spec("?train=99"))->train.count(), 3U);
}

TEST_F(DatasetFiles, APrefixIsAcceptedWhileItIsUnambiguous) {
    rename("train-images-idx3-ubyte", "mini-train-images-idx3-ubyte");
    EXPECT_TRUE(load_dataset(spec()).has_value());
    write("other-train-images-idx3-ubyte.gz", "");
    expect_fault(spec(), FaultCode::Usage, "keep one");
    rename("mini-train-images-idx3-ubyte", "train-images-idx3-ubyte");
    EXPECT_TRUE(load_dataset(spec()).has_value());
}

TEST_F(DatasetFiles, TwoClassesAreTheLeast) {
    write("train-labels-idx1-ubyte", idx_bytes({3}, std::string(3, '\0')));
    const auto dataset = load_dataset(spec());
    ASSERT_TRUE(dataset.has_value()) << dataset.error().message;
    EXPECT_EQ(dataset->classes, 2U);
}

TEST_F(DatasetFiles, OddLabelsAreSaid) {
    EXPECT_TRUE(load_dataset(spec())->notes.empty());
    write("train-labels-idx1-ubyte", idx_bytes({3}, std::string("\0\xff\1", 3)));
    const auto stray = load_dataset(spec())->notes;
    ASSERT_EQ(stray.size(), 1U);
    EXPECT_NE(stray[0].find("255 (1 times), makes 256 classes"), std::string::npos) << stray[0];
    EXPECT_NE(stray[0].find("no image has 253 of them"), std::string::npos) << stray[0];
    write("train-labels-idx1-ubyte", idx_bytes({3}, std::string(3, '\4')));
    const auto single = load_dataset(spec())->notes;
    ASSERT_EQ(single.size(), 1U);
    EXPECT_NE(single[0].find("every image has the label 4"), std::string::npos) << single[0];
}

TEST_F(DatasetFiles, FilesThatDoNotBelongTogetherAreNamed) {
    write("train-labels-idx1-ubyte", idx_bytes({2}, std::string("\0\2", 2)));
    expect_fault(spec(), FaultCode::BadValue, "train-labels-idx1-ubyte");
    write("train-labels-idx1-ubyte", idx_bytes({3}, std::string("\0\2\1", 3)));
    write("t10k-labels-idx1-ubyte", idx_bytes({2}, std::string("\1\7", 2)));
    expect_fault(spec(), FaultCode::BadValue, "t10k-labels-idx1-ubyte: label 7");
    write("t10k-labels-idx1-ubyte", idx_bytes({2}, std::string("\1\0", 2)));
    write("t10k-images-idx3-ubyte", idx_bytes({2, 1, 2}, "ABCD"));
    expect_fault(spec(), FaultCode::BadValue, "t10k-images-idx3-ubyte");
    write("t10k-images-idx3-ubyte", idx_bytes({2, 2, 2}, "ABC"));
    expect_fault(spec(), FaultCode::Truncated, "t10k-images-idx3-ubyte");
    write("t10k-images-idx3-ubyte", idx_bytes({2}, "AB"));
    expect_fault(spec(), FaultCode::BadFormat, "swapped");
    std::filesystem::remove(directory_.path() / "t10k-images-idx3-ubyte");
    expect_fault(spec(), FaultCode::NotFound, "t10k-images-idx3-ubyte.gz");
}

TEST_F(DatasetFiles, MistakesInTheSpecAreExplained) {
    expect_fault("jpeg:x", FaultCode::Usage, "images:DIR");
    expect_fault("idx", FaultCode::Usage, "write idx:DIRECTORY");
    expect_fault("idx:/nonexistent/folder", FaultCode::NotFound, "/nonexistent/folder");
    expect_fault(spec("?size=3"), FaultCode::Usage, "'size'");
    expect_fault(spec("?train=0"), FaultCode::Usage, "train=0");
    expect_fault(spec("?train=many"), FaultCode::Usage, "train=many");
}

void expect_fashion(const std::string& folder, std::size_t train, std::size_t test) {
    const auto dataset = load_dataset("idx:" + folder);
    ASSERT_TRUE(dataset.has_value()) << dataset.error().message;
    EXPECT_EQ(dataset->shape, (std::vector<std::uint32_t>{1, 28, 28}));
    EXPECT_EQ(dataset->classes, 10U);
    ASSERT_EQ(dataset->train.count(), train);
    ASSERT_EQ(dataset->test.count(), test);
    EXPECT_EQ(dataset->train.values.size(), train * 784);
    for (const auto* samples : {&dataset->train, &dataset->test}) {
        std::array<std::size_t, 10> counts{};
        for (const auto label : samples->labels) ++counts.at(label);
        for (const auto count : counts) EXPECT_EQ(count, samples->count() / 10);
    }
    const auto sharded = shard_dataset(*dataset, 1000, testing::test_hash);
    // Well-known figures of Fashion-MNIST: mean 0.286, deviation 0.353.
    const auto scale = std::get<ImageRecipe>(sharded.manifest.recipe).scales[0];
    EXPECT_NEAR(scale.mean, 0.286, 0.01);
    EXPECT_NEAR(scale.stddev, 0.353, 0.01);
}

TEST(RealData, TheRepositorysFashionMiniIsBalanced) {
    expect_fashion(STARLING_SAMPLES, 1500, 300);
}

TEST(RealData, TheWholeOfFashionMnistIsRead) {
    const std::string folder = "/usr/share/datasets/fashion-mnist";
    if (!std::filesystem::exists(folder)) {
        GTEST_SKIP() << "Debian's package dataset-fashion-mnist is not installed";
    }
    expect_fashion(folder, 60000, 10000);
}

}  // namespace
}  // namespace starling::data
