using Zqfp.Evaluation;
using Zqfp.Numerics;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>Sums up what one stage's slices gave.</summary>
/// <param name="source">The stage and its values.</param>
/// <param name="batches">The windows.</param>
internal sealed class StageSums(StageSource source, IReadOnlyList<TokenBatch> batches) : ITokenSample
{
    private readonly CalibrationStage _stage = source.Stage;

    /// <summary>The first fifth of the windows is held out; 0 of a single one.</summary>
    public int HeldWindows { get; } = batches.Sum(batch => batch.Windows) is > 1 and int count ? Math.Max(1, count / 5) : 0;

    /// <summary>Who computes.</summary>
    public Workers Workers => source.Workers;

    /// <summary>Looks at some of the tokens that the layers read, evenly spread over all windows.</summary>
    /// <param name="count">About how many; all where there are fewer.</param>
    /// <param name="look">Is given whole tokens, and whether they are held out.</param>
    public void Sample(int count, Action<float[], bool> look)
    {
        int columns = _stage.Layers[0].InFeatures;
        int length = batches[0].Length;
        int step = Math.Max(1, batches.Sum(batch => batch.Windows) * length / count);
        float[] buffer = [];
        for (int i = 0, window = 0; i < batches.Count; window += batches[i].Windows, i++)
        {
            Workers.Cancellation.ThrowIfCancellationRequested();
            ReadOnlySpan<float> tokens = source.Read.Read(_stage.Input, i, ref buffer);
            for (int w = 0; w < batches[i].Windows; w++)
            {
                int first = (step - ((window + w) * length % step)) % step;
                float[] some = new float[(length - first + step - 1) / step * columns];
                for (int t = first, n = 0; t < length; t += step, n++)
                {
                    tokens.Slice(((w * length) + t) * columns, columns).CopyTo(some.AsSpan(n * columns));
                }

                look(some, window + w < HeldWindows);
            }
        }
    }

    /// <summary>Sums all windows up.</summary>
    /// <param name="rotation">Inputs of a block that are rotated, 0 for none.</param>
    /// <exception cref="ZqfpException">ZQFP1022: what the layers read does not fit them. ZQFP2003: it is not finite.</exception>
    public StageInput Take(int rotation)
    {
        bool hasTargets = source.Options.LayerTarget != LayerTarget.None && HeldWindows > 0 && IsAligned;
        try
        {
            RequireColumns();
            using var parts = new StageParts(source, rotation, hasTargets);
            for (int i = 0, window = 0; i < batches.Count; window += batches[i].Windows, i++)
            {
                Workers.Cancellation.ThrowIfCancellationRequested();
                parts.Add(i, Math.Clamp(HeldWindows - window, 0, batches[i].Windows) * batches[i].Length);
            }

            return parts.Take();
        }
        catch (ZqfpException e)
        {
            string more = _stage.Layers.Count > 1 ? $" (and {_stage.Layers.Count - 1} more that read '{_stage.Input}')" : "";
            throw new ZqfpException(e.Code, $"Layer '{_stage.Layers[0].DisplayName}'{more}: {e.Message}", e.File, e);
        }
    }

    private void RequireColumns()
    {
        int expected = _stage.Layers[0].InFeatures;
        for (int i = 0; i < batches.Count; i++)
        {
            if (source.Read.RowLength(_stage.Input, i) is var columns && columns != expected)
            {
                throw new ZqfpException(
                    "ZQFP1022",
                    $"it reads rows of {columns} numbers, and its weight has {expected} columns. The model is damaged: export it again.");
            }
        }
    }

    /// <summary>
    /// Whether every window's tokens are there, in float and quantized alike: an expert reads those that its router sends it, and these
    /// differ. Of such a stage nothing can be compared or held out.
    /// </summary>
    public bool IsAligned { get; } = Enumerable.Range(0, batches.Count).All(i =>
    {
        int tokens = batches[i].Windows * batches[i].Length;
        return source.Read.Length(source.Stage.Input, i) == tokens * source.Stage.Layers[0].InFeatures
            && source.Joins.Values.All(join => source.Read.Length(join.Place.Stream, i) == tokens * join.Bias.Length);
    });
}
