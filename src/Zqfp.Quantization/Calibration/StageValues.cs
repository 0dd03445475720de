using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace Zqfp.Quantization;

/// <summary>What a stage's slice gave to look at, for every batch of windows.</summary>
/// <param name="values">The values by name.</param>
/// <param name="leaving">Those of them that nothing reads later: they end with this.</param>
internal sealed class StageValues(IReadOnlyDictionary<string, OrtValue[]> values, IReadOnlyList<OrtValue[]> leaving) : IDisposable
{
    /// <summary>The numbers of <paramref name="name"/> in one batch.</summary>
    /// <exception cref="ZqfpException">ZQFP1012: they are neither float nor float16.</exception>
    public ReadOnlySpan<float> Floats(string name, int batch)
    {
        OrtValue value = values[name][batch];
        TensorElementType type = value.GetTensorTypeAndShape().ElementDataType;
        if (type == TensorElementType.Float)
        {
            return value.GetTensorDataAsSpan<float>();
        }

        if (type != TensorElementType.Float16)
        {
            throw new ZqfpException("ZQFP1012",
                $"A layer reads activations of type {type}; calibration knows float and float16. Export the model in one of these.");
        }

        ReadOnlySpan<Half> halves = MemoryMarshal.Cast<byte, Half>(value.GetTensorMutableRawData());
        float[] floats = new float[halves.Length];
        TensorPrimitives.ConvertToSingle(halves, floats);
        return floats;
    }

    /// <summary>The length of the rows of <paramref name="name"/> in one batch.</summary>
    public long RowLength(string name, int batch) => values[name][batch].GetTensorTypeAndShape().Shape.LastOrDefault(1);

    /// <summary>The integers of <paramref name="name"/> in one batch.</summary>
    public ReadOnlySpan<long> Integers(string name, int batch) => values[name][batch].GetTensorDataAsSpan<long>();

    public void Dispose()
    {
        foreach (OrtValue value in leaving.SelectMany(batch => batch))
        {
            value.Dispose();
        }
    }
}
