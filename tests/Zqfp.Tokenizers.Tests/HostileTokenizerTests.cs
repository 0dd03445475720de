using System.Text;
using System.Text.Json;

namespace Zqfp.Tokenizers.Tests;

/// <summary>Whatever the file holds, it loads or is refused with a code.</summary>
public class HostileTokenizerTests
{
    [Theory]
    [InlineData("ZQFP0102", "")]
    [InlineData("ZQFP0102", "{")]
    [InlineData("ZQFP0102", "[]")]
    [InlineData("ZQFP0102", "{}")]
    [InlineData("ZQFP0102", "hello, world: this is no tokenizer")]
    [InlineData("ZQFP0106", """{"model":3}""")]
    [InlineData("ZQFP0106", """{"model":{"type":"BPE"}}""")]
    [InlineData("ZQFP0106", """{"model":{"type":"BPE","vocab":[]}}""")]
    [InlineData("ZQFP0106", """{"model":{"type":"BPE","vocab":{},"merges":[]}}""")]
    [InlineData("ZQFP0106", """{"model":{"type":"BPE","vocab":{"a":-1},"merges":[]}}""")]
    [InlineData("ZQFP0106", """{"model":{"type":"BPE","vocab":{"a":2000000000},"merges":[]}}""")]
    [InlineData("ZQFP0106", """{"model":{"type":"BPE","vocab":{"a":"0"},"merges":[]}}""")]
    [InlineData("ZQFP0106", """{"model":{"type":"BPE","vocab":{"\ud800":0},"merges":[]}}""")]
    [InlineData("ZQFP0106", """{"model":{"type":"BPE","vocab":{"a":0,"b":1},"merges":["a b"]}}""")]
    [InlineData("ZQFP0106", """{"model":{"type":"BPE","vocab":{"a":0},"merges":["a"]}}""")]
    [InlineData("ZQFP0106", """{"model":{"type":"BPE","vocab":{"a":0},"merges":[["a"]]}}""")]
    [InlineData("ZQFP0106", """{"model":{"type":"BPE","vocab":{"a":0},"merges":[["a","\udc00"]]}}""")]
    [InlineData("ZQFP0106", """{"model":{"type":"BPE","vocab":{"a":0},"merges":[3]}}""")]
    [InlineData("ZQFP0106", """{"model":{"type":"BPE","vocab":{"a":0},"unk_token":"b"}}""")]
    [InlineData("ZQFP0106", """{"model":{"type":"BPE","vocab":{"a":0}},"added_tokens":[{"content":"x"}]}""")]
    [InlineData("ZQFP0106", """{"model":{"type":"BPE","vocab":{"a":0}},"added_tokens":[{"id":-1,"content":"x"}]}""")]
    [InlineData("ZQFP0106", """{"model":{"type":"BPE","vocab":{"a":0}},"added_tokens":[{"id":1}]}""")]
    [InlineData("ZQFP0103", """{"model":{"type":"WordLevel","vocab":{"a":0}}}""")]
    [InlineData("ZQFP0103", """{"model":{"type":"Unigram","vocab":[["a",0]]}}""")]
    [InlineData("ZQFP0103", """{"model":{"type":"Unigram","unk_id":0,"byte_fallback":true,"vocab":[["a",0]]}}""")]
    [InlineData("ZQFP0106", """{"model":{"type":"WordPiece","vocab":{"a":0}}}""")]
    [InlineData("ZQFP0106", """{"model":{"type":"Unigram","unk_id":1,"vocab":[["a",0]]}}""")]
    [InlineData("ZQFP0106", """{"model":{"type":"Unigram","unk_id":0,"vocab":[]}}""")]
    [InlineData("ZQFP0106", """{"model":{"type":"Unigram","unk_id":0,"vocab":[["a"]]}}""")]
    [InlineData("ZQFP0106", """{"model":{"type":"Unigram","unk_id":0,"vocab":{"a":0}}}""")]
    [InlineData("ZQFP0106",
        """{"model":{"type":"BPE","vocab":{"a":0}},"post_processor":{"type":"BertProcessing","cls":["a"],"sep":["a",0]}}""")]
    [InlineData("ZQFP0106",
        """{"model":{"type":"BPE","vocab":{"a":0}},"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"b"}}]}}""")]
    [InlineData("ZQFP0106", """{"model":{"type":"BPE","vocab":{"a":0}},"normalizer":{"type":"Precompiled","precompiled_charsmap":"!"}}""")]
    [InlineData("ZQFP0116", """{"model":{"type":"BPE","vocab":{"a":0}},"post_processor":{"type":"Shuffling"}}""")]
    [InlineData("ZQFP0103", """{"model":{"type":"BPE","vocab":{"a":0},"dropout":0.1}}""")]
    [InlineData("ZQFP0103", """{"model":{"type":"BPE","vocab":{"a":0},"continuing_subword_prefix":"##"}}""")]
    [InlineData("ZQFP0103", """{"model":{"type":"BPE","vocab":{"a":0},"end_of_word_suffix":"</w>","byte_fallback":true}}""")]
    [InlineData("ZQFP0104", """{"model":{"type":"BPE","vocab":{"a":0}},"normalizer":{"type":"Nmt"}}""")]
    [InlineData("ZQFP0104",
        """{"model":{"type":"BPE","vocab":{"a":0}},"normalizer":{"type":"Replace","pattern":{"Regex":"("},"content":""}}""")]
    [InlineData("ZQFP0105", """{"model":{"type":"BPE","vocab":{"a":0}},"pre_tokenizer":{"type":"UnicodeScripts"}}""")]
    [InlineData("ZQFP0105",
        """{"model":{"type":"BPE","vocab":{"a":0}},"pre_tokenizer":{"type":"Split","pattern":{"Regex":"\\p{Klingon}+"},"behavior":"Isolated"}}""")]
    [InlineData("ZQFP0105",
        """{"model":{"type":"BPE","vocab":{"a":0}},"pre_tokenizer":{"type":"Split","pattern":{"String":"a"},"behavior":"Shuffled"}}""")]
    [InlineData("ZQFP0108", """{"model":{"type":"BPE","vocab":{"a":0}},"decoder":{"type":"CTC"}}""")]
    public void Is_refused_with_its_code(string code, string content)
    {
        ZqfpException refusal = Assert.Throws<ZqfpException>(() => TinyTokenizers.Load(Encoding.UTF8.GetBytes(content)));
        Assert.Equal(code, refusal.Code);
        Assert.Contains("tokenizer.json", refusal.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Nmt",
        """{"model":{"type":"BPE","vocab":{"a":0}},"normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Nmt"}]}}""")]
    [InlineData("normalizer.normalizers[1]",
        """{"model":{"type":"BPE","vocab":{"a":0}},"normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Nmt"}]}}""")]
    [InlineData("WordLevel", """{"model":{"type":"WordLevel","vocab":{"a":0}}}""")]
    [InlineData("merge 1", """{"model":{"type":"BPE","vocab":{"a":0,"aa":1},"merges":["a a","a zz"]}}""")]
    [InlineData("'zz'", """{"model":{"type":"BPE","vocab":{"a":0,"aa":1},"merges":["a a","a zz"]}}""")]
    public void Says_exactly_what_is_refused(string named, string content)
    {
        ZqfpException refusal = Assert.Throws<ZqfpException>(() => TinyTokenizers.Load(Encoding.UTF8.GetBytes(content)));
        Assert.Contains(named, refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_file_or_an_empty_folder_is_refused()
    {
        using var folder = new TemporaryFolder();
        Assert.Equal("ZQFP0101", Assert.Throws<ZqfpException>(() => PretrainedTokenizer.Load(Path.Combine(folder.Path, "none.json"))).Code);
        Assert.Equal("ZQFP0101", Assert.Throws<ZqfpException>(() => PretrainedTokenizer.Load(folder.Path)).Code);
    }

    [Fact]
    public void A_folder_stands_for_the_tokenizer_in_it()
    {
        using var folder = new TemporaryFolder();
        folder.Write("tokenizer.json", JsonSerializer.SerializeToUtf8Bytes(TinyTokenizers.ByteLevel()));
        folder.Write("tokenizer_config.json", """{"bos_token":{"content":"hello"},"eos_token":"<|endoftext|>"}""");
        PretrainedTokenizer tokenizer = PretrainedTokenizer.Load(folder.Path);
        Assert.Equal(259, tokenizer.BeginningOfSentenceId);
        Assert.Equal(261, tokenizer.EndOfSentenceId);
    }

    [Fact]
    public void A_broken_configuration_beside_it_is_refused()
    {
        using var folder = new TemporaryFolder();
        string file = folder.Write("tokenizer.json", JsonSerializer.SerializeToUtf8Bytes(TinyTokenizers.ByteLevel()));
        foreach (string broken in new[] { "{", "[]", "3", "" })
        {
            folder.Write("tokenizer_config.json", broken);
            ZqfpException refusal = Assert.Throws<ZqfpException>(() => PretrainedTokenizer.Load(file));
            Assert.Contains("tokenizer_config.json", refusal.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Prefixes_of_a_SentencePiece_model_load_or_are_refused()
    {
        byte[] content = Model().ToBytes();
        int refused = 0;
        int[] lengths = [.. Enumerable.Range(0, 200), .. Enumerable.Range(0, content.Length / 50).Select(step => 50 * step)];
        foreach (int length in lengths)
        {
            refused += LoadsOrIsRefused(content[..length]) ? 0 : 1;
        }

        Assert.True(refused > lengths.Length / 2, $"Only {refused} of {lengths.Length} prefixes were refused.");
        ZqfpException truncated = Assert.Throws<ZqfpException>(() => TinyTokenizers.Load(content[..50]));
        Assert.Equal("ZQFP0107", truncated.Code);
    }

    [Fact]
    public void Broken_bytes_never_end_in_another_exception()
    {
        byte[][] contents = [Model().ToBytes(), JsonSerializer.SerializeToUtf8Bytes(TinyTokenizers.ByteFallback())];
        var random = new Random(51);
        for (int i = 0; i < 600; i++)
        {
            byte[] broken = [.. contents[i % 2]];
            for (int flips = 1 + random.Next(4); flips > 0; flips--)
            {
                broken[random.Next(broken.Length)] = (byte)random.Next(256);
            }

            LoadsOrIsRefused(broken);
        }
    }

    [Theory]
    [InlineData("Word")]
    [InlineData("Char")]
    public void SentencePiece_models_of_other_kinds_are_refused(string kind)
    {
        TinySentencePiece model = Model() with { Kind = Enum.Parse<SentencePieceKind>(kind) };
        Assert.Equal("ZQFP0103", Assert.Throws<ZqfpException>(() => model.Load()).Code);
    }

    [Fact]
    public void SentencePiece_models_that_contradict_themselves_are_refused()
    {
        List<SentencePiece> twice = [.. Model().Pieces, new SentencePiece("a", 0, PieceKind.Normal)];
        Assert.Equal("ZQFP0107", Assert.Throws<ZqfpException>(() => (Model() with { Pieces = twice }).Load()).Code);
        Assert.Equal("ZQFP0107", Assert.Throws<ZqfpException>(() => (Model() with { CharsMap = [1, 2, 3] }).Load()).Code);
        List<SentencePiece> noUnknown = [new SentencePiece("a", 0, PieceKind.Normal)];
        Assert.Equal("ZQFP0107", Assert.Throws<ZqfpException>(() => (Model() with { Pieces = noUnknown }).Load()).Code);
        List<SentencePiece> unused = [.. Model().Pieces, new SentencePiece("zz", 0, PieceKind.Unused)];
        Assert.Equal("ZQFP0103", Assert.Throws<ZqfpException>(() => (Model() with { Pieces = unused }).Load()).Code);
        Assert.Equal(
            "zz".Length, (Model() with { Pieces = unused, Kind = SentencePieceKind.Unigram }).Load().Decode([unused.Count - 1]).Length);
    }

    private static TinySentencePiece Model() => new()
    {
        Pieces = TinySentencePiece.WithControls("\u2581a", "\u2581", "a", "b"),
        CharsMap = TinySentencePiece.BuildCharsMap(("A", "a")),
    };

    private static bool LoadsOrIsRefused(byte[] content)
    {
        try
        {
            PretrainedTokenizer tokenizer = TinyTokenizers.Load(content);
            tokenizer.Decode(tokenizer.EncodeToIds("a b A é <s>\uD800"));
            return true;
        }
        catch (ZqfpException refusal)
        {
            Assert.StartsWith("ZQFP01", refusal.Code, StringComparison.Ordinal);
            return false;
        }
    }
}
