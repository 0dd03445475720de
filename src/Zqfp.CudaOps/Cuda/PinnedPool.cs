using System.Runtime.InteropServices;

namespace Zqfp.CudaOps;

/// <summary>
/// Page-locked memory of the host, lent and taken back. The copy engine reads and writes it at the speed of the bus, where other memory goes
/// through the driver's own small buffers; locking takes far longer than a copy, so what was locked once stays until the end.
/// </summary>
/// <remarks>Where the system refuses to lock more pages, blocks are of ordinary memory: slower, and otherwise the same.</remarks>
/// <param name="context">The device; must outlive the pool.</param>
internal sealed unsafe class PinnedPool(CudaContext context) : IDisposable
{
    private const int Step = 1 << 16, Page = 1 << 12, Alignment = 1 << 21;

    private readonly Lock _lock = new();
    private readonly List<PinnedBlock> _all = [];
    private readonly SortedList<long, Stack<PinnedBlock>> _idle = [];

    /// <summary>Blocks so far, lent and idle.</summary>
    public int Blocks => _all.Count;

    /// <summary>Memory of at least so many bytes, with any content; disposing it gives it back.</summary>
    /// <exception cref="OutOfMemoryException">There is none.</exception>
    public PinnedBlock Rent(long bytes)
    {
        lock (_lock)
        {
            // Half as much again at most: small values would else be given the blocks of large ones, which would be made anew.
            long size = Math.Max(1, (bytes + Step - 1) / Step) * Step;
            foreach ((long idle, Stack<PinnedBlock> blocks) in _idle)
            {
                if (idle >= size && idle <= size + (size / 2) && blocks.TryPop(out PinnedBlock? block))
                {
                    return block;
                }
            }

            _all.Add(Allocate(size));
            return _all[^1];
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

    /// <summary>Takes a block back.</summary>
    internal void Return(PinnedBlock block)
    {
        lock (_lock)
        {
            if (!_idle.TryGetValue(block.Bytes, out Stack<PinnedBlock>? blocks))
            {
                _idle.Add(block.Bytes, blocks = new Stack<PinnedBlock>());
            }

            blocks.Push(block);
        }
    }

    /// <summary>Frees all blocks, lent ones too.</summary>
    public void Dispose()
    {
        context.MakeCurrent();
        foreach (PinnedBlock block in _all)
        {
            if (block.IsLocked)
            {
                context.Driver.HostUnregister((void*)block.Address);
            }

            NativeMemory.AlignedFree((void*)block.Address);
        }

        _all.Clear();
        _idle.Clear();
    }

    // Pages are touched by all cores before they are locked: the driver alone would have them made one after another.
    private PinnedBlock Allocate(long bytes)
    {
        byte* address = (byte*)NativeMemory.AlignedAlloc((nuint)bytes, Alignment);
        Parallel.For(0, bytes / Step, step =>
        {
            for (int page = 0; page < Step; page += Page)
            {
                address[(step * Step) + page] = 0;
            }
        });
        context.MakeCurrent();
        return new PinnedBlock(this, (nint)address, bytes, isLocked: context.Driver.HostRegister(address, (nuint)bytes, 0) == 0);
    }
}

/// <summary>A block of a <see cref="PinnedPool"/>, which disposing gives back.</summary>
internal sealed class PinnedBlock(PinnedPool pool, nint address, long bytes, bool isLocked) : IDisposable
{
    /// <summary>Where it begins.</summary>
    public nint Address => address;

    /// <summary>Its size.</summary>
    public long Bytes => bytes;

    /// <summary>Whether its pages are locked.</summary>
    public bool IsLocked => isLocked;

    /// <summary>Gives it back: once.</summary>
    public void Dispose() => pool.Return(this);
}
