// What the trainable layers need on a GPU beside cuDNN's convolutions. Compiled when the program starts.
//
// Images are [N, H, W, C] of `real`: f32, or bf16 where BF16 is defined; all else is f32. Every sum has a fixed order: no
// kernel uses atomics.

typedef unsigned int u32;
typedef unsigned char u8;

#ifdef BF16
struct real {
    unsigned short bits;
};

static __device__ __forceinline__ float value_of(real r) {
    return __uint_as_float((u32)r.bits << 16);
}

// To the nearest, ties to even.
static __device__ __forceinline__ real real_of(float value) {
    u32 bits = __float_as_uint(value);
    real r;
    r.bits = value != value ? 0x7fff : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    return r;
}
#else
typedef float real;

static __device__ __forceinline__ float value_of(float value) {
    return value;
}

static __device__ __forceinline__ float real_of(float value) {
    return value;
}
#endif

// Four of them, read at once.
struct __align__(4 * sizeof(real)) real4 {
    real x, y, z, w;
};

static __device__ __forceinline__ float4 values_of(real4 r) {
    return make_float4(value_of(r.x), value_of(r.y), value_of(r.z), value_of(r.w));
}

static __device__ __forceinline__ real4 reals_of(float4 v) {
    real4 r;
    r.x = real_of(v.x);
    r.y = real_of(v.y);
    r.z = real_of(v.z);
    r.w = real_of(v.w);
    return r;
}

#define FOR_EACH(i, n) for (u32 i = blockIdx.x * blockDim.x + threadIdx.x; i < (n); i += gridDim.x * blockDim.x)

// Blocks that sum over rows: 32 channels beside each other, 8 rows at a time.
#define LANES 32
#define ROWS 8
// Blocks that finish such sums: 32 channels, 32 parts at a time.
#define PARTS 32

// ---- sums over the rows of a matrix [rows, c]

// Adds up a block's pairs of sums over its rows and writes them as part blockIdx.y of [parts, 2, c].
static __device__ void write_part(float a, float b, float* part, u32 channel, u32 c) {
    __shared__ float sums[2][ROWS][LANES];
    sums[0][threadIdx.y][threadIdx.x] = a;
    sums[1][threadIdx.y][threadIdx.x] = b;
    __syncthreads();
    if (threadIdx.y == 0 && channel < c) {
        for (u32 i = 1; i < ROWS; ++i) {
            a += sums[0][i][threadIdx.x];
            b += sums[1][i][threadIdx.x];
        }
        part[(2 * blockIdx.y) * c + channel] = a;
        part[(2 * blockIdx.y + 1) * c + channel] = b;
    }
}

// Adds up the parts of a pair of sums; the result is right in the threads of y = 0.
static __device__ void read_parts(const float* part, u32 parts, u32 channel, u32 c, double* a, double* b) {
    __shared__ double sums[2][PARTS][LANES];
    double s = 0, t = 0;
    if (channel < c) {
        for (u32 i = threadIdx.y; i < parts; i += PARTS) {
            s += part[(2 * i) * c + channel];
            t += part[(2 * i + 1) * c + channel];
        }
    }
    sums[0][threadIdx.y][threadIdx.x] = s;
    sums[1][threadIdx.y][threadIdx.x] = t;
    __syncthreads();
    if (threadIdx.y == 0) {
        for (u32 i = 1; i < PARTS; ++i) {
            s += sums[0][i][threadIdx.x];
            t += sums[1][i][threadIdx.x];
        }
        *a = s;
        *b = t;
    }
}

// Sums of x - x[0] and of its square: large means do not eat the variance's digits.
extern "C" __global__ void moments_part(const real* x, float* part, u32 rows, u32 c, u32 rows_per_block) {
    u32 channel = blockIdx.x * LANES + threadIdx.x;
    float sum = 0, squares = 0;
    if (channel < c) {
        float centre = value_of(x[channel]);
        u32 last = min(rows, (blockIdx.y + 1) * rows_per_block);
#pragma unroll 4
        for (u32 row = blockIdx.y * rows_per_block + threadIdx.y; row < last; row += ROWS) {
            float value = value_of(x[row * c + channel]) - centre;
            sum += value;
            squares += value * value;
        }
    }
    write_part(sum, squares, part, channel, c);
}

