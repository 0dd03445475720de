using System.Buffers.Binary;
using System.Text;
using System.Text.Json.Nodes;
using Zqfp.Tokenizers;

namespace Zqfp.Evaluation.Tests;

public sealed class TextSourceTests : IDisposable
{
    private const int End = 261;

    private readonly TemporaryFolder _folder = new();
    private readonly PretrainedTokenizer _bytes = TinyTokenizers.Load(TinyTokenizers.ByteLevel());
    private readonly PretrainedTokenizer _pieces = TinyTokenizers.Load(TinyTokenizers.ByteFallback());

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Plain_text_is_tokenized_whole_with_its_separators()
    {
        TokenStream stream = Load("a.txt", "hello<|endoftext|>hello");
        Assert.Equal([259, End, 259], stream.Ids);
        Assert.Equal(1, stream.Documents);
        Assert.Null(stream.WindowBeginningId);
    }

    [Fact]
    public void A_byte_order_mark_is_no_text()
    {
        Assert.Equal([259], Load("a.txt", "\uFEFFhello").Ids);
        string file = _folder.Write("b.txt", [0xFF, 0xFE, .. Encoding.Unicode.GetBytes("hello")]);
        Assert.Equal([259], TextSource.Load(new TextSourceOptions { Path = file }, _bytes).Ids);
    }

    [Fact]
    public void Text_that_is_not_UTF_8_is_refused() => AssertRefused("ZQFP0109", "a.txt", [0x25, 0x50, 0xFF, 0xFE, 0xC3]);

    [Fact]
    public void Utf_16_without_its_mark_is_refused_although_it_is_valid_UTF_8() =>
        AssertRefused("ZQFP0109", "a.txt", Encoding.Unicode.GetBytes("hello"));

    [Fact]
    public void A_NUL_here_and_there_is_text() => Assert.Equal([259, 0, 259, 259], Load("a.txt", "hello\0hellohello").Ids);

    [Fact]
    public void A_marker_splits_plain_text_into_documents()
    {
        TokenStream stream = Load("a.txt", "hello##hell##", options => options with { DocumentMarker = "##" });
        Assert.Equal([259, End, 258], stream.Ids);
        Assert.Equal(2, stream.Documents);
    }

    [Fact]
    public void Json_lines_are_documents()
    {
        const string Lines = "{\"text\":\"hello\",\"id\":1}\r\n\n{\"id\":2,\"text\":\"hell\"}\n";
        Assert.Equal([259, End, 258], Load("a.jsonl", Lines).Ids);
        Assert.Equal([259, '\n', 258], Load("a.jsonl", Lines, options => options with { DocumentSeparator = "\n" }).Ids);
        Assert.Equal(2, Load("a.jsonl", Lines).Documents);
    }

    [Fact]
    public void Documents_are_parted_by_a_blank_line_where_the_tokenizer_names_no_end()
    {
        JsonObject json = TinyTokenizers.ByteLevel();
        json["added_tokens"] = new JsonArray();
        string file = _folder.Write("a.jsonl", "{\"text\":\"hello\"}\n{\"text\":\"hell\"}");
        Assert.Equal([259, '\n', '\n', 258], TextSource.Load(new TextSourceOptions { Path = file }, TinyTokenizers.Load(json)).Ids);
    }

    [Fact]
    public void Another_field_of_json_lines_can_be_read() =>
        Assert.Equal([259], Load("a.ndjson", "{\"body\":\"hello\"}", options => options with { JsonField = "body" }).Ids);

