
namespace Zqfp.Tokenizers;

/// <summary>
/// Turns text into the token ids of a language model and back; named and shaped after Microsoft.ML.Tokenizers.
/// Ids are those of the reference implementations (Hugging Face <c>tokenizers</c>, SentencePiece) without the special tokens
/// that these may add around a text; the text source adds a beginning token where asked. Instances are safe to use
/// from several threads.
/// </summary>
public abstract partial class Tokenizer
{
    private static readonly string[] FileNames = ["tokenizer.json", "tokenizer.model"];

    /// <summary>The largest id plus one: what a model's vocabulary must at least be.</summary>
    public abstract int VocabularySize { get; }

    /// <summary>The id that begins a sequence (<c>&lt;s&gt;</c>, <c>&lt;|begin_of_text|&gt;</c>), where the tokenizer names one.</summary>
    public abstract int? BeginningOfSequenceId { get; }

    /// <summary>The id that ends a document (<c>&lt;/s&gt;</c>, <c>&lt;|endoftext|&gt;</c>), where the tokenizer names one.</summary>
    public abstract int? EndOfSequenceId { get; }

    /// <summary>The ids of <paramref name="text"/>. A surrogate that stands alone is read as U+FFFD.</summary>
    public IReadOnlyList<int> EncodeToIds(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var ids = new List<int>(text.Length / 4 + 4);
        Encode(text, ids);
        return ids;
    }

    /// <summary>The ids of <paramref name="text"/>. A surrogate that stands alone is read as U+FFFD.</summary>
    public IReadOnlyList<int> EncodeToIds(ReadOnlySpan<char> text) => EncodeToIds(text.ToString());

    /// <summary>How many ids <see cref="EncodeToIds(string)"/> gives.</summary>
    public int CountTokens(string text) => EncodeToIds(text).Count;

    /// <summary>The text of the ids. Bytes that do not form UTF-8 come back as U+FFFD.</summary>
    /// <exception cref="ArgumentOutOfRangeException">An id is negative or not below <see cref="VocabularySize"/>.</exception>
    public abstract string Decode(IEnumerable<int> ids);

    /// <summary>The id of a token as the vocabulary spells it, added tokens included.</summary>
    public abstract bool TryGetId(string token, out int id);

    /// <summary>The token of an id as the vocabulary spells it; null where the vocabulary has a hole or ends before it.</summary>
    public abstract string? TokenOf(int id);

    /// <summary>
    /// Loads a Hugging Face <c>tokenizer.json</c> or a SentencePiece <c>.model</c>; the content decides which.
    /// A folder stands for the <c>tokenizer.json</c> in it, else its <c>tokenizer.model</c>.
    /// </summary>
    /// <param name="path">The file or folder.</param>
    /// <exception cref="ZqfpException">The file cannot be read, is neither format, is damaged, or asks for something
    /// this tokenizer does not do (ZQFP0101 to ZQFP0108).</exception>
    public static Tokenizer Load(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        string file = Resolve(path);
        byte[] content;
        try
        {
            content = File.ReadAllBytes(file);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new ZqfpException(TextCodes.TokenizerUnreadable, $"The tokenizer '{file}' cannot be read: {exception.Message}", inner: exception);
        }

        bool isJson = LooksLikeJson(content);
        Tokenizer tokenizer = isJson ? TokenizerJsonReader.Read(content, file) : SentencePieceReader.Read(content, file);
        Substitute(content, isJson, ref tokenizer);
        return tokenizer;
    }

    /// <summary>Appends the ids of a text.</summary>
    protected abstract void Encode(string text, List<int> ids);

    /// <summary>Where the project is built with another tokenizer library, puts that in the place of our own.</summary>
    static partial void Substitute(byte[] content, bool isJson, ref Tokenizer tokenizer);

    private static string Resolve(string path)
    {
        if (Directory.Exists(path))
        {
            return FileNames.Select(name => Path.Combine(path, name)).FirstOrDefault(File.Exists)
                ?? throw new ZqfpException(TextCodes.TokenizerUnreadable,
                    $"The folder '{path}' has neither tokenizer.json nor tokenizer.model. Name the tokenizer's file.");
        }

        return File.Exists(path)
            ? path
            : throw new ZqfpException(TextCodes.TokenizerUnreadable, $"The tokenizer '{path}' does not exist. Name a tokenizer.json or a SentencePiece .model.");
    }

    private static bool LooksLikeJson(ReadOnlySpan<byte> content)
    {
        ReadOnlySpan<byte> body = content.StartsWith("\uFEFF"u8) ? content[3..] : content;
        body = body.TrimStart(" \t\r\n"u8);

        // A SentencePiece model starts with field 1 of type bytes, 0x0A, which is also a line feed: only '{' tells.
        return body.Length > 0 && (body[0] == '{' || body[0] == '[');
    }
}