// Mean and inverse deviation of each channel, [2, c]; moves the running mean and variance towards them.
extern "C" __global__ void moments_finish(const real* x, const float* part, float* statistics, float* running_mean,
                                          float* running_var, u32 parts, u32 rows, u32 c, double momentum, double eps) {
    u32 channel = blockIdx.x * LANES + threadIdx.x;
    double sum = 0, squares = 0;
    read_parts(part, parts, channel, c, &sum, &squares);
    if (threadIdx.y != 0 || channel >= c) return;
    double offset = sum / rows;
    double mean = value_of(x[channel]) + offset;
    double var = squares / rows - offset * offset;
    var = var > 0 ? var : 0;
    statistics[channel] = (float)mean;
    statistics[c + channel] = (float)(1 / sqrt(var + eps));
    running_mean[channel] = (float)((1 - momentum) * running_mean[channel] + momentum * mean);
    running_var[channel] = (float)((1 - momentum) * running_var[channel] + momentum * var * rows / (rows - 1.0));
}

// Running mean and variance as mean and inverse deviation, [2, c].
extern "C" __global__ void statistics_of_running(const float* mean, const float* var, float* statistics, u32 c,
                                                 double eps) {
    FOR_EACH(i, c) {
        statistics[i] = mean[i];
        statistics[c + i] = (float)(1 / sqrt(var[i] + eps));
    }
}

// Where a gradient passes: 0 everywhere, 1 where the affine function is positive, 2 where y is positive.
static __device__ __forceinline__ float gated(float dy, float centred, float scale, float bias, float y, u32 gate) {
    float witness = gate == 0 ? 1.0f : gate == 1 ? centred * scale + bias : y;
    return witness > 0 ? dy : 0.0f;
}

// Sums of g (x - mean) and of g, the gated gradient.
extern "C" __global__ void norm_gradient_part(const real* x, const real* dy, const real* y, const float* statistics,
                                              const float* weight_and_bias, float* part, u32 rows, u32 c,
                                              u32 rows_per_block, u32 gate) {
    u32 channel = blockIdx.x * LANES + threadIdx.x;
    float weighted = 0, plain = 0;
    if (channel < c) {
        float mean = statistics[channel];
        float scale = weight_and_bias[channel] * statistics[c + channel], bias = weight_and_bias[c + channel];
        u32 last = min(rows, (blockIdx.y + 1) * rows_per_block);
#pragma unroll 4
        for (u32 row = blockIdx.y * rows_per_block + threadIdx.y; row < last; row += ROWS) {
            u32 i = row * c + channel;
            float centred = value_of(x[i]) - mean;
            float g = gated(value_of(dy[i]), centred, scale, bias, gate == 2 ? value_of(y[i]) : 0.0f, gate);
            weighted += g * centred;
            plain += g;
        }
    }
    write_part(weighted, plain, part, channel, c);
}

// Gradients of weight and bias, [2, c], and what the gradient of x is made of, [2, c]: constant and slope.
extern "C" __global__ void norm_gradient_finish(const float* part, const float* statistics, float* gradients,
                                                float* bend, u32 parts, u32 rows, u32 c, u32 of_batch) {
    u32 channel = blockIdx.x * LANES + threadIdx.x;
    double weighted = 0, plain = 0;
    read_parts(part, parts, channel, c, &weighted, &plain);
    if (threadIdx.y != 0 || channel >= c) return;
    double inv_std = statistics[c + channel];
    gradients[channel] = (float)(weighted * inv_std);
    gradients[c + channel] = (float)plain;
    bend[channel] = of_batch ? (float)(plain / rows) : 0.0f;
    bend[c + channel] = of_batch ? (float)(weighted / rows * inv_std * inv_std) : 0.0f;
}

