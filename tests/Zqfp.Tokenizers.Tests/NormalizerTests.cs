using System.Text.Json.Nodes;

namespace Zqfp.Tokenizers.Tests;

public class NormalizerTests
{
    /// <summary>
    /// What Hugging Face tokenizers makes of these texts with the same rules: clusters first, and the shortest rule of each.
    /// </summary>
    [Theory]
    [InlineData("AbA", "aba")]
    [InlineData("\uFB01ne \u00BD", "fine 1/2")]
    [InlineData("cafe\u0301 caf\u00E9", "cafE cafe")]
    [InlineData("a\r\nb\r", "a b\r")]
    [InlineData("x\u200By\u3000z", "xy z")]
    [InlineData("\uAC00\uAC01 A\u0301 e\u0301\u0327x", "ga\uAC01 a Ex")]
    [InlineData("\U0001F600\U0001F44D\U0001F3FD\U0001F600\u0301", ":)\U0001F44D\U0001F3FD:)\u0301")]
    [InlineData("abab aB", "abab aB")]
    [InlineData("A\u0301\u0302b", "ab")]
    [InlineData("A\u200D", "a")]
    [InlineData("\uFB01\u0301", "fi")]
    [InlineData("", "")]
    public void Precompiled_rules_apply_to_grapheme_clusters(string text, string normalized)
    {
        byte[] rules = TinySentencePiece.BuildCharsMap(
            ("A", "a"), ("\uFB01", "fi"), ("\u00BD", "1/2"), ("\u00E9", "e"), ("e\u0301", "E"), ("\r\n", " "),
            ("\u200B", ""), ("\u3000", " "),
            ("\uAC00", "ga"), ("\U0001F600", ":)"), ("ab", "X"));
        JsonObject json = TinyTokenizers.ByteLevel();
        json["normalizer"] = new JsonObject { ["type"] = "Precompiled", ["precompiled_charsmap"] = Convert.ToBase64String(rules) };
        Assert.Equal(normalized, TinyTokenizers.Load(json).Normalizer!.Normalize(text));
    }

    private readonly UnicodeNormalizer _composed = new(compose: true);
    private readonly UnicodeNormalizer _decomposed = new(compose: false);

    [Theory]
    [InlineData("plain", "plain", "plain")]
    [InlineData("e\u0301", "\u00E9", "e\u0301")]
    [InlineData("\u00E9", "\u00E9", "e\u0301")]
    [InlineData("\u212B", "\u00C5", "A\u030A")]
    [InlineData("\u1E9B\u0323", "\u1E9B\u0323", "\u017F\u0323\u0307")]
    [InlineData("q\u0307\u0323", "q\u0323\u0307", "q\u0323\u0307")]
    [InlineData("\u1E0A\u0323", "\u1E0C\u0307", "D\u0323\u0307")]
    [InlineData("\u0958", "\u0915\u093C", "\u0915\u093C")]
    [InlineData("\u1100\u1161\u11A8", "\uAC01", "\u1100\u1161\u11A8")]
    [InlineData("\uAC00\u11A8", "\uAC01", "\u1100\u1161\u11A8")]
    [InlineData("\uAC01\u11A8", "\uAC01\u11A8", "\u1100\u1161\u11A8\u11A8")]
    [InlineData("\u2126x\uFB01", "\u03A9x\uFB01", "\u03A9x\uFB01")]
    [InlineData("\U0001D15E", "\U0001D157\U0001D165", "\U0001D157\U0001D165")]
    [InlineData("\u0301a", "\u0301a", "\u0301a")]
    [InlineData("a\u0315\u0300\u05AE\u0300b", "\u00E0\u05AE\u0300\u0315b", "a\u05AE\u0300\u0300\u0315b")]
    public void Composes_and_decomposes_as_the_standard_says(string text, string composed, string decomposed)
    {
        Assert.Equal(composed, _composed.Normalize(text));
        Assert.Equal(decomposed, _decomposed.Normalize(text));
        Assert.Equal("xx " + composed + " yy", _composed.Normalize("xx " + text + " yy"));
    }

    [Fact]
    public void The_forms_lead_into_each_other()
    {
        var random = new RandomText(31);
        for (int i = 0; i < 3000; i++)
        {
            string text = random.Unicode(40);
            string composed = _composed.Normalize(text);
            string decomposed = _decomposed.Normalize(text);
            Assert.Equal(composed, _composed.Normalize(composed));
            Assert.Equal(composed, _composed.Normalize(decomposed));
            Assert.Equal(decomposed, _decomposed.Normalize(composed));
        }
    }

    [Theory]
    [InlineData("""{"type":"Lowercase"}""", "ÀB", "àb")]
    [InlineData("""{"type":"Strip","strip_left":true,"strip_right":false}""", " a ", "a ")]
    [InlineData("""{"type":"Strip","strip_left":false,"strip_right":true}""", " a ", " a")]
    [InlineData("""{"type":"Strip"}""", " a ", "a")]
    [InlineData("""{"type":"Replace","pattern":{"String":"ab"},"content":"c"}""", "abab", "cc")]
    [InlineData("""{"type":"Replace","pattern":{"Regex":" {2,}"},"content":"_"}""", "a   b 𝕏  c", "a_b 𝕏_c")]
    [InlineData("""{"type":"Prepend","prepend":"x"}""", "a", "xa")]
    [InlineData("""{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"x"},{"type":"NFC"}]}""", "e\u0301", "xé")]
    public void Rewrites_the_text_before_it_is_cut(string normalizer, string text, string normalized)
    {
        JsonObject json = TinyTokenizers.ByteLevel();
        json["normalizer"] = JsonNode.Parse(normalizer);
        PretrainedTokenizer tokenizer = TinyTokenizers.Load(json);
        Assert.Equal(normalized, tokenizer.Decode(tokenizer.EncodeToIds(text)));
    }
}
