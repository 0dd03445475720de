namespace Zqfp.Numerics;

/// <summary>Rounds low-rank factors to their storage type.</summary>
internal static class LowRankRounding
{
    /// <summary>Rounds.</summary>
    /// <param name="rank">r.</param>
    /// <param name="down">[r, K]; overwritten.</param>
    /// <param name="up">[N, r]; overwritten.</param>
    /// <param name="storage">Type to round to.</param>
    public static LowRankFactors Round(int rank, float[] down, float[] up, LowRankStorage storage)
    {
        int columns = down.Length / rank;
        int rows = up.Length / rank;
        float[] downScales = new float[rank];
        float[] upScales = new float[rank];
        for (int i = 0; i < rank; i++)
        {
            downScales[i] = Round(down, i * columns, 1, columns, storage);
            upScales[i] = Round(up, i, rank, rows, storage);
        }

        return new LowRankFactors(rank, down, up, storage, downScales, upScales);
    }

    private static float Round(float[] values, int start, int stride, int count, LowRankStorage storage)
    {
        NumberFormat? format = storage switch
        {
            LowRankStorage.Fp8 => NumberFormat.E4M3,
            LowRankStorage.Int8 => NumberFormat.Int8,
            _ => null,
        };
        float max = 0;
        for (int i = 0; i < count; i++)
        {
            max = MathF.Max(max, MathF.Abs(values[start + (i * stride)]));
        }

        float scale = format is null || max == 0 ? 1 : max / format.MaxValue;
        for (int i = 0; i < count; i++)
        {
            ref float value = ref values[start + (i * stride)];
            value = format is not null ? format.Round(value / scale) * scale
                : storage == LowRankStorage.Float16 ? (float)(Half)value
                : value;
        }

        return scale;
    }
}