    [Theory]
    [InlineData("{\"body\":\"x\"}", "'body'")]
    [InlineData("{\"text\":3}", "line 2")]
    [InlineData("[1]", "Array")]
    [InlineData("{", "line 2")]
    [InlineData("{\"text\":\"\\ud800\"}", "line 2")]
    public void A_line_without_its_text_is_refused(string line, string named)
    {
        ZqfpException refusal = AssertRefused("ZQFP0110", "a.jsonl", Encoding.UTF8.GetBytes("{\"text\":\"x\"}\n" + line));
        Assert.Contains(named, refusal.Message, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public void A_folder_is_read_in_ordinal_order_without_hidden_files()
    {
        _folder.Write("in/b.txt", "hell");
        _folder.Write("in/B.txt", "he");
        _folder.Write("in/a/z.jsonl", "{\"text\":\"hello\"}");
        _folder.Write("in/.hidden/x.txt", "x");
        _folder.Write("in/.x.txt", "x");
        TokenStream stream = TextSource.Load(new TextSourceOptions { Path = Path.Combine(_folder.Path, "in") }, _bytes);
        Assert.Equal([256, End, 259, End, 258], stream.Ids);
        Assert.Equal(3, stream.Documents);
    }

    [Fact]
    public void Text_and_ids_of_a_folder_keep_their_order()
    {
        _folder.Write("in/1.txt", "hello");
        _folder.Write("in/2.i16", [7, 0]);
        _folder.Write("in/3.txt", "hell");
        var options = new TextSourceOptions { Path = Path.Combine(_folder.Path, "in"), DocumentSeparator = "\n" };
        Assert.Equal([259, 7, '\n', 258], TextSource.Load(options, _bytes).Ids);
    }

    [Fact]
    public void Pre_tokenized_files_need_no_tokenizer()
    {
        byte[] wide = new byte[8];
        BinaryPrimitives.WriteInt32LittleEndian(wide, 70000);
        Assert.Equal([70000, 0], LoadIds("a.i32", wide));
        Assert.Equal([1, 65535], LoadIds("a.i16", [1, 0, 0xFF, 0xFF]));
        Assert.Equal([1, 2], LoadIds("a.bin", [1, 0, 2, 0]));
        Assert.Equal([70000, 0], LoadIds("a.bin", wide, TextFormat.Tokens32));
    }

    [Theory]
    [InlineData("<i4", "(3,)", 4)]
    [InlineData("<u2", "(3,)", 2)]
    [InlineData("<i8", "(1, 3)", 8)]
    [InlineData("|u1", "(3, 1)", 1)]
    [InlineData("<u4", "(3,)", 4)]
    [InlineData("<i2", "(3,)", 2)]
    public void NumPy_arrays_are_read_row_by_row(string type, string shape, int size)
    {
        var body = new byte[3 * size];
        (body[0], body[size], body[2 * size]) = (5, 6, 7);
        Assert.Equal([5, 6, 7], LoadIds("a.npy", Npy(type, shape, body)));
    }

    [Fact]
    public void Broken_token_files_are_refused()
    {
        AssertRefused("ZQFP0111", "a.i16", [1]);
        AssertRefused("ZQFP0111", "a.i32", [1, 0, 0]);
        AssertRefused("ZQFP0111", "a.i32", [0, 0, 0, 0x80]);
        AssertRefused("ZQFP0111", "a.npy", "no array"u8.ToArray());
        AssertRefused("ZQFP0111", "a.npy", Npy("<f4", "(1,)", new byte[4]));
        AssertRefused("ZQFP0111", "a.npy", Npy("<i4", "(2,)", new byte[4]));
        AssertRefused("ZQFP0111", "a.npy", Npy("<i4", "(99999999999999999999,)", new byte[4]));
        AssertRefused("ZQFP0111", "a.npy", Npy("<i4", "(9999999999,9999999999,9999999999,9999999999)", new byte[4]));
        AssertRefused("ZQFP0111", "a.npy", Npy("<i4", "(1, 1)", new byte[4], fortran: true));
        byte[] whole = Npy("<i4", "(2,)", new byte[8]);
        for (int length = 1; length < whole.Length; length++)
        {
            AssertRefused("ZQFP0111", "a.npy", whole[..length]);
        }
    }

    [Fact]
    public void An_id_outside_the_models_vocabulary_is_refused_by_name()
    {
        ZqfpException refusal = Assert.Throws<ZqfpException>(
            () => Load("a.txt", "he hello", options => options with { ModelVocabularySize = 260 }));
        Assert.Equal("ZQFP0112", refusal.Code);
        foreach (string named in new[] { "260", "\u0120hello", "a.txt", "position 1", "262" })
        {
            Assert.Contains(named, refusal.Message, StringComparison.Ordinal);
        }

        Assert.Equal(2, Load("a.txt", "he hello", options => options with { ModelVocabularySize = 261 }).Ids.Length);
        string ids = _folder.Write("a.i16", [1, 0, 9, 0]);
        Assert.Equal("ZQFP0112", Assert.Throws<ZqfpException>(
            () => TextSource.Load(new TextSourceOptions { Path = ids, ModelVocabularySize = 9 }, null)).Code);
    }

    [Fact]
    public void A_tokenizer_with_less_than_half_of_the_models_ids_is_another_models()
    {
        ZqfpException refusal = Assert.Throws<ZqfpException>(
            () => Load("a.txt", "he hello", options => options with { ModelVocabularySize = 2048 }));
        Assert.Equal("ZQFP0117", refusal.Code);
        Assert.Contains("2048", refusal.Message, StringComparison.Ordinal);
        Assert.EndsWith("a.txt", refusal.File, StringComparison.Ordinal);
        Assert.NotEmpty(Load("a.txt", "he hello", options => options with { ModelVocabularySize = 512 }).Ids);
    }

    [Theory]
    [InlineData(BeginningPolicy.None, new[] { 263, 261, 2, 263 })]
    [InlineData(BeginningPolicy.Text, new[] { 1, 263, 261, 2, 263 })]
    [InlineData(BeginningPolicy.Document, new[] { 1, 263, 261, 2, 1, 263 })]
    [InlineData(BeginningPolicy.Window, new[] { 263, 261, 2, 263 })]
    internal void The_beginning_token_goes_where_the_policy_says(BeginningPolicy policy, int[] ids)
    {
        string file = _folder.Write("a.jsonl", "{\"text\":\"ab\"}\n{\"text\":\"a\"}");
        TokenStream stream = TextSource.Load(new TextSourceOptions { Path = file, Beginning = policy }, _pieces);
        Assert.Equal(ids, stream.Ids);
        Assert.Equal(policy == BeginningPolicy.Window ? 1 : null, stream.WindowBeginningId);
    }

    [Theory]
    [InlineData(null, null, null)]
    [InlineData("""{"bos_token": "ab", "add_bos_token": true}""", null, 2)]
    [InlineData("""{"bos_token": "ab"}""", null, null)]
    [InlineData("""{"bos_token": "ab"}""", "a", 0)]
    [InlineData("""{"bos_token": "ab", "add_bos_token": false}""", "a", null)]
    public void Windows_begin_as_the_tokenizer_and_its_configuration_say(string? configuration, string? put, int? beginning)
    {
        string template = put is null
            ? "null"
            : $$$"""
              {"type": "TemplateProcessing", "pair": [], "special_tokens": {"{{{put}}}": {"id": "{{{put}}}", "ids": [0], "tokens": ["{{{put}}}"]}},
               "single": [{"SpecialToken": {"id": "{{{put}}}", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]}
              """;
        string tokenizer = _folder.Write("tokenizer.json", $$"""
            {"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]]}, "post_processor": {{template}}}
            """);
        if (configuration is not null)
        {
            _folder.Write("tokenizer_config.json", configuration);
        }

        string text = _folder.Write("a.txt", "abba");
        PretrainedTokenizer loaded = PretrainedTokenizer.Load(tokenizer);

        Assert.Equal(beginning,
            TextSource.Load(new TextSourceOptions { Path = text, Beginning = BeginningPolicy.Auto }, loaded).WindowBeginningId);
        string ids = _folder.Write("a.i16", [1, 0]);
        Assert.Null(TextSource.Load(new TextSourceOptions { Path = ids, Beginning = BeginningPolicy.Auto }, loaded).WindowBeginningId);
    }

    [Fact]
    public void What_the_tokenizer_lacks_is_said()
    {
        string text = _folder.Write("a.txt", "hello");
        string ids = _folder.Write("a.i16", [1, 0]);
        Assert.Equal("ZQFP0114", Assert.Throws<ZqfpException>(
            () => TextSource.Load(new TextSourceOptions { Path = text }, null)).Code);
        Assert.Equal("ZQFP0114", Assert.Throws<ZqfpException>(
            () => TextSource.Load(new TextSourceOptions { Path = text, Beginning = BeginningPolicy.Text }, _bytes)).Code);
        Assert.Equal("ZQFP0113", Assert.Throws<ZqfpException>(
            () => TextSource.Load(new TextSourceOptions { Path = ids, Beginning = BeginningPolicy.Document }, _pieces)).Code);
    }

    [Fact]
    public void Reading_can_stop_early()
    {
        Assert.Equal([259, 260], Load("a.txt", "hello hello hello", options => options with { MaxTokens = 2 }).Ids);
        Assert.Equal([259, 260, 260], Load("a.txt", "hello hello hello", options => options with { MaxTokens = 9 }).Ids);
        TokenStream stream = Load("a.jsonl", "{\"text\":\"hello\"}\nnot reached", options => options with { MaxTokens = 1 });
        Assert.Equal([259], stream.Ids);
    }

    [Fact]
    public void What_is_missing_or_empty_is_refused()
    {
        Directory.CreateDirectory(Path.Combine(_folder.Path, "empty"));
        foreach (string path in new[] { "none", "empty" })
        {
            Assert.Equal("ZQFP0109", Assert.Throws<ZqfpException>(
                () => TextSource.Load(new TextSourceOptions { Path = Path.Combine(_folder.Path, path) }, _bytes)).Code);
        }

        AssertRefused("ZQFP0109", "a.txt", []);
        Assert.Equal("ZQFP0113", Assert.Throws<ZqfpException>(() => Load("a.txt", "x", options => options with { MaxTokens = 0 })).Code);
    }

    private static byte[] Npy(string type, string shape, byte[] body, bool fortran = false)
    {
        string header = $"{{'descr': '{type}', 'fortran_order': {(fortran ? "True" : "False")}, 'shape': {shape}, }}\n";
        byte[] length = new byte[2];
        BinaryPrimitives.WriteUInt16LittleEndian(length, (ushort)header.Length);
        return [0x93, .. "NUMPY"u8, 1, 0, .. length, .. Encoding.ASCII.GetBytes(header), .. body];
    }

    private TokenStream Load(string name, string content, Func<TextSourceOptions, TextSourceOptions>? change = null)
    {
        var options = new TextSourceOptions { Path = _folder.Write(name, content) };
        return TextSource.Load(change is null ? options : change(options), _bytes);
    }

    private int[] LoadIds(string name, byte[] content, TextFormat format = TextFormat.Auto) =>
        TextSource.Load(new TextSourceOptions { Path = _folder.Write(name, content), Format = format }, null).Ids;

    private ZqfpException AssertRefused(string code, string name, byte[] content)
    {
        string file = _folder.Write(name, content);
        ZqfpException refusal = Assert.Throws<ZqfpException>(() => TextSource.Load(new TextSourceOptions { Path = file }, _bytes));
        Assert.Equal(code, refusal.Code);
        Assert.Contains(name, refusal.Message, StringComparison.Ordinal);
        Assert.Equal(file, refusal.File);
        return refusal;
    }
}
