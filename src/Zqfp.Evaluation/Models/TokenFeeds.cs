using System.Globalization;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace Zqfp.Evaluation;

/// <summary>
/// Makes a decoder's inputs from token windows: ids, a mask of ones, positions from 0, and an empty key-value cache.
/// </summary>
/// <param name="model">The model that is fed.</param>
internal sealed class TokenFeeds(ModelFacts model)
{
    /// <summary>The value of <paramref name="input"/> for <paramref name="batch"/>.</summary>
    /// <exception cref="ZqfpException">ZQFP1005: the input is none that a decoder has.</exception>
    public OrtValue Create(ModelInput input, TokenBatch batch)
    {
        string name = input.Name;
        if (name.StartsWith("past", StringComparison.Ordinal))
        {
            return EmptyCache(input, batch);
        }

        return name switch
        {
            "input_ids" => Integers(input, batch, i => batch.Ids[i]),
            "attention_mask" => Integers(input, batch, _ => 1),
            "position_ids" => Integers(input, batch, i => i % batch.Length),
            _ => throw new ZqfpException("ZQFP1005", $"Input '{name}' is none of input_ids, attention_mask, position_ids, past_*: what to feed it is unknown. Export the model with those inputs alone.", model.Path),
        };
    }

    private OrtValue Integers(ModelInput input, TokenBatch batch, Func<int, int> value)
    {
        long[] shape = [batch.Windows, batch.Length];
        int count = batch.Windows * batch.Length;
        switch (input.ElementType)
        {
            case TensorElementType.Int64:
                long[] wide = new long[count];
                for (int i = 0; i < count; i++)
                {
                    wide[i] = value(i);
                }

                return OrtValue.CreateTensorValueFromMemory(wide, shape);
            case TensorElementType.Int32:
                int[] narrow = new int[count];
                for (int i = 0; i < count; i++)
                {
                    narrow[i] = value(i);
                }

                return OrtValue.CreateTensorValueFromMemory(narrow, shape);
            default:
                throw new ZqfpException("ZQFP1005", $"Input '{input.Name}' has element type {input.ElementType}; expected int64 or int32.", model.Path);
        }
    }

    /// <summary>A cache of length 0: [batch, heads, 0, head size].</summary>
    private OrtValue EmptyCache(ModelInput input, TokenBatch batch)
    {
        if (input.Dimensions is [_, { } heads, _, var last] && (last ?? model.HeadSize) is { } headSize)
        {
            return OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, input.ElementType, [batch.Windows, heads, 0, headSize]);
        }

        string shape = string.Join(", ", input.Dimensions.Zip(input.Symbols, (size, symbol) => size?.ToString(CultureInfo.InvariantCulture) ?? symbol));
        throw new ZqfpException("ZQFP1005", $"Cache input '{input.Name}' has the shape [{shape}]; expected [batch, heads, past, head size] with the number of heads known, and the head size known there or from the attention nodes.", model.Path);
    }
}
