using System.Text.Json;
using System.Text.Json.Nodes;

namespace Zqfp.Tokenizers.Tests;

/// <summary>Patterns in Oniguruma's syntax find what the reference implementation finds, or are refused.</summary>
public class PatternTests
{
    // Without case these match one character for several or the other way round, or use data that is not here.
    private static readonly string[] Refused = ["(?i)[\\p{Lu}]", "\\p{Emoji}", "\\p{InBasicLatin}", "(?i)ss", "(?i)st", "(?i)ß"];

    [Fact]
    public void Find_what_the_reference_finds()
    {
        JsonNode cases = JsonNode.Parse(File.ReadAllText(Repository.Path("tests/Zqfp.Tokenizers.Tests/Cases/patterns.json")))!;
        string[] texts = cases["texts"].Deserialize<string[]>()!;
        int compared = 0;
        foreach (JsonNode? entry in cases["patterns"]!.AsArray())
        {
            string pattern = entry!["pattern"]!.GetValue<string>();
            if (Refused.Contains(pattern))
            {
                Assert.Throws<PatternException>(() => CodePointPattern.FromRegex(pattern));
                continue;
            }

            var translated = CodePointPattern.FromRegex(pattern);
            string[][] expected = entry["matches"].Deserialize<string[][]>()!;
            for (int i = 0; i < texts.Length; i++)
            {
                IEnumerable<string> found = translated.Matches(texts[i]).Where(match => match.Length > 0)
                    .Select(match => texts[i].Substring(match.Start, match.Length));
                Assert.True(expected[i].SequenceEqual(found), $"'{pattern}' on '{texts[i]}' gives {string.Join('|', found)}.");
                compared++;
            }
        }

        Assert.True(compared > 2000, $"Only {compared} searches were compared.");
    }

    [Theory]
    [InlineData("(")]
    [InlineData(")")]
    [InlineData("[a")]
    [InlineData("[]")]
    [InlineData("*a")]
    [InlineData("{2}")]
    [InlineData(@"\")]
    [InlineData(@"(a)\1")]
    [InlineData(@"\k<n>")]
    [InlineData(@"\K")]
    [InlineData(@"\X")]
    [InlineData(@"\G")]
    [InlineData(@"\Qa")]
    [InlineData(@"\pL")]
    [InlineData(@"\p{Klingon}")]
    [InlineData("[[:foo:]]")]
    [InlineData(@"[a-\d]")]
    [InlineData(@"[\d-a]")]
    [InlineData("[b-a]")]
    [InlineData("(?~a)")]
    [InlineData("(?s).")]
    [InlineData("(?(a)b|c)")]
    [InlineData("(?>a+){2}")]
    [InlineData("(?:a++)?")]
    [InlineData("(?<=(?>a+))b")]
    [InlineData("a*?+")]
    [InlineData("^*")]
    [InlineData("a{2,1}")]
    [InlineData(@"\x{110000}")]
    [InlineData(@"\x{D800}")]
    [InlineData("(?i)[ß]")]
    public void What_cannot_be_translated_is_refused(string pattern) =>
        Assert.Throws<PatternException>(() => CodePointPattern.FromRegex(pattern));

    [Fact]
    public void Deep_nesting_is_refused()
    {
        Assert.Throws<PatternException>(() => CodePointPattern.FromRegex(new string('(', 100_000)));
        Assert.Throws<PatternException>(() => CodePointPattern.FromRegex(new string('[', 100_000)));
    }

    [Fact]
    public void Nested_quantifiers_cost_linear_time()
    {
        var pattern = CodePointPattern.FromRegex("(a+)+$");
        Assert.Equal([(5_001, 3)], pattern.Matches(new string('a', 5_000) + "!aaa"));
        var ambiguous = CodePointPattern.FromRegex("(a|aa)+$");
        Assert.Equal([(501, 3)], ambiguous.Matches(new string('a', 500) + "!aaa"));
    }

    [Fact]
    public void A_search_that_backtracks_without_end_is_refused_or_cancelled()
    {
        // The lookahead keeps it from linear time.
        var pattern = CodePointPattern.FromRegex("(?=a)(a|aa)+$");
        string text = new string('a', 60) + "!";
        Assert.Equal("ZQFP0115", Assert.Throws<ZqfpException>(() => pattern.Matches(text)).Code);
        using var cancellation = new CancellationTokenSource();
        cancellation.CancelAfter(200);
        Assert.ThrowsAny<OperationCanceledException>(() => pattern.Matches(text, cancellation.Token));
    }

    [Theory]
    [InlineData("x*", "ab-c", "Isolated", "a|b|-|c")]
    [InlineData(@"\b", "ab cd", "Isolated", "ab| |cd")]
    [InlineData("(?=c)", "abcd", "Isolated", "ab|cd")]
    public void A_match_of_nothing_cuts_and_ends(string pattern, string text, string behavior, string words)
    {
        var splitter = new PatternSplitter(CodePointPattern.FromRegex(pattern), Enum.Parse<PieceBehavior>(behavior));
        Assert.Equal(words.Split('|'), WordScannerTests.Words(splitter, text));
    }
}
