using System.Numerics.Tensors;
using Zqfp.CudaOps;

namespace Zqfp.Evaluation;

/// <summary>The logits [windows, length, vocabulary] of one batch, in float32 or float16.</summary>
internal sealed class BatchLogits : IDisposable
{
    private readonly OrtValue _value;
    private readonly int _window;

    private BatchLogits(OrtValue value, int window, int vocabulary)
    {
        _value = value;
        _window = window;
        Vocabulary = vocabulary;
    }

    /// <summary>Logits of one token.</summary>
    public int Vocabulary { get; }

    /// <summary>Takes over <paramref name="value"/>, which the model at <paramref name="path"/> gave for <paramref name="batch"/>.</summary>
    /// <exception cref="ZqfpException">ZQFP1008: not the logits of every token. ZQFP1012: an element type that is not known.</exception>
    public static BatchLogits Of(OrtValue value, TokenBatch batch, string path)
    {
        try
        {
            long[] shape = [.. value.Shape];
            if (shape is not [var rows, var length, var vocabulary] || rows != batch.Windows || length != batch.Length)
            {
                throw new ZqfpException("ZQFP1008", $"The model gives logits of shape [{string.Join(", ", shape)}] for ids [{batch.Windows}, {batch.Length}]: perplexity needs the logits of every token. Export it without pruning the head to the last token.", path);
            }

            if (value.ElementType is not (OrtElementType.Float or OrtElementType.Float16))
            {
                throw new ZqfpException("ZQFP1012", $"The logits have type {value.ElementType}; evaluation knows float and float16. Export the model in one of these.", path);
            }

            return new BatchLogits(value, checked((int)(length * vocabulary)), (int)vocabulary);
        }
        catch (ZqfpException)
        {
            value.Dispose();
            throw;
        }
    }

    /// <summary>The logits [length, vocabulary] of one window. Any number of threads may ask at once.</summary>
    public ReadOnlySpan<float> Window(int index)
    {
        if (_value.ElementType == OrtElementType.Float)
        {
            return _value.AsReadOnlySpan<float>().Slice(index * _window, _window);
        }

        float[] converted = new float[_window];
        TensorPrimitives.ConvertToSingle(_value.AsReadOnlySpan<Half>().Slice(index * _window, _window), converted);
        return converted;
    }

    public void Dispose() => _value.Dispose();
}
