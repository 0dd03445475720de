using System.Runtime.InteropServices;

namespace Zqfp.CudaOps;

/// <summary>
/// Page-locked memory of the host, lent and taken back. The copy engine reads and writes it at the speed of the bus, where other memory
/// goes through the driver's own small buffers; locking takes far longer than a copy, so what was locked is kept to be lent again.
/// </summary>
/// <remarks>
/// What is kept and not lent is freed before more is locked, but for <c>1 / <see cref="IdleShare"/></c> of what is lent. Where the system
/// refuses to lock more pages, blocks are of ordinary memory: slower, and otherwise the same.
/// </remarks>
/// <param name="context">The device; must outlive the pool.</param>
/// <param name="threads">Threads that make pages; 0 for one a processor.</param>
internal sealed unsafe class PinnedPool(CudaContext context, int threads = 0) : IDisposable
{
    /// <summary>Of so many bytes that are lent one more may be kept idle.</summary>
    public const int IdleShare = 2;

    private const int Step = 1 << 16, Page = 1 << 12, Alignment = 1 << 21;

    private readonly ParallelOptions _parallel = new() { MaxDegreeOfParallelism = threads == 0 ? -1 : threads };
    private readonly Lock _lock = new();
    private readonly HashSet<Slab> _lent = [];
    private readonly SortedList<long, Stack<Slab>> _idle = [];

    /// <summary>Bytes that are lent.</summary>
    public long LentBytes { get; private set; }

    /// <summary>Bytes that are kept to be lent.</summary>
    public long IdleBytes { get; private set; }

    /// <summary>Memory of at least so many bytes, with any content; disposing it gives it back.</summary>
    /// <exception cref="OutOfMemoryException">There is none.</exception>
    public PinnedBlock Rent(long bytes)
    {
        lock (_lock)
        {
            long size = Math.Max(1, (bytes + Step - 1) / Step) * Step;
            Slab slab = TakeIdle(size) ?? Allocate(size);
            _lent.Add(slab);
            LentBytes += slab.Bytes;
            return new PinnedBlock(slab.Address, slab.Bytes, slab.IsLocked, () => Return(slab));
        }
    }

    /// <summary>Memory with a copy of what lies on the device.</summary>
    /// <param name="onDevice">Memory of the device, which the processor cannot read; what writes it has ended.</param>
    /// <exception cref="ZqfpException">ZQFP4104: the copy failed.</exception>
    public PinnedBlock Fetch(ReadOnlySpan<byte> onDevice)
    {
        PinnedBlock block = Rent(onDevice.Length);
        try
        {
            if (!onDevice.IsEmpty)
            {
                context.MakeCurrent();
                fixed (byte* address = onDevice)
                {
                    context.Driver.Check(
                        context.Driver.CopyToHost((void*)block.Address, (ulong)address, (nuint)onDevice.Length, 0), "Copy to the host");
                }

                context.Driver.Check(context.Driver.StreamSynchronize(0), "Copy to the host");
            }

            return block;
        }
        catch
        {
            block.Dispose();
            throw;
        }
    }

    /// <summary>Frees all blocks, lent ones too.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            foreach (Slab slab in _lent.Concat(_idle.Values.SelectMany(slabs => slabs)))
            {
                Free(slab);
            }

            _lent.Clear();
            _idle.Clear();
            (LentBytes, IdleBytes) = (0, 0);
        }
    }

    private void Return(Slab slab)
    {
        lock (_lock)
        {
            if (!_lent.Remove(slab))
            {
                return; // freed with the pool
            }

            if (!_idle.TryGetValue(slab.Bytes, out Stack<Slab>? slabs))
            {
                _idle.Add(slab.Bytes, slabs = new Stack<Slab>());
            }

            slabs.Push(slab);
            LentBytes -= slab.Bytes;
            IdleBytes += slab.Bytes;
        }
    }

    // Half as much again at most: small values would else be given the blocks of large ones, which would be made anew.
    private Slab? TakeIdle(long size)
    {
        foreach ((long idle, Stack<Slab> slabs) in _idle)
        {
            if (idle >= size && idle <= size + (size / 2) && slabs.TryPop(out Slab? slab))
            {
                IdleBytes -= slab.Bytes;
                return slab;
            }
        }

        return null;
    }

    // Pages are touched by several threads before they are locked: the driver alone would have them made one after another.
    private Slab Allocate(long bytes)
    {
        foreach (Stack<Slab> slabs in _idle.Values.Reverse())
        {
            while (IdleBytes > (LentBytes + bytes) / IdleShare && slabs.TryPop(out Slab? slab))
            {
                IdleBytes -= slab.Bytes;
                Free(slab);
            }
        }

        byte* address = (byte*)NativeMemory.AlignedAlloc((nuint)bytes, Alignment);
        Parallel.For(0, bytes / Step, _parallel, step =>
        {
            for (int page = 0; page < Step; page += Page)
            {
                address[(step * Step) + page] = 0;
            }
        });
        context.MakeCurrent();
        return new Slab((nint)address, bytes, context.Driver.HostRegister(address, (nuint)bytes, 0) == 0);
    }

    private void Free(Slab slab)
    {
        if (slab.IsLocked)
        {
            context.MakeCurrent();
            context.Driver.HostUnregister((void*)slab.Address);
        }

        NativeMemory.AlignedFree((void*)slab.Address);
    }

    private sealed record Slab(nint Address, long Bytes, bool IsLocked);
}

/// <summary>Memory lent by a <see cref="PinnedPool"/>, which disposing gives back; once, however often it is disposed.</summary>
/// <param name="address">Where it begins.</param>
/// <param name="bytes">Its size.</param>
/// <param name="isLocked">Whether its pages are locked.</param>
/// <param name="giveBack">Gives it back.</param>
internal sealed class PinnedBlock(nint address, long bytes, bool isLocked, Action giveBack) : IDisposable
{
    private Action? _giveBack = giveBack;

    /// <summary>Where it begins.</summary>
    public nint Address => address;

    /// <summary>Its size.</summary>
    public long Bytes => bytes;

    /// <summary>Whether its pages are locked.</summary>
    public bool IsLocked => isLocked;

    /// <inheritdoc/>
    public void Dispose() => Interlocked.Exchange(ref _giveBack, null)?.Invoke();
}
