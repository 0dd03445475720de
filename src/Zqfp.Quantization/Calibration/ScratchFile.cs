using Microsoft.Win32.SafeHandles;

namespace Zqfp.Quantization;

/// <summary>Bytes that are out of memory for a while; the file goes with this. Several threads may write and read at once.</summary>
internal sealed class ScratchFile : IDisposable
{
    private readonly SafeFileHandle _handle;
    private readonly string _path;
    private long _end;

    /// <summary>Makes the file.</summary>
    public ScratchFile(string path)
    {
        _path = path;
        _handle = File.OpenHandle(path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None);
    }

    /// <summary>Writes bytes behind those before.</summary>
    /// <returns>Where they are.</returns>
    public long Write(ReadOnlySpan<byte> bytes)
    {
        long place = Interlocked.Add(ref _end, bytes.Length) - bytes.Length;
        RandomAccess.Write(_handle, bytes, place);
        return place;
    }

    /// <summary>Reads bytes that were written.</summary>
    /// <exception cref="EndOfStreamException">They are not there any more.</exception>
    public void Read(long place, Span<byte> bytes)
    {
        for (int done = 0; done < bytes.Length;)
        {
            int read = RandomAccess.Read(_handle, bytes[done..], place + done);
            done += read > 0 ? read : throw new EndOfStreamException($"'{_path}' was cut.");
        }
    }

    public void Dispose()
    {
        _handle.Dispose();
        Leftovers.TryDelete(_path);
    }
}
