using Zqfp.CudaOps;

namespace Zqfp.GpuBench;

/// <summary>
/// Every kernel against float64, and every operator against the processor's. A line a check; the count of failures decides the exit code.
/// </summary>
internal sealed class Checks(Bench bench, TextWriter report)
{
    private nint Stream => bench.Stream.Handle;

    public int Failures { get; private set; }

    public void Run()
    {
        Attempt("quantize", Quantization);
        Attempt("rotation", () => new RotationChecks(bench).Run(Report));
        Attempt("expand", Expansion);
        foreach (GemmTile tile in Tiles())
        {
            Attempt($"one-hot {tile}", () => OneHot(tile));
        }

        Attempt("products", Products);
        Attempt("projecting", Projecting);
        Attempt("dense", Dense);
        Attempt("large", Large);
        Attempt("packed experts", () => new PackedExpertChecks(bench).Run(Report));
        Attempt("operators", () =>
        {
            OperatorChecks operators = new(bench, Report);
            operators.Run();
            new ExpertChecks(operators).Run(Report);
        });
        Summarize();
    }

    /// <summary>The checks of rotated tokens alone.</summary>
    public void RunRotation()
    {
        Attempt("rotation", () => new RotationChecks(bench).Run(Report));
        Summarize();
    }

    /// <summary>The checks of products for experts alone.</summary>
    public void RunExperts()
    {
        Attempt("packed experts", () => new PackedExpertChecks(bench).Run(Report));
        Attempt("experts", () => new ExpertChecks(new OperatorChecks(bench, Report)).Run(Report));
        Summarize();
    }

    /// <summary>The checks of products with expanded weights alone.</summary>
    public void RunDense()
    {
        Attempt("dense", Dense);
        Summarize();
    }

    private void Summarize()
    {
        report.WriteLine(Failures == 0 ? "All checks passed." : $"{Failures} CHECKS FAILED.");
        report.Flush();
    }

    private static GemmTile[] Tiles() =>
    [
        new(8, 1, 1, 2, 1, false), new(8, 2, 2, 2, 1, true), new(16, 2, 4, 3, 2, false), new(16, 4, 8, 2, 1, true),
        new(32, 2, 4, 2, 1, false), new(64, 2, 2, 3, 1, true), new(128, 2, 1, 3, 1, false), new(128, 2, 2, 2, 1, true),
    ];

    private void Attempt(string name, Action check)
    {
        try
        {
            check();
        }
        catch (ZqfpException e)
        {
            Report(name, false, e.Message);
            if (e.Code == "ZQFP4104")
            {
                throw; // The context is lost.
            }
        }
    }

    private void Report(string name, bool good, string detail)
    {
        if (!good)
        {
            Failures++;
        }

        report.WriteLine($"{(good ? "ok  " : "FAIL")} {name}: {detail}");
        report.Flush();
    }

    /// <summary>All element types: codes and scales bit for bit, and A xq.</summary>
    private void Quantization()
    {
        const int Tokens = 37, Rank = 16;
        Problem problem = new(64, 1312, 32, seed: 3, rank: Rank);
        using DeviceWeight weight = DeviceWeight.Create(bench.Context, problem.Data);
        foreach (ElementKind kind in Enum.GetValues<ElementKind>())
        {
            int columns = problem.Layout.Columns;
            float[] x = Problem.RandomTokens(Tokens, columns, seed: 5);
            x.AsSpan(columns, columns).Clear(); // a token of zeros
            using Batch batch = new(bench.Context, Tokens, columns, 64, Rank);
            Upload(batch.Input, x, kind);
            bench.Kernels.QuantizeTokens(Stream, batch.Input.Address, kind, columns, batch.Tokens, weight);
            (byte[] codes, float[] scales) = batch.DownloadCodes(Stream);
            int wrong = 0;
            for (int token = 0; token < Tokens; token++)
            {
                Span<float> row = x.AsSpan(token * columns, columns);
                float largest = 0;
                foreach (float v in row)
                {
                    largest = Math.Max(largest, Math.Abs(v));
                }

                float scale = largest > 0 ? largest / 448f : 1;
                wrong += scale == scales[token] ? 0 : 1;
                for (int column = 0; column < columns; column++)
                {
                    wrong += codes[(token * columns) + column] == E4M3.FromDouble(row[column] / scale) ? 0 : 1;
                }
            }

            float[] low = new float[Tokens * Rank];
            batch.DownloadLowRank(low, Stream);
            double error = 0, norm = 0;
            for (int token = 0; token < Tokens; token++)
            {
                for (int r = 0; r < Rank; r++)
                {
                    double sum = 0;
                    for (int column = 0; column < columns; column++)
                    {
                        sum += problem.A[(r * columns) + column] * E4M3.ToDouble(codes[(token * columns) + column]);
                    }

                    error += Math.Pow(sum - low[(token * Rank) + r], 2);
                    norm += sum * sum;
                }
            }

            Report($"quantize {kind}", wrong == 0 && Math.Sqrt(error / norm) < 1e-5,
                $"{wrong} wrong of {Tokens * columns}, A xq off by {Math.Sqrt(error / norm):E1}");
        }
    }

