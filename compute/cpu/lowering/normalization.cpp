// Normalisation with loops of ours: layers row-major, batches in whatever layout the image has.

#include <optional>

#include "compute/cpu/loops/batch_norm.hpp"
#include "compute/cpu/loops/norm.hpp"
#include "compute/cpu/lowering/lowering.hpp"

namespace starling::compute::cpu {

namespace {

LayerNorm shape_of(const Lowering& lowering, const Shape& x) {
    const auto& attributes = lowering.node().attributes;
    const auto cut = cut_at(x, normal_axis(attributes.integer("axis", -1), x.size()));
    return {
        lowering.threads(),
        cut.outer,
        cut.length * cut.inner,
        static_cast<float>(attributes.real("epsilon", 1e-5))};
}

BufferId define_plain(Lowering& lowering, std::size_t i) {
    return lowering.define(lowering.output(i), plain(lowering.graph().shape(lowering.output(i))));
}

/// Returns the buffer of an operand, or `fallback`, which nobody reads, when the operand is
/// missing.
BufferId use_optional(Lowering& lowering, std::size_t i, BufferId fallback) {
    return lowering.input(i) == ValueId::None ? fallback : lowering.use_plain(lowering.input(i));
}

/// Returns how channels lie in a layout, or nothing for a layout that the loops cannot read.
std::optional<ChannelShape> channels_in(const Desc& layout, int threads) {
    const auto dims = dims_of(layout);
    ChannelShape s;
    s.threads = threads;
    s.images = dims[0];
    s.channels = dims[1];
    s.places = 1;
    for (std::size_t i = 2; i < dims.size(); ++i) s.places *= dims[i];
    // Rows of a matrix are images of one place each with all channels side by side.
    const bool row_major = in_f32(layout) == plain(Shape(dims.begin(), dims.end()));
    s.inner = row_major ? (dims.size() == 2 ? s.channels : 1) : channel_block(layout);
    if (s.inner == 0) return std::nullopt;
    s.blocks = (s.channels + s.inner - 1) / s.inner;
    return s;
}

/// Returns the layout in which a value was made, or row-major when the loops cannot read that one.
Desc known_layout(const Lowering& lowering, ValueId x) {
    const auto layout = lowering.layout_of(x);
    return channels_in(layout, 1).has_value() ? layout : plain(lowering.graph().shape(x));
}

float epsilon_of(const Lowering& lowering) {
    return static_cast<float>(lowering.node().attributes.real("epsilon", 1e-5));
}

/// An operand of a loop that may be absent, and its type.
struct Optional {
    std::size_t operand = 0;
    bool present = false;
    bool bf16 = false;

    [[nodiscard]] Source source(LoopKernel::Operands o) const {
        return present ? Source{o[operand].data(), bf16} : Source{};
    }

    [[nodiscard]] Sink sink(LoopKernel::Operands o) const {
        return present ? Sink{o[operand].data(), bf16} : Sink{};
    }
};

/// Adds operands to a loop one by one, each with the type of its value.
class OperandList {
public:
    OperandList(Lowering& lowering, Desc layout)
        : lowering_(lowering),
          layout_(std::move(layout)) {}

    Optional read(ValueId id) {
        if (id == ValueId::None) return {};
        const auto layout =
            lowering_.bf16() && is_bf16(lowering_.form_of(id)) ? in_bf16(layout_) : layout_;
        return add(lowering_.use(id, layout), is_bf16(layout));
    }

    /// Writes a value into the buffer of one that no later node reads, or into a buffer of its own.
    Optional write(ValueId id, ValueId over = ValueId::None) {
        const auto layout = lowering_.typed(id, layout_);
        const auto taken = over == ValueId::None ? std::nullopt : lowering_.take_over(over, layout);
        if (!taken.has_value()) return add(lowering_.define(id, layout), is_bf16(layout));
        lowering_.define_alias(id, layout, *taken);
        return add(*taken, is_bf16(layout));
    }

    Optional add(BufferId buffer, bool bf16 = false) {
        buffers_.push_back(buffer);
        return {buffers_.size() - 1, true, bf16};
    }

