namespace Zqfp.Tool;

/// <summary>The pages of <c>docs/diagnostics</c>, which travel inside the tool.</summary>
internal static class DiagnosticPages
{
    private const string Prefix = "diagnostics/";
    private const string Suffix = ".md";

    /// <summary>Every code that has a page, in order.</summary>
    public static IReadOnlyList<string> Codes { get; } =
    [
        .. typeof(DiagnosticPages).Assembly.GetManifestResourceNames()
            .Where(name => name.StartsWith(Prefix, StringComparison.Ordinal))
            .Select(name => name[Prefix.Length..^Suffix.Length])
            .Order(StringComparer.Ordinal),
    ];

    /// <summary>The page of a code, in Markdown.</summary>
    /// <param name="code">One of <see cref="Codes"/>.</param>
    public static string Read(string code)
    {
        using var reader = new StreamReader(typeof(DiagnosticPages).Assembly.GetManifestResourceStream(Prefix + code + Suffix)!);
        return reader.ReadToEnd().ReplaceLineEndings("\n");
    }

    /// <summary>What a code means, in a few words.</summary>
    public static string TitleOf(string code)
    {
        string first = Read(code).Split('\n', 2)[0];
        return first[(first.IndexOf(": ", StringComparison.Ordinal) + 2)..];
    }
}
