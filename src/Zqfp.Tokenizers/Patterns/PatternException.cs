namespace Zqfp.Tokenizers;

/// <summary>A pattern cannot be translated. The one who knows its file turns this into a diagnostic.</summary>
/// <param name="reason">What in the pattern, and at which index.</param>
internal sealed class PatternException(string reason) : Exception(reason);
