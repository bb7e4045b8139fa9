// The functions that OpenCL C brings and plain CUDA without NVIDIA's toolkit does not: correct to a
// few units in the last place, of numbers below 2^-126, infinities and NaN as well. They are
// arithmetic over FUNCTION, FMA, FLOAT_BITS and FLOAT_OF, so that a test compiles them for the host
// and holds them against double; it says how far each is off.
//
// Source    the methods of fdlibm (e_exp.c, e_log.c, s_log1p.c), in float and with the series of
//           Taylor, which reach a float's precision; tanh as expm1's quotient; erf with the rational
//           approximation that compute/cpu/loops/fast_math.hpp has

#define LOG2_OF_E 1.44269504f
/// ln 2 as a sum: the first part times a whole number below 2^9 is exact.
#define LN2_HIGH 0.693359375f
#define LN2_LOW (-2.12194440e-4f)

FUNCTION float power_of_two(int n) { return FLOAT_OF((U32)(n + 127) << 23); }

/// The whole number next to x log2(e). Adding 1.5 * 2^23 rounds.
FUNCTION float exponent_of(float x) {
    const float shifted = FMA(x, LOG2_OF_E, 12582912.0f);
    return shifted - 12582912.0f;
}

/// expm1 of a number between -ln 2 / 2 and ln 2 / 2.
FUNCTION float small_expm1(float r) {
    float p = 1.0f / 5040.0f;
    p = FMA(p, r, 1.0f / 720.0f);
    p = FMA(p, r, 1.0f / 120.0f);
    p = FMA(p, r, 1.0f / 24.0f);
    p = FMA(p, r, 1.0f / 6.0f);
    p = FMA(p, r, 0.5f);
    return FMA(r * r, p, r);
}

FUNCTION float exp(float x) {
    if (x != x) return x;
    if (x > 88.72284f) return INFINITY;
    if (x < -104.0f) return 0.0f;
    const float whole = exponent_of(x);
    const float r = FMA(whole, -LN2_LOW, FMA(whole, -LN2_HIGH, x));
    // Two factors, because 2^128 is no float, and 2^-150 is none.
    const int n = (int)whole;
    const int half = n / 2;
    return (small_expm1(r) + 1.0f) * power_of_two(half) * power_of_two(n - half);
}

FUNCTION float expm1(float x) {
    if (x != x) return x;
    if (x > 80.0f) return exp(x);
    if (x < -18.0f) return -1.0f;
    const float whole = exponent_of(x);
    const float r = FMA(whole, -LN2_LOW, FMA(whole, -LN2_HIGH, x));
    const float power = power_of_two((int)whole);
    return FMA(small_expm1(r), power, power - 1.0f);
}

FUNCTION float log(float x) {
    if (x != x || x < 0.0f) return NAN;
    if (x == 0.0f) return -INFINITY;
    if (x == INFINITY) return x;
    int exponent = 0;
    if (x < 1.17549435e-38f) {
        x *= 8388608.0f;
        exponent = -23;
    }
    // x = 2^exponent m with m between sqrt(1/2) and sqrt(2).
    const U32 bits = FLOAT_BITS(x) - 0x3f3504f3u;
    exponent += (int)bits >> 23;
    const float f = FLOAT_OF((bits & 0x7fffffu) + 0x3f3504f3u) - 1.0f;
    // log(1 + f) = f - f^2/2 + s (f^2/2 + R) with s = f / (2 + f) and the series R of s^2.
    const float s = f / (2.0f + f);
    const float square = s * s;
    float rest = 2.0f / 11.0f;
    rest = FMA(rest, square, 2.0f / 9.0f);
    rest = FMA(rest, square, 2.0f / 7.0f);
    rest = FMA(rest, square, 2.0f / 5.0f);
    rest = FMA(rest, square, 2.0f / 3.0f);
    rest *= square;
    const float half = 0.5f * f * f;
    const float n = (float)exponent;
    return FMA(n, LN2_HIGH, f - (half - FMA(s, half + rest, n * LN2_LOW)));
}

