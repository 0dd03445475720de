using System.Collections.Concurrent;

namespace Zqfp.CudaOps;

/// <summary>
/// Working memory for one stream, whose kernels run one after another and so may all have the same. It grows to the largest asked for;
/// what was handed out once stays until the end, because a recorded graph may still name it.
/// </summary>
/// <param name="context">The device.</param>
internal sealed class StreamScratch(CudaContext context) : IDisposable
{
    private readonly ConcurrentDictionary<nint, DeviceMemory> _current = new();
    private readonly List<DeviceMemory> _all = [];

    /// <summary>
    /// The address, a multiple of 256, of at least so many bytes that were zero at first, for kernels of a stream; 0 where none are
    /// asked for.
    /// </summary>
    /// <param name="stream">Stream handle.</param>
    /// <param name="bytes">Size.</param>
    /// <exception cref="ZqfpException">ZQFP4104: out of memory.</exception>
    public ulong Address(nint stream, long bytes)
    {
        if (bytes == 0)
        {
            return 0;
        }

        return _current.TryGetValue(stream, out DeviceMemory? memory) && memory.Bytes >= bytes
            ? memory.Address
            : Grow(stream, bytes);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _all.ForEach(memory => memory.Dispose());
        _all.Clear();
        _current.Clear();
    }

    private ulong Grow(nint stream, long bytes)
    {
        // Twice as much as asked for: a conversation's prompts grow, and each growth keeps the old memory too.
        const long Least = 1 << 18;
        var memory = new DeviceMemory(context, Math.Max(Least, 2 * bytes));
        memory.Fill(0, stream);
        lock (_all)
        {
            _all.Add(memory);
        }

        _current[stream] = memory;
        return memory.Address;
    }
}