// Sums of the columns; the second sum of each pair stays 0.
extern "C" __global__ void column_part(const real* x, float* part, u32 rows, u32 c, u32 rows_per_block) {
    u32 channel = blockIdx.x * LANES + threadIdx.x;
    float sum = 0;
    if (channel < c) {
        u32 last = min(rows, (blockIdx.y + 1) * rows_per_block);
#pragma unroll 4
        for (u32 row = blockIdx.y * rows_per_block + threadIdx.y; row < last; row += ROWS) sum += value_of(x[row * c + channel]);
    }
    write_part(sum, 0, part, channel, c);
}

extern "C" __global__ void column_finish(const float* part, float* sums, u32 parts, u32 c) {
    u32 channel = blockIdx.x * LANES + threadIdx.x;
    double sum = 0, unused = 0;
    read_parts(part, parts, channel, c, &sum, &unused);
    if (threadIdx.y == 0 && channel < c) sums[channel] = (float)sum;
}

// ---- batch norm, element by element; after: 0 nothing, 1 ReLU, 2 sum with skip, then ReLU

extern "C" __global__ void norm_apply(const real* x, const real* skip, const float* statistics,
                                      const float* weight_and_bias, real* y, u32 n, u32 c, u32 after) {
    FOR_EACH(i, n) {
        u32 k = i % c;
        float value = (value_of(x[i]) - statistics[k]) * (weight_and_bias[k] * statistics[c + k]) + weight_and_bias[c + k];
        if (after == 2) value += value_of(skip[i]);
        y[i] = real_of(after != 0 && value < 0 ? 0.0f : value);
    }
}

// The same for a multiple of 4 channels.
extern "C" __global__ void norm_apply4(const real4* x, const real4* skip, const float4* statistics,
                                       const float4* weight_and_bias, real4* y, u32 n, u32 c, u32 after) {
    FOR_EACH(i, n) {
        u32 k = i % c;
        float4 v = values_of(x[i]), mean = statistics[k], inv_std = statistics[c + k];
        float4 w = weight_and_bias[k], b = weight_and_bias[c + k];
        v.x = (v.x - mean.x) * (w.x * inv_std.x) + b.x;
        v.y = (v.y - mean.y) * (w.y * inv_std.y) + b.y;
        v.z = (v.z - mean.z) * (w.z * inv_std.z) + b.z;
        v.w = (v.w - mean.w) * (w.w * inv_std.w) + b.w;
        if (after == 2) {
            float4 s = values_of(skip[i]);
            v.x += s.x;
            v.y += s.y;
            v.z += s.z;
            v.w += s.w;
        }
        if (after != 0) {
            v.x = v.x < 0 ? 0.0f : v.x;
            v.y = v.y < 0 ? 0.0f : v.y;
            v.z = v.z < 0 ? 0.0f : v.z;
            v.w = v.w < 0 ? 0.0f : v.w;
        }
        y[i] = reals_of(v);
    }
}

// dx = scale (g - constant - (x - mean) slope), and behind gate 2 the gated gradient g, which is that of the skip.
extern "C" __global__ void norm_input_gradient(const real* x, const real* dy, const real* y, const float* statistics,
                                               const float* weight_and_bias, const float* bend, real* dx, real* dskip,
                                               u32 n, u32 c, u32 gate) {
    FOR_EACH(i, n) {
        u32 k = i % c;
        float centred = value_of(x[i]) - statistics[k];
        float scale = weight_and_bias[k] * statistics[c + k];
        float out = gate == 2 ? value_of(y[i]) : 0.0f;
        float g = gated(value_of(dy[i]), centred, scale, weight_and_bias[c + k], out, gate);
        if (gate == 2) dskip[i] = real_of(g);
        dx[i] = real_of((g - bend[k] - centred * bend[c + k]) * scale);
    }
}

