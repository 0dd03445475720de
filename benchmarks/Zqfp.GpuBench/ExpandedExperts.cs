using Zqfp.CudaOps;

namespace Zqfp.GpuBench;

/// <summary>
/// Dequantize and multiply: packed experts are expanded to E4M3 in every call, and the library multiplies each with its tokens, which lie
/// sorted already. What the scales of E4M3 rows cost is left out where one product of all experts has none.
/// </summary>
internal sealed class ExpandedExperts(Bench bench, ExpertSet set) : IDisposable
{
    /// <summary>The library multiplies fewer than 4 tokens by scales of rows not at all; it gets 16.</summary>
    private const int LeastTokens = 16;

    private readonly PackedLayout _layout = set.Packed.Layout;
    private readonly DeviceMemory _expanded = new(bench.Context, (long)set.Count * set.Rows * set.Columns);
    private readonly DeviceMemory _scales = new(bench.Context, (long)set.Rows * sizeof(float));
    private readonly Batch _padded = new(bench.Context, (set.Count + 1) * LeastTokens, set.Columns, set.Rows, 0);

    private ulong Expert(int expert) => _expanded.Address + ((ulong)expert * (ulong)set.Rows * (ulong)set.Columns);

    /// <summary>Microseconds of the expansion of all experts alone.</summary>
    public double Expansion() => bench.Microseconds(2, _ => Expand(0, set.Count), samples: 5);

    /// <summary>Microseconds of the expansion and of one product an expert, FP8 with a scale a row.</summary>
    public double OneByOne(Batch batch, int tokens)
    {
        int each = tokens < 4 ? LeastTokens : tokens;
        return Best(ProductKind.Fp8RowWise, each, ElementKind.BFloat16, 1, product =>
        {
            Expand(0, set.Count);
            for (int expert = 0; expert < set.Count; expert++)
            {
                Run(product, tokens < 4 ? _padded : batch, expert, expert, each);
            }
        });
    }

    /// <summary>Microseconds of the expansion and of one product of all experts, FP8 with a scale a tensor.</summary>
    public double AllAtOnce(Batch batch, int tokens) => Best(ProductKind.Fp8PerTensor, tokens, ElementKind.Float16, set.Count, product =>
    {
        Expand(0, set.Count);
        Run(product, batch, 0, 0, tokens);
    });

    /// <summary>Microseconds of some experts with a token each, expanded and multiplied one by one.</summary>
    /// <param name="chosen">The experts of each call.</param>
    public double Chosen(int[][] chosen)
    {
        const int Calls = 8;
        int call = 0;
        return Best(ProductKind.Fp8RowWise, LeastTokens, ElementKind.BFloat16, 1, product =>
        {
            int[] experts = chosen[call++ % chosen.Length];
            for (int i = 0; i < experts.Length; i++)
            {
                Expand(experts[i], 1);
                Run(product, _padded, experts[i], i, LeastTokens);
            }
        }, Calls);
    }

    public void Dispose()
    {
        _expanded.Dispose();
        _scales.Dispose();
        _padded.Dispose();
    }

    private void Run(CublasLtProduct product, Batch batch, int expert, int place, int tokens) => product.Run(
        bench.Stream.Handle, Expert(expert), batch.Tokens.Codes + ((ulong)place * (ulong)tokens * (ulong)set.Columns),
        batch.Output.Address + ((ulong)place * (ulong)tokens * (ulong)set.Rows * sizeof(ushort)), _scales.Address,
        batch.Tokens.Scales + ((ulong)place * (ulong)tokens * sizeof(float)));

    private void Expand(int first, int count)
    {
        CudaKernel kernel = bench.Kernels.Kernel("expand", "expand.cu", 0, [$"GROUP={_layout.BlockGroup}"]);
        KernelArguments arguments = default;
        arguments.Add(set.Packed.Blocks + ((ulong)first * (ulong)_layout.Bytes));
        arguments.Add(Expert(first));
        arguments.Add(_layout.RowBlocks * PackedLayout.BlockRows * count);
        arguments.Add(_layout.Columns);
        arguments.Add(_layout.ColumnBlocks);
        kernel.Launch(
            bench.Stream.Handle, new LaunchSize(_layout.RowBlocks * count, _layout.ColumnBlocks, 1, 256), ref arguments, overlap: true);
    }

    private double Best(ProductKind kind, int tokens, ElementKind output, int products, Action<CublasLtProduct> call, int calls = 1)
    {
        const int Algorithms = 3;
        if (bench.Library is null)
        {
            return double.NaN;
        }

        double best = double.NaN;
        try
        {
            using CublasLtProduct product = new(bench.Library, kind, tokens, set.Rows, set.Columns, output, products);
            for (int algorithm = 0; algorithm < Math.Min(Algorithms, product.Algorithms); algorithm++)
            {
                product.Algorithm = algorithm;
                double time = bench.Microseconds(calls, _ => call(product), samples: 5);
                best = double.IsNaN(best) || time < best ? time : best;
            }
        }
        catch (CublasLtException e)
        {
            Console.WriteLine(e.Message);
        }

        return best;
    }
}
