// starling predict: says what a trained model makes of files that nobody has labelled.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fmt/format.h>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <vector>

#include "base/json_text.hpp"
#include "base/printable.hpp"
#include "base/spec.hpp"
#include "data/file_record.hpp"
#include "data/media/draw.hpp"
#include "data/media/image.hpp"
#include "data/sources/agreed_rows.hpp"
#include "peer/commands/commands.hpp"
#include "peer/commands/model_source.hpp"
#include "peer/machine/cores.hpp"
#include "peer/machine/files.hpp"
#include "peer/training/trained_model.hpp"

namespace starling::peer {

namespace {

using nlohmann::json;

constexpr std::size_t kBatch = 32;
/// The largest file that is read whole: a picture or a sound.
constexpr std::size_t kFileMax = data::kEncodedBytesMax;

struct PredictFlags {
    ModelSource source;
    std::vector<std::string> files;
    std::string prompt;
    std::size_t tokens = 200;
    double temperature = 0.8;
    std::uint64_t seed = 1;
    int threads = 0;
    int top = 3;
    double score = 0.3;  ///< boxes below it are not told
    std::filesystem::path draw;
    bool json = false;
};

/// Makes each line of a text harmless for a terminal.
std::string printable_lines(const std::string& text) {
    std::string out;
    std::size_t begin = 0;
    for (;;) {
        const auto end = text.find('\n', begin);
        out += printable(text.substr(begin, end - begin));
        if (end == std::string::npos) return out;
        out += '\n';
        begin = end + 1;
    }
}

std::string name_of(const data::Label& label, std::size_t place) {
    return place < label.names.size() ? label.names[place] : std::to_string(place);
}

/// Says what was answered for one sample: `where` is the file, or file and line.
class Teller {
public:
    Teller(const data::Label& label, const PredictFlags& flags) : label_(label), flags_(flags) {}

    void tell(const std::string& where, std::span<const float> scores) const {
        const auto line =
            flags_.json ? json_text(as_json(where, scores)) : where + ": " + as_text(scores);
        std::puts(printable(line).c_str());
    }

private:
    /// The likeliest classes first; labels that may hold at once and numbers in their order.
    [[nodiscard]] std::vector<std::size_t> order(std::span<const float> scores) const {
        std::vector<std::size_t> places(scores.size());
        std::iota(places.begin(), places.end(), std::size_t{0});
        if (label_.kind != data::LabelKind::Class) return places;
        std::stable_sort(places.begin(), places.end(), [&](std::size_t a, std::size_t b) {
            return scores[a] > scores[b];
        });
        places.resize(std::min(places.size(), static_cast<std::size_t>(flags_.top)));
        return places;
    }

    [[nodiscard]] std::string as_text(std::span<const float> scores) const {
        std::string text;
        for (const auto place : order(scores)) {
            if (!text.empty()) text += ", ";
            text += label_.kind == data::LabelKind::Numbers
                        ? fmt::format("{} {:.6g}", name_of(label_, place), scores[place])
                        : fmt::format("{} {:.3f}", name_of(label_, place), scores[place]);
        }
        return text;
    }

    [[nodiscard]] json as_json(const std::string& where, std::span<const float> scores) const {
        json out{{"sample", where}};
        json found = json::array();
        for (const auto place : order(scores)) {
            const bool number = label_.kind == data::LabelKind::Numbers;
            found.push_back(
                {{number ? "name" : "class", name_of(label_, place)},
                 {number ? "value" : "probability", scores[place]}}
            );
        }
        if (label_.kind == data::LabelKind::Class) out["class"] = found[0]["class"];
        out["answers"] = std::move(found);
        return out;
    }

    const data::Label& label_;
    const PredictFlags& flags_;
};

/// Collects records until a batch is full, and tells the answers in their order.
class Asker {
public:
    Asker(Predictor& predictor, const Teller& teller) : predictor_(predictor), teller_(teller) {}

    Result<void> add(std::string where, Bytes record) {
        names_.push_back(std::move(where));
        records_.push_back(std::move(record));
        if (records_.size() < predictor_.batch()) return {};
        return flush();
    }

    Result<void> flush() {
        if (records_.empty()) return {};
        const auto answers = predictor_.answer(records_);
        if (answers.has_error())
            return fail(answers.error().code, explain(answers.error().message));
        for (std::size_t i = 0; i < names_.size(); ++i) {
            teller_.tell(names_[i], answers->subspan(i * predictor_.scores(), predictor_.scores()));
        }
        names_.clear();
        records_.clear();
        return {};
    }

private:
    /// Samples of a batch are told by number; people know them by the file.
    [[nodiscard]] std::string explain(const std::string& message) const {
        for (std::size_t i = 0; i < names_.size(); ++i) {
            const auto number = "sample " + std::to_string(i + 1) + ": ";
            if (message.starts_with(number)) {
                return names_[i] + ": " + message.substr(number.size());
            }
        }
        return names_.front() + ": " + message;
    }

