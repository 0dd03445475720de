namespace Zqfp.CudaOps;

/// <summary>
/// Working memory for kernels, lent for the length of a call or of a part of one. All kernels of a domain share it, so its size
/// follows the number of threads at work and not the number of layers; once warm, borrowing allocates nothing.
/// </summary>
internal sealed class ScratchPool
{
    private readonly Lock _lock = new();
    private readonly NativeBuffer?[] _idle = new NativeBuffer?[64];

    /// <summary>Idle buffers, which are the first of the array: a borrowing looks at no more.</summary>
    private int _count;

    /// <summary>Borrows at least <paramref name="byteLength"/> bytes, whose content is arbitrary.</summary>
    public NativeBuffer Rent(long byteLength)
    {
        lock (_lock)
        {
            // The smallest that is large enough, so that small borrowings do not take the large buffers away.
            int best = -1;
            for (int i = 0; i < _count; i++)
            {
                long length = _idle[i]!.ByteLength;
                if (length >= byteLength && (best < 0 || length < _idle[best]!.ByteLength))
                {
                    best = i;
                }
            }
            if (best >= 0)
            {
                NativeBuffer found = _idle[best]!;
                _idle[best] = _idle[--_count];
                _idle[_count] = null;
                return found;
            }
        }
        // Rounded up, so that slowly growing sequences do not ask for a new buffer each time.
        return new NativeBuffer((byteLength + (byteLength / 4) + 4095) & ~4095L);
    }

    /// <summary>Gives a buffer back.</summary>
    public void Return(NativeBuffer buffer)
    {
        NativeBuffer? surplus = buffer;
        lock (_lock)
        {
            if (_count < _idle.Length)
            {
                _idle[_count++] = buffer;
                return;
            }
            int smallest = 0;
            for (int i = 1; i < _count; i++)
            {
                if (_idle[i]!.ByteLength < _idle[smallest]!.ByteLength)
                {
                    smallest = i;
                }
            }
            if (_idle[smallest]!.ByteLength < buffer.ByteLength)
            {
                (surplus, _idle[smallest]) = (_idle[smallest], buffer);
            }
        }
        surplus!.Dispose();
    }
}