// The same for a multiple of 4 channels.
extern "C" __global__ void norm_input_gradient4(const real4* x, const real4* dy, const real4* y,
                                                const float4* statistics, const float4* weight_and_bias,
                                                const float4* bend, real4* dx, real4* dskip, u32 n, u32 c, u32 gate) {
    FOR_EACH(i, n) {
        u32 k = i % c;
        float4 v = values_of(x[i]), g = values_of(dy[i]), out = {0, 0, 0, 0};
        float4 mean = statistics[k], s = statistics[c + k], w = weight_and_bias[k], b = weight_and_bias[c + k];
        float4 constant = bend[k], slope = bend[c + k];
        if (gate == 2) out = values_of(y[i]);
        v.x -= mean.x;
        v.y -= mean.y;
        v.z -= mean.z;
        v.w -= mean.w;
        s.x *= w.x;
        s.y *= w.y;
        s.z *= w.z;
        s.w *= w.w;
        g.x = gated(g.x, v.x, s.x, b.x, out.x, gate);
        g.y = gated(g.y, v.y, s.y, b.y, out.y, gate);
        g.z = gated(g.z, v.z, s.z, b.z, out.z, gate);
        g.w = gated(g.w, v.w, s.w, b.w, out.w, gate);
        if (gate == 2) dskip[i] = reals_of(g);
        g.x = (g.x - constant.x - v.x * slope.x) * s.x;
        g.y = (g.y - constant.y - v.y * slope.y) * s.y;
        g.z = (g.z - constant.z - v.z * slope.z) * s.z;
        g.w = (g.w - constant.w - v.w * slope.w) * s.w;
        dx[i] = reals_of(g);
    }
}

// ---- what convolutions need beside cuDNN

// y[row, c] += bias[c], in place.
extern "C" __global__ void add_bias(real* y, const float* bias, u32 n, u32 c) {
    FOR_EACH(i, n) y[i] = real_of(value_of(y[i]) + bias[i % c]);
}

// [batch, rows, columns] to [batch, columns, rows]: a tile of 32 x 32 at a time; blocks of 32 x 8.
extern "C" __global__ void transpose(const real* from, real* to, u32 rows, u32 columns) {
    __shared__ real tile[32][33];
    size_t image = (size_t)blockIdx.z * rows * columns;
    u32 column = blockIdx.x * 32 + threadIdx.x;
    for (u32 i = threadIdx.y; i < 32; i += 8) {
        u32 row = blockIdx.y * 32 + i;
        if (row < rows && column < columns) tile[i][threadIdx.x] = from[image + (size_t)row * columns + column];
    }
    __syncthreads();
    u32 row = blockIdx.y * 32 + threadIdx.x;
    for (u32 i = threadIdx.y; i < 32; i += 8) {
        u32 column = blockIdx.x * 32 + i;
        if (row < rows && column < columns) to[image + (size_t)column * rows + row] = tile[threadIdx.x][i];
    }
}

// ---- pooling; a winner is the tap that won, kept in one byte; the first of equals, as in PyTorch

struct Window {
    u32 h, w, out_h, out_w, c, kernel, stride, padding;
};

extern "C" __global__ void max_pool(const real* x, real* y, u8* winners, u32 n, Window s) {
    FOR_EACH(i, n) {
        u32 c = i % s.c, pixel = i / s.c;
        u32 ox = pixel % s.out_w, oy = pixel / s.out_w % s.out_h, image = pixel / s.out_w / s.out_h;
        float best = 0;
        u32 winner = 255;
        for (u32 ky = 0; ky < s.kernel; ++ky) {
            u32 iy = oy * s.stride + ky - s.padding;
            if (iy >= s.h) continue;
            for (u32 kx = 0; kx < s.kernel; ++kx) {
                u32 ix = ox * s.stride + kx - s.padding;
                if (ix >= s.w) continue;
                float value = value_of(x[((image * s.h + iy) * s.w + ix) * s.c + c]);
                if (winner == 255 || value > best) {
                    best = value;
                    winner = ky * s.kernel + kx;
                }
            }
        }
        y[i] = real_of(best);
        winners[i] = winner;
    }
}

// The outputs along an axis whose windows hold input i: from first to before last.
static __device__ __forceinline__ void windows_over(u32 i, u32 out, const Window& s, u32* first, u32* last) {
    u32 reach = i + s.padding;
    *first = reach < s.kernel ? 0 : (reach - s.kernel) / s.stride + 1;
    *last = min(out, reach / s.stride + 1);
}

