namespace Zqfp.Pipeline.Text.SentencePiece;

/// <summary>Reads a SentencePiece <c>.model</c>.</summary>
internal static class SentencePieceReader
{
    public static Tokenizer Read(byte[] content, string file) => throw new TextException(TextCodes.TokenizerFormatUnknown, $"'{file}' {content.Length}");
}
