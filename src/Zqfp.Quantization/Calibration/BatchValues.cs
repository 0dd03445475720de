using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace Zqfp.Quantization;

/// <summary>One value of all batches: in memory, or in a scratch file that a batch is read from while it is looked at.</summary>
/// <param name="count">Number of batches.</param>
/// <param name="scratch">Where scratch files lie; null to keep the values in memory.</param>
internal sealed class BatchValues(int count, ScratchPlace? scratch) : IDisposable
{
    private readonly OrtValue?[] _values = new OrtValue?[count];
    private readonly Entry[] _entries = new Entry[count];
    private readonly ScratchFile? _file = scratch?.Create();

    /// <summary>Whether a loan is the value itself, which stays.</summary>
    public bool IsInMemory => _file is null;

    /// <summary>Type of the elements.</summary>
    public TensorElementType Type => _entries[0].Type;

    /// <summary>Number of dimensions.</summary>
    public int Rank => _entries[0].Shape.Length;

    /// <summary>Number of elements in a batch.</summary>
    public long Length(int batch) => _entries[batch].Shape.Aggregate(1L, (product, length) => product * length);

    /// <summary>The last dimension in a batch; 1 of a scalar.</summary>
    public long RowLength(int batch) => _entries[batch].Shape.LastOrDefault(1);

    /// <summary>Takes a batch's value over; each is set once, by any thread.</summary>
    public void Set(int batch, OrtValue value)
    {
        OrtTensorTypeAndShapeInfo info = value.GetTensorTypeAndShape();
        if (_file is null)
        {
            _entries[batch] = new Entry(info.ElementDataType, info.Shape, 0);
            _values[batch] = value;
            return;
        }

        using (value)
        {
            _entries[batch] = new Entry(info.ElementDataType, info.Shape, _file.Write(value.GetTensorMutableRawData()));
        }
    }

    /// <summary>A batch's value, until the loan is disposed.</summary>
    public Loan Open(int batch)
    {
        if (_file is null)
        {
            return new Loan(_values[batch]!, isOwned: false);
        }

        Entry entry = _entries[batch];
        var value = OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, entry.Type, entry.Shape);
        try
        {
            _file.Read(entry.Place, value.GetTensorMutableRawData());
            return new Loan(value, isOwned: true);
        }
        catch
        {
            value.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        Array.ForEach(_values, value => value?.Dispose());
        _file?.Dispose();
    }

    /// <summary>A value that is looked at.</summary>
    /// <param name="value">The value.</param>
    /// <param name="isOwned">Whether it ends with the loan.</param>
    internal sealed class Loan(OrtValue value, bool isOwned) : IDisposable
    {
        public OrtValue Value => value;

        public void Dispose()
        {
            if (isOwned)
            {
                value.Dispose();
            }
        }
    }

    private readonly record struct Entry(TensorElementType Type, long[] Shape, long Place);
}
