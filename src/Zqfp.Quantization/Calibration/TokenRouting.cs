using Zqfp.Evaluation;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>Rows of a stage's input, and the tokens of the calibration windows that they belong to.</summary>
/// <param name="Rows">The rows, in the order of their tokens.</param>
/// <param name="Tokens">The token of each, counted within the batch; null where that is not known.</param>
internal sealed record RoutedRows(int[] Rows, int[]? Tokens);

/// <summary>Tells which rows of a stage's input an expert reads.</summary>
/// <param name="stage">The stage.</param>
/// <param name="batches">The windows.</param>
internal sealed class TokenRouting(CalibrationStage stage, IReadOnlyList<TokenBatch> batches)
{
    private readonly int _columns = stage.Layers[0].InFeatures;

    /// <summary>Whether a router decides which rows the layer reads.</summary>
    public static bool IsRouted(LinearLayer layer) => layer.Expert is not null;

    /// <summary>The rows that a layer reads in one batch.</summary>
    /// <param name="layer">A layer of the stage.</param>
    /// <param name="values">What the stage's slice gave.</param>
    /// <param name="batch">The batch.</param>
    public RoutedRows Of(LinearLayer layer, StageValues values, int batch)
    {
        int rows = values.Floats(stage.Input, batch).Length / _columns;
        int tokens = batches[batch].Windows * batches[batch].Length;
        ExpertPlace place = layer.Expert!;
        ReadOnlySpan<long> index = values.Integers(place.Index, batch);
        int perRow = rows == 0 ? 1 : Math.Max(1, index.Length / rows);
        List<int> found = [];
        for (int i = 0; i < index.Length; i++)
        {
            if ((index[i] < 0 ? index[i] + place.Count : index[i]) == place.Number)
            {
                found.Add(i / perRow);
            }
        }

        return new RoutedRows([.. found], TokensOf(found, rows, tokens));
    }

    /// <summary>
    /// Rows are tokens, or as many for each token; or every token is there once for each expert, those of one behind those of another.
    /// </summary>
    private static int[]? TokensOf(List<int> found, int rows, int tokens)
    {
        if (found.Count == tokens && tokens > 0 && found[^1] - found[0] == tokens - 1)
        {
            return [.. Enumerable.Range(0, tokens)];
        }

        int perToken = tokens == 0 ? 0 : rows / tokens;
        return perToken > 0 && rows % tokens == 0 ? [.. found.Select(row => row / perToken)] : null;
    }
}
