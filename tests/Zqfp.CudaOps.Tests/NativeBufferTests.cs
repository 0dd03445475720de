using System.Globalization;
using System.Runtime.InteropServices;

namespace Zqfp.CudaOps.Tests;

public sealed unsafe class NativeBufferTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(100)]
    [InlineData(5 << 20)]
    public void A_buffer_is_aligned_and_zero(int length)
    {
        using var buffer = new NativeBuffer(length);
        Assert.Equal(0, (nint)buffer.Bytes % 64);
        Assert.True(new ReadOnlySpan<byte>(buffer.Bytes, length).IndexOfAnyExcept((byte)0) < 0);
        new Span<byte>(buffer.Bytes, length).Fill(1);
    }

    [Fact]
    public void Large_buffers_go_back_to_the_system_whatever_stays_between_them()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "The allocators of other systems are their own.");
        const int Count = 32, Length = 8 << 20;
        List<nint> between = [];
        List<NativeBuffer> buffers = [];
        for (int i = 0; i < Count; i++)
        {
            var buffer = new NativeBuffer(Length);
            new Span<byte>(buffer.Bytes, Length).Fill(1);
            buffers.Add(buffer);
            between.Add((nint)NativeMemory.AllocZeroed(10_000));
        }

        long full = AnonymousBytes();
        buffers.ForEach(buffer => buffer.Dispose());
        long left = AnonymousBytes();
        between.ForEach(memory => NativeMemory.Free((void*)memory));
        Assert.InRange(full - left, Count * (long)Length / 2, long.MaxValue);
    }

    private static long AnonymousBytes()
    {
        string line = File.ReadLines("/proc/self/status").Single(line => line.StartsWith("RssAnon:", StringComparison.Ordinal));
        return 1024 * long.Parse(line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);
    }
}
