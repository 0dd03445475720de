using System.Globalization;
using Zqfp.CudaOps;

namespace Zqfp.Benchmarks;

/// <summary>
/// Times the inner loops of products with many tokens on one thread, each decoding a panel's chunk and multiplying the same tokens with it,
/// by turns. What counts is the process's own time, so that other work on the machine takes little from it.
/// </summary>
internal static unsafe class InnerLoopBenchmark
{
    private const int Rows = 240, Columns = GroupLayout.ChunkLength, Width = PackedWeights.PanelWidth, Runs = 200;

    /// <param name="seconds">About how long to measure.</param>
    public static void Measure(double seconds)
    {
        (string Name, Action Run)[] loops =
        [
            .. PanelMath.All.Skip(1).DistinctBy(math => math.GetType()).Select(math => ($"FP8, {math.GetType().Name}", Floats(math))),
            .. PairMath.All.Skip(1).Select(math => ($"FP4, {Name(math)}", Pairs(math))),
        ];
        var times = loops.Select(_ => new List<double>()).ToArray();
        double spent = 0;
        for (int round = 0; round < 5 || spent < seconds; round++)
        {
            for (int i = 0; i < loops.Length; i++)
            {
                TimeSpan start = Environment.CpuUsage.TotalTime;
                for (int run = 0; run < Runs; run++)
                {
                    loops[i].Run();
                }

                double taken = (Environment.CpuUsage.TotalTime - start).TotalSeconds;
                spent += taken;
                if (round > 1)
                {
                    times[i].Add(taken / Runs);
                }
            }
        }

        Console.WriteLine("| inner loop | billion multiply-adds a second | best |");
        Console.WriteLine("|:--|--:|--:|");
        for (int i = 0; i < loops.Length; i++)
        {
            const double Steps = (double)Rows * Columns * Width / 1e9;
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"| {loops[i].Name} | {Steps / Statistics.Median(times[i]):0.0} | {Steps / times[i].Min():0.0} |"));
        }
    }

    private static string Name(PairMath math) => string.Join(" ", [
        math.GetType().Name.Split('`')[0], .. math.GetType().GenericTypeArguments.Select(type => type.Name)]);

    private static Action Floats(PanelMath math)
    {
        var tiles = new RowTiles(Rows, math.RowUnit);
        NativeBuffer x = new(tiles.Rows * Columns * sizeof(float)), words = Codes();
        NativeBuffer strip = new(math.StripWidth * Columns * sizeof(float)), totals = new(tiles.Rows * Width * sizeof(float));
        NativeBuffer scales = new(Width * sizeof(float));
        byte[] codes = Tokens(x.ByteLength / sizeof(float));
        for (int i = 0; i < codes.Length; i++)
        {
            x.Floats[i] = E4M3.Values[codes[i]];
        }

        return () =>
        {
            for (int part = 0; part < Width; part += math.StripWidth)
            {
                math.DecodeE4M3((uint*)words.Bytes + part, Columns, strip.Floats);
                math.Multiply(x.Floats, tiles, strip.Floats, Columns, scales.Floats + part, totals.Floats + (part * tiles.Rows));
            }
        };
    }

    private static Action Pairs(PairMath math)
    {
        var tiles = new RowTiles(Rows, math.RowUnit);
        var layout = new GroupLayout(Columns, Columns);
        int side = TokenPairs.RowBytes(layout);
        NativeBuffer rows = new(tiles.Rows * Columns * sizeof(short)), sides = new(tiles.Rows * side), words = Codes();
        NativeBuffer strip = new(math.StripWidth * Columns * sizeof(short)), totals = new(tiles.Rows * Width * sizeof(float));
        NativeBuffer scales = new(Width * sizeof(float)), starts = new(tiles.Rows * math.StripWidth * sizeof(int));
        NativeBuffer places = new(tiles.Rows * sizeof(int));
        fixed (byte* codes = Tokens(tiles.Rows * Columns))
        {
            for (int row = 0; row < tiles.Rows; row++)
            {
                int* pairs = (int*)rows.Bytes + (row * Columns / 2);
                TokenPairs.Write(codes + (row * Columns), layout, 1, pairs, sides.Bytes + (row * side));
            }
        }

        return () =>
        {
            for (int part = 0; part < Width; part += math.StripWidth)
            {
                math.Decode((uint*)words.Bytes + part, Columns, (int*)strip.Bytes);
                for (int row = 0; row < tiles.Rows; row++)
                {
                    byte* token = sides.Bytes + (row * side);
                    var head = (TokenPairs.ChunkHead*)(token + TokenPairs.HeadOffset(0));
                    int rests = head->Rests;
                    ((int*)places.Bytes)[row] = head->Place;
                    if (rests > 0)
                    {
                        math.Start((TokenPairs.Rest*)(token + TokenPairs.RestsOffset(layout, 0)), rests, (int*)strip.Bytes,
                            (int*)starts.Bytes + (row * math.StripWidth));
                    }
                }

                math.Multiply(rows.Floats, tiles, (int*)strip.Bytes, Columns / 2, (int*)places.Bytes, (int*)starts.Bytes,
                    scales.Floats + part, totals.Floats + (part * tiles.Rows));
            }
        };
    }

    /// <summary>Codes of a panel's chunk, none of them NaN.</summary>
    private static NativeBuffer Codes()
    {
        var words = new NativeBuffer(Width * Columns);
        RandomContent.Fp8(new Span<byte>(words.Bytes, (int)words.ByteLength));
        return words;
    }

    /// <summary>Codes of normally distributed values, the largest of which is twelve standard deviations.</summary>
    private static byte[] Tokens(long count)
    {
        const double Deviation = 448.0 / 12;
        var random = new Random(1);
        byte[] codes = new byte[count];
        for (int i = 0; i < codes.Length; i++)
        {
            double normal = Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
            codes[i] = E4M3.Encode((float)(normal * Deviation));
        }

        return codes;
    }
}
