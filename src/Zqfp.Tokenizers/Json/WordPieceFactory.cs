namespace Zqfp.Tokenizers;

/// <summary>Makes the subword model of <c>model</c>, type <c>WordPiece</c>.</summary>
internal static class WordPieceFactory
{
    private const int UsualLongestWord = 100;

    /// <exception cref="ZqfpException">ZQFP0106.</exception>
    public static WordPieceModel Create(JsonComponent model, Vocabulary vocabulary)
    {
        string unknown = model.String("unk_token") ?? "[UNK]";
        return new WordPieceModel(vocabulary.Ids)
        {
            UnknownId = vocabulary.Ids.TryGetValue(unknown, out int id)
                ? id
                : throw model.Malformed($"the unknown token '{unknown}' is not in the vocabulary"),
            ContinuingPrefix = model.String("continuing_subword_prefix") ?? "##",
            LongestWord = model.TryGet("max_input_chars_per_word", out _)
                ? model.RequiredInt("max_input_chars_per_word")
                : UsualLongestWord,
        };
    }
}
