using System.Text;
using System.Text.Json.Nodes;

namespace Zqfp.Tokenizers.Tests;

public class ByteLevelTests
{
    private readonly PretrainedTokenizer _tokenizer = TinyTokenizers.Load(TinyTokenizers.ByteLevel());

    [Theory]
    [InlineData("", new int[0])]
    [InlineData("hello", new[] { 259 })]
    [InlineData("hello hello", new[] { 259, 260 })]
    [InlineData("hell", new[] { 258 })]
    [InlineData("helo", new[] { 256, 'l', 'o' })]
    [InlineData("lll", new[] { 257, 'l' })]
    [InlineData("é", new[] { 0xC3, 0xA9 })]
    [InlineData("hello<|endoftext|>hello", new[] { 259, 261, 259 })]
    [InlineData("hello  hello", new[] { 259, ' ', 260 })]
    public void Merges_by_rank_within_words(string text, int[] ids)
    {
        Assert.Equal(ids, _tokenizer.EncodeToIds(text));
        Assert.Equal(ids, _tokenizer.EncodeToIds(text.AsSpan()));
        Assert.Equal(ids.Length, _tokenizer.CountTokens(text));
        Assert.Equal(text, _tokenizer.Decode(ids));
    }

    [Fact]
    public void Vocabulary_size_is_the_largest_id_plus_one() => Assert.Equal(262, _tokenizer.VocabularySize);

    [Fact]
    public void Names_tokens_and_ids()
    {
        Assert.Equal(259, _tokenizer.Vocabulary["hello"]);
        Assert.False(_tokenizer.Vocabulary.ContainsKey("world"));
        Assert.Equal("\u0120hello", _tokenizer.TokenOf(260));
        Assert.Null(_tokenizer.TokenOf(262));
        Assert.Null(_tokenizer.TokenOf(-1));
        Assert.Equal(261, _tokenizer.EndOfSentenceId);
        Assert.Null(_tokenizer.BeginningOfSentenceId);
    }

    [Fact]
    public void Random_Unicode_round_trips()
    {
        var random = new RandomText(1);
        for (int i = 0; i < 2000; i++)
        {
            string text = random.Unicode(60);
            Assert.Equal(text, _tokenizer.Decode(_tokenizer.EncodeToIds(text)));
        }
    }

    [Fact]
    public void A_surrogate_that_stands_alone_becomes_the_replacement_character()
    {
        Assert.Equal([0xEF, 0xBF, 0xBD], _tokenizer.EncodeToIds("\uD800"));
        var random = new RandomText(2);
        for (int i = 0; i < 500; i++)
        {
            string text = random.Units(40);
            string expected = Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text));
            Assert.Equal(expected, _tokenizer.Decode(_tokenizer.EncodeToIds(text)));
        }
    }

    [Fact]
    public void Any_ids_decode_without_a_crash()
    {
        var random = new Random(3);
        for (int i = 0; i < 500; i++)
        {
            int[] ids = [.. Enumerable.Range(0, 30).Select(_ => random.Next(_tokenizer.VocabularySize))];
            byte[] bytes = [.. ids.SelectMany(id => id < 256 ? [(byte)id] : Encoding.UTF8.GetBytes(_tokenizer.Decode([id])))];
            Assert.Equal(Encoding.UTF8.GetString(bytes), _tokenizer.Decode(ids));
        }
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(262)]
    public void Ids_outside_the_vocabulary_do_not_decode(int id) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => _tokenizer.Decode([id]));

    [Fact]
    public void Whole_words_of_the_vocabulary_win_where_merges_are_ignored()
    {
        JsonObject json = TinyTokenizers.ByteLevel();
        JsonObject model = json["model"]!.AsObject();
        model["vocab"]!["oleh"] = 262;
        Assert.Equal(['o', 'l', 'e', 'h'], TinyTokenizers.Load(json).EncodeToIds("oleh"));
        model["ignore_merges"] = true;
        Assert.Equal([262], TinyTokenizers.Load(json).EncodeToIds("oleh"));
    }

    [Fact]
    public void A_prefix_space_is_added_before_each_section_that_has_none()
    {
        JsonObject json = TinyTokenizers.ByteLevel();
        json["pre_tokenizer"]!["add_prefix_space"] = true;
        PretrainedTokenizer tokenizer = TinyTokenizers.Load(json);
        Assert.Equal([260], tokenizer.EncodeToIds("hello"));
        Assert.Equal([260], tokenizer.EncodeToIds(" hello"));
        Assert.Equal([260, 261, 260], tokenizer.EncodeToIds("hello<|endoftext|>hello"));
    }

    [Fact]
    public void Bytes_the_vocabulary_lacks_are_dropped_or_become_the_unknown_token()
    {
        JsonObject json = TinyTokenizers.ByteLevel();
        json["model"]!["vocab"]!.AsObject().Remove("z");
        Assert.Equal(['a', 'b'], TinyTokenizers.Load(json).EncodeToIds("azb"));
        json["model"]!["vocab"]!["<unk>"] = 300;
        json["model"]!["unk_token"] = "<unk>";
        Assert.Equal(['a', 300, 'b'], TinyTokenizers.Load(json).EncodeToIds("azb"));
    }

    [Fact]
    public void Merges_written_as_one_string_are_the_same()
    {
        JsonObject json = TinyTokenizers.ByteLevel();
        json["model"]!["merges"] = new JsonArray("h e", "l l", "he ll", "hell o", "\u0120 hello");
        Assert.Equal([259, 260], TinyTokenizers.Load(json).EncodeToIds("hello hello"));
    }

    [Fact]
    public void Many_threads_get_the_same_ids()
    {
        var random = new RandomText(4);
        string[] texts = [.. Enumerable.Range(0, 200).Select(_ => random.Unicode(200))];
        int[][] expected = [.. texts.Select(text => _tokenizer.EncodeToIds(text).ToArray())];
        Parallel.For(0, 2000, i => Assert.Equal(expected[i % 200], _tokenizer.EncodeToIds(texts[i % 200])));
    }
}
