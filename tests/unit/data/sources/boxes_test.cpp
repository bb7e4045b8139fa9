// Goal: boxes arrive with their picture, in its pixels, and what cannot be a box is left out and
// counted. Method: small trees written by the test, whose pictures have 26 x 17 pixels; the shared
// set of blood cells, whose boxes Python's xml.etree has counted and summed; mutated files.

#include <cmath>
#include <gtest/gtest.h>
#include <map>

#include "data/formats/json_arrays.hpp"
#include "data/formats/voc.hpp"
#include "data/formats/yolo.hpp"
#include "tests/unit/data/support/shared_data.hpp"
#include "tests/unit/data/support/sources.hpp"

namespace starling::data {
namespace {

using testing::open;
using testing::refusal;
using testing::shared_data;

std::vector<LabelledBox> boxes_of(const Source& source, Split split, std::uint64_t sample) {
    return read_label(source.schema().label, source.labels(split).at(sample))->boxes;
}

std::map<std::string, std::uint64_t> boxes_by_class(const Source& source, Split split) {
    std::map<std::string, std::uint64_t> counts;
    for (std::uint64_t i = 0; i < source.count(split); ++i) {
        for (const auto& box : boxes_of(source, split, i)) {
            ++counts[source.schema().label.names[box.label]];
        }
    }
    return counts;
}

bool has_note(const Source& source, const std::string& text) {
    for (const auto& line : source.notes().lines) {
        if (line.find(text) != std::string::npos) return true;
    }
    return false;
}

std::string voc_object(
    const std::string& name, const std::string& corners, bool difficult = false
) {
    constexpr const char* kSides[] = {"xmin", "ymin", "xmax", "ymax"};
    std::string text = "<object><name>" + name + "</name><difficult>" + (difficult ? "1" : "0") +
                       "</difficult><bndbox>";
    std::size_t at = 0;
    for (const auto* side : kSides) {
        const auto end = std::min(corners.find(' ', at), corners.size());
        text += std::string("<") + side + ">" + corners.substr(at, end - at) + "</" + side + ">";
        at = end + 1;
    }
    return text + "</bndbox></object>";
}

class VocFiles : public testing::SourceFiles {
protected:
    void put_picture(const std::string& name, const std::string& objects) const {
        put_golden("v/JPEGImages/" + name + ".jpg", "full.jpg");
        put("v/Annotations/" + name + ".xml", "<annotation>" + objects + "</annotation>");
    }

