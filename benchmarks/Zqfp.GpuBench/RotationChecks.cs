using System.Globalization;
using Zqfp.CudaOps;

namespace Zqfp.GpuBench;

/// <summary>
/// Tokens that are rotated before they are quantized: the GPU's codes and scales against the processor's, bit for bit, and what it costs.
/// </summary>
internal sealed class RotationChecks(Bench bench)
{
    private static readonly int[] Blocks = [2, 4, 8, 16, 32, 64, 128, 256];

    // Odd token counts; K of one and of many pieces a thread, one that ends in the middle of a warp, and for the simple kernel one that
    // is no multiple of 8 and one beyond what registers hold.
    private static readonly (int Tokens, int Columns)[] Shapes =
        [(1, 64), (37, 1408), (5, 4096), (3, 576), (17, 2304), (1, 11008), (7, 13824), (3, 32768), (3, 12), (5, 300), (3, 40960)];

    private nint Stream => bench.Stream.Handle;

    /// <summary>Compares.</summary>
    /// <param name="report">Receives what was compared, whether it is right, and how much is not.</param>
    public void Run(Action<string, bool, string> report)
    {
        foreach ((int tokens, int columns) in Shapes)
        {
            foreach (ElementKind kind in Enum.GetValues<ElementKind>())
            {
                foreach (int block in Blocks.Where(block => columns % block == 0))
                {
                    Check(report, tokens, columns, kind, block);
                }
            }
        }

        Problem branch = new(64, 1280, 256, seed: 3, rank: 16);
        using DeviceWeight weight = DeviceWeight.Create(bench.Context, branch.Data);
        Check(report, 37, 1280, ElementKind.Float16, 64, weight);
        Check(report, 1, 1280, ElementKind.Float32, 128, weight);
    }

    /// <summary>Microseconds of the token quantization by block, where it follows itself in a graph.</summary>
    public void Time(TextWriter table)
    {
        int[] blocks = [0, 32, 64, 128];
        IEnumerable<string> heads = blocks.Select(block => block == 0 ? "not rotated" : $"blocks of {block}");
        table.WriteLine($"| K | M | {string.Join(" | ", heads)} |");
        table.WriteLine("|--:|--:|" + string.Concat(blocks.Select(_ => "--:|")));
        foreach (int columns in (int[])[576, 1536, 4096, 11008])
        {
            foreach (int tokens in (int[])[1, 16, 256, 2048])
            {
                using Batch batch = new(bench.Context, tokens, columns, 1, 0);
                Checks.Upload(batch.Input, Problem.RandomTokens(tokens, columns, seed: tokens), ElementKind.Float16);
                IEnumerable<string> times = blocks.Select(block =>
                    block == 0 || columns % block == 0 ? Microseconds(batch, columns, block) : "-");
                table.WriteLine($"| {columns} | {tokens} | {string.Join(" | ", times)} |");
                table.Flush();
            }
        }

        table.WriteLine();
    }

    private string Microseconds(Batch batch, int columns, int rotation)
    {
        void Launch(int index) => bench.Kernels.QuantizeTokens(
            Stream, batch.Input.Address, ElementKind.Float16, columns, batch.Tokens, overlap: true, rotation: rotation);
        return bench.Microseconds(50, Launch).ToString("F2", CultureInfo.InvariantCulture);
    }

    private void Check(
        Action<string, bool, string> report, int tokens, int columns, ElementKind kind, int block, DeviceWeight? weight = null)
    {
        float[] x = Problem.RandomTokens(tokens, columns, seed: columns + block);
        if (tokens > 1)
        {
            x.AsSpan(columns, columns).Clear();
        }

        using Batch batch = new(bench.Context, tokens, columns, 64, weight?.Rank ?? 0);
        Checks.Upload(batch.Input, x, kind);
        batch.Poison(Stream);
        bench.Kernels.QuantizeTokens(Stream, batch.Input.Address, kind, columns, batch.Tokens, weight, rotation: block);
        (byte[] codes, float[] scales) = batch.DownloadCodes(Stream);
        (byte[] expectedCodes, float[] expectedScales) = OnProcessor(x, tokens, columns, block);
        int wrong = codes.Zip(expectedCodes).Count(pair => pair.First != pair.Second);
        int wrongScales = scales.Zip(expectedScales).Count(pair => pair.First != pair.Second);
        report(
            $"rotated by {block} {tokens}x{columns} {kind}{(weight is null ? "" : $" rank {weight.Rank}")}",
            wrong == 0 && wrongScales == 0,
            $"{wrong} codes of {codes.Length} and {wrongScales} scales differ from the processor's");
    }

    private static unsafe (byte[] Codes, float[] Scales) OnProcessor(float[] x, int tokens, int columns, int block)
    {
        byte[] codes = new byte[tokens * columns];
        float[] scales = new float[tokens];
        float[] row = new float[columns];
        fixed (float* source = x)
        fixed (float* rotated = row)
        fixed (byte* target = codes)
        {
            for (int token = 0; token < tokens; token++)
            {
                TokenRotator.Read((nint)source, isHalf: false, (long)token * columns, rotated, columns, block);
                scales[token] = TokenQuantizer.Quantize(rotated, target + ((long)token * columns), columns);
            }
        }

        return (codes, scales);
    }
}
