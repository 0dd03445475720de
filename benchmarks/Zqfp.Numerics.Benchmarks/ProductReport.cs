using System.Diagnostics;
using System.Globalization;

namespace Zqfp.Numerics.Benchmarks;

/// <summary>
/// What could stand under the dense algebra, by turns in one run: the kernel of ours, the system's BLAS, and ONNX Runtime's MatMul.
/// Once as the algebra uses a product (tiles of 128 x 128 over 512 terms, a tile a thread), once as one product of 4096^3.
/// </summary>
internal static unsafe class ProductReport
{
    private const int Size = 4096;
    private const int Tile = 128;
    private const int Depth = 512;

    public static void Run(int rounds)
    {
        int threads = Environment.ProcessorCount;
        using SystemBlas? blas = SystemBlas.TryLoad();
        Console.WriteLine(blas is null ? "No BLAS is installed." : $"System BLAS: {blas.Name}");
        using var matMul = new OrtMatMul(Size, threads);
        // As in the algebra: columns in tiles of 128, [tile][k][column].
        int stride = TileKernel.Stride(Tile);
        using var a = new AlignedBuffer((long)Size / Tile * Size * stride);
        using var b = new AlignedBuffer((long)Size / Tile * Size * stride);
        using var c = new AlignedBuffer((long)Size / Tile * Size * stride);
        Fill(a, 1);
        Fill(b, 2);

        var candidates = new List<(string Name, Action Run)>
        {
            ("tiles, ours",
                () => Tiles(threads,
                    (i, j, k) => TileKernel.MultiplyAdd(At(a, i, k), stride, At(b, j, k), stride, At(c, j, i * Tile),
                        stride, Tile, Tile, Depth))),
            ("whole, ONNX Runtime", matMul.Run),
        };
        if (blas is not null)
        {
            candidates.Add(("tiles, BLAS", () =>
            {
                blas.UseThreads(1);
                Tiles(threads,
                    (i, j, k) => blas.MultiplyAdd(At(a, i, k), stride, At(b, j, k), stride, At(c, j, i * Tile), stride, Tile, Tile, Depth));
            }
            ));
            candidates.Add(("whole, BLAS", () =>
            {
                blas.UseThreads(threads);
                blas.MultiplyAdd(a.Data, Size, b.Data, Size, c.Data, Size, Size, Size, Size);
            }
            ));
        }

        double[][] rates = [.. candidates.Select(_ => new double[rounds])];
        for (int round = -1; round < rounds; round++)
        {
            for (int i = 0; i < candidates.Count; i++)
            {
                long start = Stopwatch.GetTimestamp();
                candidates[i].Run();
                if (round >= 0)
                {
                    rates[i][round] = matMul.Operations / Stopwatch.GetElapsedTime(start).TotalSeconds / 1e9;
                }
            }
        }

        for (int i = 0; i < candidates.Count; i++)
        {
            double[] ratios = [.. rates[i].Select((rate, round) => rate / rates[1][round]).Order()];
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{candidates[i].Name,-20} best {rates[i].Max():f0} GFLOP/s, median {rates[i].Order().ElementAt(rounds / 2):f0}; "
                + $"over ONNX Runtime's MatMul of the same round: {ratios[rounds / 2]:f2}"));
        }
    }

    // A column of tiles of C is one thread's, and all products of one tile follow each other, as in the factorization.
    private static void Tiles(int threads, Action<int, int, int> product) =>
        new Workers(threads, CancellationToken.None).For(Size / Tile, column =>
        {
            for (int i = 0; i < Size; i += Tile)
            {
                for (int k = 0; k < Size; k += Depth)
                {
                    product(i / Tile, column, k);
                }
            }
        });

    private static float* At(AlignedBuffer buffer, int tile, int row) =>
        buffer.Data + ((((long)tile * Size) + row) * TileKernel.Stride(Tile));

    private static void Fill(AlignedBuffer buffer, int seed) =>
        SyntheticLayer.Uniform(checked((int)buffer.Length), seed).CopyTo(buffer.Slice(0, checked((int)buffer.Length)));
}