    [[nodiscard]] std::string spec() const { return "voc:" + path("v"); }
};

TEST_F(VocFiles, BoxesHaveTheEdgesOfTheirPixels) {
    put_picture("a", voc_object("dog", "1 1 26 17") + voc_object("cat", "3 4 10 12.5"));
    put_picture("b", "");
    const auto source = open(spec() + "?test=0");
    ASSERT_NE(source, nullptr);
    EXPECT_EQ(source->schema().label.kind, LabelKind::Boxes);
    EXPECT_EQ(source->schema().label.names, (std::vector<std::string>{"cat", "dog"}));
    ASSERT_EQ(source->count(Split::Train), 2U) << "a picture without objects is a sample, too";
    const std::vector<LabelledBox> wanted{
        {1, 0.0F, 0.0F, 26.0F, 17.0F}, {0, 2.0F, 3.0F, 10.0F, 12.5F}};
    EXPECT_EQ(boxes_of(*source, Split::Train, 0), wanted);
    EXPECT_TRUE(boxes_of(*source, Split::Train, 1).empty());
    Bytes record;
    ASSERT_TRUE(source->read(Split::Train, 0, record).has_value());
    EXPECT_EQ(record, testing::golden("media/full.jpg")) << "the file's own bytes";
}

TEST_F(VocFiles, BoxesThatAreNoneAreLeftOutAndCounted) {
    put_picture(
        "a",
        voc_object("dog", "5 5 5 9") + voc_object("dog", "5 9 8 9") +
            voc_object("dog", "-3 2 40 9") + voc_object("dog", "30 2 40 9") +
            voc_object("cow", "2 2 9 9", true)
    );
    const auto source = open(spec() + "?test=0");
    ASSERT_NE(source, nullptr);
    const std::vector<LabelledBox> wanted{{0, 0.0F, 1.0F, 26.0F, 9.0F}};
    EXPECT_EQ(boxes_of(*source, Split::Train, 0), wanted);
    EXPECT_EQ(source->notes().skipped, 0U);
    EXPECT_TRUE(has_note(*source, "2 boxes have no area")) << "one is flat, one is a line";
    EXPECT_TRUE(has_note(*source, "1 boxes lie outside"));
    EXPECT_TRUE(has_note(*source, "1 boxes reach out"));
    EXPECT_TRUE(has_note(*source, "1 difficult"));
    EXPECT_EQ(source->schema().label.count, 1U) << "a class of difficult objects alone is none";
}

TEST_F(VocFiles, ListsAreTheSplits) {
    for (const auto* name : {"a", "b", "c", "d", "e"}) {
        put_picture(name, voc_object("dog", "1 1 9 9"));
    }
    put("v/ImageSets/Main/train.txt", "a\nb\r\n");
    put("v/ImageSets/Main/val.txt", "c  1\nb\n");
    put("v/ImageSets/Main/trainval.txt", "a\nb\nc\ne\n");
    put("v/ImageSets/Main/dog_train.txt", "e 1\n");
    const auto two = open(spec());
    ASSERT_NE(two, nullptr);
    EXPECT_EQ(two->count(Split::Train), 2U);
    EXPECT_EQ(two->count(Split::Test), 1U) << "without a test part, models are judged by val";
    EXPECT_TRUE(has_note(*two, "1 pictures stand in several lists"));
    put("v/ImageSets/Main/test.txt", "d\n");
    const auto three = open(spec());
    EXPECT_EQ(three->count(Split::Valid), 1U);
    EXPECT_EQ(three->count(Split::Test), 1U);
    std::filesystem::remove(folder_.path() / "v/ImageSets/Main/train.txt");
    std::filesystem::remove(folder_.path() / "v/ImageSets/Main/val.txt");
    EXPECT_EQ(open(spec())->count(Split::Train), 4U) << "trainval alone";
}

TEST_F(VocFiles, FilesMayLieWhereOtherToolsPutThem) {
    const auto xml = [](const std::string& name) {
        return "<annotation>" + voc_object(name, "1 1 9 9") + "</annotation>";
    };
    // labelImg: beside the pictures.
    put_golden("beside/a.jpg", "full.jpg");
    put("beside/a.xml", xml("dog"));
    put_golden("beside/b.JPG", "full.jpg");
    put("beside/b.xml", xml("cat"));
    const auto beside = open("voc:" + path("beside") + "?test=0");
    ASSERT_NE(beside, nullptr);
    EXPECT_EQ(beside->count(Split::Train), 2U);
    // Roboflow: the same in folders that say the split.
    for (const auto* name : {"train/a", "train/b", "valid/a", "test/a"}) {
        put_golden(std::string("robo/") + name + ".jpg", "full.jpg");
        put(std::string("robo/") + name + ".xml", xml("dog"));
    }
    const auto robo = open("voc:" + path("robo"));
    ASSERT_NE(robo, nullptr);
    EXPECT_EQ(robo->count(Split::Train), 2U);
    EXPECT_EQ(robo->count(Split::Valid), 1U);
    EXPECT_EQ(robo->count(Split::Test), 1U);
    // Many others: folders of their own names.
    put_golden("other/images/a.png", "grey8.png");
    put("other/annotations/a.xml", xml("dog"));
    const auto other = open("voc:" + path("other") + "?test=0");
    ASSERT_NE(other, nullptr);
    EXPECT_EQ(other->count(Split::Train), 1U);
}

TEST_F(VocFiles, PicturesThatCannotBeUsedAreSkippedAndCounted) {
    std::string list;
    for (int i = 0; i < 300; ++i) {
        put_picture(std::to_string(i), voc_object("dog", "1 1 9 9"));
        list += std::to_string(i) + "\n";
    }
    put("v/Annotations/gone.xml", "<annotation/>");
    put_picture("broken", "<object><name>dog</name></object>");
    put("v/ImageSets/Main/train.txt", list + "gone\nbroken\n");
    const auto source = open(spec());
    ASSERT_NE(source, nullptr);
    EXPECT_EQ(source->count(Split::Train), 300U);
    EXPECT_EQ(source->notes().skipped, 2U);
    EXPECT_NE(source->notes().first[1].what.find("object 1: it has no bndbox"), std::string::npos);
    put("v/ImageSets/Main/train.txt", list + "gone\nbroken\nx\ny\n");
    EXPECT_EQ(refusal(spec()).code, FaultCode::BadValue) << "more than 1 %";
}

TEST_F(VocFiles, WhatIsNoTreeOfVocIsRefusedInOneLine) {
    EXPECT_EQ(refusal(spec()).code, FaultCode::NotFound);
    put_golden("v/cat/1.png", "grey8.png");
    EXPECT_NE(refusal(spec()).message.find(".xml"), std::string::npos);
    put_picture("a", "");
    EXPECT_NE(
        refusal(spec() + "?test=0").message.find("no picture in it has a box"), std::string::npos
    );
    EXPECT_EQ(refusal(spec() + "?turn=1").code, FaultCode::Usage);
    put_picture("a", voc_object("dog", "1 1 nan 9"));
    const auto strict = open_source(*Spec::parse(spec()), {true});
    ASSERT_TRUE(strict.has_error());
    EXPECT_NE(strict.error().message.find("xmax is 'nan'"), std::string::npos);
}

TEST(VocAnnotations, MutatedOnesAreReadOrRefused) {
    const std::string sound = "<?xml version='1.0'?><!DOCTYPE a [<!ENTITY e 'x'>]><annotation>" +
                              voc_object("dog&amp;cat", "1 2 3 4") + voc_object("x", "5 6 7 8") +
                              "</annotation>";
    ASSERT_TRUE(parse_voc(as_byte_view(sound)).has_value());
    EXPECT_EQ((*parse_voc(as_byte_view(sound)))[0].name, "dog&cat");
    Rng rng(1);
    std::size_t read = 0;
    for (int round = 0; round < 20000; ++round) {
        auto mutant = sound;
        for (std::uint64_t k = rng.below(4) + 1; k > 0; --k) {
            mutant[rng.below(mutant.size())] = static_cast<char>(rng.below(256));
        }
        mutant.resize(rng.chance(0.2) ? rng.below(mutant.size() + 1) : mutant.size());
        const auto objects = parse_voc(as_byte_view(mutant));
        if (!objects) continue;
        ++read;
        for (const auto& object : *objects) {
            for (const double side : {object.left, object.top, object.right, object.bottom}) {
                ASSERT_TRUE(std::isfinite(side));
            }
        }
    }
    EXPECT_GT(read, 100U);
    EXPECT_EQ(parse_voc(Bytes(kVocBytesMax + 1)).error().code, FaultCode::Oversized);
    std::string deep;
    for (int i = 0; i < 100000; ++i) deep += "<a>";
    EXPECT_TRUE(parse_voc(as_byte_view(deep)).has_error());
}

class CocoFiles : public testing::SourceFiles {
protected:
    CocoFiles() {
        for (const auto* name : {"a", "b", "c"}) {
            put_golden("c/pictures/" + std::string(name) + ".jpg", "full.jpg");
        }
    }

