// audio:DIR or audio:TAR: sounds in folders that are named by class, or with the class in their name.

#include "data/media/audio.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "data/reading.hpp"
#include "data/sound_features.hpp"
#include "data/sources/class_tree.hpp"
#include "data/sources/sources.hpp"

namespace starling::data {

namespace {

/// Mean and deviation are those of so many training clips, spread over all.
constexpr std::uint64_t kLearnedFrom = 1000;
constexpr std::int64_t kRateMax = 192000;

struct AudioOptions {
    std::int64_t rate = 0;  ///< 0: that of most files
    double seconds = 0.0;   ///< 0: chosen by the clips
    std::int64_t mels = 40;
    double window = 25.0;  ///< milliseconds
    double hop = 10.0;
    bool waveform = false;
    bool centred = true;
};

/// Reads `25ms`, or 25, which are milliseconds, too.
Result<double> read_milliseconds(const Spec& spec, const char* key, double fallback) {
    Spec bare = spec;
    auto& text = bare.options[key];
    if (text.ends_with("ms")) text.resize(text.size() - 2);
    if (text.empty()) {
        if (spec.text(key, "").empty()) return fallback;
        text = "ms";  // without a number in front
    }
    return bare.real(key, fallback, 1.0, 1000.0);
}

Result<AudioOptions> read_options(const Spec& spec) {
    if (auto known =
            spec.only("rate,seconds,features,mels,window,hop,centre,split,test,valid,label,names");
        !known) {
        return known.error();
    }
    AudioOptions options;
    const auto rate = spec.integer("rate", 0, 1000, kRateMax);
    if (!rate) return rate.error();
    const auto seconds = spec.real("seconds", 0.0, 0.01, 60.0);
    if (!seconds) return seconds.error();
    const auto mels = spec.integer("mels", 40, 1, 512);
    if (!mels) return mels.error();
    const auto features = spec.text("features", "logmel");
    if (features != "logmel" && features != "waveform") {
        return fail(
            FaultCode::Usage,
            "'" + spec.to_string() + "': features=" + features +
                " is not allowed; give logmel or waveform"
        );
    }
    const auto window = read_milliseconds(spec, "window", options.window);
    if (!window) return window.error();
    const auto hop = read_milliseconds(spec, "hop", options.hop);
    if (!hop) return hop.error();
    const auto centre = spec.integer("centre", 1, 0, 1);
    if (!centre) return centre.error();
    options.window = *window;
    options.hop = *hop;
    options.centred = *centre == 1;
    options.rate = *rate;
    options.seconds = *seconds;
    options.mels = *mels;
    options.waveform = features == "waveform";
    return options;
}

class AudioSource final : public Source {
public:
    Result<void> scan(const Spec& spec, const ScanOptions& scan) {
        const auto options = read_options(spec);
        if (!options) return options.error();
        auto tree = tree_options(spec);
        if (!tree) return tree.error();
        tree->extensions = {".wav", ".flac", ".ogg", ".mp3"};
        name_ = spec.to_string();
        auto listed = list_class_tree(*tree);
        if (!listed) return listed.error();
        fields_ = FileFields(tree->names);
        records_ = std::move(listed->records);
        notes_ = std::move(listed->notes);
        schema_.label = listed->label();
        for (auto& list : labels_) list = LabelList(schema_.label);
        if (auto ok = look_at(listed->files); !ok) return ok;
        const auto good = count(Split::Train) + count(Split::Test) + count(Split::Valid);
        if (auto ok = check_skipped(name_, notes_, good, scan.strict); !ok) return ok.error();
        if (count(Split::Train) == 0) return {};  // open_source says so
        if (auto ok = describe(*options); !ok) return ok.error();
        return learn_scale();
    }

    [[nodiscard]] Result<void> read(Split split, std::uint64_t sample, Bytes& out) const override {
        return records_.read(places_[static_cast<std::size_t>(split)][sample], out);
    }

    [[nodiscard]] std::optional<FileExtent> file_extent(Split split, std::uint64_t sample)
        const override {
        return records_.file_extent(places_[static_cast<std::size_t>(split)][sample]);
    }

    [[nodiscard]] Result<Groups> groups(const std::string& field) const override {
        return field == "label" ? classes_as_groups() : fields_.groups(name_, field, {"label"});
    }

private:
    Result<void> look_at(const std::vector<TreeFile>& files) {
        Bytes bytes;
        std::size_t done = 0;
        for (const auto& file : files) {
            if (auto ok = Reading::seen(++done, files.size(), "sounds"); !ok) return ok;
            bytes.clear();
            const auto where = name_ + ": " + std::string(file.name);
            if (auto ok = records_.read(file.place, bytes); !ok) {
                notes_.skip(where, ok.error().message);
                continue;
            }
            const auto facts = probe_audio(bytes);
            if (!facts || facts->frames == 0 || facts->rate == 0) {
                notes_.skip(where, facts ? "no sound in it" : facts.error().message);
                continue;
            }
            ++rates_[facts->rate];
            lengths_.push_back(
                static_cast<double>(facts->frames) / static_cast<double>(facts->rate)
            );
            LabelValue label;
            label.classes = {file.label};
            labels_[static_cast<std::size_t>(file.split)].add(schema_.label, label);
            places_[static_cast<std::size_t>(file.split)].push_back(file.place);
            if (file.split == Split::Train) fields_.add(file.name);
        }
        return {};
    }

