
namespace Zqfp.CudaOps;

/// <summary>The constants of a product for experts as they stand in the model, one expert after another, checked together.</summary>
internal readonly unsafe ref struct ExpertConstants
{
    /// <summary>W [E, N, K].</summary>
    public OrtTensorView Weights { get; private init; }

    /// <summary>The columns.</summary>
    public GroupLayout Layout { get; private init; }

    /// <summary>Type of Y: float or float16.</summary>
    public OrtElementType OutputType { get; private init; }

    /// <summary>E, or the float scales [E, N, groups].</summary>
    public OrtTensorView Scales { get; private init; }

    /// <summary>S [E, N]; absent under unconstrained scales.</summary>
    public OrtTensorView RowScales { get; private init; }

    /// <summary>bias [E, N], float or float16, or absent.</summary>
    public OrtTensorView Bias { get; private init; }

    /// <summary>A [E, r, K], or absent.</summary>
    public OrtTensorView FactorA { get; private init; }

    /// <summary>B [E, N, r], or absent.</summary>
    public OrtTensorView FactorB { get; private init; }

    /// <summary>r; 0 without a low-rank branch.</summary>
    public int Rank { get; private init; }

    /// <summary>How many experts there are.</summary>
    public int Experts => (int)Weights.Shape[0];

    /// <summary>N.</summary>
    public int Rows => (int)Weights.Shape[1];

    /// <summary>Reads the constants of a node.</summary>
    /// <exception cref="ZqfpException">ZQFP4006: the node breaks a rule of the operator.</exception>
    public static ExpertConstants Read(MatMulSignature signature, in OrtKernelInfo info)
    {
        OrtTensorView weights = Require.Constant(info, signature.WeightsInput, "W");
        if (!signature.Accepts(weights.ElementType))
        {
            throw new ZqfpException("ZQFP4006",
                $"W must be of type {(signature.Weights == WeightFormat.E4M3 ? "FLOAT8E4M3FN" : "FLOAT4E2M1 or UINT4")}; it is "
                + $"{weights.ElementType}.");
        }

        if (weights.Shape.Length != 3)
        {
            throw new ZqfpException("ZQFP4006", $"W must be [E, N, K]; it is {Require.Text(weights.Shape)}.");
        }

        int experts = checked((int)weights.Shape[0]);
        int rows = checked((int)weights.Shape[1]);
        int columns = checked((int)weights.Shape[2]);
        long groupSize = info.GetInt64(OperatorNames.GroupSize, columns);
        var outputType = (OrtElementType)info.GetInt64(OperatorNames.OutputType, (long)OrtElementType.Float);
        if (groupSize < 1 || outputType is not (OrtElementType.Float or OrtElementType.Float16))
        {
            throw new ZqfpException("ZQFP4006",
                $"Attribute group_size must be at least 1, dtype 1 (float) or 10 (float16); they are {groupSize} and {(int)outputType}.");
        }

        var layout = new GroupLayout(columns, (int)Math.Min(groupSize, Math.Max(columns, 1)));
        OrtTensorView scales = Require.Constant(info, signature.ScalesInput, signature.PowerOfTwoScales ? "E" : "Scales");
        Require.Shape(scales, signature.PowerOfTwoScales ? "E" : "Scales", "[E, N, ceil(K / group_size)]", experts, rows, layout.Groups);
        Require.Type(scales, "the scales", signature.PowerOfTwoScales ? OrtElementType.UInt8 : OrtElementType.Float);
        OrtTensorView rowScales = signature.PowerOfTwoScales ? Require.Constant(info, signature.RowScalesInput, "S") : default;
        if (rowScales.IsPresent)
        {
            Require.Type(rowScales, "S", OrtElementType.Float);
            Require.Shape(rowScales, "S", "[E, N]", experts, rows);
        }

        OrtTensorView bias = Require.OptionalConstant(info, signature.BiasInput, "bias");
        if (bias.IsPresent)
        {
            Require.Shape(bias, "bias", "[E, N]", experts, rows);
        }

        OrtTensorView a = Require.OptionalConstant(info, signature.FactorAInput, "A");
        OrtTensorView b = Require.OptionalConstant(info, signature.FactorBInput, "B");
        int rank = RankOf(a, b, experts, rows, columns);
        return new ExpertConstants
        {
            Weights = weights,
            Layout = layout,
            OutputType = outputType,
            Scales = scales,
            RowScales = rowScales,
            Bias = bias,
            FactorA = a,
            FactorB = b,
            Rank = rank,
        };
    }

    /// <summary>The part of a constant that is one expert's.</summary>
    /// <param name="view">The constant, of a type T.</param>
    /// <param name="expert">The expert.</param>
    public ReadOnlySpan<T> Part<T>(in OrtTensorView view, int expert)
        where T : unmanaged
    {
        if (!view.IsPresent)
        {
            return default;
        }

        int length = checked((int)(view.ElementCount / Experts));
        return new ReadOnlySpan<T>((T*)view.DataPointer + ((long)expert * length), length);
    }

    /// <summary>Float numbers of one expert, whichever type the model has them in.</summary>
    /// <param name="view">The constant; may be absent.</param>
    /// <param name="expert">The expert.</param>
    /// <param name="name">Its name, for the error.</param>
    public float[] Floats(in OrtTensorView view, int expert, string name)
    {
        if (!view.IsPresent)
        {
            return [];
        }

        Require.Type(view, name, OrtElementType.Float, OrtElementType.Float16);
        if (view.ElementType == OrtElementType.Float)
        {
            return Part<float>(view, expert).ToArray();
        }

        ReadOnlySpan<Half> halves = Part<Half>(view, expert);
        float[] values = new float[halves.Length];
        fixed (Half* source = halves)
        fixed (float* target = values)
        {
            HalfConversion.ToSingle(source, target, values.Length);
        }

        return values;
    }

    /// <summary>An expert's codes; those of 4 bits are moved by half a byte where they begin in the middle of one.</summary>
    public ReadOnlySpan<byte> Codes(int expert, WeightFormat format)
    {
        long count = Weights.Shape[1] * Weights.Shape[2];
        byte* all = (byte*)Weights.DataPointer;
        if (format == WeightFormat.E4M3)
        {
            return new ReadOnlySpan<byte>(all + (expert * count), checked((int)count));
        }

        long first = expert * count;
        int length = checked((int)((count + 1) / 2));
        if (first % 2 == 0)
        {
            return new ReadOnlySpan<byte>(all + (first / 2), length);
        }

        byte[] moved = new byte[length];
        for (int i = 0; i < length; i++)
        {
            long low = (first / 2) + i;
            bool hasHigh = (2L * i) + 1 < count;
            moved[i] = (byte)((all[low] >> 4) | (hasHigh ? all[low + 1] << 4 : 0));
        }

        return moved;
    }

    private static int RankOf(in OrtTensorView a, in OrtTensorView b, int experts, int rows, int columns)
    {
        if (a.IsPresent != b.IsPresent)
        {
            throw new ZqfpException("ZQFP4006", "A and B are given together or not at all.");
        }

        if (!a.IsPresent)
        {
            return 0;
        }

        if (a.Shape.Length != 3)
        {
            throw new ZqfpException("ZQFP4006", $"A must be [E, r, K]; it is {Require.Text(a.Shape)}.");
        }

        int rank = checked((int)a.Shape[1]);
        Require.Shape(a, "A", "[E, r, K]", experts, rank, columns);
        Require.Shape(b, "B", "[E, N, r]", experts, rows, rank);
        return rank;
    }
}