    /// Writes annotations with these objects in between.
    void put_json(const std::string& annotations, const std::string& images = kImages) const {
        put("c/boxes.json",
            R"({"info": {"year": 2017, "odd": "]}\"["}, "annotations": [)" + annotations +
                R"(], "images": [)" + images +
                R"(], "categories": [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}]})");
    }

    [[nodiscard]] std::string spec() const {
        return "coco:" + path("c/boxes.json") + "?test=0&images=" + path("c/pictures");
    }

    static constexpr const char* kImages =
        R"({"id": 10, "file_name": "a.jpg"}, {"id": 30, "file_name": "b.jpg"})";
};

TEST_F(CocoFiles, BoxesFindTheirPictureAndTheirClass) {
    put_json(R"({"image_id": 30, "category_id": 7, "bbox": [1, 2.5, 10, 4], "iscrowd": 0,
                 "segmentation": [[1, 2, 3, 4, 5, 6, 7, 8, 9]]},
                {"image_id": 10, "category_id": 3, "bbox": [0, 0, 26, 17], "iscrowd": 0},
                {"image_id": 30, "category_id": 3, "bbox": [2, 2, 4, 4], "iscrowd": 1},
                {"image_id": 30, "category_id": 3, "bbox": [2, 2, 0, 4]},
                {"image_id": 99, "category_id": 3, "bbox": [2, 2, 4, 4]},
                {"image_id": 30, "category_id": 3, "bbox": [20, 10, 26, 17]})");
    const auto source = open(spec());
    ASSERT_NE(source, nullptr);
    EXPECT_EQ(source->schema().label.names, (std::vector<std::string>{"cat", "dog"}))
        << "in the order of their ids";
    ASSERT_EQ(source->count(Split::Train), 2U);
    EXPECT_EQ(
        boxes_of(*source, Split::Train, 0),
        (std::vector<LabelledBox>{{0, 0.0F, 0.0F, 26.0F, 17.0F}})
    );
    EXPECT_EQ(
        boxes_of(*source, Split::Train, 1),
        (std::vector<LabelledBox>{{1, 1.0F, 2.5F, 11.0F, 6.5F}, {0, 20.0F, 10.0F, 26.0F, 17.0F}})
    );
    EXPECT_TRUE(has_note(*source, "1 boxes around crowds"));
    EXPECT_TRUE(has_note(*source, "1 boxes have no area"));
    EXPECT_TRUE(has_note(*source, "1 boxes reach out"));
    EXPECT_TRUE(has_note(*source, "1 boxes are of images that it does not list"));
}

