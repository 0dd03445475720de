using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace Zqfp.Evaluation;

/// <summary>Makes a decoder's inputs from token windows, as <see cref="DecoderInput"/> says.</summary>
/// <param name="model">The model that is fed.</param>
internal sealed class TokenFeeds(ModelFacts model)
{
    /// <summary>The value of <paramref name="input"/> for <paramref name="batch"/>.</summary>
    /// <param name="input">The input.</param>
    /// <param name="batch">The windows.</param>
    /// <exception cref="ZqfpException">ZQFP1005: the input is none that a decoder has, or impossibly large.</exception>
    public OrtValue Create(ModelInput input, TokenBatch batch)
    {
        var fed = DecoderInput.Of(input.Name, input.Dimensions, model, batch);
        if (fed.Shape.Aggregate(Int128.One, (product, size) => product * size) > int.MaxValue)
        {
            throw new ZqfpException("ZQFP1005",
                $"Input '{input.Name}' would be fed the shape [{string.Join(", ", fed.Shape)}], which no memory holds. Export the model "
                + "again.",
                model.Path);
        }

        return input.ElementType switch
        {
            TensorElementType.Int64 => Create(input, fed, value => value),
            TensorElementType.Int32 => Create(input, fed, value => (int)value),
            TensorElementType.Bool => Create(input, fed, value => value != 0),
            TensorElementType.Float => Create(input, fed, value => !fed.IsVisibility ? value : value != 0 ? 0 : float.MinValue),
            TensorElementType.Float16 => Create(input, fed, value => (Float16)(!fed.IsVisibility ? value : value != 0 ? 0 : -65504f)),
            _ => throw new ZqfpException("ZQFP1005", $"Input '{input.Name}' has element type {input.ElementType}; expected int64 or int32.",
                model.Path),
        };
    }

    private static OrtValue Create<T>(ModelInput input, DecoderInput fed, Func<long, T> convert)
        where T : unmanaged
    {
        var value = OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, input.ElementType, fed.Shape);
        if (fed.Shape.Contains(0))
        {
            return value;
        }

        Span<T> elements = value.GetTensorMutableDataAsSpan<T>();
        elements.Clear();
        for (int i = 0; fed.Value is not null && i < elements.Length; i++)
        {
            elements[i] = convert(fed.Value(i));
        }

        return value;
    }
}