extern "C" __global__ void max_pool_gradient(const u8* winners, const real* dy, real* dx, u32 n, Window s) {
    FOR_EACH(i, n) {
        u32 c = i % s.c, pixel = i / s.c;
        u32 ix = pixel % s.w, iy = pixel / s.w % s.h, image = pixel / s.w / s.h;
        u32 oy0, oy1, ox0, ox1;
        windows_over(iy, s.out_h, s, &oy0, &oy1);
        windows_over(ix, s.out_w, s, &ox0, &ox1);
        float sum = 0;
        for (u32 oy = oy0; oy < oy1; ++oy) {
            for (u32 ox = ox0; ox < ox1; ++ox) {
                u32 o = ((image * s.out_h + oy) * s.out_w + ox) * s.c + c;
                u32 tap = (iy + s.padding - oy * s.stride) * s.kernel + ix + s.padding - ox * s.stride;
                if (winners[o] == tap) sum += value_of(dy[o]);
            }
        }
        dx[i] = real_of(sum);
    }
}

// Pixels of the image that output o along an axis of a given size sees.
static __device__ __forceinline__ u32 seen(u32 o, u32 size, const Window& s) {
    u32 begin = o * s.stride, end = min(begin + s.kernel, size + s.padding);
    return end - max(begin, s.padding);
}

extern "C" __global__ void average_pool(const real* x, real* y, u32 n, Window s) {
    FOR_EACH(i, n) {
        u32 c = i % s.c, pixel = i / s.c;
        u32 ox = pixel % s.out_w, oy = pixel / s.out_w % s.out_h, image = pixel / s.out_w / s.out_h;
        float sum = 0;
        for (u32 ky = 0; ky < s.kernel; ++ky) {
            u32 iy = oy * s.stride + ky - s.padding;
            if (iy >= s.h) continue;
            for (u32 kx = 0; kx < s.kernel; ++kx) {
                u32 ix = ox * s.stride + kx - s.padding;
                if (ix < s.w) sum += value_of(x[((image * s.h + iy) * s.w + ix) * s.c + c]);
            }
        }
        y[i] = real_of(sum / (seen(oy, s.h, s) * seen(ox, s.w, s)));
    }
}

extern "C" __global__ void average_pool_gradient(const real* dy, real* dx, u32 n, Window s) {
    FOR_EACH(i, n) {
        u32 c = i % s.c, pixel = i / s.c;
        u32 ix = pixel % s.w, iy = pixel / s.w % s.h, image = pixel / s.w / s.h;
        u32 oy0, oy1, ox0, ox1;
        windows_over(iy, s.out_h, s, &oy0, &oy1);
        windows_over(ix, s.out_w, s, &ox0, &ox1);
        float sum = 0;
        for (u32 oy = oy0; oy < oy1; ++oy) {
            for (u32 ox = ox0; ox < ox1; ++ox) {
                float share = 1.0f / (seen(oy, s.h, s) * seen(ox, s.w, s));
                sum += share * value_of(dy[((image * s.out_h + oy) * s.out_w + ox) * s.c + c]);
            }
        }
        dx[i] = real_of(sum);
    }
}

// ---- enlarging by a whole factor

// The share of input i in output o along an axis of a given size: nearest (0) or linear (1).
static __device__ __forceinline__ float share_of(u32 i, u32 o, u32 size, u32 factor, u32 linear) {
    if (!linear) return o / factor == i ? 1.0f : 0.0f;
    float position = fmaxf((o + 0.5f) / factor - 0.5f, 0.0f);
    u32 first = min((u32)position, size - 1), second = min(first + 1, size - 1);
    float far = position - first;
    return (first == i ? 1 - far : 0.0f) + (second == i ? far : 0.0f);
}

extern "C" __global__ void enlarge(const real* x, real* y, u32 n, u32 h, u32 w, u32 c, u32 factor, u32 linear) {
    FOR_EACH(i, n) {
        u32 k = i % c, pixel = i / c;
        u32 ox = pixel % (w * factor), oy = pixel / (w * factor) % (h * factor), image = pixel / (w * factor) / (h * factor);
        u32 y0 = oy / factor, x0 = ox / factor;
        float sum = 0;
        for (u32 iy = y0 > 0 ? y0 - 1 : 0; iy <= y0 + 1 && iy < h; ++iy) {
            float row = share_of(iy, oy, h, factor, linear);
            if (row == 0) continue;
            for (u32 ix = x0 > 0 ? x0 - 1 : 0; ix <= x0 + 1 && ix < w; ++ix) {
                float share = row * share_of(ix, ox, w, factor, linear);
                if (share != 0) sum += share * value_of(x[((image * h + iy) * w + ix) * c + k]);
            }
        }
        y[i] = real_of(sum);
    }
}

