namespace Zqfp.Numerics;

/// <summary>The scales of a layer. <see cref="Effective"/> holds exactly what dequantization multiplies by.</summary>
/// <param name="GroupSize">Columns of a group.</param>
/// <param name="Groups">Groups of a row.</param>
/// <param name="Effective">Scales [rows, groups].</param>
/// <param name="RowScales">S_max [rows] with M2.</param>
/// <param name="Exponents">Exponents [rows, groups] with M2.</param>
internal sealed record ScaleTable(int GroupSize, int Groups, float[] Effective, float[]? RowScales, byte[]? Exponents)
{
    public static ScaleTable Create(int rows, int columns, QuantizationOptions options)
    {
        int groupSize = options.GroupSize <= 0 ? columns : Math.Min(options.GroupSize, columns);
        int groups = (columns + groupSize - 1) / groupSize;
        bool anchored = options.Constraint == ScaleConstraint.M2;
        return new ScaleTable(
            groupSize,
            groups,
            new float[rows * groups],
            anchored ? new float[rows] : null,
            anchored ? new byte[rows * groups] : null);
    }
}
