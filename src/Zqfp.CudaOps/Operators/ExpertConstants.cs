namespace Zqfp.CudaOps;

/// <summary>Reads and packs the constants of a product for experts: those of one expert after another, checked together.</summary>
internal static unsafe class ExpertConstants
{
    /// <summary>One layer for each expert.</summary>
    /// <exception cref="ZqfpException">ZQFP4006: the node breaks a rule of the operator.</exception>
    public static MatMulLayer[] Read(MatMulSignature signature, in OrtKernelInfo info)
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
        int rank = Rank(a, b, experts, rows, columns);
        var layers = new MatMulLayer[experts];
        for (int e = 0; e < experts; e++)
        {
            long first = (long)e * rows;
            PackedWeights packed = signature.PowerOfTwoScales
                ? PackedWeights.FromExponents(signature.Weights, Codes(weights, e, signature.Weights),
                    new ReadOnlySpan<byte>((byte*)scales.DataPointer + (first * layout.Groups), rows * layout.Groups),
                    new ReadOnlySpan<float>((float*)rowScales.DataPointer + first, rows), rows, layout)
                : PackedWeights.FromScales(signature.Weights, Codes(weights, e, signature.Weights),
                    new ReadOnlySpan<float>((float*)scales.DataPointer + (first * layout.Groups), rows * layout.Groups), rows, layout);
            int panels = (rows + PackedWeights.PanelWidth - 1) / PackedWeights.PanelWidth;
            var padded = new NativeBuffer((long)panels * PackedWeights.PanelWidth * sizeof(float));
            if (bias.IsPresent)
            {
                ReadFloats(bias, first, padded.Floats, rows, "bias");
            }

            layers[e] = new MatMulLayer(packed, padded, rank == 0 ? null : Branch(a, b, e, rank, rows, layout), outputType);
        }

        return layers;
    }

    private static int Rank(in OrtTensorView a, in OrtTensorView b, int experts, int rows, int columns)
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

    private static LowRankBranch Branch(in OrtTensorView a, in OrtTensorView b, int expert, int rank, int rows, GroupLayout layout)
    {
        int ofA = rank * layout.Columns;
        int ofB = rows * rank;
        using var factorA = new NativeBuffer((long)ofA * sizeof(float));
        using var factorB = new NativeBuffer((long)ofB * sizeof(float));
        ReadFloats(a, (long)expert * ofA, factorA.Floats, ofA, "A");
        ReadFloats(b, (long)expert * ofB, factorB.Floats, ofB, "B");
        return new LowRankBranch(new TokenFactor(factorA, rank, layout), factorB, rank, rows);
    }

    private static void ReadFloats(in OrtTensorView view, long start, float* destination, int count, string name)
    {
        Require.Type(view, name, OrtElementType.Float, OrtElementType.Float16);
        if (view.ElementType == OrtElementType.Float)
        {
            new ReadOnlySpan<float>((float*)view.DataPointer + start, count).CopyTo(new Span<float>(destination, count));
        }
        else
        {
            HalfConversion.ToSingle((Half*)view.DataPointer + start, destination, count);
        }
    }

    /// <summary>An expert's codes; those of 4 bits are moved by half a byte where they begin in the middle of one.</summary>
    private static ReadOnlySpan<byte> Codes(in OrtTensorView weights, int expert, WeightFormat format)
    {
        long count = weights.Shape[1] * weights.Shape[2];
        byte* all = (byte*)weights.DataPointer;
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
}
