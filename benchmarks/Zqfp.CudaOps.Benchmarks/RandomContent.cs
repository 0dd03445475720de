using System.Runtime.InteropServices;

namespace Zqfp.Benchmarks;

/// <summary>Content of constants: as good as random for a kernel, and made as fast as memory takes it.</summary>
internal static class RandomContent
{
    private const int Period = 65521;

    /// <summary>Floats in -0.5 .. 0.5; a random sequence of a prime length, again and again.</summary>
    public static void Floats(Span<byte> content)
    {
        var random = new Random(1);
        Span<float> values = MemoryMarshal.Cast<byte, float>(content);
        for (int i = 0; i < Math.Min(Period, values.Length); i++)
        {
            values[i] = (float)(random.NextDouble() - 0.5);
        }
        for (int done = Period; done < values.Length; done += Period)
        {
            values[..Math.Min(Period, values.Length - done)].CopyTo(values[done..]);
        }
    }

    /// <summary>Any bytes.</summary>
    public static void Bytes(Span<byte> content) => new Random(2).NextBytes(content);

    /// <summary>E4M3 codes, none of them NaN, every eighth subnormal.</summary>
    public static void Fp8(Span<byte> content)
    {
        Bytes(content);
        foreach (ref byte code in content)
        {
            code = (code & 0x7F) == 0x7F ? (byte)0 : code;
        }
    }

    /// <summary>Exponents of group scales, 0 to 4.</summary>
    public static void Exponents(Span<byte> content)
    {
        Bytes(content);
        foreach (ref byte exponent in content)
        {
            exponent %= 5;
        }
    }
}