    /// Returns the rate of most files, but no more than speech needs.
    [[nodiscard]] std::uint32_t usual_rate() const {
        constexpr std::uint32_t kSpeech = 16000;
        const auto most =
            std::max_element(rates_.begin(), rates_.end(), [](const auto& a, const auto& b) {
                return a.second < b.second;
            });
        return std::clamp<std::uint32_t>(most->first, 1000, kSpeech);
    }

    /// Returns how long clips are made: nine in ten are not cut, and at most ten seconds.
    [[nodiscard]] double usual_seconds() {
        const auto at = lengths_.begin() + static_cast<std::ptrdiff_t>(lengths_.size() * 9 / 10);
        std::nth_element(lengths_.begin(), at, lengths_.end());
        return std::clamp(std::ceil(*at * 20.0) / 20.0, 0.05, 10.0);
    }

    Result<void> describe(const AudioOptions& options) {
        AudioRecipe recipe;
        recipe.rate = options.rate > 0 ? static_cast<std::uint32_t>(options.rate) : usual_rate();
        const double seconds = options.seconds > 0.0 ? options.seconds : usual_seconds();
        recipe.samples = static_cast<std::uint32_t>(seconds * recipe.rate);
        recipe.features = options.waveform ? AudioFeatures::Waveform : AudioFeatures::LogMel;
        recipe.mels = static_cast<std::uint32_t>(options.mels);
        recipe.centred = options.centred && !options.waveform;
        const auto samples = [&](double milliseconds) {
            return static_cast<std::uint32_t>(milliseconds * recipe.rate / 1000.0);
        };
        recipe.window = std::max<std::uint32_t>(16, samples(options.window));
        recipe.hop = std::max<std::uint32_t>(1, samples(options.hop));
        recipe.window = std::min(recipe.window, recipe.samples);
        recipe.hop = std::min(recipe.hop, recipe.window);
        Input input;
        input.name = "sound";
        input.meaning = Meaning::Audio;
        input.storage = Storage::Encoded;
        input.element = Element::I16;
        const double longest = *std::max_element(lengths_.begin(), lengths_.end());
        const auto frames = std::ceil(longest * recipe.rate);
        input.shape = {{static_cast<std::uint32_t>(std::clamp(frames, 1.0, 4194304.0)), true}};
        schema_.inputs = {std::move(input)};
        recipe_ = recipe;
        lengths_ = {};
        return check_recipe(recipe_, schema_);
    }

    /// Learns mean and deviation of the features from training clips.
    Result<void> learn_scale() {
        auto& recipe = std::get<AudioRecipe>(recipe_);
        auto features = SoundFeatures::make(recipe);
        if (!features) {
            return fail(
                FaultCode::Usage, name_ + ": " + features.error().message + "; give fewer mels="
            );
        }
        std::size_t size = 1;
        for (const auto side : fed_shape(recipe_, schema_)) size *= side;
        std::vector<float> values(size);
        const auto all = count(Split::Train);
        const auto looks = std::min(all, kLearnedFrom);
        double sum = 0.0;
        double squares = 0.0;
        double n = 0.0;
        Bytes bytes;
        for (std::uint64_t i = 0; i < looks; ++i) {
            bytes.clear();
            if (auto ok = read(Split::Train, i * all / looks, bytes); !ok) return ok.error();
            auto clip = decode_audio(bytes, {recipe.rate, recipe.samples});
            if (!clip) continue;  // training meets it, counts it and goes on
            const auto own = features->compute(*clip, 0, values);
            for (const double value : values) {
                sum += value;
                squares += value * value;
            }
            // Without their means, frames behind the sound are 0 and say nothing of a deviation.
            n += recipe.centred ? static_cast<double>(own.count) * recipe.mels
                                : static_cast<double>(values.size());
        }
        if (n == 0.0) {
            return fail(FaultCode::BadValue, name_ + ": no training sound can be decoded");
        }
        const double mean = sum / n;
        const double deviation = std::sqrt(std::max(0.0, squares / n - mean * mean));
        // Of centred bands the mean is 0 but for rounding, and silence stays exactly 0.
        recipe.scale.mean = recipe.centred ? 0.0F : static_cast<float>(mean);
        recipe.scale.stddev = deviation > 1e-6 ? static_cast<float>(deviation) : 1.0F;
        return {};
    }

    FileFields fields_;
    RecordFiles records_;
    std::array<std::vector<RecordPlace>, kSplits> places_;
    std::map<std::uint32_t, std::uint64_t> rates_;
    std::vector<double> lengths_;  ///< seconds
};

}  // namespace

Result<SourcePointer> open_audio(const Spec& spec, const ScanOptions& options) {
    return scanned<AudioSource>(spec, options);
}

}  // namespace starling::data