    private void Expansion()
    {
        foreach (int group in (int[])[32, 64, 128, 256, 512])
        {
            Problem problem = new(200, 1072, group, seed: group);
            // Every code under every exponent.
            for (int i = 0; i < problem.Exponents.Length; i++)
            {
                problem.Exponents[i] = (byte)(i % (PackedLayout.MaxExponent + 1));
            }

            using DeviceWeight weight = DeviceWeight.Create(bench.Context, problem.Data);
            byte[] bytes = new byte[200 * 1072];
            using DeviceMemory output = new(bench.Context, bytes.Length);
            output.Fill(0xFF, Stream);
            bench.Kernels.Expand(Stream, weight, output.Address);
            output.Download<byte>(bytes, Stream);
            int wrong = 0;
            for (int row = 0; row < 200; row++)
            {
                for (int column = 0; column < 1072; column++)
                {
                    double expected = problem.Weight(row, column) / problem.RowScales[row] * 64;
                    wrong += Math.Abs(E4M3.ToDouble(bytes[(row * 1072) + column]) - expected) <= Math.Abs(expected) * 1e-12 ? 0 : 1;
                }
            }

            Report($"expand, groups of {group}", wrong == 0, $"{wrong} wrong of {bytes.Length}");
        }
    }

    /// <summary>Tokens that pick one column each: every code, exponent and lane must come out exactly.</summary>
    private void OneHot(GemmTile tile)
    {
        const int Rows = 200, Columns = 1024;
        foreach (int group in (int[])[256, 128, 32])
        {
            Problem problem = new(Rows, Columns, group, seed: 11);
            for (int i = 0; i < problem.Exponents.Length; i++)
            {
                problem.Exponents[i] = (byte)(i % (PackedLayout.MaxExponent + 1));
            }

            Array.Fill(problem.RowScales, 1f);
            using DeviceWeight weight = DeviceWeight.Create(bench.Context, problem.Data);
            byte[] codes = new byte[Columns * Columns];
            for (int i = 0; i < Columns; i++)
            {
                codes[(i * Columns) + i] = E4M3.FromDouble(1);
            }

            float[] scales = new float[Columns];
            Array.Fill(scales, 1f);
            using Batch batch = new(bench.Context, Columns, Columns, Rows, 0);
            batch.UploadCodes(codes, scales);
            batch.Output.Fill(0xFF, Stream);
            bench.Kernels.Multiply(Stream, weight, batch.Tokens, batch.Output.Address, ElementKind.Float32, tile);
            double[] y = batch.DownloadOutput(ElementKind.Float32, Stream);
            int wrong = 0;
            for (int token = 0; token < Columns; token++)
            {
                for (int row = 0; row < Rows; row++)
                {
                    wrong += y[(token * Rows) + row] == problem.Weight(row, token) ? 0 : 1;
                }
            }

            Report($"one-hot {tile}, groups of {group}", wrong == 0, $"{wrong} wrong of {Columns * Rows}");
        }
    }

