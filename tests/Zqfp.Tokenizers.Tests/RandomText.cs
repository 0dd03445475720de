using System.Text;

namespace Zqfp.Tokenizers.Tests;

/// <summary>Seeded text that mixes scripts, white space, marks, controls and, where asked, surrogates that stand alone.</summary>
internal sealed class RandomText(int seed)
{
    private const string Common = "abcdehello'sTLREVM  \t\r\n,.-0123456789\u00A0\u3000\u2003\u0085'";
    private readonly Random _random = new(seed);

    /// <summary>Valid Unicode of any plane.</summary>
    public string Unicode(int longest) => Build(longest, () => Any(0x10FFFF));

    /// <summary>Code points of the basic plane alone.</summary>
    public string BasicPlane(int longest) => Build(longest, () => Any(0xFFFF));

    /// <summary>UTF-16 units as they fall, half pairs included.</summary>
    public string Units(int longest)
    {
        return string.Create(1 + _random.Next(longest), _random, static (units, random) =>
        {
            for (int i = 0; i < units.Length; i++)
            {
                units[i] = (char)(random.Next(3) == 0 ? random.Next(0xD800, 0xE000) : random.Next(0x10000));
            }
        });
    }

    private string Build(int longest, Func<Rune> any)
    {
        var text = new StringBuilder();
        int count = 1 + _random.Next(longest);
        for (int i = 0; i < count; i++)
        {
            text.Append((_random.Next(4) == 0 ? any() : new Rune(Common[_random.Next(Common.Length)])).ToString());
        }

        return text.ToString();
    }

    private Rune Any(int largest)
    {
        // Half of them from the first scripts, where letters, marks and digits are dense.
        int value = _random.Next(_random.Next(2) == 0 ? 0x1200 : largest + 1);
        return Rune.IsValid(value) ? new Rune(value) : new Rune('x');
    }
}
