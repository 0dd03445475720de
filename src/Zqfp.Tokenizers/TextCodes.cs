namespace Zqfp.Tokenizers;

/// <summary>The diagnostics of tokenizers and text sources. Each has its page in <c>docs/diagnostics</c>.</summary>
internal static class TextCodes
{
    public const string TokenizerUnreadable = "ZQFP0101";
    public const string TokenizerFormatUnknown = "ZQFP0102";
    public const string ModelUnsupported = "ZQFP0103";
    public const string NormalizerUnsupported = "ZQFP0104";
    public const string PreTokenizerUnsupported = "ZQFP0105";
    public const string VocabularyBroken = "ZQFP0106";
    public const string SentencePieceDamaged = "ZQFP0107";
    public const string DecoderUnsupported = "ZQFP0108";
    public const string SourceUnreadable = "ZQFP0109";
    public const string JsonLineInvalid = "ZQFP0110";
    public const string TokenFileInvalid = "ZQFP0111";
    public const string TokenOutsideVocabulary = "ZQFP0112";
    public const string OptionsInvalid = "ZQFP0113";
    public const string TokenizerLacks = "ZQFP0114";
    public const string PatternTooSlow = "ZQFP0115";
    public const string PostProcessorUnsupported = "ZQFP0116";
    public const string TokenizerForeign = "ZQFP0117";
}
