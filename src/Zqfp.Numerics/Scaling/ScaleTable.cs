namespace Zqfp.Numerics;

/// <summary>The scales of a layer. <see cref="Effective"/> holds exactly what dequantization multiplies by.</summary>
/// <param name="GroupSize">Columns of a group.</param>
/// <param name="Groups">Groups of a row.</param>
/// <param name="Effective">Scales [rows, groups].</param>
/// <param name="RowScales">S_max [rows] with M2.</param>
/// <param name="Exponents">Exponents [rows, groups] with M2.</param>
internal sealed record ScaleTable(int GroupSize, int Groups, float[] Effective, float[]? RowScales, byte[]? Exponents)
{
    /// <summary>Multiplies S_max of a row; scales of groups follow it.</summary>
    /// <param name="row">The row.</param>
    /// <param name="factor">The factor wanted.</param>
    /// <param name="storage">The type S_max is rounded to.</param>
    /// <returns>The factor by which it changed: 1 where the type cannot hold it.</returns>
    public float MultiplyRow(int row, float factor, ScaleStorage storage)
    {
        float before = RowScales![row];
        float after = storage == ScaleStorage.Float16 ? (float)(Half)(before * factor) : before * factor;
        if (!float.IsNormal(after))
        {
            return 1;
        }

        RowScales[row] = after;
        for (int i = row * Groups; i < (row + 1) * Groups; i++)
        {
            Effective[i] = after * QuantizedMatrix.PowerOfTwo(-Exponents![i]);
        }

        return after / before;
    }

    public static ScaleTable Create(int rows, int columns, QuantizationOptions options)
    {
        int groupSize = options.GroupSize <= 0 ? columns : Math.Min(options.GroupSize, columns);
        int groups = (columns + groupSize - 1) / groupSize;
        bool anchored = options.Constraint is ScaleConstraint.M2 or ScaleConstraint.Ue8M0;
        return new ScaleTable(
            groupSize,
            groups,
            new float[rows * groups],
            anchored ? new float[rows] : null,
            anchored ? new byte[rows * groups] : null);
    }
}