TEST_F(CocoFiles, WhatDoesNotFitIsRefusedInOneLine) {
    put_json(R"({"image_id": 10, "category_id": 4, "bbox": [1, 1, 2, 2]})");
    EXPECT_NE(refusal(spec()).message.find("category_id 4"), std::string::npos);
    put_json(R"({"image_id": 10, "category_id": 3, "bbox": [1, 1, 2, 2]}, {"image_id": 10})");
    EXPECT_NE(refusal(spec()).message.find("annotations[1]"), std::string::npos);
    put_json(R"({"image_id": 10, "category_id": 3, "bbox": [1, 1, 2, 2], })");
    EXPECT_EQ(refusal(spec()).code, FaultCode::BadFormat);
    put_json("", "");
    EXPECT_EQ(refusal(spec()).code, FaultCode::Usage);
    put("c/boxes.json", "[1, 2]");
    EXPECT_NE(refusal(spec()).message.find("no JSON object"), std::string::npos);
    put("c/boxes.json", R"({"images": [{"id": 1)");
    EXPECT_EQ(refusal(spec()).code, FaultCode::Truncated);
    put_json(
        R"({"image_id": 1, "category_id": 3, "bbox": [1, 1, 2, 2]})",
        R"({"id": 1, "file_name": "../pictures/a.jpg"})"
    );
    EXPECT_NE(refusal(spec()).message.find("leads out"), std::string::npos);
}

TEST(JsonArrays, GivesTheObjectsOfArraysWhereverThePiecesEnd) {
    const std::string element = R"({"a": "]}\\\"{", "b": [[1], {"c": {}}]})";
    std::string text = R"({"skip": [[{"x": 1}]], "one": [)";
    for (int i = 0; i < 60000; ++i) text += (i == 0 ? "" : " ,") + element;
    text += R"(], "none": [], "number": 3, "text": "x", "two": [1, {}, "{"]} )";
    MemoryStream stream(text);
    std::map<std::string, std::size_t> counts;
    const auto done = each_array_object(
        stream,
        [&](std::string_view key, std::string_view found) -> Result<void> {
            EXPECT_EQ(found, key == "one" ? std::string_view(element) : std::string_view("{}"));
            ++counts[std::string(key)];
            return {};
        }
    );
    ASSERT_TRUE(done.has_value()) << done.error().message;
    EXPECT_EQ(counts, (std::map<std::string, std::size_t>{{"one", 60000}, {"two", 1}}));
}

