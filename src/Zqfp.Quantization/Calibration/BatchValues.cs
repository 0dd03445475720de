using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using Zqfp.CudaOps;
using Zqfp.Evaluation;

namespace Zqfp.Quantization;

/// <summary>One value of all batches: in memory, or in a scratch file that a batch is read from while it is looked at.</summary>
/// <param name="count">Number of batches.</param>
/// <param name="scratch">Where scratch files lie; null to keep the values in memory.</param>
/// <param name="pinned">Memory for values of a GPU; null where there are none.</param>
internal sealed class BatchValues(int count, ScratchPlace? scratch, PinnedPool? pinned = null) : IDisposable
{
    private readonly Kept?[] _values = new Kept?[count];
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

    /// <summary>Takes a batch's value over, of the processor or of the GPU; each is set once, by any thread.</summary>
    public void Set(int batch, OrtValue value)
    {
        Kept kept = Fetch(value);
        try
        {
            Span<byte> bytes = kept.Value.GetTensorMutableRawData();
            OrtTensorTypeAndShapeInfo info = kept.Value.GetTensorTypeAndShape();
            _entries[batch] = new Entry(info.ElementDataType, info.Shape, bytes.Length, _file?.Write(bytes) ?? 0);
        }
        catch
        {
            kept.Dispose();
            throw;
        }

        if (_file is null)
        {
            _values[batch] = kept;
        }
        else
        {
            kept.Dispose();
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
        Kept value = pinned is null
            ? new Kept(OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, entry.Type, entry.Shape))
            : Kept.In(pinned.Rent(entry.Bytes), entry);
        try
        {
            _file.Read(entry.Place, value.Value.GetTensorMutableRawData());
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

    /// <summary>The value in the processor's memory.</summary>
    private Kept Fetch(OrtValue value)
    {
        if (pinned is null || value.GetTensorMemoryInfo().Name != ModelSession.GpuMemory)
        {
            return new Kept(value);
        }

        using (value)
        {
            OrtTensorTypeAndShapeInfo info = value.GetTensorTypeAndShape();
            Span<byte> onDevice = value.GetTensorMutableRawData();
            return Kept.In(pinned.Fetch(onDevice), new Entry(info.ElementDataType, info.Shape, onDevice.Length, 0));
        }
    }

    /// <summary>A value that is looked at.</summary>
    /// <param name="kept">The value.</param>
    /// <param name="isOwned">Whether it ends with the loan.</param>
    internal sealed class Loan(Kept kept, bool isOwned) : IDisposable
    {
        public OrtValue Value => kept.Value;

        public void Dispose()
        {
            if (isOwned)
            {
                kept.Dispose();
            }
        }
    }

    /// <summary>A value with the memory it lies in, where that is not its own.</summary>
    internal sealed record Kept(OrtValue Value, PinnedBlock? Block = null) : IDisposable
    {
        /// <summary>A value in a block, which goes back with it.</summary>
        public static Kept In(PinnedBlock block, Entry entry)
        {
            try
            {
                return new Kept(
                    OrtValue.CreateTensorValueWithData(OrtMemoryInfo.DefaultInstance, entry.Type, entry.Shape, block.Address, entry.Bytes),
                    block);
            }
            catch
            {
                block.Dispose();
                throw;
            }
        }

        public void Dispose()
        {
            Value.Dispose();
            Block?.Dispose();
        }
    }

    /// <summary>What is known of a batch's value.</summary>
    internal readonly record struct Entry(TensorElementType Type, long[] Shape, long Bytes, long Place);
}