    [[nodiscard]] const std::vector<BufferId>& buffers() const { return buffers_; }

private:
    Lowering& lowering_;
    Desc layout_;
    std::vector<BufferId> buffers_;
};

}  // namespace

void lower_layer_norm(Lowering& lowering) {
    const auto x = lowering.input(0);
    const auto shape = shape_of(lowering, lowering.graph().shape(x));
    const auto from = lowering.use_plain(x);
    const auto scale = use_optional(lowering, 1, from);
    const auto bias = use_optional(lowering, 2, from);
    const auto layout =
        lowering.typed(lowering.output(0), plain(lowering.graph().shape(lowering.output(0))));
    const auto y = lowering.define(lowering.output(0), layout);
    const auto mean = define_plain(lowering, 1);
    const auto inverse = define_plain(lowering, 2);
    lowering.add_loop(
        lowering.node().name,
        {from, scale, bias, y, mean, inverse},
        [shape, scaled = scale != from, biased = bias != from, rounds = is_bf16(layout)](
            LoopKernel::Operands o
        ) {
            layer_norm(
                shape,
                floats(o[0]).data(),
                scaled ? floats(o[1]).data() : nullptr,
                biased ? floats(o[2]).data() : nullptr,
                {o[3].data(), rounds},
                floats(o[4]).data(),
                floats(o[5]).data()
            );
        }
    );
}

void lower_layer_norm_gradient(Lowering& lowering) {
    const auto shape = shape_of(lowering, lowering.graph().shape(lowering.input(1)));
    std::vector<BufferId> operands;
    for (std::size_t i = 0; i < 4; ++i) {
        operands.push_back(lowering.use_plain(lowering.input(i)));
    }
    operands.push_back(use_optional(lowering, 4, operands[1]));
    const bool scaled = operands[4] != operands[1];
    const bool weighted =
        lowering.is_read(lowering.output(1)) || lowering.is_read(lowering.output(2));
    operands.push_back(define_plain(lowering, 0));
    if (weighted) {
        operands.push_back(define_plain(lowering, 1));
        operands.push_back(define_plain(lowering, 2));
        operands.push_back(lowering.temporary(shape.scratch_elements() * sizeof(float)));
    }
    lowering.add_loop(
        lowering.node().name,
        operands,
        [shape, scaled, weighted](LoopKernel::Operands o) {
            const LayerNormOperands in{
                floats(o[0]).data(),
                floats(o[1]).data(),
                floats(o[2]).data(),
                floats(o[3]).data(),
                scaled ? floats(o[4]).data() : nullptr};
            layer_norm_gradient(
                shape,
                in,
                floats(o[5]).data(),
                weighted ? floats(o[6]).data() : nullptr,
                weighted ? floats(o[7]).data() : nullptr,
                weighted ? floats(o[8]).data() : nullptr
            );
        }
    );
}

/// Operands: X, scale, bias, mean, variance, and a shortcut that a pass may have added.
void lower_batch_norm(Lowering& lowering) {
    const auto x = lowering.input(0);
    const bool fixed = lowering.node().outputs.size() == 1;
    const auto layout = known_layout(lowering, x);
    const auto shape = *channels_in(layout, lowering.threads());
    const auto statistics = [&](std::size_t operand, std::size_t output) {
        return fixed ? lowering.use_plain(lowering.input(operand)) : define_plain(lowering, output);
    };
    OperandList list(lowering, layout);
    const auto from = list.read(x);
    const auto shortcut = list.read(lowering.input(5));
    const auto scale = list.add(lowering.use_plain(lowering.input(1))).operand;
    const auto bias = list.add(lowering.use_plain(lowering.input(2))).operand;
    const auto mean = list.add(statistics(3, 1)).operand;
    const auto variance = list.add(statistics(4, 2)).operand;
    const auto y = list.write(lowering.output(0), x);
    const auto scratch =
        list.add(lowering.temporary(batch_norm_scratch(shape) * sizeof(double))).operand;
    BatchNormForward norm;
    norm.epsilon = epsilon_of(lowering);
    norm.fixed = fixed;
    norm.relu = lowering.node().attributes.integer("fused_relu", 0) != 0;
    lowering.add_loop(lowering.node().name, list.buffers(), [=](LoopKernel::Operands o) {
        auto call = norm;
        call.x = from.source(o);
        call.shortcut = shortcut.source(o);
        call.scale = floats(o[scale]).data();
        call.bias = floats(o[bias]).data();
        call.mean = floats(o[mean]).data();
        call.variance = floats(o[variance]).data();
        call.y = y.sink(o);
        batch_norm(shape, call, doubles(o[scratch]));
    });
}

/// Operands: dY, X, scale, mean, variance. A pass may have added more: the bias for a Relu that
/// cuts the norm itself, Y for a Relu that cuts its sum with a shortcut, and a second slope.
/// Outputs: dX, dscale, dbias, and the cut slope if other nodes read it.
void lower_batch_norm_gradient(Lowering& lowering) {
    const auto layout = known_layout(lowering, lowering.input(1));
    const auto shape = *channels_in(layout, lowering.threads());
    OperandList list(lowering, layout);
    const auto dy = list.read(lowering.input(0));
    const auto x = list.read(lowering.input(1));
    const auto y = list.read(lowering.input(6));
    const auto other = list.read(lowering.input(7));
    const auto plain_operand = [&](std::size_t i) {
        const auto id = lowering.input(i);
        return id == ValueId::None ? Optional{} : list.add(lowering.use_plain(id));
    };
    const auto scale = plain_operand(2).operand;
    const auto mean = plain_operand(3).operand;
    const auto variance = plain_operand(4).operand;
    const auto bias = plain_operand(5);
    const auto dx = list.write(lowering.output(0), lowering.input(0));
    const auto dscale = list.add(define_plain(lowering, 1)).operand;
    const auto dbias = list.add(define_plain(lowering, 2)).operand;
    const bool shared = lowering.node().outputs.size() > 3;
    const auto slope = shared ? list.write(lowering.output(3), lowering.input(7)) : Optional{};
    const auto scratch =
        list.add(lowering.temporary(batch_norm_scratch(shape) * sizeof(double))).operand;
    BatchNormBackward norm;
    norm.epsilon = epsilon_of(lowering);
    if (bias.present) norm.mask = Mask::Self;
    if (y.present) norm.mask = Mask::Output;
    lowering.add_loop(lowering.node().name, list.buffers(), [=](LoopKernel::Operands o) {
        auto call = norm;
        call.dy = dy.source(o);
        call.x = x.source(o);
        call.y = y.source(o);
        call.other = other.source(o);
        call.scale = floats(o[scale]).data();
        call.mean = floats(o[mean]).data();
        call.variance = floats(o[variance]).data();
        if (bias.present) call.bias = floats(o[bias.operand]).data();
        call.dx = dx.sink(o);
        call.slope = slope.sink(o);
        call.dscale = floats(o[dscale]).data();
        call.dbias = floats(o[dbias]).data();
        batch_norm_gradient(shape, call, doubles(o[scratch]));
    });
}

}  // namespace starling::compute::cpu