extern "C" __global__ void enlarge_gradient(const real* dy, real* dx, u32 n, u32 h, u32 w, u32 c, u32 factor,
                                            u32 linear) {
    FOR_EACH(i, n) {
        u32 k = i % c, pixel = i / c;
        u32 ix = pixel % w, iy = pixel / w % h, image = pixel / w / h;
        float sum = 0;
        for (u32 oy = iy > 0 ? (iy - 1) * factor : 0; oy < (iy + 2) * factor && oy < h * factor; ++oy) {
            float row = share_of(iy, oy, h, factor, linear);
            if (row == 0) continue;
            for (u32 ox = ix > 0 ? (ix - 1) * factor : 0; ox < (ix + 2) * factor && ox < w * factor; ++ox) {
                float share = row * share_of(ix, ox, w, factor, linear);
                if (share != 0) sum += share * value_of(dy[((image * h * factor + oy) * w * factor + ox) * c + k]);
            }
        }
        dx[i] = real_of(sum);
    }
}

// ---- channels side by side

extern "C" __global__ void concat(const real* a, const real* b, real* y, u32 n, u32 c_a, u32 c) {
    FOR_EACH(i, n) {
        u32 k = i % c, row = i / c;
        y[i] = k < c_a ? a[row * c_a + k] : b[row * (c - c_a) + k - c_a];
    }
}

extern "C" __global__ void concat_gradient(const real* dy, real* da, real* db, u32 n, u32 c_a, u32 c) {
    FOR_EACH(i, n) {
        u32 k = i % c, row = i / c;
        if (k < c_a) da[row * c_a + k] = dy[i];
        else db[row * (c - c_a) + k - c_a] = dy[i];
    }
}

// ---- losses

// Probabilities of each row's classes, and each block's sum of -log p(target); blocks of 256.
extern "C" __global__ void cross_entropy(const float* logits, const u32* targets, float* probabilities, double* part,
                                         u32 rows, u32 k) {
    double sum = 0;
    FOR_EACH(row, rows) {
        const float* z = logits + (size_t)row * k;
        float greatest = z[0];
        for (u32 i = 1; i < k; ++i) greatest = fmaxf(greatest, z[i]);
        float total = 0;
        for (u32 i = 0; i < k; ++i) total += expf(z[i] - greatest);
        sum += logf(total) + greatest - z[targets[row]];
        for (u32 i = 0; i < k; ++i) probabilities[(size_t)row * k + i] = expf(z[i] - greatest) / total;
    }
    __shared__ double sums[256];
    sums[threadIdx.x] = sum;
    for (u32 half = 128; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
    }
    if (threadIdx.x == 0) part[blockIdx.x] = sums[0];
}

// The mean from the blocks' sums; one block of 256.
extern "C" __global__ void mean_of_parts(const double* part, float* mean, u32 parts, u32 rows) {
    __shared__ double sums[256];
    double sum = 0;
    for (u32 i = threadIdx.x; i < parts; i += 256) sum += part[i];
    sums[threadIdx.x] = sum;
    for (u32 half = 128; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
    }
    if (threadIdx.x == 0) *mean = (float)(sums[0] / rows);
}

extern "C" __global__ void cross_entropy_gradient(const float* probabilities, const u32* targets, const float* dy,
                                                  float* dx, u32 n, u32 rows, u32 k) {
    float scale = *dy / rows;
    FOR_EACH(i, n) dx[i] = (probabilities[i] - (targets[i / k] == i % k ? 1.0f : 0.0f)) * scale;
}

extern "C" __global__ void softplus(const float* x, float* y, u32 n) {
    FOR_EACH(i, n) y[i] = fmaxf(x[i], 0.0f) + log1pf(expf(-fabsf(x[i])));
}

