using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Zqfp.CudaOps;

/// <summary>
/// The values of E4M3 codes, NaN excepted, by looking up with AVX-512. Permutations look at an index's low bits only, so that codes
/// need not be cut out of their words.
/// </summary>
internal interface IFp8Lookup
{
    /// <summary>The values of the first, second, third and fourth codes of sixteen words.</summary>
    void Values(Vector512<int> words, out Vector512<float> v0, out Vector512<float> v1, out Vector512<float> v2, out Vector512<float> v3);
}

/// <summary>
/// With tables of floats: value = unit · mantissa + base, where unit and base belong to the code's high five bits and the mantissa
/// to its low three. With a unit of 2^-9 and base 0 that holds for subnormals too, and nothing is rounded.
/// </summary>
internal readonly struct Fp8FloatLookup : IFp8Lookup
{
    private readonly Vector512<float> _mantissas, _units, _negativeUnits, _bases, _negativeBases;

    public Fp8FloatLookup()
    {
        _mantissas = Vector512.Create(0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7f);
        _units = Vector512.Create(1f / 512, 1f / 512, 1f / 256, 1f / 128, 1f / 64, 1f / 32, 1f / 16, 1f / 8, 1f / 4,
            1f / 2, 1, 2, 4, 8, 16, 32);
        _negativeUnits = -_units;
        _bases = Vector512.Create(0, 1f / 64, 1f / 32, 1f / 16, 1f / 8, 1f / 4, 1f / 2, 1, 2, 4, 8, 16, 32, 64, 128, 256);
        _negativeBases = -_bases;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Values(
        Vector512<int> words, out Vector512<float> v0, out Vector512<float> v1, out Vector512<float> v2, out Vector512<float> v3)
    {
        v0 = Value(words, words >>> 3);
        v1 = Value(words >>> 8, words >>> 11);
        v2 = Value(words >>> 16, words >>> 19);
        v3 = Value(words >>> 24, words >>> 27);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Vector512<float> Value(Vector512<int> mantissas, Vector512<int> exponents) => Vector512.FusedMultiplyAdd(
        Avx512F.PermuteVar16x32(_mantissas, mantissas),
        Avx512F.PermuteVar16x32x2(_units, exponents, _negativeUnits),
        Avx512F.PermuteVar16x32x2(_bases, exponents, _negativeBases));
}

/// <summary>With VBMI: every value is a bfloat16, and its two bytes are looked up in tables of 128, for 64 codes at once.</summary>
internal readonly struct Fp8ByteLookup : IFp8Lookup
{
    private static readonly Vector512<byte>[] Tables = MakeTables();

    private readonly Vector512<byte> _high0 = Tables[0], _high1 = Tables[1], _low0 = Tables[2], _low1 = Tables[3];

    public Fp8ByteLookup()
    {
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Values(
        Vector512<int> words, out Vector512<float> v0, out Vector512<float> v1, out Vector512<float> v2, out Vector512<float> v3)
    {
        Vector512<byte> codes = words.AsByte();
        Vector512<ushort> low = Avx512Vbmi.PermuteVar64x8x2(_low0, codes, _low1).AsUInt16();
        Vector512<ushort> high = (Avx512Vbmi.PermuteVar64x8x2(_high0, codes, _high1) | (codes & Vector512.Create((byte)0x80))).AsUInt16();
        Vector512<int> even = ((high << 8) | (low & Vector512.Create((ushort)0x00FF))).AsInt32();
        Vector512<int> odd = ((high & Vector512.Create((ushort)0xFF00)) | (low >>> 8)).AsInt32();
        Vector512<int> upper = Vector512.Create(-65536);
        v0 = (even << 16).AsSingle();
        v1 = (odd << 16).AsSingle();
        v2 = (even & upper).AsSingle();
        v3 = (odd & upper).AsSingle();
    }

    /// <summary>The high bytes of codes 0 to 63 and 64 to 127, then the low ones.</summary>
    private static Vector512<byte>[] MakeTables()
    {
        byte[] high = new byte[128], low = new byte[128];
        for (int code = 0; code < 127; code++)
        {
            uint bits = BitConverter.SingleToUInt32Bits(E4M3.Values[code]);
            (high[code], low[code]) = ((byte)(bits >> 24), (byte)(bits >> 16));
        }
        return [Vector512.Create(high), Vector512.Create(high, 64), Vector512.Create(low), Vector512.Create(low, 64)];
    }
}
