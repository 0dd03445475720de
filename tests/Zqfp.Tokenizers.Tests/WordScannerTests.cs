using System.Text.RegularExpressions;

namespace Zqfp.Tokenizers.Tests;

public class WordScannerTests
{
    public static TheoryData<string> Patterns => [Gpt2Scanner.Pattern, Cl100kScanner.ThreeDigitPattern, Cl100kScanner.OneDigitPattern];

    [Theory]
    [MemberData(nameof(Patterns))]
    public void Finds_what_the_regular_expression_finds(string pattern)
    {
        WordScanner scanner = ScannerOf(pattern);
        var expression = new Regex(pattern, RegexOptions.CultureInvariant);
        var random = new RandomText(11);
        for (int i = 0; i < 5000; i++)
        {
            // Within the basic plane .NET's engine decides by code point; the long s it folds differently.
            string text = random.BasicPlane(40).Replace('\u017F', 's');
            Assert.Equal(expression.Matches(text).Select(match => match.Value), Words(scanner, text));
        }
    }

    [Theory]
    [MemberData(nameof(Patterns))]
    public void Finds_what_the_general_pattern_finds_beyond_the_basic_plane(string pattern)
    {
        WordScanner scanner = ScannerOf(pattern);
        var general = new PatternSplitter(CodePointPattern.FromRegex(pattern), PieceBehavior.Isolated);
        var random = new RandomText(12);
        for (int i = 0; i < 3000; i++)
        {
            string text = (i % 3 == 0 ? random.Units(30) : random.Unicode(40)).Replace('\u017F', 's');
            Assert.Equal(Words(general, text), Words(scanner, text));
        }
    }

    [Theory]
    [InlineData("don't I'LL", "don|'t| I|'|LL")]
    [InlineData("a  b", "a| | b")]
    [InlineData("a \n b  ", "a| \n| b|  ")]
    [InlineData("x 12345 ¾", "x| 12345| ¾")]
    [InlineData("𝕏𝕐 𝟙𝟚 🙂🙂", "𝕏𝕐| 𝟙𝟚| 🙂🙂")]
    [InlineData("a\u0301b", "a|\u0301|b")]
    public void Cuts_as_GPT_2(string text, string words) => Assert.Equal(words.Split('|'), Words(new Gpt2Scanner(), text));

    [Theory]
    [InlineData("don't I'LL", "don|'t| I|'LL")]
    [InlineData("it'\u017F", "it|'\u017F")]
    [InlineData("12345678", "123|456|78")]
    [InlineData("(hello) \"x\"", "(hello|)| \"|x|\"")]
    [InlineData("a!!\r\n\r\n  b", "a|!!\r\n\r\n| | b")]
    [InlineData("a  \n  \n  b", "a|  \n  \n| | b")]
    [InlineData("\tfoo", "\tfoo")]
    [InlineData("\nfoo", "\n|foo")]
    [InlineData("🙂𝕏 𝟙𝟚𝟛𝟜", "🙂𝕏| |𝟙𝟚𝟛|𝟜")]
    public void Cuts_as_LLaMA_3(string text, string words) => Assert.Equal(words.Split('|'), Words(new Cl100kScanner(3), text));

    [Fact]
    public void Cuts_numbers_one_by_one_as_Qwen_2() => Assert.Equal(["a", "1", "2", "3"], Words(new Cl100kScanner(1), "a123"));

    internal static List<string> Words(WordSplitter preTokenizer, string text)
    {
        var sink = new Collector();
        preTokenizer.Split(new Piece(text, 0, text.Length) { First = true }, sink);
        return sink.Words;
    }

    private static WordScanner ScannerOf(string pattern) => pattern switch
    {
        Gpt2Scanner.Pattern => new Gpt2Scanner(),
        Cl100kScanner.ThreeDigitPattern => new Cl100kScanner(3),
        _ => new Cl100kScanner(1),
    };

    private sealed class Collector : IPieceSink
    {
        public List<string> Words { get; } = [];

        public void Accept(Piece piece) => Words.Add(piece.ToString());
    }
}