TEST(JsonArrays, MutatedTextsEndOrAreRefused) {
    const std::string sound = R"({"a": [{"b": "x\"}"}, {}], "c": {"d": [{"e": 1}]}})";
    Rng rng(3);
    std::size_t read = 0;
    for (int round = 0; round < 20000; ++round) {
        auto mutant = sound;
        constexpr std::string_view kMarks = "{}[]\",:\\ x";
        for (std::uint64_t k = rng.below(4) + 1; k > 0; --k) {
            mutant[rng.below(mutant.size())] = kMarks[rng.below(kMarks.size())];
        }
        mutant.resize(rng.chance(0.2) ? rng.below(mutant.size() + 1) : mutant.size());
        MemoryStream stream(mutant);
        const auto done = each_array_object(
            stream,
            [](std::string_view, std::string_view element) -> Result<void> {
                EXPECT_TRUE(element.starts_with('{') && element.ends_with('}'));
                return {};
            }
        );
        read += done.has_value() ? 1U : 0U;
    }
    EXPECT_GT(read, 100U);
    const std::string deep = "{\"a\":" + std::string(100, '[');
    MemoryStream stream(deep);
    const auto refused = each_array_object(stream, [](std::string_view, std::string_view) {
        return Result<void>();
    });
    EXPECT_TRUE(refused.has_error());
}

class YoloFiles : public testing::SourceFiles {
protected:
    void put_picture(const std::string& folder, const std::string& name, const std::string& boxes)
        const {
        put_golden("y/images/" + folder + name + ".jpg", "full.jpg");
        put("y/labels/" + folder + name + ".txt", boxes);
    }

    [[nodiscard]] std::string spec() const { return "yolo:" + path("y"); }
};

TEST_F(YoloFiles, SharesBecomePixels) {
    put_picture("train2017/", "a", "1 0.5 0.5 0.5 1\n0 0.25 0.5 0.5 0.5 0.99\r\n");
    put_picture("train2017/", "b", "");
    put_golden("y/images/train2017/c.jpg", "full.jpg");
    put_picture("val2017/", "d", "0 0.9 0.9 0.4 0.4\n0 2 2 0.1 0.1\n1 0.5 0.5 0 0.1\n");
    put("y/data.yaml", "path: y\nnc: 2\nnames: ['cat', \"dog\"]  # two\n");
    const auto source = open(spec());
    ASSERT_NE(source, nullptr);
    EXPECT_EQ(source->schema().label.names, (std::vector<std::string>{"cat", "dog"}));
    ASSERT_EQ(source->count(Split::Train), 3U);
    ASSERT_EQ(source->count(Split::Test), 1U);
    EXPECT_EQ(
        boxes_of(*source, Split::Train, 0),
        (std::vector<LabelledBox>{{1, 6.5F, 0.0F, 19.5F, 17.0F}, {0, 0.0F, 4.25F, 13.0F, 12.75F}})
    );
    EXPECT_TRUE(boxes_of(*source, Split::Train, 1).empty());
    const auto clipped = boxes_of(*source, Split::Test, 0);
    ASSERT_EQ(clipped.size(), 1U);
    EXPECT_FLOAT_EQ(clipped[0].left, 18.2F);
    EXPECT_EQ(clipped[0].right, 26.0F);
    EXPECT_TRUE(has_note(*source, "1 boxes reach out"));
    EXPECT_TRUE(has_note(*source, "1 boxes lie outside"));
    EXPECT_TRUE(has_note(*source, "1 boxes have no area"));
    EXPECT_TRUE(has_note(*source, "1 pictures have no file with boxes"));
}

TEST_F(YoloFiles, AClassWithoutANameIsRefusedAndABadLineCostsItsPicture) {
    put_picture("", "a", "2 0.5 0.5 0.5 1\n");
    put("y/classes.txt", "cat\ndog\n");
    const auto unknown = refusal(spec() + "?test=0");
    EXPECT_EQ(unknown.code, FaultCode::BadValue);
    EXPECT_NE(unknown.message.find("labels/a.txt: class 2"), std::string::npos);
    put_picture("", "a", "1 0.5 0.5 0.5 1\n");
    put_picture("", "b", "1 0.1 0.1 0.2 0.2 0.3 0.3 0.4 0.4\n");
    const auto outline = refusal(spec() + "?test=0");
    EXPECT_NE(outline.message.find("labels/b.txt: line 1: 8 or more numbers"), std::string::npos);
    std::filesystem::remove(folder_.path() / "y/images/b.jpg");
    std::filesystem::remove(folder_.path() / "y/classes.txt");
    const auto source = open(spec() + "?test=0");
    ASSERT_NE(source, nullptr);
    EXPECT_EQ(source->schema().label.names, (std::vector<std::string>{"0", "1"}));
}

