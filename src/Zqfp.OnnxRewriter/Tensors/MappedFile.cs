using System.Buffers;
using System.IO.MemoryMappedFiles;

namespace Zqfp.OnnxRewriter.Tensors;

/// <summary>A file mapped read-only into memory: its pages are loaded when touched and can be dropped by the system at any time.</summary>
public sealed unsafe class MappedFile : IDisposable
{
    private readonly MemoryMappedFile? _file;
    private readonly MemoryMappedViewAccessor? _view;
    private readonly byte* _start;

    /// <summary>Maps <paramref name="path"/>. An empty file gives an empty mapping.</summary>
    public MappedFile(string path)
    {
        Length = new FileInfo(path).Length;
        if (Length == 0)
        {
            return;
        }

        _file = MemoryMappedFile.CreateFromFile(path, FileMode.Open, mapName: null, capacity: 0, MemoryMappedFileAccess.Read);
        _view = _file.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
        byte* pointer = null;
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref pointer);
        _start = pointer + _view.PointerOffset;
    }

    /// <summary>Bytes in the file when it was mapped.</summary>
    public long Length { get; }

    /// <summary>A part of the file. It must not be used after <see cref="Dispose"/>.</summary>
    public ReadOnlyMemory<byte> Slice(long offset, int count) => Slice<byte>(offset, count);

    /// <summary>A part of the file as <paramref name="count"/> numbers in this machine's order. It must not be used after <see cref="Dispose"/>.</summary>
    public ReadOnlyMemory<T> Slice<T>(long offset, int count)
        where T : unmanaged
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan((long)count * sizeof(T), Length - offset);
        return count == 0 ? default : new View<T>((T*)(_start + offset), count).Memory;
    }

    /// <summary>Where the byte at <paramref name="offset"/> is in memory, until <see cref="Dispose"/>.</summary>
    public nint AddressOf(long offset) => (nint)(_start + offset);

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_view is not null)
        {
            _view.SafeMemoryMappedViewHandle.ReleasePointer();
            _view.Dispose();
            _file!.Dispose();
        }
    }

    /// <summary>Memory over a part of the mapping. Nothing moves, so pinning is free.</summary>
    private sealed class View<T>(T* start, int length) : MemoryManager<T>
        where T : unmanaged
    {
        public override Span<T> GetSpan() => new(start, length);

        public override MemoryHandle Pin(int elementIndex = 0) => new(start + elementIndex);

        public override void Unpin()
        {
        }

        protected override void Dispose(bool disposing)
        {
        }
    }
}
