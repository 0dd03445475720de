using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace Zqfp.Evaluation;

/// <summary>The logits [windows, length, vocabulary] of one batch, in float32 or float16.</summary>
internal sealed class BatchLogits : IDisposable
{
    private readonly OrtValue _value;
    private readonly int _window;
    private readonly bool _isHalf;

    private BatchLogits(OrtValue value, bool isHalf, int window, int vocabulary)
    {
        _value = value;
        _isHalf = isHalf;
        _window = window;
        Vocabulary = vocabulary;
    }

    /// <summary>Logits of one token.</summary>
    public int Vocabulary { get; }

    /// <summary>
    /// Takes over <paramref name="value"/>, which the model at <paramref name="path"/> gave for <paramref name="batch"/>.
    /// </summary>
    /// <exception cref="ZqfpException">ZQFP1008: not the logits of every token. ZQFP1012: an element type that is not known.</exception>
    public static BatchLogits Of(OrtValue value, TokenBatch batch, string path)
    {
        try
        {
            OrtTensorTypeAndShapeInfo tensor = value.GetTensorTypeAndShape();
            long[] shape = tensor.Shape;
            if (shape is not [var rows, var length, var vocabulary] || rows < batch.Windows || length != batch.Length)
            {
                throw new ZqfpException("ZQFP1008",
                    $"The model gives logits of shape [{string.Join(", ", shape)}] for ids [{batch.Windows}, {batch.Length}]: perplexity "
                    + "needs the logits of every token. Export it without pruning the head to the last token.", path);
            }

            if (tensor.ElementDataType is not (TensorElementType.Float or TensorElementType.Float16))
            {
                throw new ZqfpException("ZQFP1012",
                    $"The logits have type {tensor.ElementDataType}; evaluation knows float and float16. Export the model in one of these.",
                    path);
            }

            return new BatchLogits(value, tensor.ElementDataType == TensorElementType.Float16, checked((int)(length * vocabulary)),
                (int)vocabulary);
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
        Span<byte> bytes = _value.GetTensorMutableRawData();
        if (!_isHalf)
        {
            return MemoryMarshal.Cast<byte, float>(bytes).Slice(index * _window, _window);
        }

        float[] converted = new float[_window];
        TensorPrimitives.ConvertToSingle(MemoryMarshal.Cast<byte, Half>(bytes).Slice(index * _window, _window), converted);
        return converted;
    }

    public void Dispose() => _value.Dispose();
}