    Predictor& predictor_;
    const Teller& teller_;
    std::vector<std::string> names_;
    std::vector<Bytes> records_;
};

/// Returns the SPEC of a table's file, by its ending where no kind stands before it.
Result<Spec> table_spec(const std::string& file) {
    for (const char* kind : {"csv:", "jsonl:", "parquet:", "sqlite:"}) {
        if (file.starts_with(kind)) return Spec::parse(file);
    }
    auto name = std::filesystem::path(file);
    if (name.extension() == ".gz") name = name.stem();
    const auto ending = name.extension().string();
    Spec spec;
    spec.path = file;
    spec.name = "csv";
    if (ending == ".jsonl" || ending == ".ndjson" || ending == ".json") spec.name = "jsonl";
    if (ending == ".parquet") spec.name = "parquet";
    if (ending == ".db" || ending == ".sqlite" || ending == ".sqlite3") spec.name = "sqlite";
    return spec;
}

Result<void> ask_rows(const std::string& file, const data::TableRecipe& recipe, Asker& asker) {
    const auto spec = table_spec(file);
    if (spec.has_error()) return spec.error();
    auto rows = data::AgreedRows::open(*spec, recipe);
    if (rows.has_error()) return as_usage(rows.error());
    for (const auto& note : rows->notes()) {
        std::fputs(("starling: " + printable(note) + "\n").c_str(), stderr);
    }
    for (;;) {
        Bytes record;
        const auto more = rows->next(record);
        if (more.has_error()) return more.error();
        if (!*more) return {};
        auto where = file + ": " + std::string(rows->unit()) + " " + std::to_string(rows->line());
        if (auto ok = asker.add(std::move(where), std::move(record)); !ok) return ok;
    }
}

Result<void> ask_file(const std::string& file, const data::Manifest& manifest, Asker& asker) {
    auto bytes = read_file(file, kFileMax);
    if (bytes.has_error()) return missing_is_usage(bytes.error());
    auto record = data::record_of_file(manifest, *bytes);
    if (record.has_error()) {
        return fail(FaultCode::Usage, file + ": " + record.error().message);
    }
    return asker.add(file, std::move(*record));
}

Result<void> predict_text(
    const PredictFlags& flags, const TrainedModel& model, const data::TokenRecipe& recipe
) {
    auto predictor = Predictor::make(model, 1, flags.threads);
    if (predictor.has_error()) return predictor.error();
    const TextDraw draw{flags.tokens, flags.temperature, flags.seed};
    const auto text = continue_text(*predictor, recipe, flags.prompt, draw);
    if (text.has_error()) return text.error();
    if (flags.json) {
        const json line{{"prompt", flags.prompt}, {"text", *text}};
        std::puts(json_text(line).c_str());
    } else {
        std::puts(printable_lines(flags.prompt + *text).c_str());
    }
    return {};
}

json as_json(
    const std::string& file, const data::Label& label, const std::vector<Predictor::Found>& found
) {
    json boxes = json::array();
    for (const auto& one : found) {
        const auto& r = one.region;
        boxes.push_back(
            {{"class", name_of(label, one.label)},
             {"score", one.score},
             {"left", r.left},
             {"top", r.top},
             {"right", r.left + r.width},
             {"bottom", r.top + r.height}}
        );
    }
    return {{"sample", file}, {"boxes", std::move(boxes)}};
}

/// Writes the picture with its boxes as DIR/NAME.png.
Result<void> draw_boxes(
    const std::filesystem::path& directory,
    const std::string& file,
    ByteView bytes,
    const std::vector<Predictor::Found>& found
) {
    data::ImageRequest request;
    request.channels = 3;
    auto picture = data::decode_image(bytes, request);
    if (picture.has_error()) return picture.error();
    for (const auto& one : found) data::draw_edges(*picture, one.region, one.label);
    const auto png = data::encode_png(*picture);
    if (png.has_error()) return png.error();
    if (auto made = make_directories(real_disk(), directory, 0755); !made) return made.error();
    const auto name = std::filesystem::path(file).stem().string() + ".png";
    return write_file_atomically(directory / name, *png, 0644);
}

Result<void> predict_boxes(const PredictFlags& flags, const TrainedModel& model) {
    const auto& manifest = model.descriptor.manifest;
    auto predictor = Predictor::make(model, 1, flags.threads);
    if (predictor.has_error()) return predictor.error();
    for (const auto& file : flags.files) {
        const auto bytes = read_file(file, kFileMax);
        if (bytes.has_error()) return missing_is_usage(bytes.error());
        const auto record = data::record_of_file(manifest, *bytes);
        if (record.has_error()) return fail(FaultCode::Usage, file + ": " + record.error().message);
        auto found = predictor->find(*record);
        if (found.has_error()) return fail(found.error().code, file + ": " + found.error().message);
        std::erase_if(*found, [&](const auto& one) { return one.score < flags.score; });
        const auto& label = manifest.schema.label;
        if (flags.json) {
            const auto line = as_json(file, label, *found);
            std::puts(json_text(line).c_str());
        } else {
            std::puts(printable(file + ": " + std::to_string(found->size()) + " found").c_str());
        }
        for (const auto& one : *found) {
            const auto& r = one.region;
            if (flags.json) break;
            std::puts(printable(fmt::format(
                                    "  {} {:.3f} at {:.0f},{:.0f} to {:.0f},{:.0f}",
                                    name_of(label, one.label),
                                    one.score,
                                    r.left,
                                    r.top,
                                    r.left + r.width,
                                    r.top + r.height
                                ))
                          .c_str());
        }
        if (flags.draw.empty()) continue;
        if (auto drawn = draw_boxes(flags.draw, file, *bytes, *found); !drawn) return drawn;
    }
    return {};
}

Result<void> predict_files(const PredictFlags& flags, const TrainedModel& model) {
    const auto& manifest = model.descriptor.manifest;
    const auto* table = std::get_if<data::TableRecipe>(&manifest.recipe);
    const auto batch = table != nullptr ? kBatch : std::min(kBatch, flags.files.size());
    auto predictor = Predictor::make(model, batch, flags.threads);
    if (predictor.has_error()) return predictor.error();
    const Teller teller(manifest.schema.label, flags);
    Asker asker(*predictor, teller);
    for (const auto& file : flags.files) {
        const auto asked =
            table != nullptr ? ask_rows(file, *table, asker) : ask_file(file, manifest, asker);
        if (asked.has_error()) return asked;
    }
    return asker.flush();
}

Result<void> predict(PredictFlags flags) {
    if (flags.threads <= 0) flags.threads = static_cast<int>(core_count());
    const auto model = load_model(flags.source);
    if (model.has_error()) return model.error();
    const auto& recipe = model->descriptor.manifest.recipe;
    if (const auto* tokens = std::get_if<data::TokenRecipe>(&recipe)) {
        if (!flags.files.empty()) {
            return fail(
                FaultCode::Usage, "the model continues texts: give --prompt TEXT instead of files"
            );
        }
        return predict_text(flags, *model, *tokens);
    }
    if (flags.files.empty()) {
        return fail(FaultCode::Usage, "nothing to look at: name the files behind the flags");
    }
    const auto kind = model->descriptor.manifest.schema.label.kind;
    if (kind == data::LabelKind::Boxes) return predict_boxes(flags, *model);
    return predict_files(flags, *model);
}

int run_predict(const PredictFlags& flags) {
    const auto done = predict(flags);
    return done.has_error() ? report_fault("predict", done.error()) : kExitDone;
}

}  // namespace

void add_predict(CLI::App& app, Command& chosen) {
    auto* command = app.add_subcommand(
        "predict", "What a trained model says of pictures, sounds or rows, or how a text goes on"
    );
    auto flags = std::make_shared<PredictFlags>();
    add_model_source(*command, flags->source);
    command->add_option(
        "FILE",
        flags->files,
        "Pictures or sounds, or tables whose columns are those of the training"
    );
    command->add_option("--prompt", flags->prompt, "How the text begins, for a model of texts");
    command->add_option("--tokens", flags->tokens, "Tokens of the text that is drawn")
        ->check(CLI::Range(1, 100000))
        ->capture_default_str();
    command
        ->add_option(
            "--temperature",
            flags->temperature,
            "0 takes the likeliest token, 1 draws as it is likely"
        )
        ->check(CLI::Range(0.0, 10.0))
        ->capture_default_str();
    command->add_option("--seed", flags->seed, "Seed of the draw")->capture_default_str();
    command->add_option("--top", flags->top, "So many of the likeliest classes")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    command->add_option("--score", flags->score, "Tell boxes from this score on")
        ->check(CLI::Range(0.0, 1.0))
        ->capture_default_str();
    command->add_option(
        "--draw", flags->draw, "Write each picture with its boxes into this folder"
    );
    command->add_option("--threads", flags->threads, "Compute threads (0: all cores)");
    command->add_flag("--json", flags->json, "One JSON object a line");
    command->footer(
        "Samples are prepared as the swarm prepared its own; a table needs no column to learn.\n"
        "Examples:\n  starling predict --state DIR photo.jpg\n"
        "  starling predict --state DIR customers.csv --json\n"
        "  starling predict --state DIR --prompt 'Call me'"
    );
    command->callback([flags, &chosen] { chosen = [flags] { return run_predict(*flags); }; });
}

}  // namespace starling::peer