extern "C" __global__ void softplus_gradient(const float* x, const float* dy, float* dx, u32 n) {
    FOR_EACH(i, n) dx[i] = dy[i] / (1 + expf(-x[i]));
}

// ---- long short-term memory: gates [N, 4 H] in the order i f g o, cell [N, H]

static __device__ __forceinline__ float sigmoid(float x) {
    return 1 / (1 + expf(-x));
}

extern "C" __global__ void lstm_cell(const float* gates, const float* cell, float* out, u32 n, u32 hidden) {
    FOR_EACH(at, n) {
        const float* z = gates + (size_t)(at / hidden) * 4 * hidden + at % hidden;
        float i = sigmoid(z[0]), f = sigmoid(z[hidden]), g = tanhf(z[2 * hidden]), o = sigmoid(z[3 * hidden]);
        float c = f * cell[at] + i * g;
        out[n + at] = c;
        out[at] = o * tanhf(c);
    }
}

extern "C" __global__ void lstm_cell_gradient(const float* gates, const float* cell, const float* out, const float* d,
                                              float* dgates, float* dcell, u32 n, u32 hidden) {
    FOR_EACH(at, n) {
        size_t first = (size_t)(at / hidden) * 4 * hidden + at % hidden;
        const float* z = gates + first;
        float i = sigmoid(z[0]), f = sigmoid(z[hidden]), g = tanhf(z[2 * hidden]), o = sigmoid(z[3 * hidden]);
        float t = tanhf(out[n + at]), dh = d[at];
        float dc = d[n + at] + dh * o * (1 - t * t);
        dgates[first] = dc * g * i * (1 - i);
        dgates[first + hidden] = dc * cell[at] * f * (1 - f);
        dgates[first + 2 * hidden] = dc * i * (1 - g * g);
        dgates[first + 3 * hidden] = dh * t * o * (1 - o);
        dcell[at] = dc * f;
    }
}

// ---- all pairs of a critic: a [M_a, C], b [M_b, C], y [M_a, M_b, C]

extern "C" __global__ void pairwise_relu(const float* a, const float* b, float* y, u32 n, u32 m_b, u32 c) {
    FOR_EACH(i, n) {
        u32 k = i % c, pair = i / c;
        float sum = a[pair / m_b * c + k] + b[pair % m_b * c + k];
        y[i] = sum > 0 ? sum : 0.0f;
    }
}

// Sums of dy where y is positive: out[o, c] over n rows (o stride + k step); a block for 32 channels of one o.
extern "C" __global__ void pairwise_gradient(const float* y, const float* dy, float* out, u32 n, u32 stride, u32 step,
                                             u32 c) {
    __shared__ float sums[ROWS][LANES];
    u32 channel = blockIdx.y * LANES + threadIdx.x;
    float sum = 0;
    if (channel < c) {
#pragma unroll 4
        for (u32 k = threadIdx.y; k < n; k += ROWS) {
            size_t i = ((size_t)blockIdx.x * stride + (size_t)k * step) * c + channel;
            sum += y[i] > 0 ? dy[i] : 0.0f;
        }
    }
    sums[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y == 0 && channel < c) {
        for (u32 i = 1; i < ROWS; ++i) sum += sums[i][threadIdx.x];
        out[blockIdx.x * c + channel] = sum;
    }
}

// ---- optimization, in place

extern "C" __global__ void adam(float* value, const float* gradient, float* first, float* second, u32 n, float beta1,
                                float beta2, float eps, float decay, float rate, float root) {
    FOR_EACH(i, n) {
        float g = gradient[i];
        float m = beta1 * first[i] + (1 - beta1) * g;
        float v = beta2 * second[i] + (1 - beta2) * g * g;
        first[i] = m;
        second[i] = v;
        value[i] -= decay * value[i] + rate * m / (sqrtf(v) * root + eps);
    }
}

// a = keep a + (1 - keep) b
extern "C" __global__ void blend(float* a, const float* b, u32 n, float keep) {
    FOR_EACH(i, n) a[i] = keep * a[i] + (1 - keep) * b[i];
}
