using System.Text.Json.Nodes;
using Microsoft.ML.Tokenizers;

namespace Zqfp.Tokenizers.Tests;

/// <summary>Tokens with their places in the normalized text, and what counts and cuts by them.</summary>
public class OffsetTests
{
    private readonly PretrainedTokenizer _bytes = TinyTokenizers.Load(TinyTokenizers.ByteLevel());
    private readonly PretrainedTokenizer _pieces = TinyTokenizers.Load(TinyTokenizers.ByteFallback());

    [Fact]
    public void Tokens_lie_where_they_were_found()
    {
        IReadOnlyList<EncodedToken> tokens = _bytes.EncodeToTokens("hello<|endoftext|> hello!", out string? normalized);
        Assert.Null(normalized);
        Assert.Equal(
            [new(259, "hello", 0..5), new(261, "<|endoftext|>", 5..18), new(260, "\u0120hello", 18..24),
                new EncodedToken('!', "!", 24..25)],
            tokens);
    }

    [Fact]
    public void Tokens_of_one_character_all_lie_on_it()
    {
        IReadOnlyList<EncodedToken> tokens = _bytes.EncodeToTokens("a\U0001F600", out _);
        Assert.Equal([0..1, 1..3, 1..3, 1..3, 1..3], tokens.Select(token => token.Offset));
    }

    [Fact]
    public void Offsets_refer_to_the_normalized_text()
    {
        IReadOnlyList<EncodedToken> tokens = _pieces.EncodeToTokens("a<s>é a", out string? normalized);
        Assert.Equal("\u2581a<s>\u2581é\u2581a", normalized);
        Assert.Equal([0..2, 2..5, 5..6, 6..7, 6..7, 7..9], tokens.Select(token => token.Offset));
        Assert.Equal([263, 1, 259, 3 + 0xC3, 3 + 0xA9, 263], tokens.Select(token => token.Id));
    }

    [Fact]
    public void A_prefix_that_is_not_in_the_text_has_no_width()
    {
        JsonObject json = TinyTokenizers.ByteLevel();
        json["pre_tokenizer"]!["add_prefix_space"] = true;
        PretrainedTokenizer tokenizer = TinyTokenizers.Load(json);
        Assert.Equal([0..5, 5..6, 6..7], tokenizer.EncodeToTokens("hello!?", out _).Select(token => token.Offset));
        Assert.Equal([0..0, 0..1], tokenizer.EncodeToTokens("x", out _).Select(token => token.Offset));
        Assert.Equal([0..1, 1..14, 14..14, 14..15], tokenizer.EncodeToTokens(" <|endoftext|>x", out _).Select(token => token.Offset));
        Assert.Equal([(0, 5), (5, 1)], tokenizer.PreTokenizer!.PreTokenize("hello!"));
    }

    [Fact]
    public void Tokens_and_ids_agree_and_cover_any_text()
    {
        var random = new RandomText(7);
        foreach (PretrainedTokenizer tokenizer in new[] { _bytes, _pieces })
        {
            for (int i = 0; i < 500; i++)
            {
                string text = i % 2 == 0 ? random.Unicode(40) : random.Units(40);
                IReadOnlyList<EncodedToken> tokens = tokenizer.EncodeToTokens(text, out string? normalized);
                Assert.Equal(tokenizer.EncodeToIds(text), tokens.Select(token => token.Id));
                Assert.Equal(tokens.Count, tokenizer.CountTokens(text));
                int end = 0;
                foreach (EncodedToken token in tokens)
                {
                    Assert.True(token.Offset.Start.Value <= end && token.Offset.End.Value >= end, $"A gap or overlap at {token.Offset}.");
                    end = token.Offset.End.Value;
                }

                Assert.Equal((normalized ?? text).Length, end);
            }
        }
    }

    [Fact]
    public void Counted_prefixes_and_suffixes_cut_no_character()
    {
        const string Text = "hello \U0001F600 hello";
        IReadOnlyList<int> all = _bytes.EncodeToIds(Text);
        (int Count, int Index)[] fromStart = [.. Enumerable.Range(1, all.Count + 1).Select(most =>
            (Count: 0, Index: _bytes.GetIndexByTokenCount(Text, most, out _, out int count)) with { Count = count })];
        Assert.Equal([(1, 5), (2, 6), (2, 6), (2, 6), (2, 6), (6, 8), (7, 14), (7, 14)], fromStart);
        (int Count, int Index)[] fromEnd = [.. Enumerable.Range(1, all.Count + 1).Select(most =>
            (Count: 0, Index: _bytes.GetIndexByTokenCountFromEnd(Text, most, out _, out int count)) with { Count = count })];
        Assert.Equal([(1, 8), (1, 8), (1, 8), (1, 8), (5, 6), (6, 5), (7, 0), (7, 0)], fromEnd);
        for (int most = 1; most <= all.Count; most++)
        {
            IReadOnlyList<int> ids = _bytes.EncodeToIds(Text, most, out string? normalized, out int consumed);
            Assert.Null(normalized);
            Assert.Equal(fromStart[most - 1], (ids.Count, consumed));
            Assert.Equal(all.Take(ids.Count), ids);
        }
    }

    [Fact]
    public void Nothing_counts_as_nothing()
    {
        Assert.Empty(_bytes.EncodeToTokens("", out _));
        Assert.Equal(0, _bytes.GetIndexByTokenCount("", 3, out _, out int count));
        Assert.Equal(0, count);
        Assert.Equal(0, _bytes.GetIndexByTokenCountFromEnd("", 3, out _, out count));
        Assert.Throws<ArgumentOutOfRangeException>(() => _bytes.EncodeToIds("a", 0, out _, out _));
        Assert.Throws<ArgumentOutOfRangeException>(() => _bytes.GetIndexByTokenCount("a", 0, out _, out _));
    }

    [Fact]
    public void Normalization_and_pre_tokenization_can_be_left_out()
    {
        Assert.Equal([264], _pieces.EncodeToIds("ab", considerNormalization: false));
        Assert.Equal(
            [0..2], _pieces.EncodeToTokens("ab", out string? normalized, considerNormalization: false).Select(token => token.Offset));
        Assert.Null(normalized);
        JsonObject json = TinyTokenizers.ByteLevel();
        json["model"]!["vocab"]!["o\u0120hello"] = 262;
        json["model"]!["merges"] = new JsonArray(new JsonArray("h", "e"), new JsonArray("l", "l"), new JsonArray("he", "ll"),
            new JsonArray("hell", "o"),
            new JsonArray("\u0120", "hello"), new JsonArray("o", "\u0120hello"));
        PretrainedTokenizer crossing = TinyTokenizers.Load(json);
        Assert.Equal(['o', 260], crossing.EncodeToIds("o hello"));
        Assert.Equal([262], crossing.EncodeToIds("o hello", considerPreTokenization: false));
        Assert.Equal(1, crossing.CountTokens("o hello", considerPreTokenization: false));
    }

    [Fact]
    public void The_stages_are_those_of_the_file()
    {
        Assert.Null(_bytes.Normalizer);
        Assert.Null(_pieces.PreTokenizer);
        Assert.Equal("\u2581a\u2581b", _pieces.Normalizer!.Normalize("a b"));
        Assert.Equal([(0, 1), (1, 2)], _bytes.PreTokenizer!.PreTokenize("a b"));
    }
}
