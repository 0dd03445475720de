namespace Zqfp.Tokenizers;

/// <summary>A tokenizer's content with where it comes from.</summary>
/// <param name="Name">What messages call it: the path, or what the stream is.</param>
/// <param name="Path">Its path; null where it came as a stream, which has nothing beside it.</param>
/// <param name="Content">All its bytes.</param>
internal sealed record TokenizerFile(string Name, string? Path, byte[] Content)
{
    /// <summary>The names by which a tokenizer is looked for in a folder, in this order.</summary>
    public static IReadOnlyList<string> Names { get; } =
        ["tokenizer.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "sentencepiece.model"];

    /// <summary>Whether it is JSON. A SentencePiece model begins with 0x0A, which is also a line feed: only the bracket tells.</summary>
    public bool IsJson => Body.TrimStart(" \t\r\n"u8) is [(byte)'{' or (byte)'[', ..];

    /// <summary>The content without a byte order mark.</summary>
    public ReadOnlySpan<byte> Body => Content.AsSpan().StartsWith("\uFEFF"u8) ? Content.AsSpan(3) : Content;

    /// <exception cref="ZqfpException">ZQFP0101.</exception>
    public static TokenizerFile Read(string path)
    {
        string file = Resolve(path);
        try
        {
            return new TokenizerFile(file, file, File.ReadAllBytes(file));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new ZqfpException(TextCodes.TokenizerUnreadable, $"The tokenizer '{file}' cannot be read: {exception.Message}",
                file, exception);
        }
    }

    /// <exception cref="ZqfpException">ZQFP0101.</exception>
    public static TokenizerFile Read(Stream stream)
    {
        string? path = (stream as FileStream)?.Name;
        try
        {
            using var content = new MemoryStream();
            stream.CopyTo(content);
            return new TokenizerFile(path ?? "stream", path, content.ToArray());
        }
        catch (Exception exception) when (exception is IOException or NotSupportedException)
        {
            throw new ZqfpException(TextCodes.TokenizerUnreadable, $"The tokenizer's stream cannot be read: {exception.Message}",
                path, exception);
        }
    }

    private static string Resolve(string path)
    {
        if (Directory.Exists(path))
        {
            return Names.Select(name => System.IO.Path.Combine(path, name)).FirstOrDefault(File.Exists)
                ?? throw new ZqfpException(TextCodes.TokenizerUnreadable,
                    $"The folder '{path}' has neither tokenizer.json nor tokenizer.model. Name the tokenizer's file.", path);
        }

        return File.Exists(path)
            ? path
            : throw new ZqfpException(TextCodes.TokenizerUnreadable,
                $"The tokenizer '{path}' does not exist. Name a tokenizer.json or a SentencePiece .model.", path);
    }
}
