namespace Zqfp.Tokenizers;

/// <summary>Hangul syllables, which are composed by arithmetic (The Unicode Standard, section 3.12).</summary>
internal static class Hangul
{
    private const int SyllableBase = 0xAC00;
    private const int LeadBase = 0x1100;
    private const int VowelBase = 0x1161;
    private const int TrailBase = 0x11A7;
    private const int Leads = 19;
    private const int Vowels = 21;
    private const int Trails = 28;

    public static bool IsVowelOrTrail(int codePoint) =>
        codePoint is (>= VowelBase and < VowelBase + Vowels) or (> TrailBase and < TrailBase + Trails);

    /// <summary>
    /// One step of decomposition: a syllable with a trail into the one without it and the trail, else into lead and vowel.
    /// </summary>
    public static bool TryDecompose(int codePoint, out (int First, int Second) parts)
    {
        int index = codePoint - SyllableBase;
        int trail = index % Trails;
        parts = trail > 0
            ? (codePoint - trail, TrailBase + trail)
            : (LeadBase + index / (Vowels * Trails), VowelBase + index / Trails % Vowels);
        return index is >= 0 and < Leads * Vowels * Trails;
    }

    public static bool TryCompose(int first, int second, out int composite)
    {
        int lead = first - LeadBase;
        int vowel = second - VowelBase;
        if (lead is >= 0 and < Leads && vowel is >= 0 and < Vowels)
        {
            composite = SyllableBase + (lead * Vowels + vowel) * Trails;
            return true;
        }

        int syllable = first - SyllableBase;
        int trail = second - TrailBase;
        composite = first + trail;
        return syllable is >= 0 and < Leads * Vowels * Trails && syllable % Trails == 0 && trail is > 0 and < Trails;
    }
}
