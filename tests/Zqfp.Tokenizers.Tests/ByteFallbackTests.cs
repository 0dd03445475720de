using System.Text;
using System.Text.Json.Nodes;

namespace Zqfp.Tokenizers.Tests;

public class ByteFallbackTests
{
    private readonly PretrainedTokenizer _tokenizer = TinyTokenizers.Load(TinyTokenizers.ByteFallback());

    [Theory]
    [InlineData("", new int[0])]
    [InlineData("ab", new[] { 263, 261 })]
    [InlineData("cab", new[] { 259, 262, 264 })]
    [InlineData("ab ab", new[] { 263, 261, 263, 261 })]
    [InlineData("é", new[] { 259, 3 + 0xC3, 3 + 0xA9 })]
    [InlineData("<s>c", new[] { 1, 259, 262 })]
    public void Merges_characters_and_spells_the_rest_as_bytes(string text, int[] ids)
    {
        Assert.Equal(ids, _tokenizer.EncodeToIds(text));
    }

    [Fact]
    public void The_template_names_the_beginning_token()
    {
        Assert.Equal(1, _tokenizer.BeginningOfSentenceId);
        Assert.Equal(2, _tokenizer.EndOfSentenceId);
    }

    [Fact]
    public void Random_Unicode_round_trips()
    {
        var random = new RandomText(5);
        for (int i = 0; i < 2000; i++)
        {
            // The space mark itself cannot be told from a space.
            string text = random.Unicode(60).Replace('\u2581', 'x');
            Assert.Equal(text, _tokenizer.Decode(_tokenizer.EncodeToIds(text)));
        }
    }

    [Fact]
    public void Every_byte_sequence_decodes_as_UTF_8_would()
    {
        var random = new Random(6);
        for (int i = 0; i < 1000; i++)
        {
            var bytes = new byte[1 + random.Next(12)];
            random.NextBytes(bytes);
            string expected = Encoding.UTF8.GetString(bytes);
            Assert.Equal(expected.StartsWith(' ') ? expected[1..] : expected, _tokenizer.Decode(bytes.Select(value => 3 + value)));
        }
    }

    [Fact]
    public void Surrogates_that_stand_alone_do_not_crash()
    {
        var random = new RandomText(7);
        for (int i = 0; i < 500; i++)
        {
            string text = random.Units(40).Replace('\u2581', 'x');
            string expected = Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text));
            Assert.Equal(expected, _tokenizer.Decode(_tokenizer.EncodeToIds(text)));
        }
    }

    [Theory]
    [InlineData(true, new[] { 259, 0, 260 })]
    [InlineData(false, new[] { 259, 0, 0, 260 })]
    public void Unknown_characters_fuse_where_asked(bool fuse, int[] ids)
    {
        JsonObject json = TinyTokenizers.ByteFallback();
        json["model"]!["byte_fallback"] = false;
        json["model"]!["fuse_unk"] = fuse;
        Assert.Equal(ids, TinyTokenizers.Load(json).EncodeToIds("xya"));
    }

    [Fact]
    public void Cutting_at_space_marks_changes_no_id()
    {
        // A token with a mark inside keeps the tokenizer from cutting; "c▁c" needs a merge that the text never gives.
        JsonObject json = TinyTokenizers.ByteFallback();
        json["model"]!["vocab"]!["q\u2581q"] = 266;
        PretrainedTokenizer whole = TinyTokenizers.Load(json);
        var random = new Random(8);
        for (int i = 0; i < 300; i++)
        {
            string text = string.Concat(Enumerable.Range(0, random.Next(200)).Select(_ => "abc  é"[random.Next(6)]));
            Assert.Equal(whole.EncodeToIds(text), _tokenizer.EncodeToIds(text));
        }
    }

    [Theory]
    [InlineData("always", "ab<s>ab", new[] { 263, 261, 1, 263, 261 })]
    [InlineData("first", "ab<s>ab", new[] { 263, 261, 1, 264 })]
    [InlineData("never", "ab<s>ab", new[] { 264, 1, 264 })]
    [InlineData("first", "<s>ab", new[] { 1, 264 })]
    [InlineData("always", " ab", new[] { 263, 261 })]
    public void Metaspace_prepends_by_its_scheme(string scheme, string text, int[] ids)
    {
        foreach (bool split in new[] { true, false })
        {
            JsonObject json = TinyTokenizers.ByteFallback();
            json["normalizer"] = null;
            json["pre_tokenizer"] = new JsonObject
            {
                ["type"] = "Metaspace",
                ["replacement"] = "\u2581",
                ["prepend_scheme"] = scheme,
                ["split"] = split,
            };
            Assert.Equal(ids, TinyTokenizers.Load(json).EncodeToIds(text));
        }
    }
}
