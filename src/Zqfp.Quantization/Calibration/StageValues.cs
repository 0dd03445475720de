using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using Zqfp.Numerics;

namespace Zqfp.Quantization;

/// <summary>What a stage's slice gave to look at, for every batch of windows.</summary>
/// <param name="values">The values by name.</param>
/// <param name="leaving">Those of them that nothing reads later: they end with this.</param>
internal sealed class StageValues(IReadOnlyDictionary<string, BatchValues> values, IReadOnlyList<BatchValues> leaving) : IDisposable
{
    private const int Piece = 1 << 18;

    /// <summary>All of them by name.</summary>
    public IReadOnlyDictionary<string, BatchValues> All => values;

    /// <summary>How many numbers <paramref name="name"/> has in one batch.</summary>
    public int Length(string name, int batch) => checked((int)values[name].Length(batch));

    /// <summary>The numbers of <paramref name="name"/> in one batch.</summary>
    /// <param name="name">The value.</param>
    /// <param name="batch">The batch.</param>
    /// <param name="buffer">Where they are put; it grows where it is too short.</param>
    /// <param name="workers">Who converts them; null for the thread that asks.</param>
    /// <exception cref="ZqfpException">ZQFP1012: they are neither float nor float16.</exception>
    public Span<float> Read(string name, int batch, scoped ref float[] buffer, Workers? workers = null)
    {
        using BatchValues.Loan loan = values[name].Open(batch);
        OrtValue value = loan.Value;
        int length = Length(name, batch);
        if (buffer.Length < length)
        {
            buffer = new float[length];
        }

        float[] floats = buffer;
        bool isHalf = values[name].Type == TensorElementType.Float16;
        if (!isHalf && values[name].Type != TensorElementType.Float)
        {
            throw new ZqfpException("ZQFP1012",
                $"A layer reads activations of type {values[name].Type}; calibration knows float and float16. Export the model in one of "
                + "these.");
        }

        (workers ?? new Workers(1, CancellationToken.None)).For((length + Piece - 1) / Piece, piece =>
        {
            int start = piece * Piece, count = Math.Min(Piece, length - start);
            ReadOnlySpan<byte> raw = value.GetTensorMutableRawData();
            if (isHalf)
            {
                TensorPrimitives.ConvertToSingle(MemoryMarshal.Cast<byte, Half>(raw).Slice(start, count), floats.AsSpan(start));
            }
            else
            {
                MemoryMarshal.Cast<byte, float>(raw).Slice(start, count).CopyTo(floats.AsSpan(start));
            }
        });
        return floats.AsSpan(0, length);
    }

    /// <summary>The numbers of <paramref name="name"/> in one batch, where they are if they are floats in memory.</summary>
    /// <exception cref="ZqfpException">ZQFP1012: they are neither float nor float16.</exception>
    public ReadOnlySpan<float> Floats(string name, int batch)
    {
        float[] converted = [];
        return values[name] is { IsInMemory: true, Type: TensorElementType.Float } floats
            ? floats.Open(batch).Value.GetTensorDataAsSpan<float>()
            : Read(name, batch, ref converted);
    }

    /// <summary>The length of the rows of <paramref name="name"/> in one batch.</summary>
    public long RowLength(string name, int batch) => values[name].RowLength(batch);

    /// <summary>The integers of <paramref name="name"/> in one batch.</summary>
    public ReadOnlySpan<long> Integers(string name, int batch)
    {
        using BatchValues.Loan loan = values[name].Open(batch);
        return values[name].IsInMemory ? loan.Value.GetTensorDataAsSpan<long>() : loan.Value.GetTensorDataAsSpan<long>().ToArray();
    }

    public void Dispose()
    {
        foreach (BatchValues value in leaving)
        {
            value.Dispose();
        }
    }
}