TEST(YoloTexts, NamesAreReadInTheFormsThatPeopleWrite) {
    const std::vector<std::string> wanted{"cat", "big dog", "cow"};
    for (const auto* text :
         {"names: [cat, 'big dog', \"cow\"]\n",
          "nc: 3\nnames: {0: cat, 1: big dog, 2: cow}\n",
          "names:\n- cat\n- 'big dog' # a remark\n- cow\nnc: 3\n",
          "names:\r\n  0: cat\r\n  1: big dog\r\n  # none\r\n  2: cow\r\nval: x\r\n",
          "names: [\n  cat,\n  'big dog',\n  cow\n]\n"}) {
        const auto names = parse_yolo_names(text);
        ASSERT_TRUE(names.has_value()) << text;
        EXPECT_EQ(*names, wanted) << text;
    }
    EXPECT_TRUE(parse_yolo_names("names:\n  1: cat\n").has_error());
    EXPECT_TRUE(parse_yolo_names("train: x\n")->empty());
}

TEST(YoloTexts, MutatedOnesAreReadOrRefused) {
    const std::string boxes = "1 0.5 0.5 0.5 1\n12 0.25 0.5 0.5 0.5 0.99\r\n\n";
    const std::string names = "names: {0: cat, 1: 'big dog'}\nnames:\n- x\n  1: y\n";
    ASSERT_EQ(parse_yolo(boxes)->size(), 2U);
    Rng rng(5);
    std::size_t read = 0;
    for (int round = 0; round < 20000; ++round) {
        auto mutant = round % 2 == 0 ? boxes : names;
        for (std::uint64_t k = rng.below(3) + 1; k > 0; --k) {
            mutant[rng.below(mutant.size())] = static_cast<char>(rng.below(256));
        }
        mutant.resize(rng.below(mutant.size() + 1));
        (void)parse_yolo_names(mutant);
        const auto found = parse_yolo(mutant);
        if (!found) continue;
        ++read;
        for (const auto& box : *found) {
            ASSERT_TRUE(std::isfinite(box.x + box.y + box.width + box.height));
            ASSERT_LT(box.label, 65536U);
        }
    }
    EXPECT_GT(read, 100U);
}

TEST(SharedSets, BloodCells) {
    const auto file = shared_data("bccd") / "bccd_trainval.tar.gz";
    STARLING_NEEDS_SHARED(file);
    const auto source = open("voc:" + file.string());
    ASSERT_NE(source, nullptr);
    EXPECT_EQ(source->count(Split::Train), 205U);
    EXPECT_EQ(source->count(Split::Test), 87U);
    // The set's README counts the two boxes without area, too: one RBC in each part.
    using Counts = std::map<std::string, std::uint64_t>;
    EXPECT_EQ(
        boxes_by_class(*source, Split::Train),
        (Counts{{"Platelets", 209}, {"RBC", 2381}, {"WBC", 214}})
    );
    EXPECT_EQ(
        boxes_by_class(*source, Split::Test), (Counts{{"Platelets", 83}, {"RBC", 967}, {"WBC", 87}})
    );
    EXPECT_TRUE(has_note(*source, "2 boxes have no area"));
    double sums[4] = {};
    for (std::uint64_t i = 0; i < 205; ++i) {
        for (const auto& box : boxes_of(*source, Split::Train, i)) {
            sums[0] += static_cast<double>(box.left);
            sums[1] += static_cast<double>(box.top);
            sums[2] += static_cast<double>(box.right);
            sums[3] += static_cast<double>(box.bottom);
        }
    }
    EXPECT_EQ(sums[0], 747474.0);
    EXPECT_EQ(sums[1], 525564.0);
    EXPECT_EQ(sums[2], 1049444.0);
    EXPECT_EQ(sums[3], 812586.0);
    const testing::Prepared prepared(*source, Split::Test);
    EXPECT_EQ(prepared.values.size(), 87U);
}

}  // namespace
}  // namespace starling::data
