using System.Globalization;
using Zqfp.Numerics;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>A matrix as FP8 E4M3 codes, each row under a scale of its own that puts its largest magnitude at 448.</summary>
/// <param name="Codes">Codes, row after row.</param>
/// <param name="Scales">A row's scale; 1 where all of it is 0.</param>
internal sealed record RoundedRows(byte[] Codes, float[] Scales)
{
    /// <summary>Rounds a matrix, to nearest.</summary>
    /// <param name="rows">The matrix.</param>
    /// <param name="name">What it is, for errors.</param>
    /// <param name="height">Its rows.</param>
    /// <param name="columns">Its columns.</param>
    /// <param name="path">The model, for errors.</param>
    /// <param name="workers">The threads; the result does not depend on them.</param>
    /// <exception cref="ZqfpException">
    /// ZQFP1013: it has more elements than an array. ZQFP2002: an element is no finite number.
    /// </exception>
    public static RoundedRows Of(MatrixRows rows, string name, int height, int columns, string path, Workers workers)
    {
        if ((long)height * columns > Array.MaxLength)
        {
            throw new ZqfpException("ZQFP1013",
                $"'{name}' has {(long)height * columns} weights, more than the {Array.MaxLength} that can be quantized in one piece. Keep "
                + "it float.",
                path);
        }

        byte[] codes = new byte[(long)height * columns];
        float[] scales = new float[height];
        foreach ((int first, ReadOnlyMemory<float> strip) in rows.Strips(workers.Cancellation))
        {
            workers.For(strip.Length / columns, i =>
            {
                ReadOnlySpan<float> row = strip.Span.Slice(i * columns, columns);
                if (VectorMath.IndexOfNonFinite(row) is >= 0 and var bad)
                {
                    throw new ZqfpException("ZQFP2002",
                        string.Create(CultureInfo.InvariantCulture,
                            $"'{name}': the weight at row {first + i}, column {bad} is {row[bad]}. Repair the model or keep it float."),
                        path);
                }

                float scale = VectorMath.MaxMagnitude(row) / NumberFormat.E4M3.MaxValue;
                scales[first + i] = scale == 0 ? 1 : scale;
                NumberFormat.E4M3.Encode(row, scales[first + i], codes.AsSpan((first + i) * columns, columns));
            });
        }

        return new RoundedRows(codes, scales);
    }
}
