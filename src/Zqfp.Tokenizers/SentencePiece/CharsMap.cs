using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace Zqfp.Tokenizers;

/// <summary>
/// SentencePiece's precompiled normalization rules: a double-array trie (darts-clone) over the UTF-8 of what is replaced,
/// whose values are offsets of the NUL-terminated replacements that follow it.
/// </summary>
internal sealed class CharsMap
{
    private readonly uint[] _units;
    private readonly byte[] _replacements;

    private CharsMap(uint[] units, byte[] replacements)
    {
        _units = units;
        _replacements = replacements;
    }

    public static bool TryRead(ReadOnlySpan<byte> content, [NotNullWhen(true)] out CharsMap? map)
    {
        map = null;
        if (content.Length < 8)
        {
            return false;
        }

        uint size = BinaryPrimitives.ReadUInt32LittleEndian(content);
        if (size < 4 || size % 4 != 0 || size > content.Length - 4)
        {
            return false;
        }

        var units = new uint[size / 4];
        for (int i = 0; i < units.Length; i++)
        {
            units[i] = BinaryPrimitives.ReadUInt32LittleEndian(content[(4 + 4 * i)..]);
        }

        map = new CharsMap(units, content[(4 + (int)size)..].ToArray());
        return true;
    }

    /// <summary>The longest rule that <paramref name="text"/> begins with.</summary>
    /// <param name="text">Where to look.</param>
    /// <param name="length">UTF-16 units the rule replaces.</param>
    /// <param name="replacement">What it puts there, which may be nothing.</param>
    public bool TryMatch(ReadOnlySpan<char> text, out int length, [NotNullWhen(true)] out string? replacement)
    {
        length = 0;
        uint found = uint.MaxValue;
        uint node = Offset(_units[0]);
        Span<byte> bytes = stackalloc byte[4];
        int position = 0;
        while (position < text.Length)
        {
            Rune.DecodeFromUtf16(text[position..], out Rune rune, out int units);
            uint leaf = uint.MaxValue;
            foreach (byte label in bytes[..rune.EncodeToUtf8(bytes)])
            {
                if (!TryStep(ref node, label, out leaf))
                {
                    return TryRead(found, out replacement);
                }
            }

            position += units;
            if (leaf != uint.MaxValue)
            {
                found = leaf;
                length = position;
            }
        }

        return TryRead(found, out replacement);
    }

    /// <summary>What the shortest rule that a text begins with puts in its place.</summary>
    public bool TryMatchShortest(ReadOnlySpan<char> text, [NotNullWhen(true)] out string? replacement)
    {
        uint node = Offset(_units[0]);
        Span<byte> bytes = stackalloc byte[4];
        foreach (Rune rune in text.EnumerateRunes())
        {
            foreach (byte label in bytes[..rune.EncodeToUtf8(bytes)])
            {
                if (!TryStep(ref node, label, out uint leaf))
                {
                    replacement = null;
                    return false;
                }

                if (leaf != uint.MaxValue)
                {
                    return TryRead(leaf, out replacement);
                }
            }
        }

        replacement = null;
        return false;
    }

    private static uint Offset(uint unit) => (unit >> 10) << (int)((unit & (1u << 9)) >> 6);

    /// <summary>Follows one byte; <paramref name="leaf"/> is the value that ends there, if one does.</summary>
    private bool TryStep(ref uint node, byte label, out uint leaf)
    {
        leaf = uint.MaxValue;
        uint next = node ^ label;
        if (next >= _units.Length || (_units[next] & 0x800000FF) != label)
        {
            return false;
        }

        node = next ^ Offset(_units[next]);
        if ((_units[next] & (1u << 8)) != 0 && node < _units.Length)
        {
            leaf = _units[node] & 0x7FFFFFFF;
        }

        return true;
    }

    private bool TryRead(uint offset, [NotNullWhen(true)] out string? replacement)
    {
        replacement = null;
        if (offset >= _replacements.Length)
        {
            return false;
        }

        ReadOnlySpan<byte> rest = _replacements.AsSpan((int)offset);
        int end = rest.IndexOf((byte)0);
        replacement = Encoding.UTF8.GetString(end < 0 ? rest : rest[..end]);
        return true;
    }
}
