#include "data/file_record.hpp"

#include "data/media/audio.hpp"
#include "data/media/image.hpp"
#include "data/media/resize.hpp"

namespace starling::data {

namespace {

/// Channels lie one after the other in raw samples, and side by side in a picture.
Bytes planes_of(const Image& image) {
    const std::size_t pixels = std::size_t{image.height} * image.width;
    Bytes planes(pixels * image.channels);
    for (std::size_t channel = 0; channel < image.channels; ++channel) {
        for (std::size_t i = 0; i < pixels; ++i) {
            planes[channel * pixels + i] =
                static_cast<std::byte>(image.values[i * image.channels + channel]);
        }
    }
    return planes;
}

Result<Bytes> raw_picture(const Input& input, ByteView file) {
    const auto rank = input.shape.size();
    const auto channels = rank == 3 ? input.shape[0].size : 1;
    if (rank < 2 || rank > 3 || (channels != 1 && channels != 3) || input.element != Element::U8) {
        return fail(
            FaultCode::Unsupported,
            "the samples of this swarm are arrays of another kind than pictures of 8 bits"
        );
    }
    ImageRequest request;
    request.channels = channels;
    const auto picture = decode_image(file, request);
    if (!picture) return picture.error();
    return planes_of(resize(*picture, {input.shape[rank - 2].size, input.shape[rank - 1].size}));
}

}  // namespace

Result<Bytes> record_of_file(const Manifest& manifest, ByteView file) {
    const auto& input = manifest.schema.inputs.front();
    if (input.meaning == Meaning::Image) {
        if (input.storage == Storage::Raw) return raw_picture(input, file);
        if (const auto facts = probe_image(file); !facts) return facts.error();
        return Bytes(file.begin(), file.end());
    }
    if (input.meaning == Meaning::Audio && input.storage == Storage::Encoded) {
        if (const auto facts = probe_audio(file); !facts) return facts.error();
        return Bytes(file.begin(), file.end());
    }
    return fail(FaultCode::Unsupported, "the samples of this swarm are no pictures and no sounds");
}

}  // namespace starling::data
