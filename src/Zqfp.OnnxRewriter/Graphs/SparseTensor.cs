using Google.Protobuf;
using Google.Protobuf.Collections;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>Writes sparse tensors out, as ONNX Runtime does when it loads them: then they are initializers like all others.</summary>
internal static class SparseTensor
{
    private const long MaxBytes = 1L << 31;

    /// <summary>The dense tensor of this name, or null where the sparse one cannot be read: external, too large, or inconsistent.</summary>
    public static TensorProto? ToDense(SparseTensorProto? sparse, string name)
    {
        if (sparse?.Values is not { } values || sparse.Indices is not { } indices || IsExternal(values) || IsExternal(indices)
            || IntTensor.Read(indices) is not { } positions)
        {
            return null;
        }

        Int128 elements = sparse.Dims.Aggregate(Int128.One, (product, dim) => product * Math.Max(dim, 0));
        int size = TensorTypes.BitsPerElement((DataType)values.DataType) / 8;
        ReadOnlySpan<byte> bytes = values.HasRawData ? values.RawData.Span : TensorStore.TypedBytes(values).Span;
        if (size == 0 || elements * size >= MaxBytes || bytes.Length % size != 0)
        {
            return null;
        }

        int count = bytes.Length / size;
        bool isLinear = indices.Dims.Count == 1;
        if (positions.Length != (isLinear ? count : count * sparse.Dims.Count))
        {
            return null;
        }

        byte[] dense = new byte[(int)elements * size];
        for (int i = 0; i < count; i++)
        {
            Int128 position = isLinear ? positions[i] : Position(positions.AsSpan(i * sparse.Dims.Count, sparse.Dims.Count), sparse.Dims);
            if (position < 0 || position >= elements)
            {
                return null;
            }

            bytes.Slice(i * size, size).CopyTo(dense.AsSpan((int)position * size));
        }

        return new TensorProto
        {
            Name = name,
            DataType = values.DataType,
            Dims = { sparse.Dims },
            RawData = UnsafeByteOperations.UnsafeWrap(dense),
        };
    }

    private static bool IsExternal(TensorProto tensor) => tensor.DataLocation == DataLocation.External;

    private static Int128 Position(ReadOnlySpan<long> index, RepeatedField<long> dims)
    {
        Int128 position = 0;
        for (int i = 0; i < index.Length; i++)
        {
            if (index[i] < 0 || index[i] >= dims[i])
            {
                return -1;
            }

            position = (position * dims[i]) + index[i];
        }

        return position;
    }
}
