namespace Zqfp.Tokenizers;

/// <summary>
/// How byte-level vocabularies spell bytes: printable Latin-1 as itself, the others as U+0100 and up in their order
/// (GPT-2's <c>bytes_to_unicode</c>).
/// </summary>
internal static class ByteAlphabet
{
    private static readonly char[] Spellings = Build();
    private static readonly Dictionary<char, byte> Bytes =
        Enumerable.Range(0, 256).ToDictionary(value => Spellings[value], value => (byte)value);

    /// <summary>The character that spells a byte.</summary>
    public static char Spell(byte value) => Spellings[value];

    /// <summary>The bytes a token spells; null where a character of it spells none (added tokens).</summary>
    public static byte[]? Read(string token)
    {
        var bytes = new byte[token.Length];
        for (int i = 0; i < token.Length; i++)
        {
            if (!Bytes.TryGetValue(token[i], out bytes[i]))
            {
                return null;
            }
        }

        return bytes;
    }

    private static char[] Build()
    {
        var spellings = new char[256];
        char next = '\u0100';
        for (int value = 0; value < 256; value++)
        {
            bool printable = value is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF);
            spellings[value] = printable ? (char)value : next++;
        }

        return spellings;
    }
}