    private void Products()
    {
        (int Rows, int Columns, int Group, int Rank, bool Bias, bool Floats)[] layers =
        [
            (320, 1280, 256, 0, false, false), (328, 1296, 128, 8, true, false), (200, 2048, 32, 64, true, false),
            (192, 2048, 256, 0, true, true), (320, 1280, 128, 8, false, true), (100, 288, 64, 3, true, false),
        ];
        foreach ((int rows, int columns, int group, int rank, bool bias, bool floats) in layers)
        {
            Problem problem = new(rows, columns, group, seed: rows + columns, rank, bias, floats);
            using DeviceWeight weight = DeviceWeight.Create(bench.Context, problem.Data);
            foreach (int tokens in (int[])[1, 3, 16, 17, 40, 64, 130])
            {
                foreach (ElementKind kind in Enum.GetValues<ElementKind>())
                {
                    if (kind != ElementKind.Float32 && tokens != 17)
                    {
                        continue;
                    }

                    using Batch batch = new(bench.Context, tokens, columns, rows, weight.Rank);
                    Upload(batch.Input, Problem.RandomTokens(tokens, columns, seed: tokens), ElementKind.Float32);
                    bench.Kernels.QuantizeTokens(Stream, batch.Input.Address, ElementKind.Float32, columns, batch.Tokens, weight);
                    batch.Output.Fill(0xFF, Stream);
                    GemmTile tile = GemmTuning.Choose(bench.Context, weight.Layout, tokens, weight.Rank);
                    bench.Kernels.Multiply(Stream, weight, batch.Tokens, batch.Output.Address, kind, tile, overlap: true);
                    double[] y = batch.DownloadOutput(kind, Stream);
                    (byte[] codes, float[] scales) = batch.DownloadCodes(Stream);
                    double error = RelativeError(y, problem.Multiply(codes, scales));
                    double limit = kind switch { ElementKind.Float32 => 3e-4, ElementKind.Float16 => 6e-4, _ => 4e-3 };
                    Report(
                        $"product {rows}x{columns} g{group} r{rank}{(bias ? " bias" : "")}{(floats ? " float scales" : "")} M={tokens} "
                        + $"{kind}",
                        error <= limit, $"{error:E2}");
                }
            }
        }
    }

    /// <summary>The product that computes A xq itself gives what the one that is given it does, and the same bits on every run.</summary>
    private void Projecting()
    {
        foreach ((int rows, int columns, int rank) in ((int, int, int)[])[(100, 288, 3), (328, 1296, 8), (200, 2048, 64),
            (5120, 13824, 64), (22016, 4096, 8)])
        {
            Problem problem = new(rows, columns, 256, seed: rows, rank, bias: true);
            using DeviceWeight weight = DeviceWeight.Create(bench.Context, problem.Data);
            foreach (int tokens in (int[])[1, 8, 16, 30, 64])
            {
                using Batch batch = new(bench.Context, tokens, columns, rows, weight.Rank);
                Upload(batch.Input, Problem.RandomTokens(tokens, columns, seed: tokens), ElementKind.Float32);
                GemmTile tile = GemmTuning.Choose(bench.Context, weight.Layout, tokens, weight.Rank);
                bench.Kernels.QuantizeTokens(Stream, batch.Input.Address, ElementKind.Float32, columns, batch.Tokens, weight);
                bench.Kernels.Multiply(Stream, weight, batch.Tokens, batch.Output.Address, ElementKind.Float32, tile);
                double[] expected = batch.DownloadOutput(ElementKind.Float32, Stream);
                double[]? first = null;
                bool same = true;
                for (int run = 0; run < 20; run++)
                {
                    batch.Poison(Stream);
                    bench.Kernels.QuantizeTokens(Stream, batch.Input.Address, ElementKind.Float32, columns, batch.Projecting,
                        weight, overlap: true);
                    bench.Kernels.Multiply(Stream, weight, batch.Projecting, batch.Output.Address, ElementKind.Float32,
                        tile, overlap: true);
                    double[] y = batch.DownloadOutput(ElementKind.Float32, Stream);
                    same &= first is null || first.SequenceEqual(y);
                    first ??= y;
                }

                double error = RelativeError(first!, expected);
                Report($"projecting {rows}x{columns} r{rank} M={tokens}", same && error <= 1e-5,
                    $"{error:E2} from the other way, same bits: {same}");
            }
        }
    }

    /// <summary>Expanded weights: every tile against float64, and the same bits on every run.</summary>
    private void Dense()
    {
        foreach ((int rows, int columns, int rank, bool bias) in ((int, int, int, bool)[])[(320, 1280, 0, false), (328, 1296, 8, true),
            (1000, 272, 24, true), (4096, 4096, 8, false)])
        {
            Problem problem = new(rows, columns, 256, seed: rows, rank, bias);
            using DeviceWeight weight = DeviceWeight.Create(bench.Context, problem.Data);
            using DeviceMemory expanded = new(bench.Context, (long)rows * columns);
            bench.Kernels.Expand(Stream, weight, expanded.Address);
            var dense = new DenseWeight(
                expanded.Address, weight.RowScales.Address, weight.Bias?.Address ?? 0, weight.LowRankB?.Address ?? 0, weight.Rank, rows,
                columns);
            foreach (int tokens in rows == 4096 ? (int[])[300] : [1, 40, 128, 300])
            {
                using Batch batch = new(bench.Context, tokens, columns, rows, weight.Rank);
                Upload(batch.Input, Problem.RandomTokens(tokens, columns, seed: tokens), ElementKind.Float32);
                bench.Kernels.QuantizeTokens(Stream, batch.Input.Address, ElementKind.Float32, columns, batch.Tokens, weight);
                (byte[] codes, float[] scales) = batch.DownloadCodes(Stream);
                double[] expected = problem.Multiply(codes, scales);
                foreach (DenseTile tile in DenseTuning.All)
                {
                    foreach (ElementKind kind in Enum.GetValues<ElementKind>())
                    {
                        DensePlan plan = bench.Kernels.PlanDense(dense, kind, tile);
                        double[]? first = null;
                        bool same = true;
                        for (int run = 0; run < 3; run++)
                        {
                            batch.Output.Fill(0xFF, Stream);
                            plan.Launch(Stream, batch.Tokens, batch.Output.Address, overlap: true);
                            double[] y = batch.DownloadOutput(kind, Stream);
                            same &= first is null || first.AsSpan().SequenceEqual(y);
                            first ??= y;
                        }

                        double error = RelativeError(first!, expected);
                        double limit = kind == ElementKind.BFloat16 ? 5e-3 : 2e-3;
                        Report(
                            $"dense {rows}x{columns} r{rank}{(bias ? " bias" : "")} M={tokens} {tile.Features} {kind}",
                            error <= limit && same, $"{error:E2}, same bits: {same}");
                    }
                }
            }
        }
    }

