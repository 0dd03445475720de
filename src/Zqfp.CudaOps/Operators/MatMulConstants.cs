
namespace Zqfp.CudaOps;

/// <summary>The constants of a matrix product's node as they stand in the model, checked against the operator's rules.</summary>
internal readonly ref struct MatMulConstants
{
    private MatMulConstants(OrtTensorView weights, GroupLayout layout, OrtElementType outputType)
    {
        Weights = weights;
        Layout = layout;
        OutputType = outputType;
    }

    /// <summary>W [N, K].</summary>
    public OrtTensorView Weights { get; }

    /// <summary>The columns.</summary>
    public GroupLayout Layout { get; }

    /// <summary>Type of Y: float or float16.</summary>
    public OrtElementType OutputType { get; }

    /// <summary>N.</summary>
    public int Rows => (int)Weights.Shape[0];

    /// <summary>E, or the float scales [N, groups].</summary>
    public OrtTensorView Scales { get; private init; }

    /// <summary>S [N]; absent under unconstrained scales.</summary>
    public OrtTensorView RowScales { get; private init; }

    /// <summary>bias [N], float or float16, or absent.</summary>
    public OrtTensorView Bias { get; private init; }

    /// <summary>A [r, K]; absent without a low-rank branch, and where tokens come with their products with it.</summary>
    public OrtTensorView FactorA { get; private init; }

    /// <summary>B [N, r], or absent.</summary>
    public OrtTensorView FactorB { get; private init; }

    /// <summary>r; 0 without a low-rank branch.</summary>
    public int Rank => FactorB.IsPresent ? (int)FactorB.Shape[1] : 0;

    /// <summary>Reads the constants of a node.</summary>
    /// <exception cref="ZqfpException">The node breaks a rule of the operator.</exception>
    public static MatMulConstants Read(MatMulSignature signature, in OrtKernelInfo info)
    {
        OrtTensorView weights = Require.Constant(info, signature.WeightsInput, "W");
        if (!signature.Accepts(weights.ElementType))
        {
            throw new ZqfpException("ZQFP4006",
                $"W must be of type {(signature.Weights == WeightFormat.E4M3 ? "FLOAT8E4M3FN" : "FLOAT4E2M1 or UINT4")}; it is "
                + $"{weights.ElementType}.");
        }
        if (weights.Shape.Length != 2)
        {
            throw new ZqfpException("ZQFP4006", $"W must be [N, K]; it is {Require.Text(weights.Shape)}.");
        }
        int rows = checked((int)weights.Shape[0]);
        int columns = checked((int)weights.Shape[1]);
        long groupSize = info.GetInt64(OperatorNames.GroupSize, columns);
        if (groupSize < 1)
        {
            throw new ZqfpException("ZQFP4006", $"Attribute group_size must be at least 1; it is {groupSize}.");
        }
        var outputType = (OrtElementType)info.GetInt64(OperatorNames.OutputType, (long)OrtElementType.Float);
        if (outputType is not (OrtElementType.Float or OrtElementType.Float16))
        {
            throw new ZqfpException("ZQFP4006", $"Attribute dtype must be 1 (float) or 10 (float16); it is {(int)outputType}.");
        }
        var layout = new GroupLayout(columns, (int)Math.Min(groupSize, Math.Max(columns, 1)));
        OrtTensorView a = Require.OptionalConstant(info, signature.FactorAInput, "A");
        OrtTensorView b = Require.OptionalConstant(info, signature.FactorBInput, "B");
        CheckFactors(a, b, rows, columns, signature.TakesProjections && info.HasInput(signature.ProjectionInput));
        return new MatMulConstants(weights, layout, outputType)
        {
            Scales = ReadScales(signature, info, rows, layout),
            RowScales = ReadRowScales(signature, info, rows),
            Bias = ReadBias(signature, info, rows),
            FactorA = a,
            FactorB = b,
        };
    }

    private static OrtTensorView ReadScales(MatMulSignature signature, in OrtKernelInfo info, int rows, GroupLayout layout)
    {
        string name = signature.PowerOfTwoScales ? "E" : "Scales";
        OrtTensorView scales = Require.Constant(info, signature.ScalesInput, name);
        Require.Shape(scales, name, "[N, ceil(K / group_size)]", rows, layout.Groups);
        Require.Type(scales, name, signature.PowerOfTwoScales ? OrtElementType.UInt8 : OrtElementType.Float);
        return scales;
    }

    private static OrtTensorView ReadRowScales(MatMulSignature signature, in OrtKernelInfo info, int rows)
    {
        if (!signature.PowerOfTwoScales)
        {
            return default;
        }
        OrtTensorView rowScales = Require.Constant(info, signature.RowScalesInput, "S");
        Require.Type(rowScales, "S", OrtElementType.Float);
        Require.Shape(rowScales, "S", "[N]", rows);
        return rowScales;
    }

    private static OrtTensorView ReadBias(MatMulSignature signature, in OrtKernelInfo info, int rows)
    {
        OrtTensorView bias = Require.OptionalConstant(info, signature.BiasInput, "bias");
        if (bias.IsPresent)
        {
            Require.Shape(bias, "bias", "[N]", rows);
        }
        return bias;
    }

    private static void CheckFactors(in OrtTensorView a, in OrtTensorView b, int rows, int columns, bool hasProjections)
    {
        if (hasProjections)
        {
            if (a.IsPresent || b.Shape.Length != 2 || b.Shape[1] % OperatorNames.RankStep != 0)
            {
                throw new ZqfpException("ZQFP4006",
                    $"With Z, A is left out and B is [N, R], R a multiple of {OperatorNames.RankStep}; B is {Require.Text(b.Shape)}.");
            }

            Require.Shape(b, "B", "[N, R]", rows, b.Shape[1]);
            return;
        }

        if (a.IsPresent != b.IsPresent)
        {
            throw new ZqfpException("ZQFP4006", "A and B are given together or not at all.");
        }
        if (!a.IsPresent)
        {
            return;
        }
        if (a.Shape.Length != 2)
        {
            throw new ZqfpException("ZQFP4006", $"A must be [r, K]; it is {Require.Text(a.Shape)}.");
        }
        int rank = checked((int)a.Shape[0]);
        Require.Shape(a, "A", "[r, K]", rank, columns);
        Require.Shape(b, "B", "[N, r]", rows, rank);
    }
}
