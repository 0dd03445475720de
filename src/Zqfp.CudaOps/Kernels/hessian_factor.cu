// H + damping = (I + U) D (I + U)^T as the processor's TiledFactor computes it, operation for operation: a matrix M [size, size] of whole
// tiles of 128, which first holds the negative of what is left to factor in its lower triangle, then L, and at the end U in its upper one.
#include "pipeline.cuh"

constexpr int Tile = 128;
constexpr double PivotFloor = 1e-7;

// M = -(H + damping), rows and columns in the order of the factorization; padded with the identity.
// grid = (size / 128, size), 128 threads. H's rows are `size` apart too.
extern "C" __global__ void __launch_bounds__(Tile)
negate_hessian(const float* hessian, const int* order, const u8* dead, double damping, float* m, int columns, int size)
{
    int row = blockIdx.y, column = blockIdx.x * Tile + threadIdx.x;
    if (blockIdx.x > row / Tile) return;
    float value = 0;
    if (row < columns && column < columns) value = -hessian[(long long)order[row] * size + order[column]];
    if (row == column) value = row >= columns ? -1.0f : (float)-__dadd_rn(dead[order[row]] ? 1.0 : (double)-value, damping);
    m[(long long)row * size + column] = value;
}

// Position of row i's first element among the rows of a lower triangle.
DEVICE int triangle(int i) { return i * (i + 1) / 2; }

// Factors the diagonal tile at `first` in double, and inverts its L. One block of 512 threads; dynamic shared memory of two triangles.
extern "C" __global__ void __launch_bounds__(512)
factor_tile(float* m, int size, int first, float* inverse, double* pivots, int* failed)
{
    DYNAMIC_SHARED(double, shared);
    double* lower = shared;
    double* inverted = shared + triangle(Tile);
    float* tile = m + (long long)first * size + first;
    int j = threadIdx.x % Tile, part = threadIdx.x / Tile;
    for (int i = part; i < Tile; i += 4)
        if (j <= i)
        {
            lower[triangle(i) + j] = -(double)tile[(long long)i * size + j];
            inverted[triangle(i) + j] = i == j ? 1 : 0;
        }
    __syncthreads();
    for (int c = Tile - 1; c >= 0; c--)
    {
        double* row = lower + triangle(c);
        double pivot = row[c];
        if (!(pivot > -(double)tile[(long long)c * size + c] * PivotFloor) || !(pivot > 0) || pivot > 1.7976931348623157e308)
        {
            if (threadIdx.x == 0) *failed = 1;
            return;
        }
        double scale = __ddiv_rn(1.0, __dsqrt_rn(pivot));
        __syncthreads();
        if (threadIdx.x == 0) pivots[first + c] = pivot;
        if (threadIdx.x <= c) row[threadIdx.x] = __dmul_rn(row[threadIdx.x], scale);
        __syncthreads();
        if (j < c)
        {
            double own = row[j];
            for (int i = c - 1 - part; i >= j; i -= 4)
                lower[triangle(i) + j] = __fma_rn(-row[i], own, lower[triangle(i) + j]);
        }
        __syncthreads();
    }

    // Row k is whole when it is scaled; it is then taken from the rows below it.
    for (int k = 0; k < Tile; k++)
    {
        double scale = __ddiv_rn(1.0, lower[triangle(k) + k]);
        if (threadIdx.x <= k) inverted[triangle(k) + threadIdx.x] = __dmul_rn(inverted[triangle(k) + threadIdx.x], scale);
        __syncthreads();
        if (j <= k)
        {
            double own = inverted[triangle(k) + j];
            for (int i = k + 1 + part; i < Tile; i += 4)
                inverted[triangle(i) + j] = __fma_rn(-lower[triangle(i) + k], own, inverted[triangle(i) + j]);
        }
        __syncthreads();
    }

    for (int i = part; i < Tile; i += 4)
    {
        tile[(long long)i * size + j] = j <= i ? (float)lower[triangle(i) + j] : 0;
        inverse[i * Tile + j] = j <= i ? (float)inverted[triangle(i) + j] : 0;
    }
}

// U[x, y] = L[y, x] / sqrt(pivot y) for x <= y, in the upper triangle of the same matrix. Also within a tile of 32 only one side is read.
// grid = (size / 32, size / 32), 256 threads.
extern "C" __global__ void __launch_bounds__(256) turn_to_upper(float* m, int size, const double* pivots)
{
    __shared__ float turned[32][33];
    if (blockIdx.x > blockIdx.y) return;
    int lane = threadIdx.x % 32, part = threadIdx.x / 32;
    for (int i = part; i < 32; i += 8)
    {
        int y = blockIdx.y * 32 + i;
        float scale = (float)__ddiv_rn(1.0, __dsqrt_rn(pivots[y]));
        turned[i][lane] = __fmul_rn(m[(long long)y * size + blockIdx.x * 32 + lane], scale);
    }
    __syncthreads();
    for (int i = part; i < 32; i += 8)
        m[(long long)(blockIdx.x * 32 + i) * size + blockIdx.y * 32 + lane] = turned[lane][i];
}