    /// <summary>Full-size layers against the simple kernel in float64, and the same bits on every run.</summary>
    private void Large()
    {
        foreach ((int rows, int columns) in ((int, int)[])[(22016, 4096), (5120, 13824)])
        {
            Problem problem = new(rows, columns, 256, seed: 1);
            using DeviceWeight weight = DeviceWeight.Create(bench.Context, problem.Data);
            using DeviceMemory codes = DeviceMemory.From<byte>(bench.Context, problem.Codes);
            using DeviceMemory exponents = DeviceMemory.From<byte>(bench.Context, problem.Exponents);
            using DeviceMemory rowScales = DeviceMemory.From<float>(bench.Context, problem.RowScales);
            SimpleWeight simple = new(codes.Address, exponents.Address, rowScales.Address, 0, 0, 0, rows, columns, 256);
            foreach (int tokens in (int[])[1, 16, 64, 200])
            {
                using Batch batch = new(bench.Context, tokens, columns, rows, 0);
                Upload(batch.Input, Problem.RandomTokens(tokens, columns, seed: tokens), ElementKind.Float32);
                bench.Kernels.QuantizeTokens(Stream, batch.Input.Address, ElementKind.Float32, columns, batch.Tokens);
                bench.Kernels.MultiplySimply(Stream, simple, batch.Tokens, batch.Output.Address, ElementKind.Float32, inDouble: true);
                double[] expected = batch.DownloadOutput(ElementKind.Float32, Stream);
                GemmTile tile = GemmTuning.Choose(bench.Context, weight.Layout, tokens, weight.Rank);
                double[]? first = null;
                bool same = true;
                for (int run = 0; run < 5; run++)
                {
                    batch.Output.Fill(0xFF, Stream);
                    bench.Kernels.Multiply(Stream, weight, batch.Tokens, batch.Output.Address, ElementKind.Float32, tile);
                    double[] y = batch.DownloadOutput(ElementKind.Float32, Stream);
                    first ??= y;
                    same &= first.AsSpan().SequenceEqual(y);
                }

                double error = RelativeError(first!, expected);
                Report($"large {rows}x{columns} M={tokens}", error <= 3e-4 && same, $"{error:E2}, same bits: {same}");
            }
        }
    }

    internal static void Upload(DeviceMemory target, float[] values, ElementKind kind)
    {
        switch (kind)
        {
            case ElementKind.Float32:
                target.Upload<float>(values);
                break;
            case ElementKind.Float16:
                Half[] halves = [.. values.Select(v => (Half)v)];
                target.Upload<Half>(halves);
                for (int i = 0; i < values.Length; i++)
                {
                    values[i] = (float)halves[i];
                }

                break;
            default:
                ushort[] bits = [.. values.Select(v => (ushort)(BitConverter.SingleToUInt32Bits(v) >> 16))];
                target.Upload<ushort>(bits);
                for (int i = 0; i < values.Length; i++)
                {
                    values[i] = BitConverter.UInt32BitsToSingle((uint)bits[i] << 16);
                }

                break;
        }
    }

    internal static double RelativeError(double[] y, double[] expected)
    {
        double error = 0, norm = 0;
        for (int i = 0; i < y.Length; i++)
        {
            error += (y[i] - expected[i]) * (y[i] - expected[i]);
            norm += expected[i] * expected[i];
        }

        return Math.Sqrt(error / norm);
    }
}
