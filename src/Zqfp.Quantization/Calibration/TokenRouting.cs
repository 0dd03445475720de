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

    /// <summary>
    /// The rows that a layer reads in one batch. Rows of zeros are those that a mixture dispatches to other experts: they say nothing.
    /// </summary>
    /// <param name="layer">A layer of the stage.</param>
    /// <param name="values">What the stage's slice gave.</param>
    /// <param name="batch">The batch.</param>
    public RoutedRows Of(LinearLayer layer, StageValues values, int batch)
    {
        ReadOnlySpan<float> read = values.Floats(stage.Input, batch);
        int rows = read.Length / _columns;
        int tokens = batches[batch].Windows * batches[batch].Length;
        ReadOnlySpan<float> weights = layer.RoutedBy is { } routedBy ? values.Floats(routedBy, batch) : [];
        List<int> found = [];
        if (layer.Expert is not { } place)
        {
            bool hasAll = weights.Length != rows;
            for (int row = 0; row < rows; row++)
            {
                if (hasAll || weights[row] != 0)
                {
                    found.Add(row);
                }
            }
        }
        else
        {
            ReadOnlySpan<long> index = values.Integers(place.Index, batch);
            int perRow = rows == 0 ? 1 : Math.Max(1, index.Length / rows);
            bool hasAll = weights.Length != index.Length;
            for (int i = 0; i < index.Length; i++)
            {
                if ((index[i] < 0 ? index[i] + place.Count : index[i]) == place.Number && (hasAll || weights[i] != 0)
                    && read.Slice(i / perRow * _columns, _columns).ContainsAnyExcept(0f))
                {
                    found.Add(i / perRow);
                }
            }

            if (index.Length == rows && rows == (long)tokens * place.Count && tokens > 0)
            {
                int[]? ofRows = TokensOfAll(index, place.Count, tokens);
                return new RoutedRows([.. found], ofRows is null ? null : [.. found.Select(row => ofRows[row])]);
            }
        }

        // Rows are tokens, or as many for each token.
        int perToken = tokens == 0 ? 0 : rows / tokens;
        bool isKnown = tokens > 0 && rows % tokens == 0;
        return new RoutedRows([.. found], isKnown ? [.. found.Select(row => row / perToken)] : null);
    }

    /// <summary>One row of each token in one batch, whatever experts read it; all rows where their tokens are not known.</summary>
    public int[] OfTokens(LinearLayer layer, StageValues values, int batch)
    {
        int rows = values.Floats(stage.Input, batch).Length / _columns;
        int tokens = batches[batch].Windows * batches[batch].Length;
        if (tokens == 0 || rows == 0 || rows % tokens != 0)
        {
            return [.. Enumerable.Range(0, rows)];
        }

        int perToken = rows / tokens;
        ReadOnlySpan<long> index = layer.Expert is { } place ? values.Integers(place.Index, batch) : [];
        int[]? ofRows = index.Length == rows && perToken == layer.Expert?.Count ? TokensOfAll(index, perToken, tokens) : null;
        int[] first = new int[tokens];
        for (int row = rows - 1; row >= 0; row--)
        {
            first[ofRows is null ? row / perToken : ofRows[row]] = row;
        }

        return first;
    }

    /// <summary>
    /// The token of each row where every token is there once for each expert: those of a token behind each other, or those of an expert,
    /// for all tokens or for those of one window after another. Null where the experts' order is none of these.
    /// </summary>
    private static int[]? TokensOfAll(ReadOnlySpan<long> index, int experts, int tokens)
    {
        int run = index.IndexOfAnyExcept(index[0]) is > 0 and var end ? end : index.Length;
        int[] ofRows = new int[index.Length];
        for (int row = 0; row < ofRows.Length; row++)
        {
            ofRows[row] = (row / (run * experts) * run) + (row % run);
            if (run > 1 && (tokens % run != 0 || index[row] != index[row / run % experts * run]))
            {
                return null;
            }
        }

        return ofRows;
    }
}
