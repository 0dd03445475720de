using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Zqfp.CudaOps;

namespace Zqfp.Benchmarks;

/// <summary>How fast memory is read: threads sum a piece each of an array that is larger than a cache, another piece each time.</summary>
internal sealed unsafe class MemoryBandwidth : IDisposable
{
    private const int Step = 4 * 8;

    /// <summary>What a thread reads at a time, in longs: 32 MB, beside which it takes no time to start a thread.</summary>
    private const long PieceLength = 4 << 20;

    private readonly int _threads;
    private readonly long _partLength;
    private long _start;
    private readonly NativeBuffer _values;

    public MemoryBandwidth(int threads, long bytes)
    {
        _threads = threads;
        _partLength = Math.Max(bytes / sizeof(long) / threads / PieceLength, 1) * PieceLength;
        _values = new NativeBuffer(_partLength * threads * sizeof(long));
        new Span<long>(_values.Bytes, checked((int)(_partLength * threads))).Fill(1);
    }

    /// <summary>Reads the next pieces.</summary>
    /// <returns>Bytes per second.</returns>
    public double Measure()
    {
        long[] sums = new long[_threads];
        long start = Stopwatch.GetTimestamp();
        long piece = _start;
        _start = (_start + PieceLength) % _partLength;
        Parallel.For(0, _threads, new ParallelOptions { MaxDegreeOfParallelism = _threads }, part =>
            sums[part] = Sum((long*)_values.Bytes + (part * _partLength) + piece, PieceLength));
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        return sums.Sum() == PieceLength * _threads
            ? PieceLength * _threads * sizeof(long) / seconds
            : throw new InvalidOperationException("The sum is wrong.");
    }

    public void Dispose() => _values.Dispose();

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static long Sum(long* values, long length)
    {
        Vector512<long> first = Vector512<long>.Zero, second = first, third = first, fourth = first;
        for (long* end = values + length; values < end; values += Step)
        {
            first += Vector512.Load(values);
            second += Vector512.Load(values + 8);
            third += Vector512.Load(values + 16);
            fourth += Vector512.Load(values + 24);
        }
        return Vector512.Sum(first + second + third + fourth);
    }
}
