using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>The numbers of a constant weight in the order they are stored, or of one of its matrices.</summary>
/// <param name="file">The model.</param>
/// <param name="weight">The weight.</param>
/// <param name="first">The first number that is read.</param>
/// <param name="count">How many are read at most; null for all.</param>
internal sealed class WeightNumbers(OnnxFile file, ConstantWeight weight, long first = 0, int? count = null)
{
    private readonly TensorData? _data = weight.Computed is null ? file.Read(weight.Tensor) : null;
    private readonly float[]? _computed =
        weight.Computed?.Numbers(file, first, count ?? checked((int)(weight.Computed.Count - first)));
    private readonly float[] _scales = weight.Dequantization is { Scale: var scale } ? WeightReader.ReadAll(file, scale) : [];
    private readonly float[] _zeroPoints = All(file, weight.Dequantization?.ZeroPoint);

    /// <summary>Reads numbers, beginning with number <paramref name="start"/> in the order they are stored.</summary>
    public void Read(long start, Span<float> destination)
    {
        if (_computed is not null)
        {
            _computed.AsSpan((int)(start - first), destination.Length).CopyTo(destination);
        }
        else
        {
            _data!.ReadFloats(start, destination);
        }

        if (weight.Dequantization is not { } dequantization)
        {
            return;
        }

        for (int i = 0; i < destination.Length; i++)
        {
            long scale = dequantization.ScaleIndex(start + i);
            float zeroPoint = _zeroPoints.Length > 0 ? _zeroPoints[scale] : 0;
            destination[i] = (destination[i] - zeroPoint) * _scales[scale];
        }
    }

    private static float[] All(OnnxFile file, TensorProto? tensor)
    {
        if (tensor is null)
        {
            return [];
        }

        TensorData data = file.Read(tensor);
        float[] values = new float[tensor.Dims.Aggregate(1L, (product, dim) => product * dim)];
        data.ReadFloats(0, values);
        return values;
    }
}
