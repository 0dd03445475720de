using System.Globalization;
using Zqfp.OnnxRuntime;
using Zqfp.Pipeline.Diagnostics;

namespace Zqfp.Pipeline.Calibration;

/// <summary>
/// Makes a decoder's inputs from token windows: ids, a mask of ones, positions from 0, and an empty key-value cache.
/// </summary>
internal static class TokenFeeds
{
    /// <summary>The value of <paramref name="input"/> for <paramref name="batch"/>.</summary>
    /// <exception cref="PipelineException">ZQFP1005: the input is none that a decoder has.</exception>
    public static OrtValue Create(OrtEnvironment environment, OrtValueInfo input, TokenBatch batch, string modelPath)
    {
        string name = input.Name;
        if (name.StartsWith("past", StringComparison.Ordinal))
        {
            return EmptyCache(environment, input, batch, modelPath);
        }

        return name switch
        {
            "input_ids" => Integers(environment, input, batch, i => batch.Ids[i], modelPath),
            "attention_mask" => Integers(environment, input, batch, _ => 1, modelPath),
            "position_ids" => Integers(environment, input, batch, i => i % batch.Length, modelPath),
            _ => throw new PipelineException("ZQFP1005", $"Input '{name}' is none of input_ids, attention_mask, position_ids, past_*: what to feed it is unknown. Export the model with those inputs alone.", modelPath),
        };
    }

    private static OrtValue Integers(OrtEnvironment environment, OrtValueInfo input, TokenBatch batch, Func<int, int> value, string modelPath)
    {
        long[] shape = [batch.Windows, batch.Length];
        int count = batch.Windows * batch.Length;
        switch (input.ElementType)
        {
            case OrtElementType.Int64:
                long[] wide = new long[count];
                for (int i = 0; i < count; i++)
                {
                    wide[i] = value(i);
                }

                return OrtValue.Create<long>(environment, wide, shape);
            case OrtElementType.Int32:
                int[] narrow = new int[count];
                for (int i = 0; i < count; i++)
                {
                    narrow[i] = value(i);
                }

                return OrtValue.Create<int>(environment, narrow, shape);
            default:
                throw new PipelineException("ZQFP1005", $"Input '{input.Name}' has element type {input.ElementType}; expected int64 or int32.", modelPath);
        }
    }

    /// <summary>A cache of length 0: [batch, heads, 0, head size].</summary>
    private static OrtValue EmptyCache(OrtEnvironment environment, OrtValueInfo input, TokenBatch batch, string modelPath)
    {
        if (input.Dimensions is not [_, { Size: { } heads }, _, { Size: { } headSize }])
        {
            throw new PipelineException("ZQFP1005", $"Cache input '{input.Name}' has the shape [{string.Join(", ", input.Dimensions.Select(dim => dim.Size?.ToString(CultureInfo.InvariantCulture) ?? dim.Name))}]; expected [batch, heads, past, head size] with the second and the last known.", modelPath);
        }

        return OrtValue.Allocate(environment, input.ElementType, [batch.Windows, heads, 0, headSize]);
    }
}
