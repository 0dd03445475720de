using System.Buffers;
using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Zqfp.OnnxRewriter;

/// <summary>A file mapped read-only into memory: its pages are loaded when touched and can be dropped by the system at any time.</summary>
internal sealed unsafe class MappedFile : IDisposable
{
    private readonly string _path;
    private readonly MemoryMappedViewAccessor? _view;
    private readonly byte* _start;

    /// <summary>Maps <paramref name="path"/>. An empty file gives an empty mapping.</summary>
    public MappedFile(string path)
    {
        _path = Path.GetFullPath(path);
        Stamp = FileStamp.Of(path);
        Length = new FileInfo(path).Length;
        if (Length == 0)
        {
            return;
        }

        // The view alone keeps the mapping, so that a thousand mapped files are not a thousand open ones.
        using var file = MemoryMappedFile.CreateFromFile(path, FileMode.Open, mapName: null, capacity: 0, MemoryMappedFileAccess.Read);
        _view = file.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
        byte* pointer = null;
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref pointer);
        _start = pointer + _view.PointerOffset;

        // Pages beyond the end of a file that became shorter meanwhile would end the process when they are touched.
        if ((long)_view.SafeMemoryMappedViewHandle.ByteLength < Length || new FileInfo(path).Length != Length)
        {
            Dispose();
            throw new IOException($"'{path}' changed while it was opened.");
        }
    }

    /// <summary>What the file was before it was mapped.</summary>
    public FileStamp Stamp { get; }

    /// <summary>Bytes in the file when it was mapped.</summary>
    public long Length { get; }

    /// <summary>A part of the file. It must not be used after <see cref="Dispose"/>.</summary>
    public ReadOnlyMemory<byte> Slice(long offset, int count) => Slice<byte>(offset, count);

    /// <summary>
    /// A part of the file as <paramref name="count"/> numbers in this machine's order. It must not be used after <see cref="Dispose"/>.
    /// </summary>
    public ReadOnlyMemory<T> Slice<T>(long offset, int count)
        where T : unmanaged
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan((long)count * sizeof(T), Length - offset);
        return count == 0 ? default : new View<T>(this, offset, count).Memory;
    }

    /// <summary>
    /// Reads a part of the file without the mapping: what streams by once would otherwise count as this process's memory until the
    /// system takes it back.
    /// </summary>
    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="ZqfpException">ZQFP0018: it has become shorter.</exception>
    public void Read(long offset, Span<byte> destination)
    {
        using SafeFileHandle handle = File.OpenHandle(_path);
        while (destination.Length > 0)
        {
            int read = RandomAccess.Read(handle, destination, offset);
            if (read == 0)
            {
                throw InputFiles.Changed(_path);
            }

            destination = destination[read..];
            offset += read;
        }
    }

    /// <summary>
    /// As <see cref="Read(long, Span{byte})"/>, from a part that <see cref="Slice(long, int)"/> gave; false for any other memory.
    /// </summary>
    internal static bool TryRead(ReadOnlyMemory<byte> slice, Span<byte> destination)
    {
        if (!MemoryMarshal.TryGetMemoryManager(slice, out View<byte>? view, out int start, out _))
        {
            return false;
        }

        view!.File.Read(view.Offset + start, destination);
        return true;
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
        }
    }

    /// <summary>Memory over a part of the mapping. Nothing moves, so pinning is free.</summary>
    private sealed class View<T>(MappedFile file, long offset, int length) : MemoryManager<T>
        where T : unmanaged
    {
        public MappedFile File => file;

        public long Offset => offset;

        public override Span<T> GetSpan() => new(file._start + offset, length);

        public override MemoryHandle Pin(int elementIndex = 0) => new((T*)(file._start + offset) + elementIndex);

        public override void Unpin()
        {
        }

        protected override void Dispose(bool disposing)
        {
        }
    }
}
