namespace Zqfp.Evaluation;

/// <summary>The files of a text and a tokenizer as inputs of a run.</summary>
internal static class TextInputs
{
    /// <summary>Adds what <see cref="TokenWindowSet.Load"/> reads, before it is read.</summary>
    /// <param name="inputs">Where to.</param>
    /// <param name="textPath">The text: a file or a folder.</param>
    /// <param name="tokenizerPath">The tokenizer: a file, to which the configuration beside it belongs, or a folder.</param>
    /// <param name="cancellation">Ends the reading.</param>
    /// <exception cref="ZqfpException">ZQFP0018: one changed meanwhile.</exception>
    public static void AddTexts(this InputFiles inputs, string? textPath, string? tokenizerPath, CancellationToken cancellation)
    {
        if (!string.IsNullOrEmpty(textPath))
        {
            inputs.Add(textPath, cancellation);
        }

        if (string.IsNullOrEmpty(tokenizerPath))
        {
            return;
        }

        string folder = tokenizerPath;
        if (!Directory.Exists(tokenizerPath))
        {
            inputs.Add(tokenizerPath, cancellation);
            folder = Path.GetDirectoryName(Path.GetFullPath(tokenizerPath))!;
        }

        foreach (string name in (string[])[
            "tokenizer_config.json", .. folder == tokenizerPath ? Zqfp.Tokenizers.TokenizerFile.Names : []])
        {
            inputs.Add(Path.Combine(folder, name), cancellation);
        }
    }
}
