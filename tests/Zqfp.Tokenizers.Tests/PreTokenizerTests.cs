using System.Text.Json.Nodes;

namespace Zqfp.Tokenizers.Tests;

public class PreTokenizerTests
{
    [Theory]
    [InlineData("Removed", false, "the|final|countdown")]
    [InlineData("Removed", true, "-|-|-")]
    [InlineData("Isolated", false, "the|-|final|-|-|countdown")]
    [InlineData("MergedWithPrevious", false, "the-|final-|-|countdown")]
    [InlineData("MergedWithNext", false, "the|-final|-|-countdown")]
    [InlineData("Contiguous", false, "the|-|final|--|countdown")]
    public void Splits_with_each_behavior(string behavior, bool invert, string pieces)
    {
        var split = new PatternSplitter(CodePointPattern.FromLiteral("-"), Enum.Parse<PieceBehavior>(behavior), invert);
        Assert.Equal(pieces.Split('|'), WordScannerTests.Words(split, "the-final--countdown"));
    }

    [Fact]
    public void A_sequence_works_on_the_pieces_of_the_stage_before()
    {
        var sequence = new SequenceSplitter([
            new PatternSplitter(CodePointPattern.FromRegex(@"\s"), PieceBehavior.Removed),
            new PatternSplitter(CodePointPattern.FromRegex(@"\p{N}"), PieceBehavior.Isolated),
            new PrefixSpaceSplitter(new Gpt2Scanner()),
        ]);
        Assert.Equal([" a", " 1", " 2", " b"], WordScannerTests.Words(sequence, "a12\tb"));
    }

    [Fact]
    public void A_long_run_of_spaces_is_cut_in_linear_time()
    {
        var split = new PatternSplitter(CodePointPattern.FromRegex(@"\s+(?!\S)|\s+|\S+"), PieceBehavior.Isolated);
        Assert.Equal(3, WordScannerTests.Words(split, new string(' ', 100_000) + "x").Count);
    }

    [Theory]
    [InlineData("""{"type":"Digits","individual_digits":true}""", "a12", "a|1|2")]
    [InlineData("""{"type":"Digits"}""", "a12", "a|12")]
    [InlineData("""{"type":"Punctuation"}""", "a!?$b", "a|!|?|$|b")]
    [InlineData("""{"type":"Punctuation","behavior":"Contiguous"}""", "a!?b", "a|!?|b")]
    [InlineData("""{"type":"WhitespaceSplit"}""", " a b! ", "a|b!")]
    [InlineData("""{"type":"Whitespace"}""", " a b!? ", "a|b|!?")]
    [InlineData("""{"type":"Split","pattern":{"String":"b"},"behavior":"Isolated","invert":false}""", "abc", "a|b|c")]
    public void Reads_the_kinds_of_pre_tokenizers(string stage, string text, string words)
    {
        // Every piece begins with a token of its own, since the vocabulary has no merges: the prefix space shows the pieces.
        JsonObject json = TinyTokenizers.ByteLevel();
        json["pre_tokenizer"] = new JsonObject
        {
            ["type"] = "Sequence",
            ["pretokenizers"] = new JsonArray(
                JsonNode.Parse(stage),
                new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = true, ["use_regex"] = false }),
        };
        PretrainedTokenizer tokenizer = TinyTokenizers.Load(json);
        Assert.Equal(" " + words.Replace('|', ' '), tokenizer.Decode(tokenizer.EncodeToIds(text)));
    }
}