FUNCTION float log1p(float x) {
    const float sum = 1.0f + x;
    // What the sum has lost is added to the result: log has the slope 1 / sum.
    if (!(sum > 0.0f) || sum == INFINITY) return log(sum);
    const float lost = x < 1.0f ? x - (sum - 1.0f) : 1.0f - (sum - x);
    return log(sum) + lost / sum;
}

FUNCTION float tanh(float x) {
    const float size = fabs(x);
    if (size > 10.0f) return x < 0.0f ? -1.0f : 1.0f;
    const float t = expm1(2.0f * size);
    const float result = t / (t + 2.0f);
    return x < 0.0f ? -result : result;
}

FUNCTION float erf(float given) {
    if (given != given) return given;
    const float x = fmax(fmin(given, 4.0f), -4.0f);
    const float s = x * x;
    float p = -2.72614225801306e-10f;
    p = FMA(p, s, 2.77068142495902e-08f);
    p = FMA(p, s, -2.10102402082508e-06f);
    p = FMA(p, s, -5.69250639462346e-05f);
    p = FMA(p, s, -7.34990630326855e-04f);
    p = FMA(p, s, -2.95459980854025e-03f);
    p = FMA(p, s, -1.60960333262415e-02f);
    float q = -1.45660718464996e-05f;
    q = FMA(q, s, -2.13374055278905e-04f);
    q = FMA(q, s, -1.68282697438203e-03f);
    q = FMA(q, s, -7.37332916720468e-03f);
    q = FMA(q, s, -1.42647390514189e-02f);
    return x * (p / q);
}

/// The logarithm of a finite number above zero, in double: its product with a power's exponent keeps
/// the digits that a float's would not.
FUNCTION double wide_log(float x) {
    int exponent = 0;
    if (x < 1.17549435e-38f) {
        x *= 8388608.0f;
        exponent = -23;
    }
    const U32 bits = FLOAT_BITS(x) - 0x3f3504f3u;
    exponent += (int)bits >> 23;
    const double f = (double)FLOAT_OF((bits & 0x7fffffu) + 0x3f3504f3u) - 1.0;
    const double s = f / (2.0 + f);
    const double square = s * s;
    double sum = 0.0;
    for (int i = 15; i > 1; i -= 2) sum = (sum + 1.0 / i) * square;
    return 2.0 * s * (1.0 + sum) + exponent * 0.69314718055994531;
}

/// a^b for a > 0, both finite.
FUNCTION float positive_pow(float a, float b) {
    const double product = (double)b * wide_log(a);
    if (product > 89.0) return INFINITY;
    if (product < -104.0) return 0.0f;
    const float whole = exponent_of((float)product);
    const float r = (float)(product - (double)whole * 0.69314718055994531);
    const int n = (int)whole;
    const int half = n / 2;
    return (small_expm1(r) + 1.0f) * power_of_two(half) * power_of_two(n - half);
}

/// Whether a number is whole, and odd. Those beyond 2^24 are even.
FUNCTION int is_whole(float x) { return fabs(x) >= 8388608.0f || (float)(int)x == x; }

FUNCTION int is_odd(float x) { return fabs(x) < 16777216.0f && is_whole(x) && ((int)x & 1) != 0; }

FUNCTION float pow(float a, float b) {
    if (a == 1.0f || b == 0.0f) return 1.0f;
    if (a != a || b != b) return NAN;
    const float size = fabs(a);
    if (fabs(b) == INFINITY) {
        if (size == 1.0f) return 1.0f;
        return (size > 1.0f) == (b > 0.0f) ? INFINITY : 0.0f;
    }
    const int negative = (FLOAT_BITS(a) >> 31) != 0 && is_odd(b);
    float result;
    if (size == 0.0f || size == INFINITY) {
        result = (size == 0.0f) == (b > 0.0f) ? 0.0f : INFINITY;
    } else {
        if (a < 0.0f && !is_whole(b)) return NAN;
        result = positive_pow(size, b);
    }
    return negative ? -result : result;
}
